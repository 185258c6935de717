//! `Condition`.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::lock::released;
use super::{open_or_create, patience, perform, run_or_raise, synchronizer};
use crate::python::convert::{Flag, Id, ModeBits, NamedKey, NewKey, Owner, int};
use crate::python::handle;
use crate::python::sem::INITIALISED_WITHIN;
use crate::python::wait::Timeout;
use crate::sem::SemaphoreSet;
use crate::sync::{self as core, ConditionLock, End};

synchronizer! {
    /// A condition that processes wait for, with a lock: its own RLock, or a `Lock` or `RLock` that
    /// is given.
    ///
    /// A notification that a waiter can make no use of, since it dies or its time is up, is not
    /// lost: it goes to the next. Waiters are woken in the order in which they began to wait. Made
    /// by `create`, `open`, `open_or_create` and `from_id`; equal and hashed by id; pickled as id,
    /// key and lock. `with condition:` holds the lock.
    ///
    /// As with every condition, look again whether what was waited for is there: when a
    /// notification finds a waiter that has given the lock and is not yet asleep, others in the
    /// same state are woken too. `wait_for` does that.
    ///
    /// See semop(2), SEM_UNDO.
    Condition { lock: Option<Py<PyAny>> };
    held by with;

    /// Creates a new one, which must not exist yet.
    ///
    /// Args:
    ///     key: The key it will be found by; `IPC_PRIVATE` (0) for none.
    ///     lock: A `Lock` or `RLock`; None for an RLock of its own, in the same semaphore set.
    ///     mode: Who may use it, 0 to 0o777; there is no umask in System V IPC.
    ///
    /// Returns:
    ///     The new one.
    ///
    /// Raises:
    ///     AlreadyExistsError: The key has a semaphore set already.
    ///     LimitExceededError: SEMMNI or SEMMNS is reached.
    ///     TypeError: Another kind of lock.
    ///     ValueError: An argument is out of range.
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (key=NewKey::PRIVATE, *, lock=None, mode=ModeBits::OURS),
        text_signature = "($cls, key=0, *, lock=None, mode=0o600)"
    )]
    fn create(
        cls: &Bound<'_, PyType>,
        key: NewKey,
        lock: Option<Bound<'_, PyAny>>,
        mode: ModeBits,
    ) -> PyResult<Py<Self>> {
        let foreign = foreign(lock.as_ref())?;
        let core = core::Condition::create(key.0, foreign, mode.0)?;
        let (set, lock) = (core.set(), lock.map(Bound::unbind));
        handle::created(cls.py(), Self { core, lock }, || set.remove())
    }

    /// Opens the one that a key leads to.
    ///
    /// Args:
    ///     key: Its key.
    ///     lock: The lock that it was created with, if that is not its own.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     It.
    ///
    /// Raises:
    ///     NotFoundError: No semaphore set has the key.
    ///     AccessDeniedError: Its mode tells us nothing about it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IPCError: The key's semaphore set is another kind of thing, or a condition with another
    ///         lock (EINVAL).
    ///     TypeError: Another kind of lock.
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (key, *, lock=None, owner=Owner::ANYBODY),
        text_signature = "($cls, key, *, lock=None, owner=None)"
    )]
    fn open(
        _cls: &Bound<'_, PyType>,
        key: NamedKey,
        lock: Option<Bound<'_, PyAny>>,
        owner: Owner,
    ) -> PyResult<Self> {
        let of = of(foreign(lock.as_ref())?);
        let core = super::open(key, owner, of)?;
        Ok(Self { core, lock: lock.map(Bound::unbind) })
    }

    /// Opens the one that a key leads to once it is initialised, or creates it.
    ///
    /// See `SemaphoreSet.open_or_create` for the protocol and its limits.
    ///
    /// Args:
    ///     key: Its key.
    ///     lock: A `Lock` or `RLock`; None for an RLock of its own.
    ///     mode: Who may use a new one.
    ///     owner: The user id that must both own it and have created it.
    ///     timeout: Seconds until one that its creator has not initialised counts as abandoned.
    ///
    /// Returns:
    ///     It, initialised.
    ///
    /// Raises:
    ///     WaitTimeoutError: Another user's is still not initialised.
    ///     NotFoundError: There is none, and `owner` is not our effective user id.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IPCError: The key's semaphore set is another kind of thing, or a condition with another
    ///         lock (EINVAL).
    ///     TypeError: Another kind of lock.
    ///
    /// See semget(2).
    #[classmethod]
    #[pyo3(
        signature = (
            key, *, lock=None, mode=ModeBits::OURS, owner=Owner::ANYBODY,
            timeout=INITIALISED_WITHIN
        ),
        text_signature = "($cls, key, *, lock=None, mode=0o600, owner=None, timeout=10.0)"
    )]
    fn open_or_create(
        _cls: &Bound<'_, PyType>,
        py: Python<'_>,
        key: NamedKey,
        lock: Option<Bound<'_, PyAny>>,
        mode: ModeBits,
        owner: Owner,
        timeout: Timeout,
    ) -> PyResult<Self> {
        let of = of(foreign(lock.as_ref())?);
        let values = core::Condition::values(lock.is_some());
        let core = open_or_create(py, key, values, mode, owner, timeout, of)?;
        Ok(Self { core, lock: lock.map(Bound::unbind) })
    }

    /// The one whose semaphore set has an id.
    ///
    /// Args:
    ///     id: The set's id, as `ipcs -s` shows it.
    ///     lock: The lock that it was created with, if that is not its own.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     It.
    ///
    /// Raises:
    ///     RemovedError: No set has the id.
    ///     AccessDeniedError: Its mode tells us nothing about it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     IPCError: The semaphore set is another kind of thing, or a condition with another lock
    ///         (EINVAL).
    ///     TypeError: Another kind of lock.
    ///
    /// See semctl(2), IPC_STAT.
    #[classmethod]
    #[pyo3(
        signature = (id, *, lock=None, owner=Owner::ANYBODY),
        text_signature = "($cls, id, *, lock=None, owner=None)"
    )]
    fn from_id(
        _cls: &Bound<'_, PyType>,
        id: Id,
        lock: Option<Bound<'_, PyAny>>,
        owner: Owner,
    ) -> PyResult<Self> {
        let core = super::from_id(id.0, owner, of(foreign(lock.as_ref())?))?;
        Ok(Self { core, lock: lock.map(Bound::unbind) })
    }

    /// Takes the lock; see `Lock.acquire` and `RLock.acquire`.
    ///
    /// Args:
    ///     block: Whether to wait at all.
    ///     timeout: Seconds to wait at most; None for ever.
    ///
    /// Returns:
    ///     Whether it was taken; False only if the time was up.
    ///
    /// Raises:
    ///     RemovedError: It is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        signature = (block=Flag::YES, timeout=Timeout::Endless),
        text_signature = "($self, block=True, timeout=None)"
    )]
    fn acquire(&self, py: Python<'_>, block: Flag, timeout: Timeout) -> PyResult<bool> {
        let lock = self.core.lock();
        if let ConditionLock::RLock(lock) = lock
            && let Some(again) = lock.again()
        {
            return again.map(|()| true).map_err(|_| super::lock::too_deep());
        }
        let end = perform(py, lock.object(), &mut lock.taking(), patience(block, timeout))?;
        Ok(lock.took(end))
    }

    /// Gives the lock back; see `Lock.release` and `RLock.release`.
    ///
    /// Raises:
    ///     RuntimeError: The caller does not hold it.
    ///     ValueError: Nobody holds it, if it is a `Lock`.
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it; it is still held.
    ///
    /// See semop(2).
    fn release(&self) -> PyResult<()> {
        let answer = self.core.lock().release()?;
        match self.core.lock() {
            ConditionLock::Lock(_) => released(answer, "Condition's Lock", "process"),
            ConditionLock::RLock(_) => {
                released(answer.or_not_ours(), "Condition's RLock", "thread")
            }
        }
    }

    /// Gives the lock, waits until it is notified, and takes the lock again.
    ///
    /// A `RLock` is given however often it was taken, and taken as often. The lock is held again
    /// also when a signal handler has raised; only if one raises a second time, while the lock is
    /// being waited for, it is not. A notification that comes meanwhile goes on to the next.
    ///
    /// Args:
    ///     timeout: Seconds to wait at most for the notification; None for ever.
    ///
    /// Returns:
    ///     Whether it was notified; False only if the time was up.
    ///
    /// Raises:
    ///     RuntimeError: The caller does not hold the lock.
    ///     RemovedError: It is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(signature = (timeout=Timeout::Endless), text_signature = "($self, timeout=None)")]
    fn wait(&self, py: Python<'_>, timeout: Timeout) -> PyResult<bool> {
        self.check_held()?;
        self.pause(py, timeout)
    }

    /// Waits until a function's answer is true, looking again after each notification.
    ///
    /// Args:
    ///     predicate: Called with the lock held.
    ///     timeout: Seconds to wait at most; None for ever.
    ///
    /// Returns:
    ///     What the function answered last.
    ///
    /// Raises:
    ///     RuntimeError: The caller does not hold the lock.
    ///     RemovedError: It is gone, perhaps while waiting.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        signature = (predicate, timeout=Timeout::Endless),
        text_signature = "($self, predicate, timeout=None)"
    )]
    fn wait_for<'py>(
        &self,
        predicate: &Bound<'py, PyAny>,
        timeout: Timeout,
    ) -> PyResult<Bound<'py, PyAny>> {
        let deadline = timeout.deadline();
        loop {
            let answer = predicate.call0()?;
            let left = deadline.remaining();
            if answer.is_truthy()? || left.is_some_and(|left| left.is_zero()) {
                return Ok(answer);
            }
            self.check_held()?;
            self.pause(predicate.py(), left.map_or(Timeout::Endless, Timeout::Within))?;
        }
    }

    /// Wakes some of those who wait, in the order in which they began to.
    ///
    /// Args:
    ///     n: How many at most.
    ///
    /// Raises:
    ///     RuntimeError: The caller does not hold the lock.
    ///     ValueError: `n` is below 0.
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2).
    #[pyo3(signature = (n=Count::ONE), text_signature = "($self, n=1)")]
    fn notify(&self, n: Count) -> PyResult<()> {
        self.check_held()?;
        Ok(self.core.notify(n.0)?)
    }

    /// Wakes all who wait.
    ///
    /// Raises:
    ///     RuntimeError: The caller does not hold the lock.
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semop(2).
    fn notify_all(&self) -> PyResult<()> {
        self.notify(Count::ALL)
    }

    /// Whether this process holds the lock, and the process that held it before died holding it.
    #[getter]
    fn owner_died(&self) -> bool {
        self.core.lock().owner_died()
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let set = self.core.set();
        let function = py.import("sysv_ipc_rs._core")?.getattr("reopen_condition")?;
        let lock = self.lock.as_ref().map(|lock| lock.bind(py));
        Ok((function, (set.id(), set.key().get(), lock).into_pyobject(py)?))
    }
}

