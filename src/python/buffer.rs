//! Bytes-like arguments, and new `bytes`.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::DerefMut;
use std::{ptr, slice};

use nix::errno::Errno;
use pyo3::exceptions::{PyBufferError, PyMemoryError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString, PyTuple};

use crate::msg::Outgoing;
use crate::shm::Attachment;
use crate::sys;

/// Copies of more bytes than this are made detached from the interpreter.
pub(super) const LONG_COPY: usize = 64 * 1024;

/// Refuses what CPython takes for a fault of ours, a `SystemError`; `__buffer__(flags)` passes on
/// whatever it is given.
#[inline]
pub(super) fn check_request(flags: c_int) -> PyResult<()> {
    if matches!(flags, ffi::PyBUF_READ | ffi::PyBUF_WRITE) {
        return Err(PyBufferError::new_err(format!("flags {flags:#x} ask for no kind of buffer")));
    }
    Ok(())
}

/// Where an object tells what it exports: on the caller's stack, since what it tells may point into
/// itself.
pub(super) struct Slot(ffi::Py_buffer);

impl Slot {
    #[inline]
    pub(super) fn new() -> Self {
        Self(ffi::Py_buffer::new())
    }
}

/// What an object exports by the buffer protocol, held as long as this lives, which is never longer
/// than the thread is attached to the interpreter.
struct View<'py, B: DerefMut<Target = ffi::Py_buffer>>(B, PhantomData<Python<'py>>);

impl<'py, B: DerefMut<Target = ffi::Py_buffer>> View<'py, B> {
    /// Refuses `str` and whatever has no contiguous buffer. `view` is empty, and does not move.
    ///
    /// PyO3's own refuses what has no shape or strides, such as the arrays of `ctypes`.
    fn contiguous(value: &Bound<'py, PyAny>, view: B) -> PyResult<Self> {
        // Bytes in a row and nothing else: there is nothing to ask for or to check.
        if value.is_exact_instance_of::<PyByteArray>() {
            return Self::exported(value, view, ffi::PyBUF_SIMPLE);
        }
        if value.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err("a bytes-like object is required, not 'str'"));
        }
        let view = Self::exported(value, view, ffi::PyBUF_FULL_RO)?;
        // SAFETY: filled by PyObject_GetBuffer.
        if unsafe { ffi::PyBuffer_IsContiguous(&raw const *view.0, ANY_ORDER) } == 0 {
            return Err(PyBufferError::new_err("the buffer is not contiguous"));
        }
        Ok(view)
    }

    #[inline]
    fn exported(value: &Bound<'py, PyAny>, mut view: B, flags: c_int) -> PyResult<Self> {
        // SAFETY: an object, and a buffer structure to be filled.
        if unsafe { ffi::PyObject_GetBuffer(value.as_ptr(), &raw mut *view, flags) } < 0 {
            return Err(PyErr::fetch(value.py()));
        }
        Ok(Self(view, PhantomData))
    }

    fn len(&self) -> usize {
        self.0.len.unsigned_abs()
    }

    /// Whether it holds references to Python objects, which no bytes may replace.
    fn holds_objects(&self) -> bool {
        if self.0.format.is_null() {
            return false;
        }
        // SAFETY: a C string that lives as long as the view.
        let format = unsafe { CStr::from_ptr(self.0.format) };
        // Every other part between colons is the name of a field.
        format.to_bytes().split(|&byte| byte == b':').step_by(2).any(|part| part.contains(&b'O'))
    }
}

impl<B: DerefMut<Target = ffi::Py_buffer>> Drop for View<'_, B> {
    fn drop(&mut self) {
        // SAFETY: filled by PyObject_GetBuffer, and released once, by a thread that is attached.
        unsafe { ffi::PyBuffer_Release(&raw mut *self.0) };
    }
}

/// C's or Fortran's.
const ANY_ORDER: std::ffi::c_char = b'A'.cast_signed();

enum Held<'a, 'py> {
    /// `bytes`, which never change.
    Frozen(&'a Bound<'py, PyBytes>),
    /// Any other contiguous buffer. Others may write to it meanwhile.
    Buffer(#[allow(dead_code, reason = "what is held")] View<'py, Box<ffi::Py_buffer>>),
}

/// The bytes of an argument, held as long as this lives.
pub(super) struct Bytes<'a, 'py> {
    held: Held<'a, 'py>,
    from: *const u8,
    len: usize,
}

impl<'a, 'py> Bytes<'a, 'py> {
    /// Refuses `str` and whatever has no contiguous buffer.
    #[inline]
    pub(super) fn new(value: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        let Ok(bytes) = value.cast_exact::<PyBytes>() else { return Self::of_buffer(value) };
        let text = bytes.as_bytes();
        Ok(Self { held: Held::Frozen(bytes), from: text.as_ptr(), len: text.len() })
    }

