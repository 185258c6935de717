//! `PHPSemaphore`: one user of a semaphore of PHP's `sem_get`.

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::{Entered, INITIALISED_WITHIN, SemaphoreGuard, SemaphoreSet, core};
use super::{operate_or_raise, try_operate};
use crate::ipc::Key;
use crate::python::closable::Closable;
use crate::python::convert::{Flag, ModeBits, NamedKey, Owner, Units};
use crate::python::handle;
use crate::python::wait::{Timeout, wait};
use crate::sem::PhpEntry;

/// A semaphore of PHP's `sem_get`: Python and PHP exclude each other, whoever starts or dies first.
///
/// PHP's semaphore is a set of three: the tokens that are left, how many use it, and who is just
/// coming in. The first user sets the number of tokens, so each object counts as a user, until it is
/// closed or dropped; as in PHP that also gives back what it has taken, and when the process dies
/// the kernel does both. Made by `open_or_create`; equal and hashed by id; pickled so that it is a
/// user of its own elsewhere. In a forked child every method that takes or gives raises: open it
/// again there. `with semaphore:` holds a token, as `hold()` does.
///
/// See semop(2), SEM_UNDO.
#[pyclass(frozen, eq, hash, weakref, name = "PHPSemaphore", module = "sysv_ipc_rs.interop")]
#[derive(Debug)]
pub(in crate::python) struct PhpSemaphore {
    set: core::SemaphoreSet,
    user: Closable<core::PhpSemaphore>,
    max_acquire: i16,
    auto_release: bool,
    entered: Entered,
}

impl PartialEq for PhpSemaphore {
    fn eq(&self, other: &Self) -> bool {
        self.set.id() == other.set.id()
    }
}

impl std::hash::Hash for PhpSemaphore {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        ("PHPSemaphore", self.set.id()).hash(state);
    }
}

impl PhpSemaphore {
    fn enter(py: Python<'_>, entry: &PhpEntry, timeout: Timeout) -> PyResult<Self> {
        let entered = wait(py, timeout, |deadline| entry.attempt(deadline))?;
        let user = entered.unwrap_or_else(|errno| Err(entry.late(errno)))?;
        let (set, max_acquire, auto_release) =
            (user.set(), user.max_acquire(), user.auto_release());
        let user = Closable::new(user);
        Ok(Self { set, user, max_acquire, auto_release, entered: Entered::default() })
    }

    fn open(&self) -> PyResult<Arc<core::PhpSemaphore>> {
        self.user.open("PHPSemaphore", core::PhpSemaphore::is_ours)
    }
}

