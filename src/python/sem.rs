//! `SemaphoreSet`; one member of a set is in `member`, what is held in `guard`.

use nix::errno::Errno;
use pyo3::Borrowed;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyTuple, PyType};

use super::collect::{collect, list, tuple};
use super::convert::{
    self, Flag, Id, LeastSize, ModeBits, NamedKey, NewKey, NewOwner, Owner, SEMAPHORE_MAX, SetSize,
};
use super::handle;
use super::record::record;
use super::wait::{Timeout, raise_undone, wait, wait_detached};
use crate::ipc::{Key, Mode};
use crate::sem::{self as core, Creation, Operation, OperationFlags};
use crate::sys;
use crate::wait::Deadline;

mod guard;
mod member;
mod php;
mod taker;
mod values;

use guard::Entered;
use values::{EachValue, Values};

pub(super) use guard::SemaphoreGuard;
pub(super) use member::{Semaphore, reopen_semaphore};
pub(super) use php::{PhpSemaphore, reopen_php_semaphore};
pub(super) use taker::{Taker, checked_units};

record! {
    /// What the kernel tells about a semaphore set, at one moment (`struct semid_ds`).
    ///
    /// See semctl(2), IPC_STAT.
    "sysv_ipc_rs" SemaphoreSetStat {
        /// The key it was created with; 0 = IPC_PRIVATE.
        key: i32,
        /// The kernel's number for it.
        id: i32,
        /// User id of the owner.
        uid: u32,
        /// Group id of the owner.
        gid: u32,
        /// User id of the creator.
        cuid: u32,
        /// Group id of the creator.
        cgid: u32,
        /// The nine permission bits.
        mode: u16,
        /// Which use of its slot in the kernel's table this object is.
        seq: u16,
        /// How many semaphores it has.
        size: u64,
        /// Time of the last operation, in seconds since the epoch; 0 = never.
        otime: i64,
        /// Time of creation or of the last change by semctl.
        ctime: i64,
    }
}

impl From<core::SemaphoreSetStat> for SemaphoreSetStat {
    fn from(stat: core::SemaphoreSetStat) -> Self {
        let owner = stat.permissions;
        Self {
            key: owner.key.get(),
            id: stat.id,
            uid: owner.uid,
            gid: owner.gid,
            cuid: owner.cuid,
            cgid: owner.cgid,
            mode: owner.access().bits(),
            seq: owner.seq,
            size: stat.size,
            otime: stat.otime,
            ctime: stat.ctime,
        }
    }
}

/// Does the operations: tries, then waits.
#[inline]
pub(super) fn operate(
    py: Python<'_>,
    set: core::SemaphoreSet,
    ops: &[Operation],
    timeout: Timeout,
) -> PyResult<sys::Result<()>> {
    match set.try_raw(ops) {
        Err(Errno::EAGAIN) if timeout != Timeout::ZERO => {
            operate_detached(py, set, ops, timeout.deadline())
        }
        answer => Ok(answer),
    }
}

#[cold]
fn operate_detached(
    py: Python<'_>,
    set: core::SemaphoreSet,
    ops: &[Operation],
    deadline: Deadline,
) -> PyResult<sys::Result<()>> {
    let answer = wait_detached(py, deadline, || set.wait_raw(ops, deadline))?;
    if answer.is_ok() {
        raise_undone(py, || set.reverse(ops))?;
    }
    Ok(answer)
}

/// Does the operations, or raises.
#[inline]
fn operate_or_raise(
    py: Python<'_>,
    set: core::SemaphoreSet,
    ops: &[Operation],
    timeout: Timeout,
) -> PyResult<()> {
    Ok(operate(py, set, ops, timeout)?.map_err(|errno| set.op_error(errno, ops.len()))?)
}

/// Does the operations, or tells that they would have to wait.
#[inline]
fn try_operate(set: core::SemaphoreSet, ops: &[Operation]) -> PyResult<bool> {
    Ok(set.try_op(ops)?)
}

/// `IPC_NOWAIT` aside, an operation has one flag.
const fn undo_flag(undo: bool) -> OperationFlags {
    if undo { OperationFlags::UNDO } else { OperationFlags::empty() }
}

/// The values of a new set of this size.
fn initial_values(key: Key, size: SetSize, values: Values) -> PyResult<Vec<u16>> {
    if size.0 > core::SIZE_MAX {
        return Err(core::too_large(key, size.0).into());
    }
    values.of(size.0)
}

