//! `sysv_ipc.SharedMemory`; its memory in this process is in `memory`.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use libc::shmid_ds;
use nix::errno::Errno;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyString, PyTuple};

use self::memory::{Attached, attach as attach_memory};
use super::arguments::{self, Address, ByteCount, Character, Key, Offset, Size};
use super::error::{self, Class};
use super::number::Kept;
use super::{Got, NO_ID, change, check_flags, open_or_create};
use crate::ipc::{Control, Mode, PermissionChange, Permissions};
use crate::python::buffer::{self, Bytes, LONG_COPY};
use crate::python::convert::ModeBits;
use crate::shm::{self as core, SharedMemory as Segment};
use crate::sys;

mod memory;

/// The exception for what the kernel answers to a call on an id that wanted to do something.
#[cold]
fn failed(id: i32, errno: Errno, what: &str) -> PyErr {
    match errno {
        Errno::EINVAL | Errno::EIDRM => {
            Class::Existential.with(Errno::EIDRM, &format!("No shared memory with id {id} exists"))
        }
        Errno::EACCES | Errno::EPERM => {
            Class::Permissions.with(errno, &format!("You do not have permission to {what}"))
        }
        errno => error::common(errno),
    }
}

#[cold]
fn not_got(errno: Errno, key: i32, mode: Mode) -> PyErr {
    match errno {
        Errno::EACCES => {
            let mode = mode.bits();
            let text = format!("Permission {mode:o} cannot be granted on the existing segment");
            Class::Permissions.with(errno, &text)
        }
        Errno::EEXIST => {
            let text = format!("Shared memory with the key {key} already exists");
            Class::Existential.with(errno, &text)
        }
        Errno::ENOENT => {
            let text = format!("No shared memory exists with the key {key}");
            Class::Existential.with(errno, &text)
        }
        Errno::EINVAL => PyValueError::new_err("The size is invalid"),
        Errno::ENOSPC => {
            let text = "Not enough shared memory identifiers available (ENOSPC)";
            Class::Error.with(errno, text)
        }
        errno => error::common(errno),
    }
}

#[cold]
fn not_attached(what: &str) -> PyErr {
    let text = format!("{what} attempt on unattached memory segment");
    Class::NotAttached.with(Errno::EINVAL, &text)
}

/// A shared memory segment, as `sysv_ipc` has it. It is attached when it is made, detached when it
/// is dropped, and has the buffer protocol while it is attached.
///
/// Args:
///     key: Its key; None for a random one that nothing has, with IPC_CREX.
///     flags: 0 opens; IPC_CREAT opens or creates; IPC_CREX creates. SHM_HUGETLB or SHM_NORESERVE
///         with them.
///     mode: Who may attach a new segment, 0 to 0o777. Without write permission in it, this object
///         is attached read-only.
///     size: How many bytes; 0 for PAGE_SIZE of a new segment with IPC_CREX, and for any size of
///         one that exists.
///     init_character: What fills a new segment with IPC_CREX.
///
/// Raises:
///     ExistentialError: There is none, or there is one, and should not be.
///     PermissionsError: Its mode forbids it.
///     ValueError: An argument is out of range; then nothing is created.
///
/// See shmget(2), shmop(2), shmctl(2).
#[pyclass(frozen, freelist = 16, subclass, module = "sysv_ipc_rs.compat")]
#[derive(Debug)]
pub(in crate::python) struct SharedMemory {
    id: AtomicI32,
    key: AtomicI32,
    id_int: Kept<i32>,
    key_int: Kept<i32>,
    attached: Attached,
    address_int: Kept<usize>,
}

impl SharedMemory {
    fn none() -> Self {
        Self {
            id: AtomicI32::new(NO_ID),
            key: AtomicI32::new(NO_ID),
            id_int: Kept::new(),
            key_int: Kept::new(),
            attached: Attached::default(),
            address_int: Kept::new(),
        }
    }

    fn stat(&self) -> PyResult<shmid_ds> {
        let id = self.id.load(Relaxed);
        let what = "read the shared memory attribute";
        Segment::stat_raw(id).map_err(|errno| failed(id, errno, what))
    }

    fn permissions(&self) -> PyResult<Permissions> {
        Ok(self.stat()?.shm_perm.into())
    }

    fn change(&self, what: PermissionChange) -> PyResult<()> {
        let id = self.id.load(Relaxed);
        change::<Segment>(id, what)
            .map_err(|errno| failed(id, errno, "change the shared memory's attributes"))
    }
}

