//! `Attachment`: a segment's memory as Python sees it.

use std::ffi::c_int;
use std::ptr;

use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PySlice, PyTuple};

use super::atomic::AtomicInteger;
use super::iterator::AttachmentIterator;
use super::mapping::Mapping;
use super::types::{self, Byte, Extent, Kind};
use super::{SharedMemory, core};
use crate::python::buffer::{self, Bytes, LONG_COPY};
use crate::python::convert;

/// A segment attached to this process: bytes that are shared with everybody who has it attached.
///
/// Made by `SharedMemory.attach`. It has the buffer protocol: `memoryview(a)`,
/// `numpy.frombuffer(a, ...)`, `struct.unpack_from(format, a)` and others use the memory itself.
/// Slices and `read` are copies, and one item is an int, as of `bytes`. Copies are not atomic
/// against other processes: guard them by a semaphore, or use `atomic`.
///
/// `detach`, or the end of a `with` block, refuses every new access, and unmaps the memory if no
/// buffer was ever exported; else it is unmapped when the last view and the attachment are gone.
/// Views that exist go on working. An attachment that is dropped detaches itself.
///
/// See shmop(2).
#[pyclass(frozen, sequence, weakref, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct Attachment {
    mapping: Mapping,
    segment: core::SharedMemory,
    address: usize,
    size: usize,
    readonly: bool,
}

#[cold]
pub(super) fn read_only() -> PyErr {
    PyTypeError::new_err("the attachment is read-only: attach without readonly=True to write")
}

#[cold]
fn stepped(step: isize) -> PyErr {
    PyValueError::new_err(format!(
        "slices of an attachment have step 1, not {step}: use memoryview(a)[i:j:k]"
    ))
}

#[cold]
fn other_size(given: usize, len: usize) -> PyErr {
    PyValueError::new_err(format!(
        "{given} bytes can't be assigned to a slice of {len}: an attachment's size is fixed"
    ))
}

#[cold]
fn no_room(given: usize, offset: usize, room: usize) -> PyErr {
    PyValueError::new_err(format!(
        "{given} bytes don't fit at offset {offset}: the range there is 0 to {room} bytes"
    ))
}

impl Attachment {
    pub(super) fn of(attachment: core::Attachment) -> Self {
        Self {
            segment: attachment.segment(),
            address: attachment.address(),
            size: attachment.size(),
            readonly: attachment.readonly(),
            mapping: Mapping::new(attachment),
        }
    }

    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// A byte; `None` behind the last.
    #[inline]
    pub(super) fn byte(&self, py: Python<'_>, index: usize) -> PyResult<Option<u8>> {
        let mut byte = [0];
        self.mapping.with(py, |memory| {
            (index < self.size).then(|| memory.read(index, &mut byte)).transpose()
        })??;
        Ok((index < self.size).then_some(byte[0]))
    }

    #[inline]
    fn check_writable(&self, py: Python<'_>) -> PyResult<()> {
        if self.readonly { Err(self.first_of_all(py, read_only())) } else { Ok(()) }
    }

    /// Of a detached one every use is a ValueError, whatever else is wrong about it.
    #[inline]
    fn checked<T>(&self, py: Python<'_>, result: PyResult<T>) -> PyResult<T> {
        result.map_err(|error| self.first_of_all(py, error))
    }

    #[cold]
    fn first_of_all(&self, py: Python<'_>, error: PyErr) -> PyErr {
        self.mapping.share(py).err().unwrap_or(error)
    }

    /// Does something to `len` bytes; detached from the interpreter if they are many.
    #[inline]
    fn at_work<T: Send>(
        &self,
        py: Python<'_>,
        len: usize,
        work: impl FnOnce(&core::Attachment) -> crate::Result<T> + Send,
    ) -> PyResult<T> {
        let done = if len > LONG_COPY {
            let memory = self.mapping.share(py)?;
            py.detach(|| work(&memory))
        } else {
            self.mapping.with(py, |memory| work(memory))?
        };
        Ok(done?)
    }

    /// The offset and length of a part.
    #[inline]
    fn part(
        &self,
        py: Python<'_>,
        offset: Extent<'_, '_>,
        len: Extent<'_, '_>,
    ) -> PyResult<(usize, usize)> {
        let part = || {
            let offset = offset.within("offset", 0..=self.size, 0)?;
            let rest = self.size - offset;
            Ok((offset, len.within("size", 0..=rest, rest)?))
        };
        self.checked(py, part())
    }