/// How many are to be woken.
#[derive(Debug, Clone, Copy)]
struct Count(u16);

impl Count {
    const ONE: Self = Self(1);
    const ALL: Self = Self(u16::MAX);
}

impl<'py> FromPyObject<'_, 'py> for Count {
    type Error = PyErr;

    fn extract(value: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let count = int(&value, "n", 0..=i64::MAX)?;
        Ok(Self(u16::try_from(count).unwrap_or(u16::MAX)))
    }
}

/// A lock that is given, as the core has it.
fn foreign(lock: Option<&Bound<'_, PyAny>>) -> PyResult<Option<ConditionLock>> {
    let Some(lock) = lock else { return Ok(None) };
    if let Ok(lock) = lock.cast::<super::Lock>() {
        return Ok(Some(ConditionLock::Lock(lock.get().core.clone())));
    }
    if let Ok(lock) = lock.cast::<super::RLock>() {
        return Ok(Some(ConditionLock::RLock(lock.get().core.clone())));
    }
    let kind = lock.get_type().name()?;
    Err(PyTypeError::new_err(format!("lock must be a Lock or an RLock of sync, not {kind}")))
}

/// What makes the condition of a set.
fn of(lock: Option<ConditionLock>) -> impl Fn(SemaphoreSet) -> crate::Result<core::Condition> {
    move |set| core::Condition::from_set(set, lock.clone())
}

