//! `Semaphore`: one member of a set.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::INITIALISED_WITHIN;
use super::{Entered, SemaphoreGuard, SemaphoreSet, core};
use super::{creation, open_or_create, operate_or_raise, owned, try_operate, undo_flag};
use crate::python::convert::{
    Flag, Id, Member, ModeBits, NamedKey, NewKey, Owner, Units, Value, no_index,
};
use crate::python::handle;
use crate::python::readiness::Readiness;
use crate::python::wait::Timeout;
use crate::readiness::Watched;
use crate::sem::Operation;

/// An index that is known to be inside a set: the kernel has 16 bits for it.
pub(super) fn number(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

/// One member of a System V semaphore set: a counter from 0 to 32767 that processes wait on.
///
/// A handle: creating or opening one attaches nothing, dropping it removes nothing. Made by
/// `create`, `open`, `open_or_create`, `from_id`, and by indexing a `SemaphoreSet`; equal and hashed
/// by id and index; pickled as id, key and index. `with semaphore:` holds it, as `hold()` does.
///
/// See semget(2), semop(2), semctl(2).
#[pyclass(frozen, eq, hash, weakref, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct Semaphore {
    set: core::SemaphoreSet,
    index: u16,
    entered: Entered,
}

impl PartialEq for Semaphore {
    fn eq(&self, other: &Self) -> bool {
        (self.set.id(), self.index) == (other.set.id(), other.index)
    }
}

impl std::hash::Hash for Semaphore {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        ("Semaphore", self.set.id(), self.index).hash(state);
    }
}

impl Semaphore {
    pub(super) fn new(set: core::SemaphoreSet, index: usize) -> Self {
        Self { set, index: number(index), entered: Entered::default() }
    }

    fn member(set: core::SemaphoreSet, index: Member) -> PyResult<Self> {
        let last = set.reachable().saturating_sub(1);
        if index.0 > last { Err(no_index(index.0, 0, last)) } else { Ok(Self::new(set, index.0)) }
    }

    #[inline]
    fn operation(&self, delta: i16, undo: Flag) -> [Operation; 1] {
        [Operation::new(self.index, delta, undo_flag(undo.0))]
    }

    /// What a guard gives back.
    const fn take(&self, units: Units) -> Operation {
        core::SemaphoreGuard::take(self.index, units.0)
    }

    #[inline]
    fn guard(&self, units: Units) -> SemaphoreGuard {
        SemaphoreGuard::of(core::SemaphoreGuard::new(self.set, self.index, units.0))
    }

    pub(super) fn taker(&self) -> PyResult<core::Taker> {
        Ok(core::Taker::new(self.set, self.index)?)
    }
}

