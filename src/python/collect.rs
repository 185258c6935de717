//! Collections that are as large as a call's arguments: MemoryError, never an abort, where no memory
//! is left for them.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

/// All of `items`, of which there are about `expected`.
pub(super) fn collect<T>(
    items: impl IntoIterator<Item = PyResult<T>>,
    expected: usize,
) -> PyResult<Vec<T>> {
    crate::collect::collect(items, expected, || PyMemoryError::new_err(()))
}