impl Condition {
    fn check_held(&self) -> PyResult<()> {
        if self.core.lock().is_held() {
            return Ok(());
        }
        Err(PyRuntimeError::new_err("the Condition's lock must be held for that"))
    }

    /// `wait`, of who holds the lock.
    fn pause(&self, py: Python<'_>, timeout: Timeout) -> PyResult<bool> {
        let numbers = self.core.enter()?;
        let depth = self.core.give_lock()?;
        let ended = run_or_raise(py, &mut self.core.sleeping(numbers), timeout);
        let woken = matches!(ended, Ok(Ok(End::Done)));
        let raised = self.take_again(py, depth).inspect_err(|_| self.core.put_back(woken))?;
        match raised.map_or(ended, Err) {
            Ok(Ok(_)) => Ok(self.core.leave(numbers, woken)?),
            failed => {
                let left = self.core.fail(numbers, woken);
                failed?.map_err(|errno| self.core.object.error(errno))?;
                Ok(left.map(|()| false)?)
            }
        }
    }

    /// Takes the lock again, also if a signal handler raises meanwhile; gives what it raised.
    fn take_again(&self, py: Python<'_>, depth: u32) -> PyResult<Option<PyErr>> {
        let (lock, mut raised) = (self.core.lock(), None);
        loop {
            match run_or_raise(py, &mut lock.taking(), Timeout::Endless) {
                Ok(ended) => {
                    lock.took(ended.map_err(|errno| lock.object().error(errno))?);
                    lock.restore(depth);
                    return Ok(raised);
                }
                Err(error) if raised.is_none() => raised = Some(error),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Opens a pickled condition.
#[pyfunction]
pub(in crate::python) fn reopen_condition(
    id: i32,
    key: i32,
    lock: Option<Bound<'_, PyAny>>,
) -> PyResult<Condition> {
    let core = super::reopen(id, key, of(foreign(lock.as_ref())?))?;
    Ok(Condition { core, lock: lock.map(Bound::unbind) })
}
