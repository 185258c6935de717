//! `Message`: what a queue's call gives.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyTuple, PyType};

use super::types;
use crate::python::buffer::Bytes;

/// A message as it was received: its type and its bytes.
///
/// Unpacks as `(type, data)`; compares and hashes by both; can be matched and pickled.
///
/// Args:
///     type: The type, above 0.
///     data: The bytes; any contiguous buffer.
///
/// Raises:
///     ValueError: The type is not above 0.
///
/// See msgop(2).
#[pyclass(frozen, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct Message {
    mtype: i64,
    data: Py<PyBytes>,
}

impl Message {
    #[inline]
    pub(super) const fn of(mtype: i64, data: Py<PyBytes>) -> Self {
        Self { mtype, data }
    }

    /// The type and the bytes.
    pub(super) const fn parts(&self) -> (i64, &Py<PyBytes>) {
        (self.mtype, &self.data)
    }

    fn tuple<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (self.mtype, self.data.clone_ref(py)).into_pyobject(py)
    }
}

#[pymethods]
impl Message {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    fn match_args(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        PyTuple::new(py, ["type", "data"])
    }

    #[new]
    #[pyo3(signature = (r#type, data), text_signature = "(type, data)")]
    fn new(r#type: types::MessageType, data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self::of(r#type.0, Bytes::new(data)?.to_bytes(data.py())?))
    }

    /// The type, above 0.
    #[getter]
    fn r#type(&self) -> i64 {
        self.mtype
    }

    /// The bytes.
    #[getter]
    fn data(&self, py: Python<'_>) -> Py<PyBytes> {
        self.data.clone_ref(py)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.tuple(py)?.try_iter()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> Py<PyAny> {
        let py = other.py();
        match other.cast::<Self>() {
            Ok(other) => {
                let other = other.get();
                let same =
                    self.mtype == other.mtype && self.data.as_bytes(py) == other.data.as_bytes(py);
                pyo3::types::PyBool::new(py, same).to_owned().into_any().unbind()
            }
            Err(_) => py.NotImplemented(),
        }
    }

    fn __hash__(&self, py: Python<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.mtype, self.data.as_bytes(py)).hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Message(type={}, data={})", self.mtype, self.data.bind(py).repr()?))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        Ok((slf.get_type(), slf.get().tuple(slf.py())?))
    }
}
