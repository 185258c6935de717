//! `RWLock`.

use nix::errno::Errno;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::lock::released;
use super::{leave, patience, perform, synchronizer};
use crate::python::convert::Flag;
use crate::python::wait::Timeout;
use crate::sync::{self as core, protocols};

synchronizer! { plain
    /// A lock that many readers hold at once, or one writer.
    ///
    /// Readers and writers stand in one queue, so neither kind starves. What a process holds is
    /// given back when it dies; that a writer died is told to the next of either kind, by
    /// `owner_died`. It belongs to the process: any of its threads may release what another has
    /// taken, a forked child may not. Up to 32,767 readers at once. Made by `create`, `open`,
    /// `open_or_create` and `from_id`; equal and hashed by id; pickled as id and key. `with
    /// lock.reader():` and `with lock.writer():` hold it.
    ///
    /// See semop(2), SEM_UNDO.
    RWLock { protocols::RWLOCK } reopen_rwlock;

    /// Takes it to read; waits while a writer holds it or is the next to hold it.
    ///
    /// A process that reads already waits too, if a writer is the next: don't take it twice.
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
    ///     LimitExceededError: There are 32,767 readers.
    ///
    /// See semop(2), semtimedop(2).
    #[pyo3(
        signature = (block=Flag::YES, timeout=Timeout::Endless),
        text_signature = "($self, block=True, timeout=None)"
    )]
    fn acquire_read(&self, py: Python<'_>, block: Flag, timeout: Timeout) -> PyResult<bool> {
        acquire(py, &self.core, false, patience(block, timeout))
    }

    /// Takes it to write; waits while others hold it.
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
    fn acquire_write(&self, py: Python<'_>, block: Flag, timeout: Timeout) -> PyResult<bool> {
        acquire(py, &self.core, true, patience(block, timeout))
    }

    /// Gives back what was taken to read.
    ///
    /// Raises:
    ///     RuntimeError: Only other processes read.
    ///     ValueError: Nobody reads.
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it; it is still held.
    ///
    /// See semop(2).
    fn release_read(&self) -> PyResult<()> {
        release(&self.core, false)
    }

    /// Gives back what was taken to write.
    ///
    /// Raises:
    ///     RuntimeError: Another process writes.
    ///     ValueError: Nobody writes.
    ///     RemovedError: It is gone.
    ///     AccessDeniedError: Its mode forbids it; it is still held.
    ///
    /// See semop(2).
    fn release_write(&self) -> PyResult<()> {
        release(&self.core, true)
    }

    /// What takes it to read in a `with` block, and gives the RWLock.
    ///
    /// Args:
    ///     timeout: Seconds to wait at most at the block's begin; None for ever.
    ///
    /// Returns:
    ///     The context manager, which may be used more than once.
    ///
    /// Raises:
    ///     WaitTimeoutError: At the block's begin: the time was up.
    ///     ValueError: The timeout is no time.
    ///
    /// See semop(2).
    #[pyo3(signature = (timeout=Timeout::Endless), text_signature = "($self, timeout=None)")]
    fn reader(slf: Py<Self>, timeout: Timeout) -> RWLockSide {
        RWLockSide { lock: slf, write: false, timeout }
    }

    /// What takes it to write in a `with` block, and gives the RWLock.
    ///
    /// Args:
    ///     timeout: Seconds to wait at most at the block's begin; None for ever.
    ///
    /// Returns:
    ///     The context manager, which may be used more than once.
    ///
    /// Raises:
    ///     WaitTimeoutError: At the block's begin: the time was up.
    ///     ValueError: The timeout is no time.
    ///
    /// See semop(2).
    #[pyo3(signature = (timeout=Timeout::Endless), text_signature = "($self, timeout=None)")]
    fn writer(slf: Py<Self>, timeout: Timeout) -> RWLockSide {
        RWLockSide { lock: slf, write: true, timeout }
    }

    /// Whether this process holds it, and was told that a writer before it died writing.
    #[getter]
    fn owner_died(&self) -> bool {
        self.core.owner_died()
    }
}

fn acquire(py: Python<'_>, lock: &core::RWLock, write: bool, timeout: Timeout) -> PyResult<bool> {
    let end = perform(py, &lock.0, &mut lock.taking(write), timeout)?;
    Ok(lock.took(write, end))
}

fn release(lock: &core::RWLock, write: bool) -> PyResult<()> {
    let answer = if write { lock.release_write()? } else { lock.release_read()? };
    released(answer, if write { "RWLock (to write)" } else { "RWLock (to read)" }, "process")
}

/// One side of an RWLock, as a context manager.
#[pyclass(frozen, module = "sysv_ipc_rs._core")]
#[derive(Debug)]
pub(in crate::python) struct RWLockSide {
    lock: Py<RWLock>,
    write: bool,
    timeout: Timeout,
}

#[pymethods]
impl RWLockSide {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Err(pyo3::exceptions::PyTypeError::new_err(
            "use RWLock.reader() or RWLock.writer(), of a lock made by RWLock.create() or \
             RWLock.open()",
        ))
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<RWLock>> {
        let lock = &self.lock.get().core;
        if acquire(py, lock, self.write, self.timeout)? {
            return Ok(self.lock.clone_ref(py));
        }
        Err(lock.0.error(Errno::EAGAIN).into())
    }

    #[pyo3(signature = (exc_type, exc_value, traceback))]
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let _ = (exc_type, traceback);
        leave(exc_value, release(&self.lock.get().core, self.write))
    }
}
