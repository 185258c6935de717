//! Attachments by bare address, as C has them: which of them are whose caller's to detach.
//!
//! A table without locks, so that a fork at any moment leaves the child a good one: it inherits the
//! attachments too.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use nix::errno::Errno;

use super::Result;

const BUCKETS: usize = 1024;

/// In a slot without an attachment: `shmat`'s failure, and so never an address of one.
const FREE: usize = usize::MAX;

/// The place of one attachment; used again, never freed.
struct Slot {
    address: AtomicUsize,
    next: Option<&'static Slot>,
}

static HEADS: [AtomicPtr<Slot>; BUCKETS] = [const { AtomicPtr::new(ptr::null_mut()) }; BUCKETS];

impl Slot {
    fn change(&self, from: usize, to: usize) -> bool {
        self.address.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

fn head(address: usize) -> &'static AtomicPtr<Slot> {
    &HEADS[address / 4096 % BUCKETS]
}

fn slot(head: *mut Slot) -> Option<&'static Slot> {
    // SAFETY: null, or a slot that is complete before it is published, and never freed.
    unsafe { head.as_ref() }
}

fn slots(address: usize) -> impl Iterator<Item = &'static Slot> {
    let first = slot(head(address).load(Ordering::Acquire));
    std::iter::successors(first, |slot| slot.next)
}

fn remember(address: usize) {
    if slots(address).any(|slot| slot.change(FREE, address)) {
        return;
    }
    let head = head(address);
    let new = Box::into_raw(Box::new(Slot { address: AtomicUsize::new(address), next: None }));
    let mut first = head.load(Ordering::Acquire);
    loop {
        // SAFETY: nobody else knows the new slot before it is published.
        unsafe { (*new).next = slot(first) };
        match head.compare_exchange_weak(first, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(newer) => first = newer,
        }
    }
}

/// Something else is attached at the address now.
pub(super) fn forget(address: usize) {
    slots(address).for_each(|slot| _ = slot.change(address, FREE));
}

/// `shmat`, whose answer is [`detach`]'s to take.
pub(crate) fn attach(id: c_int, address: usize, flags: c_int) -> Result<usize> {
    // SAFETY: with SHM_REMAP it is the caller from Python who vouches, as raw's docs say.
    let start = unsafe { super::shmat(id, address, flags) }?;
    remember(start);
    Ok(start)
}

/// `shmdt` of what [`attach`] gave, once for each time; EINVAL for any other address.
pub(crate) fn detach(address: usize) -> Result<()> {
    if !slots(address).any(|slot| slot.change(address, FREE)) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: an attachment that has no owner; who has its address answers for its use.
    unsafe { super::shmdt(address) }
}
