//! Which process this is, told without a system call, and right after any kind of `fork`.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Names one process among its ancestors: a process and the child it forks have different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// The newest generation in this process's line of descent; a child inherits its parent's.
static NEWEST: AtomicU64 = AtomicU64::new(1);

/// A word that the kernel zeroes in every child (`MADV_WIPEONFORK`); null before it is mapped, and
/// where that can't be done. Without a lock, which a fork could leave locked for ever.
static WIPED_IN_CHILD: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

impl Generation {
    /// As a number, never 0.
    #[inline]
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// The generation of the calling process.
    #[inline]
    pub(crate) fn current() -> Self {
        match wiped_word() {
            Some(word) => match word.load(Ordering::Acquire) {
                0 => Self(adopt(word)),
                generation => Self(generation),
            },
            None => Self(u64::from(std::process::id())),
        }
    }
}

/// Gives a process that has none yet its generation. Its threads may race: one wins.
///
/// A generation is counted before it is anybody's: also a child that is forked meanwhile gets a
/// newer one.
#[cold]
fn adopt(word: &AtomicU64) -> u64 {
    let mine = NEWEST.fetch_add(1, Ordering::AcqRel) + 1;
    word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire)
        .map_or_else(|it| it, |_| mine)
}

#[inline]
fn wiped_word() -> Option<&'static AtomicU64> {
    let mut word = WIPED_IN_CHILD.load(Ordering::Acquire);
    if word.is_null() {
        word = publish(map_wiped_page()?);
    }
    // SAFETY: page-aligned, zeroed and never unmapped: a valid AtomicU64 for the process's life.
    Some(unsafe { &*word })
}

/// Makes the page the one in use, unless another thread was faster.
#[cold]
fn publish(page: *mut AtomicU64) -> *mut AtomicU64 {
    let null = ptr::null_mut();
    match WIPED_IN_CHILD.compare_exchange(null, page, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => page,
        Err(first) => {
            unmap(page);
            first
        }
    }
}

#[cold]
fn map_wiped_page() -> Option<*mut AtomicU64> {
    let (len, zero) = (super::shmlba(), ptr::null_mut());
    let (prot, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice disturbs nothing.
    let page = unsafe { libc::mmap(zero, len, prot, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the range is the mapping made above.
    if unsafe { libc::madvise(page, len, libc::MADV_WIPEONFORK) } != 0 {
        unmap(page.cast());
        return None;
    }
    Some(page.cast())
}

/// Unmaps a page of [`map_wiped_page`] that was never published.
fn unmap(page: *mut AtomicU64) {
    // SAFETY: the mapping of that function, to which nothing else points.
    unsafe { libc::munmap(page.cast(), super::shmlba()) };
}
