//! Arguments from Python: each kind is checked once, here, before any system call.

use std::ffi::{OsStr, OsString};
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::errno::Errno;
use pyo3::Borrowed;
use pyo3::exceptions::{PyIndexError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PySlice, PyString};

use super::error::os_error;
use super::wait::Timeout;
use crate::ipc::{Key, Mode};
use crate::sem::SIZE_MAX as MEMBERS_MAX;

/// Types of arguments: each is checked as the function of the same name says.
macro_rules! arguments {
    ($($(#[$doc:meta])* $name:ident($inner:ty): $check:path;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub(in $crate::python) struct $name(pub(in $crate::python) $inner);

        impl<'py> FromPyObject<'_, 'py> for $name {
            type Error = PyErr;

            #[inline]
            fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
                $check(&value).map(Self)
            }
        }
    )*};
}

pub(super) use arguments;

arguments! {
    /// The key of a new object, which may be `IPC_PRIVATE`.
    NewKey(Key): any_key;
    /// The key that an object is found by.
    NamedKey(Key): key;
    /// An id as the kernel gives them.
    Id(i32): id;
    /// Permission bits.
    ModeBits(Mode): mode;
    /// `owner=`.
    Owner(Option<u32>): owner;
    /// A user or group id of `chown`; `None` leaves it as it is.
    NewOwner(Option<u32>): new_owner;
    /// How many units of a semaphore.
    Units(i16): units;
    /// The value of a semaphore.
    Value(u16): value;
    /// How many semaphores a new set has.
    SetSize(usize): set_size;
    /// How many semaphores a set must have at least.
    LeastSize(usize): least_size;
    /// Which member of a set.
    Member(usize): member;
    /// A choice: anything that is true or false.
    Flag(bool): flag;
}

impl Flag {
    pub(super) const YES: Self = Self(true);
    pub(super) const NO: Self = Self(false);
}

impl NewKey {
    pub(super) const PRIVATE: Self = Self(Key::PRIVATE);
}

impl ModeBits {
    pub(super) const OURS: Self = Self(Mode::OWNER);
    pub(super) const EVERYBODY: Self = Self(Mode::EVERYBODY);
}

impl Owner {
    pub(super) const ANYBODY: Self = Self(None);
}

impl NewOwner {
    pub(super) const SAME: Self = Self(None);
}

impl Units {
    pub(super) const ONE: Self = Self(1);
}

impl Value {
    pub(super) const ONE: Self = Self(1);
}

impl SetSize {
    pub(super) const ONE: Self = Self(1);
}

impl LeastSize {
    pub(super) const ANY: Self = Self(0);
}

impl Member {
    pub(super) const FIRST: Self = Self(0);
}

impl<'py> FromPyObject<'_, 'py> for Timeout {
    type Error = PyErr;

    #[inline]
    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        timeout(&value)
    }
}

/// The largest value of a semaphore (`SEMVMX`), and so of a change to one.
pub(super) const SEMAPHORE_MAX: i64 = 32767;

/// An int in `range`; anything with `__index__` is one. `what` begins the message.
#[inline]
pub(super) fn int(
    value: &Bound<'_, PyAny>,
    what: &str,
    range: RangeInclusive<i64>,
) -> PyResult<i64> {
    within(value, &range)?.ok_or_else(|| out_of_range(value, what, &range))
}