    #[cold]
    fn of_buffer(value: &Bound<'py, PyAny>) -> PyResult<Self> {
        let view = View::contiguous(value, Box::new(ffi::Py_buffer::new()))?;
        let (from, len) = (view.0.buf.cast_const().cast(), view.len());
        Ok(Self { held: Held::Buffer(view), from, len })
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes these bytes the text of a message.
    #[inline]
    pub(super) fn send_with(&self, py: Python<'_>, message: &mut Outgoing) -> sys::Result<()> {
        let (from, len) = (self.from, self.len);
        let filled = if len > LONG_COPY {
            let from = from.expose_provenance();
            py.detach(|| {
                let from = ptr::with_exposed_provenance(from);
                // SAFETY: the buffer is held, so `len` bytes can be read there.
                unsafe { message.packet_mut().set_text_from(from, len) }
            })
        } else {
            // SAFETY: the buffer is held, so `len` bytes can be read there.
            unsafe { message.packet_mut().set_text_from(from, len) }
        };
        filled.map_err(|_| Errno::ENOMEM)
    }

    /// The same bytes as a `bytes` object.
    pub(super) fn to_bytes(&self, py: Python<'py>) -> PyResult<Py<PyBytes>> {
        if let Held::Frozen(bytes) = self.held {
            return Ok(bytes.clone().unbind());
        }
        // SAFETY: the buffer is held, so that many bytes can be read there.
        unsafe { new_bytes_from(py, self.from, self.len) }
    }

    /// Where these bytes are, for a copy that may be made detached from the interpreter.
    #[inline]
    pub(super) fn source(&self) -> Source<'_> {
        Source { address: self.from.expose_provenance(), len: self.len, held: PhantomData }
    }
}

/// Bytes that are held.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    address: usize,
    len: usize,
    held: PhantomData<&'a ()>,
}

impl Source<'_> {
    /// Copies them into shared memory.
    #[inline]
    pub(super) fn copy_to(self, attachment: &Attachment, offset: usize) -> crate::Result<()> {
        let from = ptr::with_exposed_provenance(self.address);
        // SAFETY: the buffer is held, so that many bytes can be read there.
        unsafe { attachment.write_from(offset, from, self.len) }
    }
}

/// A buffer that can be written to, as an argument; held as long as this lives.
pub(super) struct WritableBytes<'slot, 'py>(View<'py, &'slot mut ffi::Py_buffer>);

