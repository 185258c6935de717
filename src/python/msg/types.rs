//! The arguments of a queue's calls.

use std::ffi::c_long;

use pyo3::Borrowed;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::msg::Selection;
use crate::python::convert::{self, Flag, arguments};

arguments! {
    /// The type of a message to be sent.
    MessageType(c_long): message_type;
    /// `type` of a receiving call.
    WantedType(c_long): wanted_type;
    /// The most bytes that a message may have; `None` for any.
    MaxSize(Option<usize>): max_size;
    /// The most bytes that a queue may hold; `None` for the system's own limit.
    MaxBytes(Option<u64>): max_bytes;
    /// The most bytes that a queue may hold.
    NewMaxBytes(u64): new_max_bytes;
    /// How many messages are taken at most.
    Limit(usize): limit;
    /// The place of a message in its queue.
    Place(u32): place;
}

impl MessageType {
    pub(super) const ONE: Self = Self(1);
}

impl WantedType {
    pub(super) const ANY: Self = Self(0);
}

impl MaxSize {
    pub(super) const ANY: Self = Self(None);
}

impl MaxBytes {
    pub(super) const DEFAULT: Self = Self(None);
}

impl Limit {
    pub(super) const ONE: Self = Self(1);
}

impl Place {
    pub(super) const FIRST: Self = Self(0);
}

#[inline]
fn message_type(value: &Bound<'_, PyAny>) -> PyResult<c_long> {
    convert::int(value, "type", 1..=c_long::MAX)
}

#[inline]
fn wanted_type(value: &Bound<'_, PyAny>) -> PyResult<c_long> {
    convert::int(value, "type", c_long::MIN..=c_long::MAX)
}

fn max_size(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if value.is_none() { Ok(None) } else { convert::size(value, "max_size", 0).map(Some) }
}

fn max_bytes(value: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if value.is_none() { Ok(None) } else { new_max_bytes(value).map(Some) }
}

fn new_max_bytes(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    convert::small(value, "max_bytes", 0..=i32::MAX.into())
}

fn limit(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    convert::size(value, "limit", 1)
}

fn place(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    convert::small(value, "index", 0..=u32::MAX.into())
}

/// Which message to take.
#[inline]
pub(super) fn selection(wanted: WantedType, exclude: Flag) -> PyResult<Selection> {
    match (wanted.0, exclude.0) {
        (mtype, false) => Ok(Selection::of(mtype)),
        (mtype @ 1.., true) => Ok(Selection::except(mtype)),
        (mtype, true) => {
            Err(PyValueError::new_err(format!("exclude=True takes a type above 0, not {mtype}")))
        }
    }
}
