//! `SharedMemory`; its memory in this process is in `attachment`.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::convert::{Flag, Id, ModeBits, NamedKey, NewKey, NewOwner, Owner};
use super::handle;
use super::record::record;
use crate::ipc::Key;
use crate::shm::{self as core, AttachOptions, CreateOptions};

mod atomic;
mod attachment;
mod guarded;
mod iterator;
mod mapping;
mod types;

pub(super) use atomic::AtomicInteger;
pub(super) use attachment::Attachment;
pub(super) use iterator::AttachmentIterator;
pub(super) use mapping::Memory;
use types::{Address, HugePageSize, LeastSize, NewSize};

record! {
    /// What the kernel tells about a shared memory segment, at one moment (`struct shmid_ds`).
    ///
    /// See shmctl(2), IPC_STAT.
    "sysv_ipc_rs" SharedMemoryStat {
        /// The key it was created with; 0 = IPC_PRIVATE, also once it is marked for removal.
        key: i32,
        /// The kernel's number for it.
        id: i32,
        /// User id of the owner.
        uid: u32,
        /// Group id of the owner.
        gid: u32,
        /// User id of the creator.
        cuid: u32,
        /// Group id of the creator.
        cgid: u32,
        /// The nine permission bits.
        mode: u16,
        /// Which use of its slot in the kernel's table this object is.
        seq: u16,
        /// Bytes.
        size: u64,
        /// Time of the last attach, in seconds since the epoch; 0 = never.
        atime: i64,
        /// Time of the last detach; 0 = never.
        dtime: i64,
        /// Time of creation or of the last change by shmctl.
        ctime: i64,
        /// Process that created it.
        creator_pid: i32,
        /// Process that attached or detached last; 0 = none.
        last_pid: i32,
        /// How many attachments there are, of all processes.
        attached: u64,
        /// Whether it goes away with its last attachment.
        marked_for_removal: bool,
        /// Whether it is kept from being swapped out.
        locked: bool,
    }
}

impl From<core::SharedMemoryStat> for SharedMemoryStat {
    fn from(stat: core::SharedMemoryStat) -> Self {
        let owner = stat.permissions;
        Self {
            key: owner.key.get(),
            id: stat.id,
            uid: owner.uid,
            gid: owner.gid,
            cuid: owner.cuid,
            cgid: owner.cgid,
            mode: owner.access().bits(),
            seq: owner.seq,
            size: stat.size,
            atime: stat.atime,
            dtime: stat.dtime,
            ctime: stat.ctime,
            creator_pid: stat.creator_pid,
            last_pid: stat.last_pid,
            attached: stat.attached,
            marked_for_removal: stat.marked_for_removal,
            locked: stat.locked,
        }
    }
}

/// A System V shared memory segment: memory that processes have in common once they attach it.
///
/// A handle: creating or opening one attaches nothing, dropping it removes nothing (but see
/// `auto_remove` of `create`). Made by `create`, `open`, `open_or_create` and `from_id`; equal and
/// hashed by id; pickled as id and key.
///
/// See shmget(2), shmop(2), shmctl(2).
#[pyclass(frozen, eq, hash, weakref, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct SharedMemory {
    segment: core::SharedMemory,
    /// Of a segment that goes away with its last attachment.
    _kept: Option<Arc<Memory>>,
}

impl SharedMemory {
    const fn of(segment: core::SharedMemory) -> Self {
        Self { segment, _kept: None }
    }

    fn owned(segment: core::SharedMemory, owner: Owner) -> PyResult<Self> {
        owner.0.map_or(Ok(()), |owner| segment.check_owner(owner))?;
        Ok(Self::of(segment))
    }

    fn auto_removed(
        key: NewKey,
        size: NewSize,
        mode: ModeBits,
        options: CreateOptions,
    ) -> PyResult<Self> {
        if key.0 != Key::PRIVATE {
            return Err(PyValueError::new_err(
                "auto_remove=True takes no key: the segment is marked for removal at once, and no \
                 key leads to such a segment",
            ));
        }
        let (segment, kept) = core::SharedMemory::create_auto_remove(size.0, mode.0, options)?;
        Ok(Self { segment, _kept: Some(Memory::new(kept)) })
    }
}

impl PartialEq for SharedMemory {
    fn eq(&self, other: &Self) -> bool {
        self.segment.id() == other.segment.id()
    }
}

impl std::hash::Hash for SharedMemory {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        ("SharedMemory", self.segment.id()).hash(state);
    }
}

