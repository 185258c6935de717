//! Collections that are as large as a call's arguments: MemoryError, never an abort, where no memory
//! is left for them.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

/// All of `items`, of which there are about `expected`.
pub(super) fn collect<T>(
    items: impl IntoIterator<Item = PyResult<T>>,
    expected: usize,
) -> PyResult<Vec<T>> {
    let no_memory = |_| PyMemoryError::new_err(());
    let mut collected = Vec::new();
    collected.try_reserve_exact(expected).map_err(no_memory)?;
    for item in items {
        collected.try_reserve(1).map_err(no_memory)?;
        collected.push(item?);
    }
    Ok(collected)
}

/// A list; PyO3's own way ends in a panic where there is no memory.
pub(super) fn list<'py, T: IntoPyObject<'py>>(
    py: Python<'py>,
    items: impl IntoIterator<Item = T>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for item in items {
        list.append(item)?;
    }
    Ok(list)
}

/// The most items that PyO3's own, quicker way is taken for.
const FEW: usize = 256;

/// A tuple, as [`list`].
pub(super) fn tuple<'py, T: IntoPyObject<'py>>(
    py: Python<'py>,
    items: impl ExactSizeIterator<Item = T>,
) -> PyResult<Bound<'py, PyTuple>> {
    if items.len() <= FEW {
        return PyTuple::new(py, items);
    }
    Ok(py.get_type::<PyTuple>().call1((list(py, items)?,))?.cast_into()?)
}
