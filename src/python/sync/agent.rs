//! `Agent`: how `sysv_ipc_rs.aio` waits for a lock or a condition.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use super::{Condition, Lock, RLock, RWLock};
use crate::python::closable::Closable;
use crate::sync::{Agent as Core, ConditionLock, End, Numbers, Wanted};
use crate::wait::Deadline;

/// Whose state it is that something has been taken.
#[derive(Debug, Clone)]
enum Of {
    Lock(ConditionLock),
    RWLock(crate::sync::RWLock),
}

/// A thread that stands in the kernel's queue for a lock, and a descriptor that becomes readable
/// when it has it. For `sysv_ipc_rs.aio` alone.
///
/// What is not collected within 0.1 s goes back: the loop may never run again.
#[pyclass(frozen, module = "sysv_ipc_rs._core")]
#[derive(Debug)]
pub(in crate::python) struct LockAgent {
    agent: Closable<Core>,
    of: Of,
}

/// What can be locked, as `aio` sees it: an RLock is no exception for tasks of one thread.
fn of(lock: &Bound<'_, PyAny>) -> PyResult<Of> {
    if let Ok(lock) = lock.cast::<Lock>() {
        return Ok(Of::Lock(ConditionLock::Lock(lock.get().core.clone())));
    }
    if let Ok(lock) = lock.cast::<RLock>() {
        return Ok(Of::Lock(ConditionLock::RLock(lock.get().core.clone())));
    }
    if let Ok(condition) = lock.cast::<Condition>() {
        return Ok(Of::Lock(condition.get().core.lock().clone()));
    }
    if let Ok(lock) = lock.cast::<RWLock>() {
        return Ok(Of::RWLock(lock.get().core.clone()));
    }
    Err(PyTypeError::new_err("a Lock, RLock, RWLock or Condition is required"))
}

impl Of {
    /// Tries to take it, without waiting.
    fn try_take(&self, write: bool) -> PyResult<bool> {
        let (mut run, object) = match self {
            Self::Lock(lock) => (lock.taking(), lock.object()),
            Self::RWLock(lock) => (lock.taking(write), &lock.0),
        };
        let end = run.go(Deadline::PASSED).map_err(|errno| object.error(errno))?;
        Ok(self.took(write, end))
    }

    fn took(&self, write: bool, end: End) -> bool {
        match self {
            Self::Lock(lock) => lock.took(end),
            Self::RWLock(lock) => lock.took(write, end),
        }
    }

    fn wanted(&self, write: bool) -> Wanted {
        match self {
            Self::Lock(_) => Wanted::Lock,
            Self::RWLock(_) if write => Wanted::Write,
            Self::RWLock(_) => Wanted::Read,
        }
    }
}

#[pymethods]
impl LockAgent {
    #[new]
    fn new(lock: &Bound<'_, PyAny>) -> PyResult<Self> {
        let of = of(lock)?;
        let object = match &of {
            Of::Lock(lock) => lock.object(),
            Of::RWLock(lock) => &lock.0,
        };
        Ok(Self { agent: Closable::new(Core::new(object)?), of })
    }

    /// Takes it, if that is possible without waiting; whether it was taken.
    #[staticmethod]
    fn try_take(lock: &Bound<'_, PyAny>, write: bool) -> PyResult<bool> {
        of(lock)?.try_take(write)
    }

    /// The descriptor.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.open()?.as_fd().as_raw_fd())
    }

    /// Begins to take it; an RWLock to read (0) or to write.
    fn want(&self, n: i16) -> PyResult<()> {
        self.open()?.want(Some(self.of.wanted(n != 0)));
        Ok(())
    }

    /// Wants nothing any more; what has been taken goes back.
    fn withdraw(&self) -> PyResult<()> {
        self.open()?.want(None);
        Ok(())
    }

    /// Whether it has taken it, which is now the caller's.
    fn take(&self, write: bool) -> PyResult<bool> {
        let end = self.open()?.collect()?;
        Ok(end.is_some_and(|end| self.of.took(write, end)))
    }

    /// Ends the thread and closes the descriptor. A second call does nothing.
    fn close(&self, py: Python<'_>) {
        self.agent.close(py);
    }
}

impl LockAgent {
    fn open(&self) -> PyResult<Arc<Core>> {
        // In a forked child it is inert, but says nothing: what waited there is the parent's.
        self.agent.open("LockAgent", |_| true)
    }
}

/// A thread that waits for a condition's notification, of which its holder has given the lock.
/// For `sysv_ipc_rs.aio` alone.
#[pyclass(frozen, module = "sysv_ipc_rs._core")]
#[derive(Debug)]
pub(in crate::python) struct NotificationAgent {
    agent: Closable<Core>,
    condition: crate::sync::Condition,
    numbers: Numbers,
    depth: u32,
    /// How the wait ended, once that has been collected.
    ended: Mutex<Option<End>>,
}

#[pymethods]
impl NotificationAgent {
    /// Registers as waiting, gives the lock, and begins to wait.
    #[new]
    fn new(condition: &Condition) -> PyResult<Self> {
        let condition = condition.core.clone();
        let agent = Core::new(&condition.object)?;
        let numbers = condition.enter()?;
        let depth = condition.give_lock()?;
        agent.want(Some(Wanted::Notification(numbers)));
        let agent = Closable::new(agent);
        Ok(Self { agent, condition, numbers, depth, ended: Mutex::default() })
    }

    /// The descriptor.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.open()?.as_fd().as_raw_fd())
    }

    /// Whether the wait has ended. If the notification has gone back meanwhile, it waits anew.
    fn is_over(&self) -> PyResult<bool> {
        let agent = self.open()?;
        let end = agent.collect()?;
        if end.is_none() {
            agent.want(Some(Wanted::Notification(self.numbers)));
        }
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended = ended.or(end);
        Ok(ended.is_some())
    }

    /// Waits no longer; a notification that has not been collected goes to the next.
    fn close(&self, py: Python<'_>) {
        self.agent.close(py);
    }

    /// Of who holds the lock again, if it could have it: whether it was notified.
    fn leave(&self) -> PyResult<bool> {
        let ended = *self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if self.condition.lock().is_held() {
            self.condition.lock().restore(self.depth);
        }
        Ok(self.condition.leave(self.numbers, ended == Some(End::Done))?)
    }
}

impl NotificationAgent {
    fn open(&self) -> PyResult<Arc<Core>> {
        self.agent.open("NotificationAgent", |_| true)
    }
}
