//! The arguments of shared memory's calls.

use std::ops::RangeInclusive;

use pyo3::Borrowed;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::python::convert::{self, arguments};
use crate::sys;

arguments! {
    /// How many bytes a new segment has.
    NewSize(usize): new_size;
    /// How many bytes a segment must have at least.
    LeastSize(usize): least_size;
    /// The size of huge pages; `None` for ordinary ones.
    HugePageSize(Option<u64>): huge_page_size;
    /// Where to attach; `None` for wherever the kernel likes.
    Address(Option<usize>): address;
    /// The value of a byte.
    Byte(u8): byte;
    /// What kind of integer an atomic word is.
    Kind(Word): word;
}

/// The integers that atomic words are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    I32,
    U32,
    I64,
    U64,
}

impl Word {
    pub(super) const fn size(self) -> usize {
        match self {
            Self::I32 | Self::U32 => 4,
            Self::I64 | Self::U64 => 8,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::U32 => "u32",
            Self::I64 => "i64",
            Self::U64 => "u64",
        }
    }
}

/// A place or length, whose range is known only to the object that it is for; or none was given.
#[derive(Clone, Copy)]
pub(super) struct Extent<'a, 'py>(Option<Borrowed<'a, 'py, PyAny>>);

impl Extent<'_, '_> {
    pub(super) const DEFAULT: Self = Self(None);

    /// The number, which must be in `range`, or the default.
    #[inline]
    pub(super) fn within(
        self,
        what: &str,
        range: RangeInclusive<usize>,
        default: usize,
    ) -> PyResult<usize> {
        match self.0 {
            None => Ok(default),
            Some(value) => number(&value, what, range),
        }
    }

    /// `None` stands for the default too.
    #[inline]
    pub(super) fn or_none(self) -> Self {
        Self(self.0.filter(|value| !value.is_none()))
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Extent<'a, 'py> {
    type Error = PyErr;

    #[inline]
    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(Some(value)))
    }
}

fn number(value: &Bound<'_, PyAny>, what: &str, range: RangeInclusive<usize>) -> PyResult<usize> {
    let (first, last) = range.into_inner();
    let bound = |number| i64::try_from(number).unwrap_or(i64::MAX);
    let number = convert::int(value, what, bound(first)..=bound(last))?;
    usize::try_from(number).map_err(|_| PyValueError::new_err(format!("{what} is too large")))
}

impl LeastSize {
    pub(super) const ANY: Self = Self(0);
}

impl HugePageSize {
    pub(super) const ORDINARY: Self = Self(None);
}

impl Address {
    pub(super) const ANY: Self = Self(None);
}

fn new_size(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    convert::size(value, "size", 1)
}

fn least_size(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    convert::size(value, "size", 0)
}

fn huge_page_size(value: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    if value.is_none() {
        return Ok(None);
    }
    let size: u64 = convert::small(value, "huge_page_size", 2..=1 << 62)?;
    if size.is_power_of_two() {
        return Ok(Some(size));
    }
    Err(PyValueError::new_err(format!("huge_page_size {size} is no power of two")))
}

/// The first page is where no pointer may lead; the upper half belongs to the kernel.
fn address(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if value.is_none() {
        return Ok(None);
    }
    let first = i64::try_from(sys::shmlba()).unwrap_or(i64::MAX);
    convert::small(value, "address", first..=i64::MAX).map(Some)
}

pub(super) fn byte(value: &Bound<'_, PyAny>) -> PyResult<u8> {
    convert::small(value, "byte", 0..=255)
}

fn word(value: &Bound<'_, PyAny>) -> PyResult<Word> {
    let Ok(name) = value.cast::<PyString>() else {
        let class = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("kind must be str, not {class}")));
    };
    let known = [Word::I32, Word::U32, Word::I64, Word::U64];
    let name = name.to_string_lossy();
    known.into_iter().find(|word| word.name() == name).ok_or_else(|| {
        PyValueError::new_err(format!("kind {name:?} is none of 'i32', 'u32', 'i64', 'u64'"))
    })
}