/// Opens or creates a segment; its size must be that of one that exists, at most.
fn get(key: Key, flags: i32, mode: Mode, size: usize) -> PyResult<Got> {
    check_flags(key, flags)?;
    if flags & libc::SHM_HUGETLB != 0 && flags & libc::SHM_NORESERVE != 0 {
        return Err(PyValueError::new_err(
            "SHM_HUGETLB and SHM_NORESERVE don't go together: huge pages are always reserved",
        ));
    }
    let bits = i32::from(mode.bits());
    open_or_create(key, flags, |key, flags| sys::shmget(key, size, flags | bits))
        .map_err(|(errno, key)| not_got(errno, key, mode))
}

#[pymethods]
impl SharedMemory {
    #[new]
    #[pyo3(
        signature = (*_args, **_kwargs),
        text_signature = "(key, flags=0, mode=0o600, size=0, init_character=b' ')"
    )]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::none()
    }

    #[pyo3(signature = (
        key, flags=0, mode=ModeBits::OURS, size=Size::NONE, init_character=Character::BLANK
    ))]
    fn __init__(
        &self,
        py: Python<'_>,
        key: Key,
        flags: i32,
        mode: ModeBits,
        size: Size,
        init_character: Character,
    ) -> PyResult<()> {
        const CREX: i32 = libc::IPC_CREAT | libc::IPC_EXCL;
        let (flags, mode) = (flags & !0o777, mode.0);
        let exclusive = flags & CREX == CREX;
        let size = if exclusive && size.0 == 0 { sys::shmlba() } else { size.0 };
        let got = get(key, flags, mode, size)?;
        let readonly = mode.bits() & 0o200 == 0;
        let flags = if readonly { libc::SHM_RDONLY } else { 0 };
        let memory = attach_memory(got.id, Address::ANY, flags).inspect_err(|_| {
            if got.created {
                let _ = Segment::ctl_rmid(got.id);
            }
        })?;
        if exclusive && !readonly {
            let fill = || memory.fill(0, memory.size(), init_character.0);
            if memory.size() > LONG_COPY { py.detach(fill) } else { fill() }?;
        }
        self.id.store(got.id, Relaxed);
        self.key.store(got.key, Relaxed);
        self.attached.set(memory);
        Ok(())
    }

    /// Attaches the segment. What was attached is detached.
    ///
    /// Args:
    ///     address: Where, in a range of addresses that is free; None for wherever the system
    ///         likes.
    ///     flags: SHM_RDONLY, SHM_RND.
    ///
    /// Raises:
    ///     PermissionsError: Its mode forbids it.
    ///     ValueError: The segment is gone, or the address is taken or not aligned, or SHM_REMAP is
    ///         given: it would replace memory that others use (see `sysv_ipc_rs.raw.shmat`).
    ///     MemoryError: No address space is left.
    ///
    /// See shmop(2), shmat.
    #[pyo3(
        signature = (address=Address::ANY, flags=0),
        text_signature = "($self, address=None, flags=0)"
    )]
    fn attach(&self, address: Address, flags: i32) -> PyResult<()> {
        let memory = attach_memory(self.id.load(Relaxed), address, flags)?;
        if address.0.is_none() && flags & libc::SHM_EXEC == 0 {
            self.attached.set_or_again(memory);
        } else {
            self.attached.set(memory);
        }
        Ok(())
    }

    /// Detaches the segment: every new access raises NotAttachedError. Views that exist go on
    /// working, and keep the memory mapped as long as they and this object live.
    ///
    /// Raises:
    ///     NotAttachedError: It is not attached.
    ///
    /// See shmop(2), shmdt.
    fn detach(&self) -> PyResult<()> {
        if self.attached.take() { Ok(()) } else { Err(not_attached("Detach")) }
    }

    /// A copy of some bytes.
    ///
    /// Args:
    ///     byte_count: How many; fewer if the segment ends before, and 0 for all that follow.
    ///     offset: Where they begin.
    ///
    /// Returns:
    ///     The bytes.
    ///
    /// Raises:
    ///     NotAttachedError: It is not attached.
    ///     ValueError: The offset is not inside the segment, or `byte_count` is negative.
    #[pyo3(
        signature = (byte_count=ByteCount::ALL, offset=Offset::START),
        text_signature = "($self, byte_count=0, offset=0)"
    )]
    fn read<'py>(
        &self,
        py: Python<'py>,
        byte_count: ByteCount,
        offset: Offset,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let memory = self.attached.get().ok_or_else(|| not_attached("Read"))?;
        let Some(offset) = offset.0.filter(|&offset| offset < memory.size()) else {
            return Err(PyValueError::new_err("The offset must be less than the segment size"));
        };
        let rest = memory.size() - offset;
        let len = byte_count.0.filter(|&count| count != 0).map_or(rest, |count| count.min(rest));
        buffer::new_bytes_with(py, len, |to| {
            let read = if len > LONG_COPY {
                py.detach(|| memory.read_uninit(offset, to))
            } else {
                memory.read_uninit(offset, to)
            };
            Ok(read?)
        })
    }

    /// Copies bytes into the segment.
    ///
    /// Args:
    ///     s: The bytes: any contiguous buffer, or a str, which is written as UTF-8.
    ///     offset: Where they go.
    ///
    /// Raises:
    ///     NotAttachedError: It is not attached.
    ///     PermissionsError: It is attached read-only.
    ///     ValueError: They don't fit there; nothing was written.
    ///     TypeError: `s` is no buffer and no str.
    #[pyo3(
        signature = (s, offset=Offset::START),
        text_signature = "($self, s, offset=0)"
    )]
    fn write(&self, s: &Bound<'_, PyAny>, offset: Offset) -> PyResult<()> {
        let encoded;
        let bytes = match s.cast::<PyString>() {
            Ok(text) => {
                encoded = text.encode_utf8()?.into_any();
                Bytes::new(&encoded)?
            }
            Err(_) => Bytes::new(s)?,
        };
        let memory = self.attached.get().ok_or_else(|| not_attached("Write"))?;
        if memory.readonly() {
            let text = "Write attempt on read-only memory segment";
            return Err(Class::Permissions.with(Errno::EACCES, text));
        }
        let room = offset.0.and_then(|offset| memory.size().checked_sub(offset));
        let (Some(offset), true) = (offset.0, room.is_some_and(|room| bytes.len() <= room)) else {
            return Err(PyValueError::new_err("Attempt to write past end of memory segment"));
        };
        let source = bytes.source();
        let write = || source.copy_to(&memory, offset);
        Ok(if bytes.len() > LONG_COPY { s.py().detach(write) } else { write() }?)
    }

    /// Removes the segment. It goes away once nobody has it attached any more.
    ///
    /// Raises:
    ///     ExistentialError: It is gone already.
    ///     PermissionsError: We are neither its owner nor its creator nor root.
    ///
    /// See shmctl(2), IPC_RMID.
    fn remove(&self, py: Python<'_>) -> PyResult<()> {
        remove_shared_memory(py, self.id.load(Relaxed))
    }

    /// The id that the system gave it. Read-only.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyInt> {
        self.id_int.of(py, self.id.load(Relaxed))
    }

    #[setter]
    fn set_id(&self, _value: &Bound<'_, PyAny>) -> PyResult<()> {
        error::readonly()
    }

    /// The key that it was found or made by. Read-only.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyInt> {
        self.key_int.of(py, self.key.load(Relaxed))
    }

    /// How many bytes it has. Read-only.
    #[getter]
    fn size(&self) -> PyResult<usize> {
        Ok(self.stat()?.shm_segsz)
    }

    /// Where it is attached; 0 if it isn't. Read-only.
    #[getter]
    fn address<'py>(&self, py: Python<'py>) -> Bound<'py, PyInt> {
        self.address_int.of(py, self.attached.address())
    }

    /// Whether it is attached. Read-only.
    #[getter]
    fn attached(&self) -> bool {
        self.attached.address() != 0
    }

    /// Time of the last attach, in seconds since the epoch; 0 = never. Read-only.
    #[getter]
    fn last_attach_time(&self) -> PyResult<i64> {
        Ok(self.stat()?.shm_atime)
    }

    /// Time of the last detach; 0 = never. Read-only.
    #[getter]
    fn last_detach_time(&self) -> PyResult<i64> {
        Ok(self.stat()?.shm_dtime)
    }

    /// Time of creation or of the last change of owner or mode. Read-only.
    #[getter]
    fn last_change_time(&self) -> PyResult<i64> {
        Ok(self.stat()?.shm_ctime)
    }

    /// The process that created it. Read-only.
    #[getter]
    fn creator_pid(&self) -> PyResult<i32> {
        Ok(self.stat()?.shm_cpid)
    }

    /// The process that attached or detached last; 0 = none. Read-only.
    #[getter]
    fn last_pid(&self) -> PyResult<i32> {
        Ok(self.stat()?.shm_lpid)
    }

    /// How many attachments there are, of all processes. Read-only.
    #[getter]
    fn number_attached(&self) -> PyResult<u64> {
        Ok(self.stat()?.shm_nattch)
    }

    /// Its permission bits.
    #[getter]
    fn mode(&self) -> PyResult<u16> {
        Ok(self.permissions()?.access().bits())
    }

    #[setter]
    fn set_mode(&self, mode: &Bound<'_, PyAny>) -> PyResult<()> {
        let mode = Some(arguments::mode(mode, "attribute 'mode' must be an integer")?);
        self.change(PermissionChange { mode, ..Default::default() })
    }

    /// User id of the owner.
    #[getter]
    fn uid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.uid)
    }

    #[setter]
    fn set_uid(&self, uid: &Bound<'_, PyAny>) -> PyResult<()> {
        let uid = Some(arguments::owner(uid, "Attribute 'uid' must be an integer")?);
        self.change(PermissionChange { uid, ..Default::default() })
    }

    /// Group id of the owner.
    #[getter]
    fn gid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.gid)
    }

    #[setter]
    fn set_gid(&self, gid: &Bound<'_, PyAny>) -> PyResult<()> {
        let gid = Some(arguments::owner(gid, "attribute 'gid' must be an integer")?);
        self.change(PermissionChange { gid, ..Default::default() })
    }

    /// User id of the creator. Read-only.
    #[getter]
    fn cuid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.cuid)
    }

    /// Group id of the creator. Read-only.
    #[getter]
    fn cgid(&self) -> PyResult<u32> {
        Ok(self.permissions()?.cgid)
    }

    fn __str__(&self) -> String {
        format!("Key={}, id={}", self.key.load(Relaxed), self.id.load(Relaxed))
    }

    fn __repr__(&self) -> String {
        format!("sysv_ipc.SharedMemory({})", self.key.load(Relaxed))
    }

    #[allow(unsafe_code)]
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        // SAFETY: Python gives a view that can be written to; no object in it says "failed".
        unsafe { (*view).obj = std::ptr::null_mut() };
        buffer::check_request(flags)?;
        let writable = flags & ffi::PyBUF_WRITABLE != 0;
        let memory = slf.get().attached.export(writable)?.ok_or_else(|| not_attached("Buffer"))?;
        let start = std::ptr::with_exposed_provenance_mut(memory.address());
        let (len, readonly) = (memory.size().cast_signed(), memory.readonly().into());
        // SAFETY: the view gets its own reference to this object, and once exported the memory
        // stays mapped as long as the object lives.
        match unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, len, readonly, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}

