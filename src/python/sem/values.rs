//! The values of a set, as arguments.

use std::iter;

use pyo3::Borrowed;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use super::core;
use crate::python::collect::collect;
use crate::python::convert;

/// The values of a new set: one for all, or one each.
#[derive(Debug)]
pub(super) enum Values {
    All(u16),
    Each(EachValue),
}

/// One value for each semaphore.
#[derive(Debug)]
pub(super) struct EachValue(Vec<u16>);

impl Values {
    pub(super) const ZERO: Self = Self::All(0);

    /// As many as semaphores.
    pub(super) fn of(self, size: usize) -> PyResult<Vec<u16>> {
        match self {
            Self::All(value) => collect(iter::repeat_n(value, size).map(Ok), size),
            Self::Each(values) => values.of(size),
        }
    }
}

impl EachValue {
    fn from_iterator(values: &Bound<'_, PyIterator>) -> PyResult<Self> {
        // An endless one ends at what no set can hold.
        let values = values.clone().take(core::SIZE_MAX + 1);
        collect(values.map(|value| convert::value(&value?)), 0).map(Self)
    }

    pub(super) fn of(self, size: usize) -> PyResult<Vec<u16>> {
        let count = self.0.len();
        if count == size {
            return Ok(self.0);
        }
        let more = if count > core::SIZE_MAX { "or more " } else { "" };
        Err(PyValueError::new_err(format!(
            "{count} {more}values for {size} semaphores; each needs one"
        )))
    }
}

impl<'py> FromPyObject<'_, 'py> for Values {
    type Error = PyErr;

    fn extract(values: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        // NumPy's arrays have __index__ as well, and those of no dimension can't be iterated over.
        match values.try_iter() {
            Ok(values) => EachValue::from_iterator(&values).map(Self::Each),
            Err(error) if error.is_instance_of::<PyTypeError>(values.py()) => {
                convert::value(&values).map(Self::All)
            }
            Err(error) => Err(error),
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for EachValue {
    type Error = PyErr;

    fn extract(values: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Self::from_iterator(&values.try_iter()?)
    }
}
