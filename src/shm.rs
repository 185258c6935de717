//! Shared memory segments.
//!
//! # References
//! - [shmget(2)](https://man7.org/linux/man-pages/man2/shmget.2.html)
//! - [shmop(2)](https://man7.org/linux/man-pages/man2/shmop.2.html)
//! - [shmctl(2)](https://man7.org/linux/man-pages/man2/shmctl.2.html)

use std::ffi::c_int;

use libc::shmid_ds;
use nix::errno::Errno;

use crate::error::{Error, ErrorKind, Result, Subject};
use crate::ipc::{
    Control, GetFlags, Key, Kind, Mode, PermissionChange, Permissions, Time, open_or_create,
};
use crate::sys;
use crate::system::Limit;

mod attachment;

pub use attachment::{AtomicWord, AttachOptions, Attachment};

/// What the kernel tells about a segment (`struct shmid_ds`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SharedMemoryStat {
    /// The segment's id.
    pub id: i32,
    /// Owner, creator, key and mode. The mode has the flags above the nine permission bits.
    pub permissions: Permissions,
    /// Bytes, as asked for when it was created.
    pub size: u64,
    /// Time of the last attach, in seconds since the epoch; 0 = never.
    pub atime: Time,
    /// Time of the last detach; 0 = never.
    pub dtime: Time,
    /// Time of creation or of the last change by `shmctl`.
    pub ctime: Time,
    /// Process that created it.
    pub creator_pid: i32,
    /// Process that attached or detached last; 0 = none.
    pub last_pid: i32,
    /// How many attachments there are.
    pub attached: u64,
    /// Whether it goes away with its last attachment (`SHM_DEST`).
    pub marked_for_removal: bool,
    /// Whether it is kept from being swapped out (`SHM_LOCKED`).
    pub locked: bool,
}

impl SharedMemoryStat {
    pub(crate) fn new(id: i32, ds: shmid_ds) -> Self {
        let permissions: Permissions = ds.shm_perm.into();
        let has = |flag: c_int| c_int::from(permissions.mode) & flag != 0;
        Self {
            id,
            permissions,
            size: ds.shm_segsz as u64,
            atime: ds.shm_atime,
            dtime: ds.shm_dtime,
            ctime: ds.shm_ctime,
            creator_pid: ds.shm_cpid,
            last_pid: ds.shm_lpid,
            attached: ds.shm_nattch,
            marked_for_removal: has(sys::SHM_DEST),
            locked: has(sys::SHM_LOCKED),
        }
    }
}

/// What kind of pages a new segment gets.
///
/// ```
/// use sysv_ipc_rs::shm::CreateOptions;
/// assert_eq!(CreateOptions::default(), CreateOptions { huge_page_size: None, reserve: true });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateOptions {
    /// Huge pages of this size, a power of two (`SHM_HUGETLB`).
    pub huge_page_size: Option<u64>,
    /// Whether memory is set aside for it now. If not (`SHM_NORESERVE`), a touch of it can end in
    /// SIGBUS when there is none.
    pub reserve: bool,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { huge_page_size: None, reserve: true }
    }
}

impl CreateOptions {
    fn flags(self) -> Option<GetFlags> {
        let mut flags = if self.reserve { 0 } else { libc::SHM_NORESERVE };
        if let Some(size) = self.huge_page_size {
            // A shift of 0 would ask for the default size.
            if size < 2 || !size.is_power_of_two() || !self.reserve {
                return None;
            }
            flags |=
                libc::SHM_HUGETLB | (size.trailing_zeros().cast_signed() << sys::SHM_HUGE_SHIFT);
        }
        Some(GetFlags::from_bits_retain(flags))
    }
}

