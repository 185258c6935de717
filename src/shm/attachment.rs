//! A segment's memory in this process. Other processes write there: it is only ever copied by raw
//! pointer, or reached by atomics, never borrowed as a slice.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, fence};

use nix::errno::Errno;

use super::SharedMemory;
use crate::error::{Error, Result};
use crate::ipc::Control;
use crate::sys;

/// How a segment is attached.
///
/// ```
/// use sysv_ipc_rs::shm::AttachOptions;
/// let readonly = AttachOptions { readonly: true, ..Default::default() };
/// assert_eq!(readonly.address, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttachOptions {
    /// `SHM_RDONLY`: it can't be written to.
    pub readonly: bool,
    /// `SHM_EXEC`: its bytes can be run as code.
    pub executable: bool,
    /// Where, instead of an address of the kernel's choice. It must be free.
    pub address: Option<usize>,
    /// `SHM_RND`: the address is rounded down to a multiple of SHMLBA.
    pub round_address: bool,
}

impl AttachOptions {
    fn flags(self) -> i32 {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        flag(self.readonly, libc::SHM_RDONLY)
            | flag(self.executable, libc::SHM_EXEC)
            | flag(self.round_address, libc::SHM_RND)
    }
}

/// A segment attached to this process. Drop detaches it.
#[derive(Debug)]
pub struct Attachment {
    segment: SharedMemory,
    address: usize,
    size: usize,
    readonly: bool,
}

/// Words that can be shared through an [`Attachment`].
pub trait AtomicWord: private::Load {}

mod private {
    use std::sync::atomic::Ordering;

    pub trait Load {
        type Int;

        fn load(&self, order: Ordering) -> Self::Int;
    }
}

macro_rules! atomic_words {
    ($($word:ty: $int:ty),*) => {$(
        impl private::Load for $word {
            type Int = $int;

            fn load(&self, order: std::sync::atomic::Ordering) -> $int {
                self.load(order)
            }
        }

        impl AtomicWord for $word {}
    )*};
}

atomic_words!(AtomicI32: i32, AtomicU32: u32, AtomicI64: i64, AtomicU64: u64);

