//! Bytes-like arguments.

#![allow(unsafe_code)]

use nix::errno::Errno;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::msg::Outgoing;
use crate::shm::Attachment;
use crate::sys;

/// The bytes of an argument, held as long as this lives.
pub(super) enum Bytes<'a, 'py> {
    /// `bytes`, which never change.
    Frozen(&'a Bound<'py, PyBytes>),
    /// Any other contiguous buffer. Others may write to it meanwhile.
    Buffer(PyUntypedBuffer),
}

impl<'a, 'py> Bytes<'a, 'py> {
    /// Refuses `str` and whatever has no contiguous buffer.
    #[inline]
    pub(super) fn new(value: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        match value.cast_exact::<PyBytes>() {
            Ok(bytes) => Ok(Self::Frozen(bytes)),
            Err(_) => contiguous(value).map(Self::Buffer),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Frozen(bytes) => bytes.as_bytes().len(),
            Self::Buffer(buffer) => buffer.len_bytes(),
        }
    }

    fn as_ptr(&self) -> *const u8 {
        match self {
            Self::Frozen(bytes) => bytes.as_bytes().as_ptr(),
            Self::Buffer(buffer) => buffer.buf_ptr().cast_const().cast(),
        }
    }

    /// Makes these bytes the text of a message.
    #[inline]
    pub(super) fn send_with(&self, message: &mut Outgoing) -> sys::Result<()> {
        let (from, len) = (self.as_ptr(), self.len());
        // SAFETY: the buffer is held, so `len` bytes can be read there.
        unsafe { message.packet_mut().set_text_from(from, len) }.map_err(|_| Errno::ENOMEM)
    }

    /// The same bytes as a `bytes` object.
    pub(super) fn to_bytes(&self, py: Python<'py>) -> PyResult<Py<PyBytes>> {
        let (from, len) = (self.as_ptr(), self.len());
        if let Self::Frozen(bytes) = self {
            return Ok((*bytes).clone().unbind());
        }
        let bytes = PyBytes::new_with(py, len, |to| {
            // SAFETY: the buffer is held, and `to` is a new object's memory, `len` bytes long.
            unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), len) };
            Ok(())
        })?;
        Ok(bytes.unbind())
    }

    /// Copies these bytes into shared memory.
    pub(super) fn copy_to(&self, attachment: &Attachment, offset: usize) -> crate::Result<()> {
        // SAFETY: the buffer is held, so that many bytes can be read there.
        unsafe { attachment.write_from(offset, self.as_ptr(), self.len()) }
    }
}

#[cold]
fn contiguous(value: &Bound<'_, PyAny>) -> PyResult<PyUntypedBuffer> {
    if value.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("a bytes-like object is required, not 'str'"));
    }
    let buffer = PyUntypedBuffer::get(value)?;
    if buffer.is_c_contiguous() || buffer.is_fortran_contiguous() {
        return Ok(buffer);
    }
    Err(PyBufferError::new_err("the buffer is not contiguous"))
}

/// Copies of more bytes than this are made detached from the interpreter.
pub(super) const LONG_COPY: usize = 64 * 1024;

/// A new `bytes` object; `MemoryError`, never a panic, without memory for it.
#[inline]
pub(super) fn new_bytes(py: Python<'_>, from: &[u8]) -> PyResult<Py<PyBytes>> {
    let bytes = PyBytes::new_with(py, from.len(), |to| {
        if from.len() > LONG_COPY {
            py.detach(|| to.copy_from_slice(from));
        } else {
            to.copy_from_slice(from);
        }
        Ok(())
    })?;
    Ok(bytes.unbind())
}

/// A buffer that can be written to, as an argument; held as long as this lives.
pub(super) struct WritableBytes(PyUntypedBuffer);

impl WritableBytes {
    /// Refuses whatever has no contiguous buffer or a read-only one.
    pub(super) fn new(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let buffer = contiguous(value)?;
        if buffer.readonly() {
            return Err(PyTypeError::new_err("a writable buffer is required, not a read-only one"));
        }
        Ok(Self(buffer))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len_bytes()
    }

    /// Copies as much of `from` as fits to the buffer's beginning; gives how much that was.
    pub(super) fn copy_from(&self, from: &[u8]) -> usize {
        let len = from.len().min(self.len());
        // SAFETY: the buffer is held and at least `len` bytes long; `from` is memory of ours.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.0.buf_ptr().cast(), len) };
        len
    }
}