/// Opens or creates by the protocol that never shows an uninitialised set.
pub(super) fn open_or_create(
    py: Python<'_>,
    mut creation: Creation,
) -> PyResult<core::SemaphoreSet> {
    let opened = wait(py, Timeout::Endless, |deadline| {
        if deadline.is_some() {
            creation.wait()?;
        }
        match creation.step() {
            Ok(Some(set)) => Ok(Ok(set)),
            Ok(None) => Err(Errno::EAGAIN),
            Err(error) => Ok(Err(error)),
        }
    })?;
    match opened {
        Ok(answer) => Ok(answer?),
        Err(errno) => Err(crate::Error::from_errno("semget", errno).into()),
    }
}

fn owned(set: core::SemaphoreSet, owner: Owner) -> PyResult<core::SemaphoreSet> {
    owner.0.map_or(Ok(()), |owner| set.check_owner(owner))?;
    Ok(set)
}

/// One or more System V semaphores under one key, changed together: all at once or not at all.
///
/// A handle: creating or opening one attaches nothing, dropping it removes nothing. Made by
/// `create`, `open`, `open_or_create` and `from_id`; equal and hashed by id; pickled as id and key.
///
/// See semget(2), semop(2), semctl(2).
#[pyclass(frozen, eq, hash, weakref, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct SemaphoreSet(core::SemaphoreSet);

impl PartialEq for SemaphoreSet {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl std::hash::Hash for SemaphoreSet {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        ("SemaphoreSet", self.0.id()).hash(state);
    }
}

