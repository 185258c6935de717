//! What a Python object owns until its `close`.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// A resource of this process that one thread may close while others use it.
#[derive(Debug)]
pub(super) struct Closable<T>(Mutex<Option<Arc<T>>>);

impl<T: Send + Sync> Closable<T> {
    pub(super) fn new(resource: T) -> Self {
        Self(Mutex::new(Some(Arc::new(resource))))
    }

    /// The resource.
    ///
    /// # Errors
    /// `ValueError` that it is closed; `RuntimeError` unless it `is_ours`.
    pub(super) fn open(&self, name: &str, is_ours: fn(&T) -> bool) -> PyResult<Arc<T>> {
        let resource = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let resource =
            resource.ok_or_else(|| PyValueError::new_err(format!("the {name} is closed")))?;
        if is_ours(&resource) {
            return Ok(resource);
        }
        Err(PyRuntimeError::new_err(format!(
            "the {name} belongs to the process that made it; close() it"
        )))
    }

    /// Drops it, unless that has been done.
    pub(super) fn close(&self, py: Python<'_>) {
        let resource = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(resource));
    }
}