    /// The offset and length of a slice.
    #[inline]
    fn slice(&self, slice: &Bound<'_, PySlice>) -> PyResult<(usize, usize)> {
        let indices = slice.indices(self.size.cast_signed())?;
        if indices.step != 1 {
            return Err(stepped(indices.step));
        }
        Ok((indices.start.unsigned_abs(), indices.slicelength))
    }

    /// The offset of an aligned word.
    fn word(&self, offset: Extent<'_, '_>, Kind(word): Kind) -> PyResult<usize> {
        let Some(last) = self.size.checked_sub(word.size()) else {
            let (size, name) = (self.size, word.name());
            let text = format!("a segment of {size} bytes has no room for a word of kind {name}");
            return Err(PyValueError::new_err(text));
        };
        let offset = offset.within("offset", 0..=last, 0)?;
        if offset.is_multiple_of(word.size()) {
            return Ok(offset);
        }
        let text = format!("offset {offset} is no multiple of {}: it is not aligned", word.size());
        Err(PyValueError::new_err(text))
    }

    #[inline]
    fn copy_out<'py>(
        &self,
        py: Python<'py>,
        offset: usize,
        len: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        buffer::new_bytes_with(py, len, |to| {
            self.at_work(py, len, |memory| memory.read_uninit(offset, to))
        })
    }

    #[inline]
    fn copy_in(&self, py: Python<'_>, offset: usize, bytes: &Bytes<'_, '_>) -> PyResult<()> {
        let source = bytes.source();
        self.at_work(py, bytes.len(), |memory| source.copy_to(memory, offset))
    }
}