#[pymethods]
impl SemaphoreSet {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        handle::no_constructor("SemaphoreSet")
    }

    /// Creates a set of semaphores, which must not exist yet.
    ///
    /// Nobody ever sees it with uninitialised values who opens it by `open_or_create`.
    ///
    /// Args:
    ///     key: The key it will be found by; `IPC_PRIVATE` (0) for none.
    ///     size: How many semaphores, at least 1.
    ///     values: Their values, 0 to 32767: one int for all, or a sequence of `size` ints.
    ///     mode: Who may use it, 0 to 0o777; there is no umask in System V IPC.
    ///
    /// Returns:
    ///     The new set.
    ///
    /// Raises:
    ///     AlreadyExistsError: The key has a set already.
    ///     LimitExceededError: SEMMNI, SEMMNS or SEMMSL is reached.
    ///     ValueError: An argument is out of range.
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (
            key=NewKey::PRIVATE, size=SetSize::ONE, *, values=Values::ZERO, mode=ModeBits::OURS
        ),
        text_signature = "($cls, key=0, size=1, *, values=0, mode=0o600)"
    )]
    fn create(
        cls: &Bound<'_, PyType>,
        key: NewKey,
        size: SetSize,
        values: Values,
        mode: ModeBits,
    ) -> PyResult<Py<Self>> {
        let values = initial_values(key.0, size, values)?;
        let set = core::SemaphoreSet::create(key.0, &values, mode.0)?;
        handle::created(cls.py(), Self(set), || set.remove())
    }

    /// Opens the set that a key leads to.
    ///
    /// It may be one that its creator has not initialised yet: `open_or_create` waits for that.
    ///
    /// Args:
    ///     key: Its key.
    ///     size: How many semaphores it must at least have.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     The set.
    ///
    /// Raises:
    ///     NotFoundError: No set has the key.
    ///     AccessDeniedError: Its mode tells us nothing about it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IPCError: It has fewer semaphores (EINVAL).
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (key, *, size=LeastSize::ANY, owner=Owner::ANYBODY),
        text_signature = "($cls, key, *, size=0, owner=None)"
    )]
    fn open(
        _cls: &Bound<'_, PyType>,
        key: NamedKey,
        size: LeastSize,
        owner: Owner,
    ) -> PyResult<Self> {
        owned(core::SemaphoreSet::open(key.0, size.0)?, owner).map(Self)
    }

    /// Opens the set that a key leads to once it is initialised, or creates it.
    ///
    /// Among its users nobody ever works with uninitialised values, also when a creator dies in the
    /// middle: a set that is still pristine after `timeout` is removed, if it is our user's, and
    /// made anew. So a creator that is stopped for longer than `timeout` loses its set, a set of
    /// `ipcmk -S` that nobody has used counts as abandoned, and foreign code that operates before
    /// initialising voids the promise.
    ///
    /// Args:
    ///     key: Its key.
    ///     size: How many semaphores it must at least have.
    ///     values: The values of a new set: one int for all, or a sequence of `size` ints.
    ///     mode: Who may use a new set.
    ///     owner: The user id that must both own it and have created it.
    ///     timeout: Seconds until a set that its creator has not initialised counts as abandoned.
    ///
    /// Returns:
    ///     The set, initialised.
    ///
    /// Raises:
    ///     WaitTimeoutError: Another user's set is still not initialised.
    ///     NotFoundError: There is none, and `owner` is not our effective user id.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IPCError: It has fewer semaphores (EINVAL).
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (
            key, size=SetSize::ONE, *, values=Values::ZERO, mode=ModeBits::OURS,
            owner=Owner::ANYBODY, timeout=INITIALISED_WITHIN
        ),
        text_signature = "($cls, key, size=1, *, values=0, mode=0o600, owner=None, timeout=10.0)"
    )]
    fn open_or_create(
        _cls: &Bound<'_, PyType>,
        py: Python<'_>,
        key: NamedKey,
        size: SetSize,
        values: Values,
        mode: ModeBits,
        owner: Owner,
        timeout: Timeout,
    ) -> PyResult<Self> {
        let values = initial_values(key.0, size, values)?;
        open_or_create(py, creation(key, values, mode.0, owner, timeout)).map(Self)
    }

    /// The set that has an id.
    ///
    /// Args:
    ///     id: The kernel's number, as `ipcs -s` shows it.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     The set.
    ///
    /// Raises:
    ///     RemovedError: No set has the id.
    ///     AccessDeniedError: Its mode tells us nothing about it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///
    /// See semctl(2), IPC_STAT.
    #[classmethod]
    #[pyo3(signature = (id, *, owner=Owner::ANYBODY), text_signature = "($cls, id, *, owner=None)")]
    fn from_id(_cls: &Bound<'_, PyType>, id: Id, owner: Owner) -> PyResult<Self> {
        owned(core::SemaphoreSet::from_id(id.0)?, owner).map(Self)
    }

    /// The key by which it was found or made; 0 = IPC_PRIVATE.
    #[getter]
    fn key(&self) -> i32 {
        self.0.key().get()
    }

    /// The kernel's number for it.
    #[getter]
    fn id(&self) -> i32 {
        self.0.id()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__(&self, index: &Bound<'_, PyAny>) -> PyResult<Semaphore> {
        Ok(Semaphore::new(self.0, convert::index(index, self.0.reachable(), true)?))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        list(py, (0..self.0.reachable()).map(|index| Semaphore::new(self.0, index)))?.try_iter()
    }

    /// All values at one moment: `tuple[int, ...]`. Setting them makes every process forget what
    /// it would have undone.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///     ValueError: Not as many values as semaphores, or one outside 0 to 32767.
    ///
    /// See semctl(2), GETALL and SETALL.
    #[getter]
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.0.values()?.into_iter())
    }

    #[setter]
    fn set_values(&self, values: EachValue) -> PyResult<()> {
        Ok(self.0.set_values(&values.of(self.0.len())?)?)
    }

    /// Does several operations at once, or waits until all of them can be done.
    ///
    /// Args:
    ///     ops: Each `(index, delta)` or `(index, delta, undo)`: adds `delta` to a semaphore, and
    ///         waits while its value would become negative; a delta of 0 waits for the value 0.
    ///     undo: Whether the kernel reverses them when the process ends (SEM_UNDO), where an
    ///         operation doesn't say.
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///
    /// Raises:
    ///     WaitTimeoutError: The time was up; nothing was done.
    ///     RemovedError: The set is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///     LimitExceededError: A value would pass 32767, or more operations than SEMOPM.
    ///     IndexError: There is no such semaphore.
    ///     ValueError: No operations, or a delta outside -32767 to 32767.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        signature = (*ops, undo=Flag::NO, timeout=Timeout::Endless),
        text_signature = "($self, *ops, undo=False, timeout=None)"
    )]
    fn op(
        &self,
        py: Python<'_>,
        ops: &Bound<'_, PyTuple>,
        undo: Flag,
        timeout: Timeout,
    ) -> PyResult<()> {
        operate_or_raise(py, self.0, &self.operations(ops, undo)?, timeout)
    }

    /// Does several operations at once, if that can be done without waiting.
    ///
    /// Args:
    ///     ops: As of `op`.
    ///     undo: As of `op`.
    ///
    /// Returns:
    ///     Whether they were done; if not, none of them was.
    ///
    /// Raises:
    ///     As `op`, but never WaitTimeoutError.
    ///
    /// See semop(2), IPC_NOWAIT.
    #[pyo3(
        signature = (*ops, undo=Flag::NO),
        text_signature = "($self, *ops, undo=False)"
    )]
    fn try_op(&self, ops: &Bound<'_, PyTuple>, undo: Flag) -> PyResult<bool> {
        try_operate(self.0, &self.operations(ops, undo)?)
    }

    /// Owner, mode, size and times, at one moment.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: The kernel tells us nothing about it.
    ///
    /// See semctl(2), IPC_STAT and SEM_STAT_ANY.
    fn stat(&self) -> PyResult<SemaphoreSetStat> {
        Ok(self.0.stat()?.into())
    }

    /// Changes who may use the set. One read and one write, so not atomic against other changes.
    ///
    /// Args:
    ///     mode: The nine permission bits, 0 to 0o777.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See semctl(2), IPC_SET.
    fn chmod(&self, mode: ModeBits) -> PyResult<()> {
        handle::chmod::<core::SemaphoreSet>(self.0.id(), mode)
    }

    /// Gives the set to another user or group. The creator keeps its rights.
    ///
    /// Args:
    ///     uid: New owner's user id; -1 leaves it.
    ///     gid: New owner's group id; -1 leaves it.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See semctl(2), IPC_SET.
    #[pyo3(
        signature = (uid=NewOwner::SAME, gid=NewOwner::SAME),
        text_signature = "($self, uid=-1, gid=-1)"
    )]
    fn chown(&self, uid: NewOwner, gid: NewOwner) -> PyResult<()> {
        handle::chown::<core::SemaphoreSet>(self.0.id(), uid, gid)
    }

    /// Removes the set at once. Who waits on it gets RemovedError.
    ///
    /// Raises:
    ///     RemovedError: It is gone already.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See semctl(2), IPC_RMID.
    fn remove(&self) -> PyResult<()> {
        Ok(self.0.remove()?)
    }

    fn __repr__(&self) -> String {
        handle::repr("SemaphoreSet", self.0.key(), self.0.id())
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let pickled = [self.0.id().into(), self.0.key().get().into()];
        handle::reduce(py, "reopen_semaphore_set", pickled)
    }
}