/// A handle on a shared memory segment. Copying or dropping it does nothing to the segment.
///
/// ```
/// use sysv_ipc_rs::ipc::{Key, Mode};
/// use sysv_ipc_rs::shm::{AttachOptions, CreateOptions, SharedMemory};
///
/// let memory = SharedMemory::create(Key::PRIVATE, 100, Mode::default(), CreateOptions::default())?;
/// let attachment = memory.attach(AttachOptions::default())?;
/// attachment.write(10, b"hello")?;
/// let mut text = [0; 5];
/// attachment.read(10, &mut text)?;
/// assert_eq!(&text, b"hello");
/// memory.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SharedMemory {
    id: i32,
    key: Key,
    size: usize,
}

impl Control for SharedMemory {
    const KIND: Kind = Kind::SharedMemory;
    const CALL: &'static str = "shmctl";
    const STAT_ANY: c_int = sys::SHM_STAT_ANY;
    type Ds = shmid_ds;

    #[inline]
    fn ctl_stat(id: i32, cmd: c_int) -> sys::Result<(c_int, shmid_ds)> {
        sys::shmctl_stat(id, cmd)
    }

    fn ctl_set(id: i32, ds: &shmid_ds) -> sys::Result<()> {
        sys::shmctl_set(id, ds)
    }

    fn ctl_rmid(id: i32) -> sys::Result<()> {
        sys::shmctl(id, libc::IPC_RMID).map(drop)
    }

    fn perm(ds: &mut shmid_ds) -> &mut libc::ipc_perm {
        &mut ds.shm_perm
    }
}

fn get(key: Key, size: usize, flags: GetFlags, mode: Mode) -> Result<i32> {
    key.named_unless(flags, Kind::SharedMemory, "shmget")?;
    sys::shmget(key.get(), size, flags.bits() | mode.flags())
        .map_err(|errno| get_error(errno, key, size, flags))
}

#[cold]
fn get_error(errno: Errno, key: Key, size: usize, flags: GetFlags) -> Error {
    let error = Error::new("shmget", errno, Subject::Key(Kind::SharedMemory, key));
    let huge = flags.bits() & libc::SHM_HUGETLB != 0;
    match errno {
        Errno::ENOENT => error.because("no shared memory segment has this key"),
        Errno::EEXIST => error.because("a shared memory segment with this key exists already"),
        Errno::EACCES => error.because("the segment's mode does not allow us that"),
        Errno::EPERM if huge => error.because(
            "huge pages need CAP_IPC_LOCK or membership in the group of \
             /proc/sys/vm/hugetlb_shm_group",
        ),
        Errno::ENOMEM if huge => error.because(format!(
            "not enough huge pages of that size are free for {size} bytes; \
             /proc/sys/vm/nr_hugepages sets aside more of the default size, \
             /sys/kernel/mm/hugepages of every size"
        )),
        Errno::ENOMEM => error.because(format!("no memory for a segment of {size} bytes")),
        Errno::ENOSPC => {
            let ids = Limit::now("SHMMNI", |limits| limits.shmmni, Some(|usage| usage.segments));
            let full = ids.used.is_some_and(|used| used >= ids.value);
            error.because(format!("no room for a segment of {size} bytes")).at_limit(if full {
                ids
            } else {
                Limit::now(
                    "SHMALL",
                    |limits| limits.shmall,
                    Some(|usage| usage.segment_bytes / sys::shmlba() as u64),
                )
            })
        }
        Errno::EINVAL => invalid_size(error, key, size, flags),
        _ => error,
    }
}

fn invalid_size(error: Error, key: Key, size: usize, flags: GetFlags) -> Error {
    let other = key == Key::PRIVATE || flags.contains(GetFlags::EXCLUSIVE);
    let existing = if other { None } else { sys::shmget(key.get(), 0, 0).ok() };
    if let Some(Ok(ds)) = existing.map(SharedMemory::stat_raw) {
        return error.because(format!(
            "asked for a segment of {size} bytes, but the one that exists has {}",
            ds.shm_segsz
        ));
    }
    let limit = Limit::now("SHMMAX", |limits| limits.shmmax, None);
    if size as u64 > limit.value {
        let text = format!("a segment of {size} bytes is too large");
        return error.of_kind(ErrorKind::LimitExceeded).because(text).at_limit(limit);
    }
    if flags.bits() & libc::SHM_HUGETLB != 0 {
        return error.because(
            "this machine has no huge pages of that size; /sys/kernel/mm/hugepages lists those \
             it has, /proc/sys/vm/nr_hugepages sets them aside",
        );
    }
    error.because(format!("{size} is no size for a segment"))
}

