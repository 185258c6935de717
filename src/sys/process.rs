//! Which process this is, told without a system call, and right after any kind of `fork`.

use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names one process among its ancestors: a process and the child it forks have different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// The newest generation in this process's line of descent; a child inherits its parent's.
static NEWEST: AtomicU64 = AtomicU64::new(1);

/// A word that the kernel zeroes in every child (`MADV_WIPEONFORK`), or `None` on a kernel that
/// can't.
static WIPED_IN_CHILD: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();

impl Generation {
    /// The generation of the calling process.
    #[inline]
    pub(crate) fn current() -> Self {
        match WIPED_IN_CHILD.get_or_init(map_wiped_word) {
            Some(word) => match word.load(Ordering::Acquire) {
                0 => Self(adopt(word)),
                generation => Self(generation),
            },
            None => Self(u64::from(std::process::id())),
        }
    }
}

/// Gives a process that has none yet its generation. Its threads may race: one wins.
#[cold]
fn adopt(word: &AtomicU64) -> u64 {
    let mine = NEWEST.load(Ordering::Acquire) + 1;
    match word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            NEWEST.fetch_max(mine, Ordering::AcqRel);
            mine
        }
        Err(other) => other,
    }
}

#[cold]
fn map_wiped_word() -> Option<&'static AtomicU64> {
    let (len, zero) = (super::shmlba(), std::ptr::null_mut());
    let (prot, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice disturbs nothing.
    let page = unsafe { libc::mmap(zero, len, prot, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the range is the mapping made above.
    if unsafe { libc::madvise(page, len, libc::MADV_WIPEONFORK) } != 0 {
        // SAFETY: the mapping made above, to which nothing points.
        unsafe { libc::munmap(page, len) };
        return None;
    }
    // SAFETY: page-aligned, zeroed and never unmapped: a valid AtomicU64 for the process's life.
    let word = unsafe { NonNull::new(page.cast::<AtomicU64>())?.as_ref() };
    adopt(word);
    Some(word)
}