#[pymethods]
impl Semaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn py_new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        handle::no_constructor("Semaphore")
    }

    /// Creates a semaphore in a set of its own, which must not exist yet.
    ///
    /// Args:
    ///     key: The key it will be found by; `IPC_PRIVATE` (0) for none.
    ///     value: Its value, 0 to 32767.
    ///     mode: Who may use it, 0 to 0o777; there is no umask in System V IPC.
    ///
    /// Returns:
    ///     The new semaphore.
    ///
    /// Raises:
    ///     AlreadyExistsError: The key has a set already.
    ///     LimitExceededError: SEMMNI or SEMMNS is reached.
    ///     ValueError: An argument is out of range.
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (key=NewKey::PRIVATE, value=Value::ONE, *, mode=ModeBits::OURS),
        text_signature = "($cls, key=0, value=1, *, mode=0o600)"
    )]
    fn create(
        cls: &Bound<'_, PyType>,
        key: NewKey,
        value: Value,
        mode: ModeBits,
    ) -> PyResult<Py<Self>> {
        let set = core::SemaphoreSet::create(key.0, &[value.0], mode.0)?;
        handle::created(cls.py(), Self::new(set, 0), || set.remove())
    }

    /// Opens one member of the set that a key leads to.
    ///
    /// Args:
    ///     key: The set's key.
    ///     index: Which member.
    ///     owner: The user id that must both own the set and have created it.
    ///
    /// Returns:
    ///     The semaphore.
    ///
    /// Raises:
    ///     NotFoundError: No set has the key.
    ///     AccessDeniedError: Its mode tells us nothing about it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IndexError: The set has no such member.
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (key, *, index=Member::FIRST, owner=Owner::ANYBODY),
        text_signature = "($cls, key, *, index=0, owner=None)"
    )]
    fn open(
        _cls: &Bound<'_, PyType>,
        key: NamedKey,
        index: Member,
        owner: Owner,
    ) -> PyResult<Self> {
        let set = owned(core::SemaphoreSet::open(key.0, 0)?, owner)?;
        Self::member(set, index)
    }

    /// Opens the first member of the set that a key leads to once it is initialised, or creates it.
    ///
    /// See `SemaphoreSet.open_or_create` for the protocol and its limits.
    ///
    /// Args:
    ///     key: Its key.
    ///     value: The value of a new semaphore.
    ///     mode: Who may use a new semaphore.
    ///     owner: The user id that must both own the set and have created it.
    ///     timeout: Seconds until a set that its creator has not initialised counts as abandoned.
    ///
    /// Returns:
    ///     The semaphore, initialised.
    ///
    /// Raises:
    ///     WaitTimeoutError: Another user's set is still not initialised.
    ///     NotFoundError: There is none, and `owner` is not our effective user id.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (
            key, value=Value::ONE, *, mode=ModeBits::OURS, owner=Owner::ANYBODY,
            timeout=INITIALISED_WITHIN
        ),
        text_signature = "($cls, key, value=1, *, mode=0o600, owner=None, timeout=10.0)"
    )]
    fn open_or_create(
        _cls: &Bound<'_, PyType>,
        py: Python<'_>,
        key: NamedKey,
        value: Value,
        mode: ModeBits,
        owner: Owner,
        timeout: Timeout,
    ) -> PyResult<Self> {
        let creation = creation(key, vec![value.0], mode.0, owner, timeout);
        Ok(Self::new(open_or_create(py, creation)?, 0))
    }

    /// One member of the set that has an id.
    ///
    /// Args:
    ///     id: The set's id, as `ipcs -s` shows it.
    ///     index: Which member.
    ///     owner: The user id that must both own the set and have created it.
    ///
    /// Returns:
    ///     The semaphore.
    ///
    /// Raises:
    ///     RemovedError: No set has the id.
    ///     AccessDeniedError: Its mode tells us nothing about it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IndexError: The set has no such member.
    ///
    /// See semctl(2), IPC_STAT.
    #[classmethod]
    #[pyo3(
        signature = (id, *, index=Member::FIRST, owner=Owner::ANYBODY),
        text_signature = "($cls, id, *, index=0, owner=None)"
    )]
    fn from_id(_cls: &Bound<'_, PyType>, id: Id, index: Member, owner: Owner) -> PyResult<Self> {
        let set = owned(core::SemaphoreSet::from_id(id.0)?, owner)?;
        Self::member(set, index)
    }

    /// The set that it is a member of.
    #[getter]
    fn semaphore_set(&self) -> SemaphoreSet {
        SemaphoreSet::of(self.set)
    }

    /// Which member of its set it is.
    #[getter]
    fn index(&self) -> u16 {
        self.index
    }

    /// The set's key; 0 = IPC_PRIVATE.
    #[getter]
    fn key(&self) -> i32 {
        self.set.key().get()
    }

    /// The set's id.
    #[getter]
    fn id(&self) -> i32 {
        self.set.id()
    }

    /// Its value, 0 to 32767. Setting it wakes who waited for it, and makes every process forget
    /// what it would have undone on it.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///     ValueError: A value outside 0 to 32767.
    ///
    /// See semctl(2), GETVAL and SETVAL.
    #[getter]
    fn value(&self) -> PyResult<i32> {
        Ok(self.set.value(self.index)?)
    }

    #[setter]
    fn set_value(&self, value: Value) -> PyResult<()> {
        Ok(self.set.set_value(self.index, value.0.into())?)
    }

    /// Subtracts `n` from the value; waits while that is not possible.
    ///
    /// Args:
    ///     n: How many units to take, 1 to 32767.
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///     undo: Whether the kernel gives them back when the process ends (SEM_UNDO).
    ///
    /// Returns:
    ///     True.
    ///
    /// Raises:
    ///     WaitTimeoutError: The time was up; nothing was taken.
    ///     RemovedError: The set is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///     LimitExceededError: The kernel would have to undo more than 32767.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        signature = (n=Units::ONE, *, timeout=Timeout::Endless, undo=Flag::NO),
        text_signature = "($self, n=1, *, timeout=None, undo=False)"
    )]
    fn acquire(&self, py: Python<'_>, n: Units, timeout: Timeout, undo: Flag) -> PyResult<bool> {
        operate_or_raise(py, self.set, &self.operation(-n.0, undo), timeout).map(|()| true)
    }

    /// Subtracts `n` from the value, if that is possible without waiting.
    ///
    /// Args:
    ///     n: How many units to take, 1 to 32767.
    ///     undo: Whether the kernel gives them back when the process ends (SEM_UNDO).
    ///
    /// Returns:
    ///     Whether they were taken.
    ///
    /// Raises:
    ///     As `acquire`, but never WaitTimeoutError.
    ///
    /// See semop(2), IPC_NOWAIT.
    #[pyo3(
        signature = (n=Units::ONE, *, undo=Flag::NO),
        text_signature = "($self, n=1, *, undo=False)"
    )]
    fn try_acquire(&self, n: Units, undo: Flag) -> PyResult<bool> {
        try_operate(self.set, &self.operation(-n.0, undo))
    }

    /// Adds `n` to the value, and wakes who waits for it. Never waits.
    ///
    /// Args:
    ///     n: How many units to give, 1 to 32767.
    ///     undo: Whether the kernel takes them back when the process ends (SEM_UNDO); to be given
    ///         if the units were taken so.
    ///
    /// Raises:
    ///     LimitExceededError: The value would pass 32767 (ERANGE).
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2).
    #[pyo3(
        signature = (n=Units::ONE, *, undo=Flag::NO),
        text_signature = "($self, n=1, *, undo=False)"
    )]
    fn release(&self, n: Units, undo: Flag) -> PyResult<()> {
        let give = self.operation(n.0, undo);
        Ok(self.set.try_raw(&give).map_err(|errno| self.set.op_error(errno, 1))?)
    }

    /// Waits until the value is 0.
    ///
    /// Args:
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///
    /// Returns:
    ///     True.
    ///
    /// Raises:
    ///     WaitTimeoutError: The time was up.
    ///     RemovedError: The set is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2).
    #[pyo3(
        signature = (*, timeout=Timeout::Endless),
        text_signature = "($self, *, timeout=None)"
    )]
    fn wait_zero(&self, py: Python<'_>, timeout: Timeout) -> PyResult<bool> {
        operate_or_raise(py, self.set, &self.operation(0, Flag::NO), timeout).map(|()| true)
    }

    /// Whether the value is 0, as `wait_zero` without waiting.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2), IPC_NOWAIT.
    fn try_wait_zero(&self) -> PyResult<bool> {
        try_operate(self.set, &self.operation(0, Flag::NO))
    }

    /// Takes `n` units with SEM_UNDO, now, to be given back exactly once.
    ///
    /// Args:
    ///     n: How many units to take, 1 to 32767.
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///
    /// Returns:
    ///     A guard, to be used in `with` or released.
    ///
    /// Raises:
    ///     As `acquire`.
    ///
    /// See semop(2), SEM_UNDO.
    #[pyo3(
        signature = (n=Units::ONE, *, timeout=Timeout::Endless),
        text_signature = "($self, n=1, *, timeout=None)"
    )]
    fn hold(&self, py: Python<'_>, n: Units, timeout: Timeout) -> PyResult<SemaphoreGuard> {
        operate_or_raise(py, self.set, &[self.take(n)], timeout)?;
        Ok(self.guard(n))
    }

    /// Takes `n` units as `hold` does, if that is possible without waiting.
    ///
    /// Args:
    ///     n: How many units to take, 1 to 32767.
    ///
    /// Returns:
    ///     A guard, or None.
    ///
    /// Raises:
    ///     As `acquire`, but never WaitTimeoutError.
    ///
    /// See semop(2), SEM_UNDO and IPC_NOWAIT.
    #[pyo3(signature = (n=Units::ONE), text_signature = "($self, n=1)")]
    fn try_hold(&self, n: Units) -> PyResult<Option<SemaphoreGuard>> {
        let taken = try_operate(self.set, &[self.take(n)])?;
        Ok(taken.then(|| self.guard(n)))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<SemaphoreGuard>> {
        // All that can fail comes before the units are taken, or gives them back.
        let guard = self.hold(py, Units::ONE, Timeout::Endless)?;
        let guard = Py::new(py, guard)?;
        self.entered.push(guard.clone_ref(py));
        Ok(guard)
    }

    #[pyo3(signature = (exc_type, exc_value, traceback))]
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let _ = (exc_type, traceback);
        self.entered.leave(exc_value)
    }

    /// A descriptor that is readable while `n` units can be taken.
    ///
    /// Args:
    ///     n: How many units, 1 to 32767.
    ///
    /// Returns:
    ///     The readiness, to be closed after use; see its limits.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: Its mode forbids to change it.
    ///     OSError: No descriptor or no thread is to be had.
    ///
    /// See semop(2), eventfd(2).
    #[pyo3(signature = (n=Units::ONE), text_signature = "($self, n=1)")]
    fn readiness(&self, py: Python<'_>, n: Units) -> PyResult<Readiness> {
        Readiness::watch(py, Watched::Semaphore(self.set, self.index, n.0))
    }

    /// The process that changed it last; 0 = none. An undo at exit counts as the dead process's.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETPID.
    #[getter]
    fn last_pid(&self) -> PyResult<i32> {
        Ok(self.set.last_pid(self.index)?)
    }

    /// How many wait for the value to grow.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETNCNT.
    #[getter]
    fn waiting(&self) -> PyResult<i32> {
        Ok(self.set.waiting(self.index)?)
    }

    /// How many wait for the value to become 0.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETZCNT.
    #[getter]
    fn waiting_zero(&self) -> PyResult<i32> {
        Ok(self.set.waiting_zero(self.index)?)
    }

    /// Removes the set, of which it must be the only member. Who waits on it gets RemovedError.
    ///
    /// Raises:
    ///     ValueError: The set has other members.
    ///     RemovedError: It is gone already.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See semctl(2), IPC_RMID.
    fn remove(&self) -> PyResult<()> {
        if self.set.len() > 1 {
            return Err(PyValueError::new_err(format!(
                "the set has {} members: remove it by semaphore.semaphore_set.remove()",
                self.set.len()
            )));
        }
        Ok(self.set.remove()?)
    }

    fn __repr__(&self) -> String {
        let (key, id, index) = (self.set.key(), self.set.id(), self.index);
        format!("Semaphore(key={key}, id={id}, index={index})")
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (id, key) = (self.set.id(), self.set.key().get());
        handle::reduce(py, "reopen_semaphore", [id.into(), key.into(), self.index.into()])
    }
}

/// Opens a pickled semaphore.
#[pyfunction]
pub(in crate::python) fn reopen_semaphore(id: i32, key: i32, index: usize) -> PyResult<Semaphore> {
    let set = core::SemaphoreSet::from_id(id)?;
    handle::same_key::<core::SemaphoreSet>(id, set.key(), key)?;
    if index >= set.len() {
        return Err(set.op_error(nix::errno::Errno::EIDRM, 1).into());
    }
    Ok(Semaphore::new(set, index))
}