#[pymethods]
impl Attachment {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Err(PyTypeError::new_err(
            "Attachment has no public constructor: use SharedMemory.attach(), of a segment made by \
             SharedMemory.create() or SharedMemory.open()",
        ))
    }

    /// Where the memory is, or was, in this process.
    #[getter]
    fn address(&self) -> usize {
        self.address
    }

    /// Whether it was attached to be read only.
    #[getter]
    fn readonly(&self) -> bool {
        self.readonly
    }

    /// The segment that was attached.
    #[getter]
    fn segment(&self) -> SharedMemory {
        SharedMemory::of(self.segment)
    }

    /// Whether it has been detached: every new access is a ValueError.
    #[getter]
    fn detached(&self, py: Python<'_>) -> bool {
        self.mapping.detached(py)
    }

    /// Whether the memory is still mapped here, also if only because views use it.
    #[getter]
    fn mapped(&self, py: Python<'_>) -> bool {
        self.mapping.mapped(py)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.mapping.with(py, |_| self.size)
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        if let Ok(slice) = key.cast::<PySlice>() {
            let (start, len) = self.checked(py, self.slice(slice))?;
            return Ok(self.copy_out(py, start, len)?.into_any());
        }
        let index = self.checked(py, convert::index(key, self.size, true))?;
        Ok(self.byte(py, index)?.into_pyobject(py)?.into_any())
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = key.py();
        self.check_writable(py)?;
        let Ok(slice) = key.cast::<PySlice>() else {
            let index = self.checked(py, convert::index(key, self.size, true))?;
            let byte = self.checked(py, types::byte(value))?;
            return Ok(self.mapping.with(py, |memory| memory.write(index, &[byte]))??);
        };
        let (start, len) = self.checked(py, self.slice(slice))?;
        let bytes = self.checked(py, Bytes::new(value))?;
        if bytes.len() != len {
            return Err(self.first_of_all(py, other_size(bytes.len(), len)));
        }
        self.copy_in(py, start, &bytes)
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<AttachmentIterator> {
        slf.get().mapping.with(slf.py(), |_| AttachmentIterator::of(slf.clone().unbind()))
    }

    fn __delitem__(&self, _key: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyTypeError::new_err("an attachment's items can't be deleted"))
    }

    /// A copy of some bytes.
    ///
    /// Args:
    ///     size: How many; None for all that follow.
    ///     offset: Where they begin.
    ///
    /// Returns:
    ///     The bytes.
    ///
    /// Raises:
    ///     ValueError: They are not all inside the segment, or the attachment is detached.
    #[pyo3(
        signature = (size=Extent::DEFAULT, offset=Extent::DEFAULT),
        text_signature = "($self, size=None, offset=0)"
    )]
    fn read<'py>(
        &self,
        py: Python<'py>,
        size: Extent<'_, 'py>,
        offset: Extent<'_, 'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (offset, len) = self.part(py, offset, size.or_none())?;
        self.copy_out(py, offset, len)
    }

    /// Copies bytes into the segment.
    ///
    /// Args:
    ///     data: The bytes: any contiguous buffer, also of this segment.
    ///     offset: Where they go.
    ///
    /// Raises:
    ///     ValueError: They don't fit there, or the attachment is detached. Nothing was written.
    ///     TypeError: It is attached read-only.
    #[pyo3(
        signature = (data, offset=Extent::DEFAULT),
        text_signature = "($self, data, offset=0)"
    )]
    fn write(&self, data: &Bound<'_, PyAny>, offset: Extent<'_, '_>) -> PyResult<()> {
        let py = data.py();
        self.check_writable(py)?;
        let bytes = self.checked(py, Bytes::new(data))?;
        let (offset, room) = self.part(py, offset, Extent::DEFAULT)?;
        if bytes.len() > room {
            return Err(self.first_of_all(py, no_room(bytes.len(), offset, room)));
        }
        self.copy_in(py, offset, &bytes)
    }

    /// Sets bytes to one value.
    ///
    /// Args:
    ///     byte: The value, 0 to 255.
    ///     offset: Where they begin.
    ///     size: How many; None for all that follow.
    ///
    /// Raises:
    ///     ValueError: They are not all inside the segment, the value is out of range, or the
    ///         attachment is detached. Nothing was written.
    ///     TypeError: It is attached read-only.
    #[pyo3(
        signature = (byte, offset=Extent::DEFAULT, size=Extent::DEFAULT),
        text_signature = "($self, byte, offset=0, size=None)"
    )]
    fn fill(
        &self,
        py: Python<'_>,
        byte: Byte,
        offset: Extent<'_, '_>,
        size: Extent<'_, '_>,
    ) -> PyResult<()> {
        self.check_writable(py)?;
        let (offset, len) = self.part(py, offset, size.or_none())?;
        self.at_work(py, len, |memory| memory.fill(offset, len, byte.0))
    }

    /// An integer in the segment that processes can change without a lock.
    ///
    /// Args:
    ///     offset: Where it is, a multiple of its size.
    ///     kind: "i32", "u32", "i64" or "u64", in the machine's byte order.
    ///
    /// Returns:
    ///     The integer, which keeps the memory mapped.
    ///
    /// Raises:
    ///     ValueError: It is not inside the segment, not aligned or of no such kind, or the
    ///         attachment is detached.
    fn atomic(
        &self,
        py: Python<'_>,
        offset: Extent<'_, '_>,
        kind: Kind,
    ) -> PyResult<AtomicInteger> {
        let offset = self.checked(py, self.word(offset, kind))?;
        Ok(AtomicInteger::of(self.mapping.share(py)?, offset, kind.0))
    }

    /// Refuses every new access from now on. The memory is unmapped at once if no buffer was ever
    /// exported, else when the last view and this object are gone. A second call does nothing.
    ///
    /// See shmop(2), shmdt.
    fn detach(&self, py: Python<'_>) {
        self.mapping.detach(py);
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().mapping.with(slf.py(), |_| ())?;
        Ok(slf)
    }

    #[pyo3(signature = (exc_type, exc_value, traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> bool {
        let _ = (exc_type, exc_value, traceback);
        self.mapping.detach(py);
        false
    }

    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let this = slf.get();
        let object = slf.as_ptr();
        let start = ptr::with_exposed_provenance_mut(this.address);
        let (len, readonly) = (this.size.cast_signed(), this.readonly.into());
        // SAFETY: Python gives a view that can be written to; no object in it says "failed".
        unsafe { (*view).obj = ptr::null_mut() };
        buffer::check_request(flags)?;
        if this.readonly && flags & ffi::PyBUF_WRITABLE != 0 {
            return Err(PyBufferError::new_err("the attachment is read-only"));
        }
        this.mapping.export(slf.py())?;
        // SAFETY: the view gets its own reference to this object, and once exported the memory
        // stays mapped as long as the object lives.
        match unsafe { ffi::PyBuffer_FillInfo(view, object, start, len, readonly, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let access = if self.readonly { ", read-only" } else { "" };
        let state = if self.mapping.detached(py) { ", detached" } else { "" };
        let (size, address, id) = (self.size, self.address, self.segment.id());
        format!("<Attachment of {size} bytes at {address:#x}{access}{state}, id={id}>")
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "an Attachment can't be pickled: it is memory of its process; pickle the SharedMemory \
             and attach there",
        ))
    }
}