#[pymethods]
impl PhpSemaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Err(PyTypeError::new_err(
            "PHPSemaphore has no public constructor: use PHPSemaphore.open_or_create()",
        ))
    }

    /// `sem_get`: opens PHP's semaphore with this key, or creates it, and becomes a user of it.
    ///
    /// Args:
    ///     key: Its key, as PHP has it; for `ftok` of PHP use `sysv_ipc_rs.ftok(path, ord(letter))`.
    ///     max_acquire: How many tokens there are, 1 to 32767, if this is the only user; else ignored.
    ///     mode: Who may use a new one; PHP's own default lets everybody.
    ///     owner: The user id that must both own it and have created it.
    ///     auto_release: Whether to give back what was taken, and to be no user any more, when it is
    ///         closed or dropped; else only the end of the process does that.
    ///     timeout: Seconds to wait for another process that is just coming in; None for ever.
    ///
    /// Returns:
    ///     The semaphore.
    ///
    /// Raises:
    ///     WaitTimeoutError: Another process is coming in, and does not get on.
    ///     AccessDeniedError: Its mode forbids it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     NotFoundError: There is none, and `owner` is not our effective user id.
    ///     IPCError: The key's set has fewer than three semaphores (EINVAL): it is no PHP semaphore.
    ///     LimitExceededError: It has 32767 users, or the kernel has no room for a new one.
    ///
    /// See semget(2), semop(2).
    #[classmethod]
    #[pyo3(
        signature = (
            key, max_acquire=Units::ONE, *, mode=ModeBits::EVERYBODY, owner=Owner::ANYBODY,
            auto_release=Flag::YES, timeout=INITIALISED_WITHIN
        ),
        text_signature = "($cls, key, max_acquire=1, *, mode=0o666, owner=None, \
                          auto_release=True, timeout=10.0)"
    )]
    fn open_or_create(
        _cls: &Bound<'_, PyType>,
        py: Python<'_>,
        key: NamedKey,
        max_acquire: Units,
        mode: ModeBits,
        owner: Owner,
        auto_release: Flag,
        timeout: Timeout,
    ) -> PyResult<Self> {
        let entry = PhpEntry::new(key.0, max_acquire.0, mode.0, owner.0, auto_release.0);
        Self::enter(py, &entry, timeout)
    }

    /// Its key.
    #[getter]
    fn key(&self) -> i32 {
        self.set.key().get()
    }

    /// The kernel's number for the set of three.
    #[getter]
    fn id(&self) -> i32 {
        self.set.id()
    }

    /// The set of three: the tokens that are left, the users, who is coming in.
    #[getter]
    fn semaphore_set(&self) -> SemaphoreSet {
        SemaphoreSet::of(self.set)
    }

    /// How many tokens this object asked for.
    #[getter]
    fn max_acquire(&self) -> i16 {
        self.max_acquire
    }

    /// Whether closing or dropping it gives back what was taken.
    #[getter]
    fn auto_release(&self) -> bool {
        self.auto_release
    }

    /// How many tokens are left.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETVAL.
    #[getter]
    fn value(&self) -> PyResult<i32> {
        Ok(self.set.value(core::PhpSemaphore::TOKENS)?)
    }

    /// How many users it has, in all processes.
    ///
    /// Raises:
    ///     RemovedError: The set is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETVAL.
    #[getter]
    fn users(&self) -> PyResult<i32> {
        Ok(self.set.value(core::PhpSemaphore::USERS)?)
    }

    /// How many tokens this object has taken by `acquire` or `try_acquire` and not given back.
    #[getter]
    fn held(&self) -> i16 {
        self.open().map_or(0, |user| user.taken())
    }

    /// `sem_acquire`: takes a token; waits while there is none.
    ///
    /// Args:
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///
    /// Returns:
    ///     True.
    ///
    /// Raises:
    ///     WaitTimeoutError: The time was up; nothing was taken.
    ///     RemovedError: The set is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///     ValueError: It is closed.
    ///     RuntimeError: In a forked child.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        signature = (*, timeout=Timeout::Endless),
        text_signature = "($self, *, timeout=None)"
    )]
    fn acquire(&self, py: Python<'_>, timeout: Timeout) -> PyResult<bool> {
        let user = self.open()?;
        operate_or_raise(py, self.set, &core::PhpSemaphore::TAKE, timeout)?;
        user.count_taken();
        Ok(true)
    }

    /// `sem_acquire` with `non_blocking`: takes a token if there is one.
    ///
    /// Returns:
    ///     Whether it was taken.
    ///
    /// Raises:
    ///     As `acquire`, but never WaitTimeoutError.
    ///
    /// See semop(2), IPC_NOWAIT.
    fn try_acquire(&self) -> PyResult<bool> {
        Ok(self.open()?.try_acquire()?)
    }

    /// `sem_release`: gives back a token that `acquire` or `try_acquire` of this object has taken.
    ///
    /// Raises:
    ///     ValueError: It has taken none, or is closed.
    ///     RemovedError: The set is gone.
    ///     RuntimeError: In a forked child.
    ///
    /// See semop(2).
    fn release(&self) -> PyResult<()> {
        if self.open()?.release()? {
            return Ok(());
        }
        Err(PyValueError::new_err("this PHPSemaphore has no token to give back"))
    }

    /// Takes a token, now, to be given back exactly once.
    ///
    /// Args:
    ///     timeout: Seconds to wait at most; None for ever, 0 not at all.
    ///
    /// Returns:
    ///     A guard, to be used in `with` or released. As long as it holds, the set keeps this user.
    ///
    /// Raises:
    ///     As `acquire`.
    ///
    /// See semop(2), SEM_UNDO.
    #[pyo3(
        signature = (*, timeout=Timeout::Endless),
        text_signature = "($self, *, timeout=None)"
    )]
    fn hold(&self, py: Python<'_>, timeout: Timeout) -> PyResult<SemaphoreGuard> {
        let user = self.open()?;
        operate_or_raise(py, self.set, &core::PhpSemaphore::TAKE, timeout)?;
        Ok(SemaphoreGuard::of_user(user))
    }

    /// Takes a token as `hold` does, if there is one.
    ///
    /// Returns:
    ///     A guard, or None.
    ///
    /// Raises:
    ///     As `acquire`, but never WaitTimeoutError.
    ///
    /// See semop(2), SEM_UNDO and IPC_NOWAIT.
    fn try_hold(&self) -> PyResult<Option<SemaphoreGuard>> {
        let user = self.open()?;
        let taken = try_operate(self.set, &core::PhpSemaphore::TAKE)?;
        Ok(taken.then(|| SemaphoreGuard::of_user(user)))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<SemaphoreGuard>> {
        let guard = Py::new(py, self.hold(py, Timeout::Endless)?)?;
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

    /// `sem_remove`: removes the set at once. Who waits on it, in PHP too, gets an error.
    ///
    /// Raises:
    ///     RemovedError: It is gone already.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See semctl(2), IPC_RMID.
    fn remove(&self) -> PyResult<()> {
        Ok(self.set.remove()?)
    }

    /// Gives back what `acquire` has taken, and is no user any more, unless made with
    /// `auto_release=False`; what a guard holds it keeps. A second call does nothing.
    ///
    /// See semop(2).
    fn close(&self, py: Python<'_>) {
        if let Ok(user) = self.open() {
            user.give_back_all();
        }
        self.user.close(py);
    }

    fn __repr__(&self) -> String {
        handle::repr("PHPSemaphore", self.set.key(), self.set.id())
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (id, key) = (self.set.id(), self.set.key().get());
        let pickled = [id.into(), key.into(), self.max_acquire.into(), self.auto_release.into()];
        handle::reduce(py, "reopen_php_semaphore", pickled)
    }
}

/// Becomes a user of a pickled semaphore.
#[pyfunction]
pub(in crate::python) fn reopen_php_semaphore(
    py: Python<'_>,
    id: i32,
    key: i32,
    max_acquire: i16,
    auto_release: i64,
) -> PyResult<PhpSemaphore> {
    let (mode, key) = (ModeBits::EVERYBODY.0, Key::new(key));
    let entry = PhpEntry::new(key, max_acquire, mode, None, auto_release != 0).of_id(id);
    PhpSemaphore::enter(py, &entry, INITIALISED_WITHIN)
}
