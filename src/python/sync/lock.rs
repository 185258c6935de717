//! `Lock` and `RLock`.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::{patience, perform, synchronizer};
use crate::python::convert::Flag;
use crate::python::wait::Timeout;
use crate::sync::{Released, protocols};

synchronizer! { plain
    /// A lock between processes, which the kernel gives back when its holder dies, also by SIGKILL.
    ///
    /// It belongs to the process that takes it: any thread of that process may release it, a forked
    /// child may not. `owner_died` tells its holder that the one before died holding it, so that
    /// what it protects may be half changed. Made by `create`, `open`, `open_or_create` and
    /// `from_id`; equal and hashed by id; pickled as id and key. `with lock:` holds it.
    ///
    /// See semop(2), SEM_UNDO.
    Lock { protocols::LOCKS } reopen_lock;
    held by with;

    /// Takes the lock; waits while another holds it, also another thread of this process.
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
        let mut run = self.core.taking();
        let end = perform(py, &self.core.0, &mut run, patience(block, timeout))?;
        Ok(self.core.took(end))
    }

    /// Gives the lock back, and wakes the one that has waited longest.
    ///
    /// Raises:
    ///     RuntimeError: Another process holds it.
    ///     ValueError: Nobody holds it.
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it; it is still held.
    ///
    /// See semop(2).
    fn release(&self) -> PyResult<()> {
        released(self.core.release()?, "Lock", "process")
    }

    /// Whether anybody holds it, which may have changed meanwhile.
    ///
    /// Raises:
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETVAL.
    fn locked(&self) -> PyResult<bool> {
        Ok(self.core.locked()?)
    }

    /// Whether this process holds it, and the process that held it before died holding it.
    #[getter]
    fn owner_died(&self) -> bool {
        self.core.owner_died()
    }
}

synchronizer! { plain
    /// A lock as `Lock`, but owned by one thread of one process, which may take it again.
    ///
    /// It is given back when it has been released as often as it was taken. A forked child owns
    /// nothing. Made by `create`, `open`, `open_or_create` and `from_id`; equal and hashed by id;
    /// pickled as id and key. `with lock:` holds it.
    ///
    /// See semop(2), SEM_UNDO.
    RLock { protocols::LOCKS } reopen_rlock;
    held by with;

    /// Takes the lock, once more if this thread has it; waits while another holds it.
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
    ///     OverflowError: This thread has taken it 4,294,967,295 times.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        signature = (block=Flag::YES, timeout=Timeout::Endless),
        text_signature = "($self, block=True, timeout=None)"
    )]
    fn acquire(&self, py: Python<'_>, block: Flag, timeout: Timeout) -> PyResult<bool> {
        if let Some(again) = self.core.again() {
            return again.map(|()| true).map_err(|_| too_deep());
        }
        let mut run = self.core.taking();
        let end = perform(py, &self.core.0, &mut run, patience(block, timeout))?;
        Ok(self.core.took(end))
    }

    /// Gives the lock back once; the last time it wakes the one that has waited longest.
    ///
    /// Raises:
    ///     RuntimeError: This thread does not own it.
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it; it is still held.
    ///
    /// See semop(2).
    fn release(&self) -> PyResult<()> {
        released(self.core.release()?.or_not_ours(), "RLock", "thread")
    }

    /// Whether anybody holds it, which may have changed meanwhile.
    ///
    /// Raises:
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///
    /// See semctl(2), GETVAL.
    fn locked(&self) -> PyResult<bool> {
        Ok(self.core.locked()?)
    }

    /// Whether this process holds it, and the process that held it before died holding it.
    #[getter]
    fn owner_died(&self) -> bool {
        self.core.owner_died()
    }
}

#[cold]
pub(super) fn too_deep() -> PyErr {
    pyo3::exceptions::PyOverflowError::new_err("this thread has taken the RLock too many times")
}

/// What came of giving back, as Python has it.
pub(super) fn released(answer: Released, what: &str, owner: &str) -> PyResult<()> {
    match answer {
        Released::Yes => Ok(()),
        Released::NotHeld => {
            Err(PyValueError::new_err(format!("the {what} is released too often: nobody holds it")))
        }
        Released::NotOurs => Err(PyRuntimeError::new_err(format!(
            "this {owner} can't release the {what}: it does not hold it"
        ))),
    }
}