impl<'slot, 'py> WritableBytes<'slot, 'py> {
    /// Refuses whatever has no contiguous buffer, a read-only one, or one of Python objects.
    pub(super) fn new(value: &Bound<'py, PyAny>, slot: &'slot mut Slot) -> PyResult<Self> {
        let view = View::contiguous(value, &mut slot.0)?;
        if view.0.readonly != 0 {
            return Err(PyTypeError::new_err("a writable buffer is required, not a read-only one"));
        }
        if view.holds_objects() {
            return Err(PyTypeError::new_err(
                "a buffer of Python objects can't be filled with bytes",
            ));
        }
        Ok(Self(view))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Copies as much of `from` as fits to the buffer's beginning; gives how much that was.
    pub(super) fn copy_from(&self, py: Python<'_>, from: &[u8]) -> usize {
        let len = from.len().min(self.len());
        // SAFETY: the buffer is held and at least `len` bytes long; `from` is memory of ours.
        unsafe { copy(py, from.as_ptr(), self.0.0.buf.cast(), len) };
        len
    }
}

/// Copies `len` bytes; detached from the interpreter if they are many.
///
/// # Safety
/// So many bytes can be read at `from` and written at `to`, which don't overlap, until this
/// returns.
unsafe fn copy(py: Python<'_>, from: *const u8, to: *mut u8, len: usize) {
    if len <= LONG_COPY {
        // SAFETY: the caller vouches for both.
        return unsafe { ptr::copy_nonoverlapping(from, to, len) };
    }
    let (from, to) = (from.expose_provenance(), to.expose_provenance());
    py.detach(|| {
        let (from, to) = (ptr::with_exposed_provenance(from), ptr::with_exposed_provenance_mut(to));
        // SAFETY: the caller vouches for both, also while other Python threads run.
        unsafe { ptr::copy_nonoverlapping::<u8>(from, to, len) };
    });
}

/// A new `bytes` object; `MemoryError`, never a panic, without memory for it.
#[inline]
pub(super) fn new_bytes(py: Python<'_>, from: &[u8]) -> PyResult<Py<PyBytes>> {
    // SAFETY: pointer and length are those of a live slice.
    unsafe { new_bytes_from(py, from.as_ptr(), from.len()) }
}

/// As [`new_bytes`].
///
/// # Safety
/// `len` bytes can be read at `from` until this returns.
#[inline]
unsafe fn new_bytes_from(py: Python<'_>, from: *const u8, len: usize) -> PyResult<Py<PyBytes>> {
    let size = isize::try_from(len).map_err(|_| PyMemoryError::new_err(()))?;
    let long = len > LONG_COPY;
    let text = if long { ptr::null() } else { from.cast() };
    // SAFETY: copies `size` bytes, for which the caller vouches, or none from a null pointer.
    let new = unsafe { ffi::PyBytes_FromStringAndSize(text, size) };
    // SAFETY: a new reference, or null with an exception set.
    let bytes = unsafe { Bound::from_owned_ptr_or_err(py, new)? };
    if long {
        // SAFETY: a bytes object.
        let to = unsafe { ffi::PyBytes_AsString(bytes.as_ptr()) };
        // SAFETY: the new object's memory, `len` bytes long, that nobody else knows yet.
        unsafe { copy(py, from, to.cast(), len) };
    }
    // SAFETY: a bytes object.
    Ok(unsafe { bytes.cast_into_unchecked::<PyBytes>() }.unbind())
}

/// A new `bytes` object of `len` bytes, all of which `fill` writes and gives back; `MemoryError`,
/// never a panic, without memory for it.
#[inline]
pub(super) fn new_bytes_with<'py>(
    py: Python<'py>,
    len: usize,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> PyResult<&mut [u8]>,
) -> PyResult<Bound<'py, PyBytes>> {
    let size = isize::try_from(len).map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: of a null pointer nothing is copied.
    let new = unsafe { ffi::PyBytes_FromStringAndSize(ptr::null(), size) };
    // SAFETY: a new reference, or null with an exception set.
    let bytes = unsafe { Bound::from_owned_ptr_or_err(py, new)? };
    // SAFETY: a bytes object.
    let to = unsafe { ffi::PyBytes_AsString(bytes.as_ptr()) };
    // SAFETY: the new object's memory, `len` bytes long, that nobody else knows yet.
    fill(unsafe { slice::from_raw_parts_mut(to.cast(), len) })?;
    Ok(bytes.cast_into()?)
}

/// A new tuple of two ints; `MemoryError`, never a panic, without memory for it.
pub(super) fn new_pair(py: Python<'_>, first: i64, second: usize) -> PyResult<Bound<'_, PyTuple>> {
    let second = i64::try_from(second).map_err(|_| PyMemoryError::new_err(()))?;
    pair(new_int(py, first)?, new_int(py, second)?)
}

/// A new int; `MemoryError`, never a panic, without memory for it.
fn new_int(py: Python<'_>, number: i64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached to the interpreter, as `py` shows.
    let new = unsafe { ffi::PyLong_FromLongLong(number) };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, new) }
}

/// A new tuple of both; `MemoryError`, never a panic, without memory for it.
fn pair<'py>(first: Bound<'py, PyAny>, second: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
    // SAFETY: attached to the interpreter, as the objects show.
    let new = unsafe { ffi::PyTuple_New(2) };
    // SAFETY: a new reference, or null with an exception set.
    let pair = unsafe { Bound::from_owned_ptr_or_err(first.py(), new)? };
    for (place, item) in [(0, first), (1, second)] {
        // SAFETY: a new tuple that has this place, and a reference that it takes over.
        unsafe { ffi::PyTuple_SetItem(pair.as_ptr(), place, item.into_ptr()) };
    }
    // SAFETY: a tuple.
    Ok(unsafe { pair.cast_into_unchecked() })
}

/// A new tuple of a message's type and bytes; `MemoryError`, never a panic, without memory for it.
pub(super) fn new_message<'py>(
    py: Python<'py>,
    mtype: i64,
    text: &[u8],
) -> PyResult<Bound<'py, PyTuple>> {
    let text = new_bytes(py, text)?.into_bound(py);
    pair(new_int(py, mtype)?, text.into_any())
}

/// As [`new_message`], the bytes first.
pub(super) fn new_text_and_type<'py>(
    py: Python<'py>,
    text: &[u8],
    mtype: i64,
) -> PyResult<Bound<'py, PyTuple>> {
    let text = new_bytes(py, text)?.into_bound(py);
    pair(text.into_any(), new_int(py, mtype)?)
}
