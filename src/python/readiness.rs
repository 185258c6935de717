//! `Readiness`: a descriptor for event loops.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::closable::Closable;
use crate::readiness::{self as core, Watched};

/// A descriptor that becomes readable when a matching message waits, or when enough can be taken
/// from a semaphore, and stays so until `clear`. A hint: it takes nothing.
///
/// Made by `MessageQueue.readiness` and `Semaphore.readiness`. Use: take until nothing is there,
/// then `clear()`, which looks again, so that nothing is missed. Works with `select`, `selectors`,
/// asyncio and others; one thread waits in the kernel and never touches Python. Any error (the object
/// removed, access taken away) makes it readable, and `clear` raises it. In a forked child every
/// method but `close` raises.
///
/// Limits: a message of length zero is taken by the watching thread and sent back at once (it may
/// land behind later ones, and is lost if that can't be done), so queues that carry empty messages
/// should not be watched. On semaphores it needs write permission, updates `last_pid` and `otime`,
/// and counts in `waiting`.
///
/// See eventfd(2), msgop(2), semop(2).
#[pyclass(frozen, weakref, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct Readiness(Closable<core::Readiness>);

impl Readiness {
    /// Begins to watch.
    pub(super) fn watch(py: Python<'_>, watched: Watched) -> PyResult<Self> {
        let readiness = py.detach(|| core::Readiness::new(watched))?;
        Ok(Self(Closable::new(readiness)))
    }

    fn open(&self) -> PyResult<Arc<core::Readiness>> {
        self.0.open("readiness", core::Readiness::is_ours)
    }
}

#[pymethods]
impl Readiness {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Err(PyTypeError::new_err(
            "Readiness has no public constructor: use MessageQueue.readiness() or \
             Semaphore.readiness(), of an object made by create() or open()",
        ))
    }

    /// The descriptor, for `select` and the like. It is only to be waited for, not to be read.
    ///
    /// Raises:
    ///     ValueError: It is closed.
    ///     RuntimeError: In a forked child.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.open()?.as_fd().as_raw_fd())
    }

    /// Looks again: unless something waits still, the descriptor is not readable any more until
    /// something does.
    ///
    /// Raises:
    ///     RemovedError: The object is gone.
    ///     AccessDeniedError: Its mode forbids it by now.
    ///     ValueError: It is closed.
    ///     RuntimeError: In a forked child.
    ///
    /// See eventfd(2).
    fn clear(&self) -> PyResult<()> {
        Ok(self.open()?.clear()?)
    }

    /// Ends the watching and closes the descriptor. A second call does nothing.
    fn close(&self, py: Python<'_>) {
        self.0.close(py);
    }

    fn __enter__(slf: Py<Self>) -> PyResult<Py<Self>> {
        slf.get().open()?;
        Ok(slf)
    }

    #[pyo3(signature = (exc_type, exc_value, traceback))]
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) {
        let _ = (exc_type, exc_value);
        self.close(traceback.py());
    }

    fn __repr__(&self) -> String {
        match self.open() {
            Ok(readiness) => format!("<Readiness, descriptor {}>", readiness.as_fd().as_raw_fd()),
            Err(_) => "<Readiness, closed>".to_owned(),
        }
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a Readiness can't be pickled: it belongs to its process"))
    }
}