/// An int, or `None` if it is not in `range`.
#[inline]
fn within(value: &Bound<'_, PyAny>, range: &RangeInclusive<i64>) -> PyResult<Option<i64>> {
    match value.extract::<i64>() {
        Ok(number) => Ok(Some(number).filter(|number| range.contains(number))),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cold]
fn out_of_range(value: &Bound<'_, PyAny>, what: &str, range: &RangeInclusive<i64>) -> PyErr {
    let value = value.repr().map_or_else(|_| "value".to_owned(), |text| shortened(&text));
    let (first, last) = (range.start(), range.end());
    PyValueError::new_err(format!("{what} {value} is not in the range {first} to {last}"))
}

pub(super) fn shortened(text: &Bound<'_, PyString>) -> String {
    // A text may be as long as its maker likes.
    let head = text.as_any().get_item(PySlice::new(text.py(), 0, 41, 1));
    let Ok(head) = head.and_then(|head| Ok(head.cast_into::<PyString>()?)) else {
        return "value".to_owned();
    };
    let head = head.to_string_lossy();
    if head.chars().count() <= 40 {
        head.into_owned()
    } else {
        head.chars().take(37).chain("...".chars()).collect()
    }
}

/// A number that fits `T`, which holds all of `range`.
pub(super) fn small<T: TryFrom<i64>>(
    value: &Bound<'_, PyAny>,
    what: &str,
    range: RangeInclusive<i64>,
) -> PyResult<T> {
    let number = int(value, what, range)?;
    T::try_from(number)
        .map_err(|_| PyOverflowError::new_err(format!("{what} {number} is too large")))
}

/// A key: 32 bits, signed or not.
fn any_key(value: &Bound<'_, PyAny>) -> PyResult<Key> {
    let number = int(value, "key", i32::MIN.into()..=u32::MAX.into())?;
    let [a, b, c, d, ..] = number.to_le_bytes();
    Ok(Key::new(i32::from_le_bytes([a, b, c, d])))
}

/// The key that an object is found by.
fn key(value: &Bound<'_, PyAny>) -> PyResult<Key> {
    let key = any_key(value)?;
    if key == Key::PRIVATE {
        return Err(PyValueError::new_err(
            "key 0 is IPC_PRIVATE, which leads to no object; it is only for create()",
        ));
    }
    Ok(key)
}

/// An id as the kernel gives them.
fn id(value: &Bound<'_, PyAny>) -> PyResult<i32> {
    small(value, "id", 0..=i32::MAX.into())
}

/// Permission bits.
fn mode(value: &Bound<'_, PyAny>) -> PyResult<Mode> {
    let bits = within(value, &(0..=0o777))?.and_then(|bits| u16::try_from(bits).ok());
    bits.and_then(Mode::new).ok_or_else(|| mode_error(value))
}

/// A decimal number that reads like a mode was most likely meant as one.
#[cold]
fn mode_error(value: &Bound<'_, PyAny>) -> PyErr {
    let digits = value.str().map(|text| shortened(&text)).unwrap_or_default();
    let meant = u16::from_str_radix(&digits, 8).is_ok_and(|mode| mode <= 0o777);
    let hint = if meant { format!("; did you mean 0o{digits}?") } else { String::new() };
    PyValueError::new_err(format!("mode {digits} is not in the range 0 to 0o777{hint}"))
}

/// `owner=`: a user id, or `None`.
fn owner(value: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
    if value.is_none() {
        return Ok(None);
    }
    small(value, "owner", 0..=i64::from(u32::MAX) - 1).map(Some)
}

/// A user or group id of `chown`; -1 leaves it as it is.
fn new_owner(value: &Bound<'_, PyAny>) -> PyResult<Option<u32>> {
    Ok(u32::try_from(int(value, "uid or gid", -1..=i64::from(u32::MAX) - 1)?).ok())
}

#[inline]
fn flag(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match value.cast_exact::<PyBool>() {
        Ok(choice) => Ok(choice.is_true()),
        Err(_) => value.is_truthy(),
    }
}

/// A size or count: at least `least`.
pub(super) fn size(value: &Bound<'_, PyAny>, what: &str, least: i64) -> PyResult<usize> {
    match value.extract::<u64>() {
        // Segments can be larger than an i64 tells, as far as the kernel's own limit goes.
        Ok(number) if number >= least.cast_unsigned() => {
            usize::try_from(number).map_err(|_| out_of_range(value, what, &(least..=i64::MAX)))
        }
        Ok(_) => Err(out_of_range(value, what, &(least..=i64::MAX))),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            Err(out_of_range(value, what, &(least..=i64::MAX)))
        }
        Err(error) => Err(error),
    }
}

fn set_size(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    size(value, "size", 1)
}

fn least_size(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    size(value, "size", 0)
}

fn member(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    index(value, MEMBERS_MAX, false)
}

/// How many units of a semaphore.
fn units(value: &Bound<'_, PyAny>) -> PyResult<i16> {
    small(value, "n", 1..=SEMAPHORE_MAX)
}

/// A semaphore's value.
pub(super) fn value(value: &Bound<'_, PyAny>) -> PyResult<u16> {
    small(value, "value", 0..=SEMAPHORE_MAX)
}

/// The index of one of `len` things; below 0 counts from the end where `from_end` allows it.
#[inline]
pub(super) fn index(value: &Bound<'_, PyAny>, len: usize, from_end: bool) -> PyResult<usize> {
    let last = i64::try_from(len).unwrap_or(i64::MAX).saturating_sub(1);
    let first = if from_end { !last } else { 0 };
    let position = within(value, &(first..=last))?.and_then(|number| {
        let back = usize::try_from(number.unsigned_abs()).ok()?;
        if number < 0 { len.checked_sub(back) } else { Some(back) }
    });
    position.ok_or_else(|| {
        let text = value.repr().map(|text| shortened(&text)).unwrap_or_default();
        no_index(&text, first, last)
    })
}

#[cold]
pub(super) fn no_index(
    index: impl std::fmt::Display,
    first: impl std::fmt::Display,
    last: impl std::fmt::Display,
) -> PyErr {
    PyIndexError::new_err(format!("index {index} is not in the range {first} to {last}"))
}