impl Attachment {
    pub(super) fn new(segment: SharedMemory, options: AttachOptions) -> Result<Self> {
        let fail = |errno, text: &'static str| {
            Error::new("shmat", errno, SharedMemory::subject(segment.id())).because(text)
        };
        // The kernel would map the zero page, where no pointer may lead.
        if options.address.is_some_and(|address| address < sys::shmlba()) {
            return Err(fail(Errno::EINVAL, "the address is in the first page"));
        }
        // SAFETY: without SHM_REMAP nothing that is mapped is touched.
        let attached =
            unsafe { sys::shmat(segment.id(), options.address.unwrap_or(0), options.flags()) };
        let address = attached.map_err(|errno| {
            let error = SharedMemory::error("shmat", errno, segment.id());
            match (errno, options.address) {
                (Errno::ENOMEM, _) => error.because(
                    "no address space is left for it (RLIMIT_AS, and how many mappings a process \
                     may have, /proc/sys/vm/max_map_count, limit that too)",
                ),
                (Errno::EINVAL, Some(_)) if !SharedMemory::is_gone(segment.id()) => error.because(
                    "the address is not free, or no multiple of SHMLBA and not to be rounded",
                ),
                _ => error,
            }
        })?;
        let mut attachment = Self { segment, address, size: 0, readonly: options.readonly };
        // Only once it is attached does the id surely mean this segment.
        attachment.size = SharedMemory::stat_ds(segment.id())?.shm_segsz;
        Ok(attachment)
    }

    /// The segment that is attached.
    #[must_use]
    pub const fn segment(&self) -> SharedMemory {
        self.segment
    }

    /// Where the memory begins.
    #[must_use]
    pub const fn address(&self) -> usize {
        self.address
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether it was attached to be read only.
    #[must_use]
    pub const fn readonly(&self) -> bool {
        self.readonly
    }

    fn start(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.address)
    }

    /// A pointer to `len` bytes at `offset`, all inside the segment.
    #[inline]
    fn range(&self, offset: usize, len: usize) -> Result<*mut u8> {
        if offset.checked_add(len).is_none_or(|end| end > self.size) {
            return Err(self.outside(offset, len));
        }
        Ok(self.start().wrapping_add(offset))
    }

    #[inline]
    fn writable(&self, offset: usize, len: usize) -> Result<*mut u8> {
        if self.readonly {
            return Err(self.not_writable());
        }
        self.range(offset, len)
    }

    #[cold]
    fn outside(&self, offset: usize, len: usize) -> Error {
        let text = format!("{len} bytes at {offset} are not inside its {} bytes", self.size);
        self.refused(Errno::EINVAL, text)
    }

    #[cold]
    fn not_writable(&self) -> Error {
        self.refused(Errno::EACCES, "it is attached to be read only".to_owned())
    }

    #[cold]
    fn refused(&self, errno: Errno, text: String) -> Error {
        Error::new("shmat", errno, SharedMemory::subject(self.segment.id())).because(text)
    }

    /// Copies bytes at `offset` into `to`.
    ///
    /// # Errors
    /// `EINVAL` if they are not inside the segment.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        let from = self.range(offset, to.len())?;
        // SAFETY: the range is mapped as long as `self` lives, and `to` is not inside it: safe
        // code has no slice of shared memory.
        unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    /// As [`Self::read`], into new memory; gives it filled.
    ///
    /// # Errors
    /// As [`Self::read`].
    ///
    /// ```
    /// use std::mem::MaybeUninit;
    /// use sysv_ipc_rs::ipc::{Key, Mode};
    /// use sysv_ipc_rs::shm::SharedMemory;
    /// let memory = SharedMemory::create(Key::PRIVATE, 4, Mode::default(), Default::default())?;
    /// let attachment = memory.attach(Default::default())?;
    /// attachment.write(1, b"x")?;
    /// let mut to = [MaybeUninit::uninit(); 2];
    /// assert_eq!(attachment.read_uninit(0, &mut to)?, b"\0x");
    /// memory.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    pub fn read_uninit<'a>(
        &self,
        offset: usize,
        to: &'a mut [MaybeUninit<u8>],
    ) -> Result<&'a mut [u8]> {
        let from = self.range(offset, to.len())?;
        // SAFETY: as in `read`.
        unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr().cast(), to.len()) };
        // SAFETY: each byte has just been written.
        Ok(unsafe { to.assume_init_mut() })
    }

    /// Copies `from` to the bytes at `offset`.
    ///
    /// # Errors
    /// `EINVAL` if they are not inside the segment, `EACCES` if it is attached read-only.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result<()> {
        // SAFETY: the length is that of a live slice.
        unsafe { self.write_from(offset, from.as_ptr(), from.len()) }
    }

    /// Copies `len` bytes from a pointer, which may lead into the same segment.
    ///
    /// # Safety
    /// `from` can be read for `len` bytes.
    pub(crate) unsafe fn write_from(
        &self,
        offset: usize,
        from: *const u8,
        len: usize,
    ) -> Result<()> {
        let to = self.writable(offset, len)?;
        // SAFETY: both ranges are mapped, this one as long as `self` lives; they may overlap.
        unsafe { ptr::copy(from, to, len) };
        Ok(())
    }

    /// Sets `len` bytes at `offset` to `byte`.
    ///
    /// # Errors
    /// As [`Self::write`].
    ///
    /// ```
    /// use sysv_ipc_rs::ipc::{Key, Mode};
    /// use sysv_ipc_rs::shm::SharedMemory;
    /// let memory = SharedMemory::create(Key::PRIVATE, 4, Mode::default(), Default::default())?;
    /// let attachment = memory.attach(Default::default())?;
    /// attachment.fill(1, 2, b'x')?;
    /// let mut bytes = [9; 4];
    /// attachment.read(0, &mut bytes)?;
    /// assert_eq!(bytes, [0, b'x', b'x', 0]);
    /// memory.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    pub fn fill(&self, offset: usize, len: usize, byte: u8) -> Result<()> {
        let start = self.writable(offset, len)?;
        // SAFETY: the range is mapped and writable as long as `self` lives.
        unsafe { ptr::write_bytes(start, byte, len) };
        Ok(())
    }

    /// The word at `offset`, shared with every process that has the segment attached.
    ///
    /// Of a read-only attachment it can only be loaded, see [`Self::load`]: a store to it is a
    /// segmentation fault.
    ///
    /// # Errors
    /// `EINVAL` if it is not inside the segment or `offset` is no multiple of its size; `EACCES`
    /// if the segment is attached read-only.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use sysv_ipc_rs::ipc::{Key, Mode};
    /// use sysv_ipc_rs::shm::SharedMemory;
    /// let memory = SharedMemory::create(Key::PRIVATE, 64, Mode::default(), Default::default())?;
    /// let (one, two) = (memory.attach(Default::default())?, memory.attach(Default::default())?);
    /// one.atomic::<AtomicU64>(8)?.fetch_add(5, Ordering::SeqCst);
    /// assert_eq!(two.atomic::<AtomicU64>(8)?.load(Ordering::SeqCst), 5);
    /// memory.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    pub fn atomic<A: AtomicWord>(&self, offset: usize) -> Result<&A> {
        let word = aligned::<A>(self.writable(offset, size_of::<A>())?);
        let word = word.ok_or_else(|| self.unaligned(offset, size_of::<A>()))?;
        // SAFETY: inside the mapping, aligned, and mapped and writable as long as `self` lives;
        // atomics are what other processes may change meanwhile.
        Ok(unsafe { &*word })
    }

    /// The value of the word at `offset`, sequentially consistent, also of a read-only attachment.
    ///
    /// # Errors
    /// `EINVAL` as of [`Self::atomic`].
    ///
    /// ```
    /// use std::sync::atomic::{AtomicI32, Ordering};
    /// use sysv_ipc_rs::ipc::{Key, Mode};
    /// use sysv_ipc_rs::shm::{AttachOptions, SharedMemory};
    /// let memory = SharedMemory::create(Key::PRIVATE, 64, Mode::default(), Default::default())?;
    /// let readonly = memory.attach(AttachOptions { readonly: true, ..Default::default() })?;
    /// memory.attach(Default::default())?.atomic::<AtomicI32>(4)?.store(-1, Ordering::SeqCst);
    /// assert_eq!(readonly.load::<AtomicI32>(4)?, -1);
    /// assert!(readonly.atomic::<AtomicI32>(4).is_err());
    /// memory.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    pub fn load<A: AtomicWord>(&self, offset: usize) -> Result<A::Int> {
        if !self.readonly {
            return Ok(self.atomic::<A>(offset)?.load(SeqCst));
        }
        let word = aligned::<A>(self.range(offset, size_of::<A>())?);
        let word = word.ok_or_else(|| self.unaligned(offset, size_of::<A>()))?;
        fence(SeqCst);
        // SAFETY: inside the mapping, aligned, and mapped as long as `self` lives. Of read-only
        // memory Rust allows relaxed loads of words up to 8 bytes.
        let value = unsafe { &*word }.load(Relaxed);
        fence(SeqCst);
        Ok(value)
    }

    #[cold]
    fn unaligned(&self, offset: usize, size: usize) -> Error {
        let text = format!("offset {offset} is no multiple of the word's {size} bytes");
        self.refused(Errno::EINVAL, text)
    }
}

/// A pointer to a word, unless it is no multiple of the word's size (mappings begin with a page).
fn aligned<A>(pointer: *mut u8) -> Option<*mut A> {
    pointer.addr().is_multiple_of(size_of::<A>()).then(|| pointer.cast())
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // SAFETY: whoever uses the memory borrows `self` or keeps it alive.
        let _ = unsafe { sys::shmdt(self.address) };
    }
}
