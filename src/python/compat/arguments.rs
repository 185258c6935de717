//! Arguments as `sysv_ipc` takes them: its classes of errors and texts, but nothing is truncated.

use pyo3::Borrowed;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyInt};

use crate::ipc::Mode;
use crate::python::convert::{ModeBits, SEMAPHORE_MAX, arguments, size, small};
use crate::python::wait::Timeout;

arguments! {
    /// How long to wait.
    Patience(Timeout): timeout;
    /// How much a semaphore changes, without its sign.
    Delta(i16): delta;
    /// The value of a new semaphore; `None` is one that it can't have.
    InitialValue(Option<u16>): semaphore_value;
    /// How many bytes.
    Size(usize): plain_size;
    /// The longest message.
    MessageSize(usize): message_size;
    /// A place in a segment; `None` is none in any.
    Offset(Option<usize>): offset;
    /// How many bytes to read; `None` if more than there can be.
    ByteCount(Option<usize>): byte_count;
    /// What fills a new segment.
    Character(u8): character;
    /// Where to attach; `None` for wherever the kernel likes.
    Address(Option<usize>): address;
    /// What kind of message is wanted, or sent.
    MessageType(i64): message_type;
}

/// The key of a constructor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    /// `None`: one that nothing has.
    Random,
    Given(i32),
}

impl<'py> FromPyObject<'_, 'py> for Key {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if value.is_none() {
            return Ok(Self::Random);
        }
        let number = match value.extract::<i64>() {
            Ok(number) => Some(number),
            Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => None,
            Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => {
                return Err(PyTypeError::new_err("Key must be an integer or None"));
            }
            Err(error) => return Err(error),
        };
        // Also the unsigned spelling, such as 0xDEADBEEF.
        let number = number.filter(|number| (i32::MIN.into()..=u32::MAX.into()).contains(number));
        let Some([a, b, c, d, ..]) = number.map(i64::to_le_bytes) else {
            let (least, most) = (i32::MIN, i32::MAX);
            return Err(PyValueError::new_err(format!(
                "Key must be between {least} (KEY_MIN) and {most} (KEY_MAX)"
            )));
        };
        Ok(Self::Given(i32::from_le_bytes([a, b, c, d])))
    }
}

impl Patience {
    pub(super) const ENDLESS: Self = Self(Timeout::Endless);
}

impl Delta {
    pub(super) const ONE: Self = Self(1);
}

impl InitialValue {
    pub(super) const ZERO: Self = Self(Some(0));
}

impl Size {
    pub(super) const NONE: Self = Self(0);
}

impl MessageSize {
    pub(super) const DEFAULT: Self = Self(2048);
}

impl Offset {
    pub(super) const START: Self = Self(Some(0));
}

impl ByteCount {
    pub(super) const ALL: Self = Self(Some(0));
}

impl Character {
    pub(super) const BLANK: Self = Self(b' ');
}

impl Address {
    pub(super) const ANY: Self = Self(None);
}

impl MessageType {
    pub(super) const ANY: Self = Self(0);
    pub(super) const ONE: Self = Self(1);
}

#[inline]
fn timeout(value: &Bound<'_, PyAny>) -> PyResult<Timeout> {
    value.extract().map_err(|error: PyErr| {
        let py = value.py();
        if error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<PyTypeError>(py) {
            return PyTypeError::new_err("The timeout must be None or a non-negative number");
        }
        error
    })
}

/// An int; `None` if it is wider than 64 bits.
#[inline]
fn wide(value: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    match value.extract::<i64>() {
        Ok(number) => Ok(Some(number)),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

#[inline]
fn delta(value: &Bound<'_, PyAny>) -> PyResult<i16> {
    match wide(value)?.map(i64::unsigned_abs).and_then(|delta| i16::try_from(delta).ok()) {
        Some(0) => Err(PyValueError::new_err("The delta must be non-zero")),
        Some(delta) => Ok(delta),
        None => Err(PyOverflowError::new_err(format!(
            "The delta must be between -{SEMAPHORE_MAX} and {SEMAPHORE_MAX}"
        ))),
    }
}

fn semaphore_value(value: &Bound<'_, PyAny>) -> PyResult<Option<u16>> {
    let number = wide(value)?.filter(|number| (0..=SEMAPHORE_MAX).contains(number));
    Ok(number.and_then(|number| u16::try_from(number).ok()))
}

fn plain_size(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    size(value, "size", 0)
}

fn message_size(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    wide(value)?
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| PyValueError::new_err(format!("The message length must be <= {}", i64::MAX)))
}

#[inline]
fn offset(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    Ok(wide(value)?.and_then(|number| usize::try_from(number).ok()))
}

#[inline]
fn byte_count(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    match wide(value)? {
        None if value.gt(0)? => Ok(None),
        Some(number @ 0..) => Ok(usize::try_from(number).ok()),
        _ => Err(PyValueError::new_err("The byte_count cannot be negative")),
    }
}

fn character(value: &Bound<'_, PyAny>) -> PyResult<u8> {
    let byte = match (value.cast::<PyBytes>(), value.cast::<PyByteArray>()) {
        (Ok(bytes), _) => bytes.as_bytes().as_array::<1>().copied(),
        (_, Ok(bytes)) if bytes.len() == 1 => bytes.to_vec().first_chunk().copied(),
        _ => None,
    };
    let [byte] = byte
        .ok_or_else(|| PyTypeError::new_err("init_character must be a byte string of length 1"))?;
    Ok(byte)
}

/// 0 is C's NULL.
fn address(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if value.is_none() {
        return Ok(None);
    }
    if !value.is_instance_of::<PyInt>() {
        return Err(PyTypeError::new_err("address must be a long"));
    }
    match wide(value)?.and_then(|number| usize::try_from(number).ok()) {
        Some(0) => Ok(None),
        Some(address) => Ok(Some(address)),
        None => Err(PyValueError::new_err("Invalid id, address, or flags")),
    }
}

#[inline]
fn message_type(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    value.extract()
}

/// An attribute that is set: an int, or `TypeError` with this text.
pub(super) fn attribute<'a, 'py>(
    value: &'a Bound<'py, PyAny>,
    text: &'static str,
) -> PyResult<&'a Bound<'py, PyInt>> {
    value.cast().map_err(|_| PyTypeError::new_err(text))
}

/// A user or group id that is set.
pub(super) fn owner(value: &Bound<'_, PyAny>, text: &'static str) -> PyResult<u32> {
    let value = attribute(value, text)?;
    small(value, "uid or gid", 0..=i64::from(u32::MAX) - 1)
}

/// Permission bits that are set.
pub(super) fn mode(value: &Bound<'_, PyAny>, text: &'static str) -> PyResult<Mode> {
    Ok(attribute(value, text)?.extract::<ModeBits>()?.0)
}
