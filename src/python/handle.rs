//! What the handles of the three kinds have in common.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{PyClass, PyClassInitializer};

use super::convert::{ModeBits, NewOwner};
pub(super) use crate::ipc::same_key;
use crate::ipc::{Control, Key, PermissionChange};

/// `TypeError` of a class whose objects are made by `create` and `open`.
#[cold]
pub(super) fn no_constructor<T>(class: &str) -> PyResult<T> {
    Err(PyTypeError::new_err(format!(
        "{class} has no public constructor: use {class}.create(), {class}.open(), \
         {class}.open_or_create() or {class}.from_id()"
    )))
}

/// The handle of an object that has just been created. Without memory for the handle the object is
/// removed again: a constructor that fails leaves nothing.
pub(super) fn created<T, E>(
    py: Python<'_>,
    handle: T,
    remove: impl FnOnce() -> Result<(), E>,
) -> PyResult<Py<T>>
where
    T: PyClass + Into<PyClassInitializer<T>>,
{
    Py::new(py, handle).inspect_err(|_| drop(remove()))
}

pub(super) fn chmod<C: Control>(id: i32, mode: ModeBits) -> PyResult<()> {
    Ok(C::change(id, PermissionChange { mode: Some(mode.0), ..Default::default() })?)
}

pub(super) fn chown<C: Control>(id: i32, uid: NewOwner, gid: NewOwner) -> PyResult<()> {
    Ok(C::change(id, PermissionChange { uid: uid.0, gid: gid.0, mode: None })?)
}

/// `__reduce__`: a handle is pickled as its id and key, and opened anew by `function` of `_core`.
pub(super) fn reduce<'py, const N: usize>(
    py: Python<'py>,
    function: &str,
    arguments: [i64; N],
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
    let function = py.import("sysv_ipc_rs._core")?.getattr(function)?;
    Ok((function, PyTuple::new(py, arguments)?))
}

/// `repr`, which makes no system call.
pub(super) fn repr(class: &str, key: Key, id: i32) -> String {
    format!("{class}(key={key}, id={id})")
}
