//! What is taken and given back exactly once.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Operation, OperationFlags, SemaphoreSet};
use crate::error::Result;
use crate::sys::process::Generation;
use crate::wait::Deadline;

/// Units taken from a semaphore with `SEM_UNDO`, given back exactly once: by
/// [`release`](Self::release), on drop, or by the kernel when the process ends, however it ends.
///
/// In a child forked while it is held, it is inert: the child doesn't own what the parent holds.
///
/// Setting the semaphore's value meanwhile makes the kernel forget what it would undo; giving back
/// adds the units all the same, and when the process ends the kernel takes them away again.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, sem::SemaphoreSet, wait::Deadline};
/// let set = SemaphoreSet::create(Key::PRIVATE, &[1], Mode::default())?;
/// let guard = set.hold(0, 1, Deadline::NEVER)?;
/// assert_eq!(set.value(0)?, 0);
/// drop(guard);
/// assert_eq!(set.value(0)?, 1);
/// set.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct SemaphoreGuard {
    set: SemaphoreSet,
    index: u16,
    units: i16,
    taker: Generation,
    held: AtomicBool,
}

impl SemaphoreGuard {
    /// The operation that takes `units`.
    pub(crate) const fn take(index: u16, units: i16) -> Operation {
        Operation::new(index, -units, OperationFlags::UNDO)
    }

    /// A guard over units that this process has just taken by [`Self::take`].
    pub(crate) fn new(set: SemaphoreSet, index: u16, units: i16) -> Self {
        Self { set, index, units, taker: Generation::current(), held: AtomicBool::new(true) }
    }

    /// The set that the units are of.
    #[must_use]
    pub const fn set(&self) -> SemaphoreSet {
        self.set
    }

    /// Which semaphore of the set.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// Whether this process still holds the units.
    #[must_use]
    pub fn held(&self) -> bool {
        self.held.load(Ordering::Acquire) && self.is_ours()
    }

    /// Whether the units were taken by this process, not by one that has forked it.
    pub(crate) fn is_ours(&self) -> bool {
        self.taker == Generation::current()
    }

    /// Gives the units back, if that hasn't been done.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`](crate::ErrorKind::Removed) if the set is gone;
    /// [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) if the value was set so high
    /// meanwhile that it would pass SEMVMX. The guard holds nothing afterwards.
    pub fn release(&self) -> Result<()> {
        if !self.is_ours() || !self.held.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let give = Operation::new(self.index, self.units, OperationFlags::UNDO);
        self.set.try_raw(&[give]).map_err(|errno| self.set.op_error(errno, 1))
    }

    /// Makes it as if the units had been taken without `SEM_UNDO`: nothing gives them back by
    /// itself any more.
    pub fn keep(self) {
        if !self.is_ours() || !self.held.swap(false, Ordering::AcqRel) {
            return;
        }
        // One step, in which nobody else can take them. Where it is refused (the set is gone, or
        // its mode forbids it by now), they stay taken, and go back when the process ends.
        let give = Operation::new(self.index, self.units, OperationFlags::UNDO);
        let take = Operation::new(self.index, -self.units, OperationFlags::empty());
        let _ = self.set.try_raw(&[give, take]);
    }
}

impl Drop for SemaphoreGuard {
    fn drop(&mut self) {
        // Most have given back by now, which nobody else can do at this moment.
        if *self.held.get_mut() {
            // Nobody can be told any more: a removed set has nothing to give back to.
            let _ = self.release();
        }
    }
}

impl SemaphoreSet {
    /// Takes `units` of semaphore `index` with `SEM_UNDO`, waiting until `deadline`.
    ///
    /// # Errors
    /// As [`Self::op_deadline`]; `EINVAL` if `units` is less than 1.
    pub fn hold(&self, index: u16, units: i16, deadline: Deadline) -> Result<SemaphoreGuard> {
        if units < 1 {
            return Err(self.op_error(nix::errno::Errno::EINVAL, 1));
        }
        self.op_deadline(&[SemaphoreGuard::take(index, units)], deadline)?;
        Ok(SemaphoreGuard::new(*self, index, units))
    }
}
