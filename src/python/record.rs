//! Frozen values with named fields: stats, limits, and the structs of `raw`.

use pyo3::Borrowed;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::collect::collect;

/// Defines a frozen class whose fields are typed attributes, with keyword construction, equality,
/// hash, pickle, `repr`, `_asdict` and `_replace`.
macro_rules! record {
    (
        $(#[$doc:meta])*
        $module:literal $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    ) => {
        $(#[$doc])*
        #[pyclass(frozen, eq, hash, get_all, from_py_object, module = $module)]
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub(crate) struct $name { $($(#[$field_doc])* pub(crate) $field: $type,)* }

        impl $name {
            pub(crate) const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
        }

        #[pymethods]
        impl $name {
            #[classattr]
            #[pyo3(name = "__match_args__")]
            fn match_args(py: Python<'_>) -> PyResult<Bound<'_, pyo3::types::PyTuple>> {
                pyo3::types::PyTuple::new(py, Self::FIELDS)
            }

            #[new]
            #[allow(clippy::too_many_arguments, reason = "as many as the C struct has")]
            #[pyo3(signature = ($($field),*))]
            fn new($($field: $type),*) -> Self {
                Self { $($field),* }
            }

            /// The fields as a new `dict`, in their order.
            fn _asdict(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
                $crate::python::record::as_dict(slf.as_any(), Self::FIELDS)
            }

            /// A copy with other values in some fields, given by keyword.
            #[pyo3(signature = (**changes))]
            fn _replace(
                slf: &Bound<'_, Self>,
                changes: Option<&Bound<'_, pyo3::types::PyDict>>,
            ) -> PyResult<Py<PyAny>> {
                $crate::python::record::replace(slf.as_any(), Self::FIELDS, changes)
            }

            #[pyo3(signature = (**changes))]
            fn __replace__(
                slf: &Bound<'_, Self>,
                changes: Option<&Bound<'_, pyo3::types::PyDict>>,
            ) -> PyResult<Py<PyAny>> {
                $crate::python::record::replace(slf.as_any(), Self::FIELDS, changes)
            }

            fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
                let values = $crate::python::record::as_tuple(slf.as_any(), Self::FIELDS)?;
                Ok((slf.get_type().into_any().unbind(), values))
            }

            fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
                $crate::python::record::repr(slf.as_any(), Self::FIELDS)
            }
        }
    };
}

pub(super) use record;

/// A field of several values, which is a `tuple` in Python.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Several<T>(pub(crate) Vec<T>);

impl<'py, T: Clone + IntoPyObject<'py>> IntoPyObject<'py> for &Several<T> {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        PyTuple::new(py, self.0.iter().cloned())
    }
}

impl<'py, T: FromPyObjectOwned<'py, Error: Into<PyErr>>> FromPyObject<'_, 'py> for Several<T> {
    type Error = PyErr;

    fn extract(values: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let values = values.try_iter()?.map(|value| value?.extract().map_err(Into::into));
        collect(values, 0).map(Self)
    }
}

pub(super) fn as_dict(value: &Bound<'_, PyAny>, fields: &[&str]) -> PyResult<Py<PyAny>> {
    let dict = PyDict::new(value.py());
    for field in fields {
        dict.set_item(field, value.getattr(*field)?)?;
    }
    Ok(dict.into_any().unbind())
}

pub(super) fn as_tuple(value: &Bound<'_, PyAny>, fields: &[&str]) -> PyResult<Py<PyAny>> {
    let values: Vec<_> =
        fields.iter().map(|field| value.getattr(*field)).collect::<PyResult<_>>()?;
    Ok(PyTuple::new(value.py(), values)?.into_any().unbind())
}

pub(super) fn replace(
    value: &Bound<'_, PyAny>,
    fields: &[&str],
    changes: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let all = as_dict(value, fields)?;
    let all = all.bind(value.py()).cast::<PyDict>()?;
    if let Some(changes) = changes {
        all.update(changes.as_mapping())?;
    }
    Ok(value.get_type().call((), Some(all))?.unbind())
}

pub(super) fn repr(value: &Bound<'_, PyAny>, fields: &[&str]) -> PyResult<String> {
    let mut texts = Vec::with_capacity(fields.len());
    for &field in fields {
        let content = value.getattr(field)?;
        texts.push(match field {
            "mode" => format!("mode={:#o}", content.extract::<u32>()?),
            "key" => format!("key={:#010x}", content.extract::<i32>()?),
            _ => format!("{field}={}", content.repr()?),
        });
    }
    Ok(format!("{}({})", value.get_type().name()?, texts.join(", ")))
}