/// Seconds: `None` for ever, else a real number that isn't below 0 or NaN.
#[inline]
fn timeout(value: &Bound<'_, PyAny>) -> PyResult<Timeout> {
    if value.is_none() {
        return Ok(Timeout::Endless);
    }
    let seconds = match value.cast_exact::<PyFloat>() {
        Ok(float) => float.value(),
        Err(_) => real(value)?,
    };
    if seconds.is_nan() || seconds < 0.0 {
        let text = value.repr().map(|text| shortened(&text)).unwrap_or_default();
        return Err(PyValueError::new_err(format!(
            "timeout {text} is not in the range 0 to infinity"
        )));
    }
    if seconds == 0.0 {
        return Ok(Timeout::ZERO);
    }
    Ok(Duration::try_from_secs_f64(seconds)
        .map_or(Timeout::Endless, |time| Timeout::Within(time.max(Duration::from_nanos(1)))))
}

/// A real number that isn't a float; one that no float is near enough to keeps its sign.
fn real(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if is_complex(value)? {
        return Err(PyTypeError::new_err("must be real number, not complex"));
    }
    match value.extract::<f64>() {
        Ok(0.0) if value.lt(0).unwrap_or(false) => Ok(f64::NEG_INFINITY),
        Ok(0.0) if value.gt(0).unwrap_or(false) => Ok(f64::MIN_POSITIVE),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => match value.lt(0) {
            Ok(true) => Ok(f64::NEG_INFINITY),
            Ok(false) => Ok(f64::INFINITY),
            Err(_) => Err(error),
        },
        answer => answer,
    }
}

/// Whether it is a complex number, of which NumPy's let themselves be made a float.
fn is_complex(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    if value.is_exact_instance_of::<PyInt>() {
        return Ok(false);
    }
    let numbers = value.py().import("numbers")?;
    Ok(value.is_instance(&numbers.getattr("Complex")?)?
        && !value.is_instance(&numbers.getattr("Real")?)?)
}

/// `ftok(path, proj_id)`: a key made of a file's device and inode and of a project number.
///
/// Two files can have the same key, and a file that is replaced gets another one:
/// `key_from_name` has neither fault.
///
/// Args:
///     path: The path of an existing file: `str`, `bytes` or path-like.
///     proj_id: An int whose low 8 bits are not 0.
///
/// Returns:
///     The key.
///
/// Raises:
///     OSError: The file can't be looked at.
///     ValueError: The low 8 bits of `proj_id` are 0.
///
/// See ftok(3).
#[pyfunction]
pub(super) fn ftok(path: &Bound<'_, PyAny>, proj_id: &Bound<'_, PyAny>) -> PyResult<i32> {
    let proj_id: i32 = small(proj_id, "proj_id", i32::MIN.into()..=i32::MAX.into())?;
    if proj_id % 256 == 0 {
        return Err(PyValueError::new_err("the low 8 bits of proj_id must not be 0"));
    }
    file_key(path, proj_id)
}

/// The key of a file, with any project number.
pub(super) fn file_key(path: &Bound<'_, PyAny>, proj_id: i32) -> PyResult<i32> {
    let failed = |errno: Errno| {
        let error = os_error(errno, errno.desc());
        error.value(path.py()).setattr("filename", path).map_or_else(|failed| failed, |()| error)
    };
    let too_long = |len| len >= libc::PATH_MAX.unsigned_abs() as usize;
    let name: OsString = if let Ok(text) = path.cast::<PyString>() {
        if too_long(text.as_any().len()?) {
            return Err(failed(Errno::ENAMETOOLONG));
        }
        text.extract()?
    } else {
        let encoded = path.py().import("os")?.call_method1("fsencode", (path,))?;
        let bytes: &[u8] = encoded.extract()?;
        if too_long(bytes.len()) {
            return Err(failed(Errno::ENAMETOOLONG));
        }
        OsStr::from_bytes(bytes).to_owned()
    };
    if name.as_bytes().contains(&0) {
        return Err(PyValueError::new_err("embedded null byte in the path"));
    }
    Key::ftok(name, proj_id).map(Key::get).map_err(failed)
}

/// A key made of a name, the same on every machine and in every version.
///
/// The first 4 bytes, big-endian, of the SHA-256 of the name's UTF-8 text, without the top bit;
/// 0 becomes 1.
///
/// Args:
///     name: Any text.
///
/// Returns:
///     A key above 0.
///
/// Raises:
///     UnicodeEncodeError: The name has lone surrogates.
#[pyfunction]
pub(super) fn key_from_name(name: &Bound<'_, PyString>) -> PyResult<i32> {
    Ok(Key::from_name(name.to_str()?).get())
}
