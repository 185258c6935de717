//! `RWLock`.

use super::program::End;
use super::protocols::{
    GATE, READ_GIVE, READ_TAKE, READERS, RWLOCK, WRITE_GIVE, WRITE_TAKE, WRITTEN,
};
use super::run::Run;
use super::{Object, Released};
use crate::error::Result;
use crate::ipc::{Key, Mode};
use crate::sem::SemaphoreSet;
use crate::wait::Deadline;

object! {
    /// A lock that many readers hold at once, or one writer. Both stand in one queue, so neither
    /// kind starves. A writer's death is told to the next of either kind.
    ///
    /// It belongs to the process: any of its threads may give it back, a forked child may not.
    ///
    /// ```
    /// use sysv_ipc_rs::{ipc::{Key, Mode}, sync::{RWLock, Released}, wait::Deadline};
    /// let lock = RWLock::create(Key::PRIVATE, Mode::default())?;
    /// assert!(lock.acquire_read(Deadline::NEVER)? && lock.acquire_read(Deadline::NEVER)?);
    /// let now = Deadline::after(std::time::Duration::ZERO);
    /// assert!(!lock.acquire_write(now)?);
    /// assert_eq!((lock.release_read()?, lock.release_read()?), (Released::Yes, Released::Yes));
    /// assert!(lock.acquire_write(now)? && !lock.acquire_read(now)?);
    /// assert_eq!(lock.release_write()?, Released::Yes);
    /// lock.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    RWLock: RWLOCK
}

impl RWLock {
    /// Creates a lock that nobody holds.
    ///
    /// # Errors
    /// As [`SemaphoreSet::create`].
    pub fn create(key: Key, mode: Mode) -> Result<Self> {
        Object::create(key, &RWLOCK.values(), mode).map(Self)
    }

    /// Takes it to read, waiting until `deadline`; whether it was taken.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op_deadline`], but not that the time was up;
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) beside 32,767 readers.
    pub fn acquire_read(&self, deadline: Deadline) -> Result<bool> {
        self.0.finish(self.taking(false).go(deadline), |end| self.took(false, end))
    }

    /// Takes it to write, waiting until `deadline`; whether it was taken.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op_deadline`], but not that the time was up.
    pub fn acquire_write(&self, deadline: Deadline) -> Result<bool> {
        let mut run = self.taking(true);
        let ended = run.go(deadline);
        if ended.is_err() {
            let _ = run.give_up();
        }
        self.0.finish(ended, |end| self.took(true, end))
    }

    #[inline]
    pub(crate) fn taking(&self, write: bool) -> Run {
        Run::new(self.0.set, if write { WRITE_TAKE } else { READ_TAKE })
    }

    /// Whether the run of [`Self::taking`] that ended so has taken it.
    #[inline]
    pub(crate) fn took(&self, write: bool, end: End) -> bool {
        let (holding, died) = (&self.0.holding, end == End::Died);
        match end {
            End::Done | End::Died if write => holding.take(died),
            End::Done | End::Died => holding.add_told_unit(died),
            _ => return false,
        }
        true
    }

    /// Gives back what was taken to read.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`]. Then it is still held, unless it has been removed.
    #[inline]
    pub fn release_read(&self) -> Result<Released> {
        if self.0.holding.take_unit() {
            return self.0.give(READ_GIVE, || self.0.holding.add_unit());
        }
        Ok(Released::unless_held(self.0.set.value(READERS)? > 0))
    }

    /// Gives back what was taken to write.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`]. Then it is still held, unless it has been removed.
    #[inline]
    pub fn release_write(&self) -> Result<Released> {
        if self.0.holding.let_go() {
            return self.0.give(WRITE_GIVE, || self.0.holding.keep());
        }
        let written = self.0.set.value(GATE)? == 0 && self.0.set.value(WRITTEN)? > 0;
        Ok(Released::unless_held(written))
    }

    /// Whether this process holds it, and was told that a writer before it died as one.
    #[must_use]
    pub fn owner_died(&self) -> bool {
        self.0.holding.died() || self.0.holding.told()
    }
}
