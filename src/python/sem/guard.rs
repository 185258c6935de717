//! What is held, and given back exactly once.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::core;

/// Units of a semaphore that are held with SEM_UNDO, and given back exactly once: by `release`, at
/// the end of a `with` block, when the guard is dropped, or by the kernel when the process ends,
/// also by SIGKILL.
///
/// Made by `Semaphore.hold` and `Semaphore.try_hold`. In a child forked while it is held it is
/// inert: the child doesn't own what the parent holds. Setting the semaphore's value meanwhile makes
/// the kernel forget what it would have undone; giving back adds the units all the same, and when
/// the process ends the kernel takes them away again.
///
/// See semop(2), SEM_UNDO.
#[pyclass(frozen, weakref, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct SemaphoreGuard(core::SemaphoreGuard);

impl SemaphoreGuard {
    pub(super) const fn of(guard: core::SemaphoreGuard) -> Self {
        Self(guard)
    }

    /// The end of a `with` block: the body's exception is never hidden.
    pub(super) fn leave(&self, raised: &Bound<'_, PyAny>) -> PyResult<bool> {
        match self.0.release() {
            Ok(()) => {}
            Err(error) if raised.is_none() => return Err(error.into()),
            Err(error) => {
                let note = format!("Besides, the semaphore could not be given back: {error}");
                if let Err(failed) = raised.call_method1("add_note", (note,)) {
                    failed.write_unraisable(raised.py(), Some(raised));
                }
            }
        }
        Ok(false)
    }
}

#[pymethods]
impl SemaphoreGuard {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Err(PyTypeError::new_err(
            "SemaphoreGuard has no public constructor: use Semaphore.hold(), of a semaphore made \
             by Semaphore.create() or Semaphore.open()",
        ))
    }

    /// Whether this process still holds the units.
    #[getter]
    fn held(&self) -> bool {
        self.0.held()
    }

    /// Gives the units back. A second call does nothing.
    ///
    /// Raises:
    ///     RemovedError: The set is gone; the guard holds nothing any more.
    ///     LimitExceededError: The value was set so high meanwhile that it would pass 32767.
    ///
    /// See semop(2).
    fn release(&self) -> PyResult<()> {
        Ok(self.0.release()?)
    }

    const fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (exc_type, exc_value, traceback))]
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let _ = (exc_type, traceback);
        self.leave(exc_value)
    }

    fn __repr__(&self) -> String {
        let state = if self.0.held() { "held" } else { "released" };
        let (set, index) = (self.0.set(), self.0.index());
        format!("<SemaphoreGuard {state}, key={}, id={}, index={index}>", set.key(), set.id())
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a SemaphoreGuard can't be pickled: it belongs to its process"))
    }
}
