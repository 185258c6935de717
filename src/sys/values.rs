//! Memory for the values of a semaphore set. GETALL and SETALL move as many as the set has, whatever
//! their caller expects, and an id can have become another set's.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use nix::errno::Errno;

use super::Result;

thread_local! {
    /// The memory of the thread's last call.
    static SPARE: Cell<Option<Values>> = const { Cell::new(None) };
}

/// Memory with a page behind it that nobody may touch: what would be moved beyond the end is EFAULT.
pub(super) struct Values {
    start: *mut c_void,
    /// In bytes, without that page.
    len: usize,
}

impl Values {
    /// Memory for at least `count` values.
    pub(super) fn new(count: usize) -> Result<Self> {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        spare.filter(|spare| size_of::<u16>() * count <= spare.len).map_or_else(|| map(count), Ok)
    }

    /// The last `count` values.
    pub(super) fn last(&mut self, count: usize) -> &mut [u16] {
        let offset = self.len - size_of::<u16>() * count;
        // SAFETY: it is inside the mapping.
        let start = unsafe { self.start.byte_add(offset) };
        // SAFETY: the mapping is aligned and has this room, was zero at first, and is ours alone.
        unsafe { std::slice::from_raw_parts_mut(start.cast(), count) }
    }

    /// Leaves it to the thread's next call.
    pub(super) fn spare(self) {
        let _ = SPARE.try_with(|spare| spare.set(Some(self)));
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        // SAFETY: the whole of the mapping, to which nothing else leads.
        unsafe { libc::munmap(self.start, self.len + super::shmlba()) };
    }
}

#[cold]
fn map(count: usize) -> Result<Values> {
    let page = super::shmlba();
    let len = (size_of::<u16>() * count).next_multiple_of(page);
    let (prot, flags) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice disturbs nothing.
    let start = unsafe { libc::mmap(ptr::null_mut(), len + page, prot, flags, -1, 0) };
    // Also where it says EAGAIN, of memory that is to be locked.
    if start == libc::MAP_FAILED {
        return Err(Errno::ENOMEM);
    }
    let values = Values { start, len };
    // SAFETY: all but the last page of the mapping, to which nothing else leads.
    match unsafe { libc::mprotect(start, len, libc::PROT_READ | libc::PROT_WRITE) } {
        0 => Ok(values),
        _ => Err(Errno::ENOMEM),
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use crate::ipc::{Key, Mode};
    use crate::sem::SemaphoreSet;
    use crate::sys;

    #[test]
    fn of_a_set_of_another_size_nothing_is_read_or_set() {
        let set = SemaphoreSet::create(Key::PRIVATE, &[7; 5], Mode::default()).unwrap();
        for size in [1, 4, 6, 5000] {
            assert_eq!(sys::semctl_getall(set.id(), size), Ok(None));
        }
        assert_eq!(sys::semctl_setall(set.id(), &[0; 4]), Err(Errno::EFAULT));
        assert_eq!(sys::semctl_getall(set.id(), 5), Ok(Some(vec![7; 5])));
        set.remove().unwrap();
    }
}