impl SharedMemory {
    /// `shmget(key, size, IPC_CREAT | IPC_EXCL)`—creates a segment of `size` zero bytes;
    /// [`Key::PRIVATE`] for one that no key leads to.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`]; [`ErrorKind::LimitExceeded`] at SHMMNI, SHMALL or SHMMAX, or
    /// without memory; `EINVAL` for a size of 0, or huge pages that there are none of.
    #[doc(alias = "shmget")]
    pub fn create(key: Key, size: usize, mode: Mode, options: CreateOptions) -> Result<Self> {
        let Some(extra) = options.flags() else {
            let error = Error::new("shmget", Errno::EINVAL, Subject::Key(Kind::SharedMemory, key));
            return Err(error.because(
                "a huge page's size is a power of two, and huge pages are always reserved",
            ));
        };
        let id = get(key, size, GetFlags::CREATE | GetFlags::EXCLUSIVE | extra, mode)?;
        Ok(Self { id, key, size })
    }

    /// Creates a segment that goes away with its last attachment, even if every process that has it
    /// attached is killed. The attachment that is given keeps it until others have attached; it is
    /// read-only if the mode lets the owner not write.
    ///
    /// # Errors
    /// As [`Self::create`] and [`Self::attach`]. Then nothing is left behind.
    ///
    /// ```
    /// use sysv_ipc_rs::{ErrorKind, ipc::Mode, shm::{CreateOptions, SharedMemory}};
    /// let (memory, attachment) =
    ///     SharedMemory::create_auto_remove(10, Mode::default(), CreateOptions::default())?;
    /// assert!(memory.stat()?.marked_for_removal);
    /// drop(attachment);
    /// assert_eq!(memory.stat().unwrap_err().kind(), ErrorKind::Removed);
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    pub fn create_auto_remove(
        size: usize,
        mode: Mode,
        options: CreateOptions,
    ) -> Result<(Self, Attachment)> {
        let memory = Self::create(Key::PRIVATE, size, mode, options)?;
        let readonly = mode.bits() & 0o200 == 0;
        let attachment = memory.attach(AttachOptions { readonly, ..Default::default() });
        Self::remove_id(memory.id)?;
        Ok((memory, attachment?))
    }

    /// `shmget(key, size, 0)`—opens the segment that has this key and at least `size` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::AccessDenied`]; `EINVAL` if it is smaller.
    ///
    /// ```
    /// use sysv_ipc_rs::{ErrorKind, ipc::Key, shm::SharedMemory};
    /// let error = SharedMemory::open(Key::from_name("nobody has made it"), 0).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// ```
    #[doc(alias = "shmget")]
    pub fn open(key: Key, size: usize) -> Result<Self> {
        let id = get(key, size, GetFlags::empty(), Mode::NONE)?;
        Ok(Self { key, ..Self::from_id(id)? })
    }

    /// Opens the segment that has this key and at least `size` bytes, or creates it.
    ///
    /// `mode` is for a new one; `owner` refuses one that isn't that user's alone, and is never
    /// created for another user than ours.
    ///
    /// # Errors
    /// As [`Self::open`], [`Self::create`] and [`Self::check_owner`].
    pub fn open_or_create(key: Key, size: usize, mode: Mode, owner: Option<u32>) -> Result<Self> {
        open_or_create(
            owner,
            || {
                let memory = Self::open(key, size)?;
                <Self as Control>::check_owner(memory.id, owner).map(|()| memory)
            },
            || Self::create(key, size, mode, CreateOptions::default()),
        )
    }