impl SemaphoreSet {
    pub(super) const fn of(set: core::SemaphoreSet) -> Self {
        Self(set)
    }

    fn operations(&self, ops: &Bound<'_, PyTuple>, undo: Flag) -> PyResult<Vec<Operation>> {
        if ops.is_empty() {
            return Err(PyValueError::new_err("at least one operation (index, delta) is required"));
        }
        collect(ops.iter().map(|op| self.operation(&op, undo)), ops.len())
    }

    fn operation(&self, op: &Bound<'_, PyAny>, undo: Flag) -> PyResult<Operation> {
        let Ok(op) = op.cast::<PyTuple>() else {
            let parts: Vec<_> = op.try_iter()?.take(4).collect::<PyResult<_>>()?;
            return self.operation(PyTuple::new(op.py(), parts)?.as_any(), undo);
        };
        let mut parts = op.iter_borrowed();
        let parts = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(index), Some(delta), own, None) = parts else {
            return Err(PyValueError::new_err(
                "an operation is (index, delta) or (index, delta, undo)",
            ));
        };
        let undo = own.map_or(Ok(undo), Borrowed::extract)?;
        let index = convert::index(&index, self.0.reachable(), false)?;
        let delta = convert::small(&delta, "delta", -SEMAPHORE_MAX..=SEMAPHORE_MAX)?;
        Ok(Operation::new(member::number(index), delta, undo_flag(undo.0)))
    }
}

/// How long a set may stay uninitialised before it counts as abandoned.
pub(super) const INITIALISED_WITHIN: Timeout = Timeout::Within(std::time::Duration::from_secs(10));

pub(super) fn creation(
    key: NamedKey,
    values: Vec<u16>,
    mode: Mode,
    owner: Owner,
    timeout: Timeout,
) -> Creation {
    let timeout = match timeout {
        Timeout::Endless => None,
        Timeout::Within(time) => Some(time),
    };
    Creation::new(key.0, values, mode, owner.0, timeout)
}

/// Opens a pickled set.
#[pyfunction]
pub(super) fn reopen_semaphore_set(id: i32, key: i32) -> PyResult<SemaphoreSet> {
    let set = core::SemaphoreSet::from_id(id)?;
    handle::same_key::<core::SemaphoreSet>(id, set.key(), key)?;
    Ok(SemaphoreSet(set))
}
