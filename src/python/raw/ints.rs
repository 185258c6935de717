//! C's integer types: what doesn't fit is an `OverflowError`, and nothing is truncated.

use std::fmt::Display;
use std::ops::RangeInclusive;

use pyo3::Borrowed;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

use crate::python::convert::shortened;

macro_rules! c_types {
    ($($(#[$doc:meta])* $name:ident($inner:ty): $c_name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoPyObject)]
        pub(crate) struct $name(pub(super) $inner);

        impl<'py> FromPyObject<'_, 'py> for $name {
            type Error = PyErr;

            fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
                fitting(&value, $c_name, <$inner>::MIN..=<$inner>::MAX).map(Self)
            }
        }
    )*};
}

c_types! {
    /// `short`.
    Short(i16): "short";
    /// `unsigned short`.
    UShort(u16): "unsigned short";
    /// `int`, `pid_t`.
    Int(i32): "int";
    /// `unsigned int`, `uid_t`, `gid_t`, `mode_t`.
    UInt(u32): "unsigned int";
    /// `long`, `time_t`.
    Long(i64): "long";
    /// `unsigned long`.
    ULong(u64): "unsigned long";
    /// `size_t`.
    SizeT(usize): "size_t";
}

/// `key_t`, in its signed or unsigned spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoPyObject)]
pub(crate) struct Key(pub(super) i32);

impl<'py> FromPyObject<'_, 'py> for Key {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let range = i64::from(i32::MIN)..=i64::from(u32::MAX);
        let number = fitting::<i64>(&value, "key_t", range)?;
        let [a, b, c, d, ..] = number.to_le_bytes();
        Ok(Self(i32::from_le_bytes([a, b, c, d])))
    }
}

/// A pointer; `None` is NULL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address(pub(super) usize);

impl Address {
    pub(super) const NULL: Self = Self(0);
}

impl<'py> FromPyObject<'_, 'py> for Address {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if value.is_none() {
            return Ok(Self::NULL);
        }
        fitting(&value, "pointer", 0..=usize::MAX).map(Self)
    }
}

/// An int in `range`; anything with `__index__` is one.
fn fitting<'py, T>(value: &Bound<'py, PyAny>, c_name: &str, range: RangeInclusive<T>) -> PyResult<T>
where
    T: FromPyObjectOwned<'py, Error = PyErr> + PartialOrd + Display,
{
    match value.extract::<T>() {
        Ok(number) if range.contains(&number) => Ok(number),
        Err(error) if !error.is_instance_of::<PyOverflowError>(value.py()) => Err(error),
        _ => Err(too_wide(value, c_name, range.start(), range.end())),
    }
}

#[cold]
fn too_wide(
    value: &Bound<'_, PyAny>,
    c_name: &str,
    first: impl Display,
    last: impl Display,
) -> PyErr {
    let value = value.repr().map_or_else(|_| "value".to_owned(), |text| shortened(&text));
    PyOverflowError::new_err(format!(
        "{value} does not fit a C {c_name}, whose range is {first} to {last}"
    ))
}