    /// The segment that has this id, also one that is marked for removal.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`] if no segment has it; [`ErrorKind::AccessDenied`] if the kernel tells
    /// nothing about it.
    pub fn from_id(id: i32) -> Result<Self> {
        let ds = Self::stat_ds(id)?;
        Ok(Self { id, key: Key::new(ds.shm_perm.__key), size: ds.shm_segsz })
    }

    /// The one that has this id, if there is one.
    #[cfg(feature = "python")]
    pub(crate) const fn bare(id: i32) -> Self {
        Self { id, key: Key::PRIVATE, size: 0 }
    }

    /// Refuses the segment unless `owner` both owns and created it.
    ///
    /// # Errors
    /// [`ErrorKind::UntrustedOwner`].
    pub fn check_owner(&self, owner: u32) -> Result<()> {
        <Self as Control>::check_owner(self.id, Some(owner))
    }

    /// The kernel's number for the segment.
    #[must_use]
    pub const fn id(&self) -> i32 {
        self.id
    }

    /// The key by which it was found or made.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }

    /// Its bytes, as the kernel counts them.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// `shmat(id, …)`—maps the segment into this process.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]; [`ErrorKind::AccessDenied`]; [`ErrorKind::LimitExceeded`] without
    /// address space; `EINVAL` for an address that is not free or not rounded.
    #[doc(alias = "shmat")]
    pub fn attach(&self, options: AttachOptions) -> Result<Attachment> {
        Attachment::new(*self, options)
    }

    /// `shmctl(id, IPC_STAT)`—owner, mode, size, times, and who has it attached.
    ///
    /// Where the mode forbids that, by `SHM_STAT_ANY`.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]; [`ErrorKind::AccessDenied`].
    #[doc(alias = "IPC_STAT")]
    pub fn stat(&self) -> Result<SharedMemoryStat> {
        Self::stat_ds(self.id).map(|ds| SharedMemoryStat::new(self.id, ds))
    }

    /// `shmctl(id, IPC_SET)`—changes owner, group or mode: one read and one write.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]; [`ErrorKind::AccessDenied`] for others than owner and creator.
    #[doc(alias = "IPC_SET")]
    pub fn set_permissions(&self, change: PermissionChange) -> Result<()> {
        Self::change(self.id, change)
    }

    /// `shmctl(id, SHM_LOCK)`—keeps the segment's pages from being swapped out, once touched.
    ///
    /// # Errors
    /// [`ErrorKind::AccessDenied`]; [`ErrorKind::LimitExceeded`] above `RLIMIT_MEMLOCK`.
    #[doc(alias = "SHM_LOCK")]
    pub fn lock_memory(&self) -> Result<()> {
        self.ctl(libc::SHM_LOCK)
    }

    /// `shmctl(id, SHM_UNLOCK)`—lets the segment's pages be swapped out again.
    ///
    /// # Errors
    /// [`ErrorKind::AccessDenied`].
    #[doc(alias = "SHM_UNLOCK")]
    pub fn unlock_memory(&self) -> Result<()> {
        self.ctl(libc::SHM_UNLOCK)
    }

    fn ctl(&self, cmd: c_int) -> Result<()> {
        sys::shmctl(self.id, cmd).map(drop).map_err(|errno| {
            let error = Self::error(Self::CALL, errno, self.id);
            match errno {
                Errno::ENOMEM => error.because("it is more than RLIMIT_MEMLOCK lets us lock"),
                Errno::EPERM => error.because("that needs its owner's rights and RLIMIT_MEMLOCK"),
                _ => error,
            }
        })
    }

    /// `shmctl(id, IPC_RMID)`—marks the segment for removal: no key leads to it any more, and it
    /// goes away with its last attachment.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`] if it is gone or marked already; [`ErrorKind::AccessDenied`].
    #[doc(alias = "IPC_RMID")]
    pub fn remove(&self) -> Result<()> {
        if self.stat()?.marked_for_removal {
            let error = Error::new(Self::CALL, Errno::EIDRM, Self::subject(self.id));
            return Err(
                error.because("it has been removed, and goes away with its last attachment")
            );
        }
        Self::remove_id(self.id)
    }
}