/// Attaches the segment that has an id.
///
/// Args:
///     id: The id.
///     address: As of `SharedMemory.attach`.
///     flags: As of `SharedMemory.attach`.
///
/// Returns:
///     A new SharedMemory, whose key is the segment's.
///
/// Raises:
///     As `SharedMemory.attach`.
///
/// See shmop(2), shmat.
#[pyfunction]
#[pyo3(
    signature = (id, address=Address::ANY, flags=0),
    text_signature = "(id, address=None, flags=0)"
)]
pub(in crate::python) fn attach(id: i32, address: Address, flags: i32) -> PyResult<SharedMemory> {
    let memory = attach_memory(id, address, flags)?;
    let shared = SharedMemory::none();
    shared.id.store(id, Relaxed);
    shared.key.store(memory.key().get(), Relaxed);
    shared.attached.set(memory);
    Ok(shared)
}

/// Removes the shared memory segment that has an id.
///
/// Args:
///     id: The id.
///
/// Raises:
///     ExistentialError: No segment has it.
///     PermissionsError: We are neither its owner nor its creator nor root.
///
/// See shmctl(2), IPC_RMID.
#[pyfunction]
#[pyo3(signature = (id, /))]
pub(in crate::python) fn remove_shared_memory(py: Python<'_>, id: i32) -> PyResult<()> {
    py.detach(|| Segment::ctl_rmid(id))
        .map_err(|errno| failed(id, errno, "remove the shared memory"))
}