#[pymethods]
impl SharedMemory {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        handle::no_constructor("SharedMemory")
    }

    /// Creates a segment of zero bytes, which must not exist yet.
    ///
    /// Args:
    ///     key: The key it will be found by; `IPC_PRIVATE` (0) for none.
    ///     size: How many bytes it has, at least 1.
    ///     mode: Who may attach it, 0 to 0o777; there is no umask in System V IPC.
    ///     auto_remove: It goes away when the last process that has it attached lets go or dies,
    ///         also by SIGKILL. This handle keeps one hidden attachment: keep it until the others,
    ///         who open it by id or pickle, have attached. It can have no key, and `remove` says
    ///         RemovedError.
    ///     huge_page_size: Bytes of the huge pages to use, a power of two; None for ordinary pages.
    ///     reserve: Sets memory aside for all of it now. If not, a touch of it when there is none
    ///         kills the process by SIGBUS; huge pages are always reserved.
    ///
    /// Returns:
    ///     The new segment's handle.
    ///
    /// Raises:
    ///     AlreadyExistsError: The key has a segment already.
    ///     LimitExceededError: SHMMNI, SHMALL or SHMMAX is reached, or there is no memory, or there
    ///         are too few huge pages (/proc/sys/vm/nr_hugepages).
    ///     AccessDeniedError: Huge pages need CAP_IPC_LOCK or a group's membership.
    ///     ValueError: An argument is out of range, or does not go with another.
    ///
    /// See shmget(2).
    #[classmethod]
    #[pyo3(
        signature = (
            key=NewKey::PRIVATE, *, size, mode=ModeBits::OURS, auto_remove=Flag::NO,
            huge_page_size=HugePageSize::ORDINARY, reserve=Flag::YES
        ),
        text_signature = "($cls, key=0, *, size, mode=0o600, auto_remove=False, \
                          huge_page_size=None, reserve=True)"
    )]
    #[allow(clippy::too_many_arguments, reason = "as many as the interface has")]
    fn create(
        cls: &Bound<'_, PyType>,
        key: NewKey,
        size: NewSize,
        mode: ModeBits,
        auto_remove: Flag,
        huge_page_size: HugePageSize,
        reserve: Flag,
    ) -> PyResult<Py<Self>> {
        if huge_page_size.0.is_some() && !reserve.0 {
            return Err(PyValueError::new_err(
                "huge_page_size and reserve=False don't go together: huge pages are always \
                 reserved",
            ));
        }
        let options = CreateOptions { huge_page_size: huge_page_size.0, reserve: reserve.0 };
        if auto_remove.0 {
            return Py::new(cls.py(), Self::auto_removed(key, size, mode, options)?);
        }
        let segment = core::SharedMemory::create(key.0, size.0, mode.0, options)?;
        handle::created(cls.py(), Self::of(segment), || segment.remove())
    }

    /// Opens the segment that a key leads to.
    ///
    /// Args:
    ///     key: Its key.
    ///     size: How many bytes it must have at least.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     The segment's handle.
    ///
    /// Raises:
    ///     NotFoundError: No segment has the key.
    ///     IPCError: It is smaller (EINVAL).
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///
    /// See shmget(2).
    #[classmethod]
    #[pyo3(
        signature = (key, *, size=LeastSize::ANY, owner=Owner::ANYBODY),
        text_signature = "($cls, key, *, size=0, owner=None)"
    )]
    fn open(
        _cls: &Bound<'_, PyType>,
        key: NamedKey,
        size: LeastSize,
        owner: Owner,
    ) -> PyResult<Self> {
        Self::owned(core::SharedMemory::open(key.0, size.0)?, owner)
    }

    /// Opens the segment that a key leads to, or creates it.
    ///
    /// Args:
    ///     key: Its key.
    ///     size: How many bytes a new one has, and one that exists must have at least.
    ///     mode: Who may attach a new segment.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     The segment's handle.
    ///
    /// Raises:
    ///     NotFoundError: There is none, and `owner` is not our effective user id.
    ///     IPCError: The one that exists is smaller (EINVAL).
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///     LimitExceededError: SHMMNI, SHMALL or SHMMAX is reached, or there is no memory.
    ///
    /// See shmget(2).
    #[classmethod]
    #[pyo3(
        signature = (key, *, size, mode=ModeBits::OURS, owner=Owner::ANYBODY),
        text_signature = "($cls, key, *, size, mode=0o600, owner=None)"
    )]
    fn open_or_create(
        _cls: &Bound<'_, PyType>,
        key: NamedKey,
        size: NewSize,
        mode: ModeBits,
        owner: Owner,
    ) -> PyResult<Self> {
        Ok(Self::of(core::SharedMemory::open_or_create(key.0, size.0, mode.0, owner.0)?))
    }

    /// The segment that has an id, also one that is marked for removal.
    ///
    /// Args:
    ///     id: The kernel's number, as `ipcs -m` shows it.
    ///     owner: The user id that must both own it and have created it.
    ///
    /// Returns:
    ///     The segment's handle.
    ///
    /// Raises:
    ///     RemovedError: No segment has the id.
    ///     AccessDeniedError: Its mode tells us nothing about it.
    ///     UntrustedOwnerError: It is not that owner's alone.
    ///
    /// See shmctl(2), IPC_STAT.
    #[classmethod]
    #[pyo3(signature = (id, *, owner=Owner::ANYBODY), text_signature = "($cls, id, *, owner=None)")]
    fn from_id(_cls: &Bound<'_, PyType>, id: Id, owner: Owner) -> PyResult<Self> {
        Self::owned(core::SharedMemory::from_id(id.0)?, owner)
    }

    /// The key by which it was found or made; 0 = IPC_PRIVATE.
    #[getter]
    fn key(&self) -> i32 {
        self.segment.key().get()
    }

    /// The kernel's number for it.
    #[getter]
    fn id(&self) -> i32 {
        self.segment.id()
    }

    /// How many bytes it has, as the kernel counts them.
    #[getter]
    fn size(&self) -> usize {
        self.segment.size()
    }

    /// Maps the segment into this process.
    ///
    /// Args:
    ///     readonly: It can't be written to.
    ///     address: Where, in a range of addresses that is free; None for wherever the kernel
    ///         likes.
    ///     executable: Its bytes can be run as code.
    ///     round_address: Rounds the address down to a multiple of SHMLBA; else it has to be one.
    ///
    /// Returns:
    ///     The attachment, which is detached by its `detach`, at the end of a `with` block, or when
    ///     it is dropped.
    ///
    /// Raises:
    ///     RemovedError: The segment is gone.
    ///     AccessDeniedError: Its mode forbids it.
    ///     IPCError: The address is taken or not aligned (EINVAL).
    ///     LimitExceededError: No address space is left.
    ///     ValueError: The address is in the first page or beyond every process's.
    ///
    /// See shmop(2), shmat.
    #[pyo3(
        signature = (
            *, readonly=Flag::NO, address=Address::ANY, executable=Flag::NO, round_address=Flag::NO
        ),
        text_signature =
            "($self, *, readonly=False, address=None, executable=False, round_address=False)"
    )]
    fn attach(
        &self,
        readonly: Flag,
        address: Address,
        executable: Flag,
        round_address: Flag,
    ) -> PyResult<Attachment> {
        Ok(Attachment::of(self.segment.attach(AttachOptions {
            readonly: readonly.0,
            executable: executable.0,
            address: address.0,
            round_address: round_address.0,
        })?))
    }

    /// Owner, mode, size, times, and how often it is attached, at one moment.
    ///
    /// Raises:
    ///     RemovedError: The segment is gone.
    ///     AccessDeniedError: The kernel tells us nothing about it.
    ///
    /// See shmctl(2), IPC_STAT and SHM_STAT_ANY.
    fn stat(&self) -> PyResult<SharedMemoryStat> {
        Ok(self.segment.stat()?.into())
    }

    /// Keeps the segment's pages from being swapped out, once they have been touched.
    ///
    /// Raises:
    ///     RemovedError: The segment is gone.
    ///     AccessDeniedError: We are neither its owner nor its creator, or RLIMIT_MEMLOCK is 0.
    ///     LimitExceededError: It is more than RLIMIT_MEMLOCK allows.
    ///
    /// See shmctl(2), SHM_LOCK.
    fn lock_memory(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.segment.lock_memory())?)
    }

    /// Lets the segment's pages be swapped out again.
    ///
    /// Raises:
    ///     RemovedError: The segment is gone.
    ///     AccessDeniedError: We are neither its owner nor its creator.
    ///
    /// See shmctl(2), SHM_UNLOCK.
    fn unlock_memory(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.segment.unlock_memory())?)
    }

    /// Changes who may attach the segment. One read and one write, so not atomic against other
    /// changes; attachments that exist stay.
    ///
    /// Args:
    ///     mode: The nine permission bits, 0 to 0o777.
    ///
    /// Raises:
    ///     RemovedError: The segment is gone.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See shmctl(2), IPC_SET.
    fn chmod(&self, mode: ModeBits) -> PyResult<()> {
        handle::chmod::<core::SharedMemory>(self.segment.id(), mode)
    }

    /// Gives the segment to another user or group. The creator keeps its rights.
    ///
    /// Args:
    ///     uid: New owner's user id; -1 leaves it.
    ///     gid: New owner's group id; -1 leaves it.
    ///
    /// Raises:
    ///     RemovedError: The segment is gone.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See shmctl(2), IPC_SET.
    #[pyo3(
        signature = (uid=NewOwner::SAME, gid=NewOwner::SAME),
        text_signature = "($self, uid=-1, gid=-1)"
    )]
    fn chown(&self, uid: NewOwner, gid: NewOwner) -> PyResult<()> {
        handle::chown::<core::SharedMemory>(self.segment.id(), uid, gid)
    }

    /// Marks the segment for removal: no key leads to it any more, and it goes away with its last
    /// attachment, at once if there is none.
    ///
    /// Raises:
    ///     RemovedError: It is gone, or marked already.
    ///     AccessDeniedError: We are neither its owner nor its creator nor root.
    ///
    /// See shmctl(2), IPC_RMID.
    fn remove(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.segment.remove())?)
    }

    fn __repr__(&self) -> String {
        handle::repr("SharedMemory", self.segment.key(), self.segment.id())
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let pickled = [self.segment.id().into(), self.segment.key().get().into()];
        handle::reduce(py, "reopen_shared_memory", pickled)
    }
}

/// Opens a pickled segment.
#[pyfunction]
pub(super) fn reopen_shared_memory(id: i32, key: i32) -> PyResult<SharedMemory> {
    let segment = core::SharedMemory::from_id(id)?;
    handle::same_key::<core::SharedMemory>(id, segment.key(), key)?;
    Ok(SharedMemory::of(segment))
}
