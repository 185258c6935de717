//! A thread that stands in the kernel's queue for units of a semaphore, on behalf of an event loop.

use std::os::fd::{AsFd, BorrowedFd};

use super::{Operation, OperationFlags, SemaphoreGuard, SemaphoreSet};
use crate::error::Result;
use crate::sys;
use crate::wait::Deadline;
use crate::wait::stander::{Errand, Stander};

/// Takes so many units of a semaphore; 0 waits for the value 0.
#[derive(Debug)]
struct Taking {
    set: SemaphoreSet,
    index: u16,
}

impl Taking {
    /// Always with `SEM_UNDO`: if the process dies before the units are collected, they go back.
    fn operation(&self, delta: i16) -> [Operation; 1] {
        let flags = if delta == 0 { OperationFlags::empty() } else { OperationFlags::UNDO };
        [Operation::new(self.index, delta, flags)]
    }
}

impl Errand for Taking {
    type Wanted = i16;
    type Got = i16;

    fn get(&self, units: i16, deadline: Deadline) -> sys::Result<i16> {
        self.set.wait_raw(&self.operation(-units), deadline).map(|()| units)
    }

    fn must_go_back(units: i16) -> bool {
        units > 0
    }

    fn give_back(&self, units: i16) {
        if units > 0 {
            let _ = self.set.try_raw(&self.operation(units));
        }
    }
}

/// A thread that takes units of one semaphore, standing in the kernel's queue among those who wait,
/// and a descriptor that becomes readable when it has them.
///
/// Units that are not collected within 0.1 s (longer each time) go back, and the descriptor stays
/// readable: an event loop that never runs again keeps them from nobody. If the process dies they go
/// back too. Dropping it ends its thread. In a forked child it is inert.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, sem::{SemaphoreSet, Taker}};
///
/// let set = SemaphoreSet::create(Key::PRIVATE, &[1], Mode::default())?;
/// let taker = Taker::new(set, 0)?;
/// taker.want(1);
/// let guard = loop {
///     // Here an event loop would wait until `taker` is readable.
///     if let Some(guard) = taker.collect()? {
///         break guard;
///     }
/// };
/// assert_eq!(set.value(0)?, 0);
/// drop(guard);
/// assert_eq!(set.value(0)?, 1);
/// set.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct Taker(Stander<Taking>);

impl Taker {
    /// A thread that does nothing yet.
    ///
    /// # Errors
    /// The errno of `eventfd` or of making a thread.
    pub fn new(set: SemaphoreSet, index: u16) -> Result<Self> {
        Stander::new(Taking { set, index }).map(Self)
    }

    /// Whether this is the process that made it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.0.is_ours()
    }

    /// Begins to take so many units, or with 0 to wait until the value is 0. Goes on standing where
    /// it stands for as many already; what it has or stands for else is given up.
    pub fn want(&self, units: i16) {
        self.0.turn_to(Some(units));
    }

    /// Leaves the kernel's queue; what it has taken goes back.
    pub fn withdraw(&self) {
        self.0.turn_to(None);
    }

    /// The units, held with `SEM_UNDO`, if it has them. Otherwise, or where they have gone back
    /// meanwhile, it has to be told again what is wanted.
    ///
    /// # Errors
    /// Those of taking.
    pub fn collect(&self) -> Result<Option<SemaphoreGuard>> {
        let Taking { set, index } = *self.0.errand();
        let units = self.outcome()?.filter(|&units| units > 0);
        Ok(units.map(|units| SemaphoreGuard::new(set, index, units)))
    }

    /// Whether the value has been 0, if that was wanted.
    ///
    /// # Errors
    /// Those of waiting.
    pub fn was_zero(&self) -> Result<bool> {
        Ok(self.outcome()? == Some(0))
    }

    fn outcome(&self) -> Result<Option<i16>> {
        self.0.collect().map_err(|errno| self.0.errand().set.op_error(errno, 1))
    }
}

impl AsFd for Taker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
