//! Locks: `Lock` belongs to a process, `RLock` to one thread of it.

use nix::errno::Errno;

use super::program::End;
use super::protocols::{LOCK, LOCK_GIVE, LOCK_TAKE, LOCKS};
use super::run::Run;
use super::{Object, Released};
use crate::error::Result;
use crate::ipc::{Key, Mode};
use crate::sem::SemaphoreSet;
use crate::sys;
use crate::wait::Deadline;

object! {
    /// A lock between processes, which the kernel gives back when its holder dies, however it dies.
    ///
    /// It belongs to the process: any of its threads may give it back, a forked child may not.
    ///
    /// ```
    /// use sysv_ipc_rs::{ipc::{Key, Mode}, sync::{Lock, Released}, wait::Deadline};
    /// let lock = Lock::create(Key::PRIVATE, Mode::default())?;
    /// assert!(lock.acquire(Deadline::NEVER)?);
    /// assert!(!lock.owner_died());
    /// assert_eq!(lock.release()?, Released::Yes);
    /// assert_eq!(lock.release()?, Released::NotHeld);
    /// lock.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    Lock: LOCKS
}

object! {
    /// A lock as [`Lock`], which belongs to one thread, and which that thread may take again.
    ///
    /// ```
    /// use sysv_ipc_rs::{ipc::{Key, Mode}, sync::{RLock, Released}, wait::Deadline};
    /// let lock = RLock::create(Key::PRIVATE, Mode::default())?;
    /// assert!(lock.acquire(Deadline::NEVER)? && lock.acquire(Deadline::NEVER)?);
    /// assert_eq!((lock.release()?, lock.locked()?), (Released::Yes, true));
    /// assert_eq!((lock.release()?, lock.locked()?), (Released::Yes, false));
    /// lock.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    RLock: LOCKS
}

macro_rules! either_lock {
    ($($name:ident)*) => {$(
        impl $name {
            /// Creates a lock that nobody holds.
            ///
            /// # Errors
            /// As [`SemaphoreSet::create`].
            pub fn create(key: Key, mode: Mode) -> Result<Self> {
                Object::create(key, &LOCKS.values(), mode).map(Self)
            }

            /// Whether anybody holds it.
            ///
            /// # Errors
            /// As [`SemaphoreSet::value`].
            pub fn locked(&self) -> Result<bool> {
                Ok(self.0.set.value(LOCK)? == 0)
            }

            /// Whether it is held by this process, and the process that held it before died so.
            #[must_use]
            pub fn owner_died(&self) -> bool {
                self.0.holding.died()
            }

            #[inline]
            pub(crate) fn taking(&self) -> Run {
                Run::new(self.0.set, LOCK_TAKE)
            }

            /// Whether the run of [`Self::taking`] that ended so has taken it.
            #[inline]
            pub(crate) fn took(&self, end: End) -> bool {
                let taken = matches!(end, End::Done | End::Died);
                if taken {
                    self.0.holding.take(end == End::Died);
                }
                taken
            }
        }
    )*};
}

either_lock! { Lock RLock }

impl Lock {
    /// Takes it, waiting until `deadline`; whether it was taken.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op_deadline`], but not that the time was up.
    pub fn acquire(&self, deadline: Deadline) -> Result<bool> {
        self.0.finish(self.taking().go(deadline), |end| self.took(end))
    }

    /// Gives it back.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`]. Then it is still held, unless it has been removed.
    #[inline]
    pub fn release(&self) -> Result<Released> {
        give(&self.0, self.0.holding.let_go())
    }
}

impl RLock {
    /// Takes it, waiting until `deadline`; whether it was taken.
    ///
    /// # Errors
    /// As [`Lock::acquire`]; `EOVERFLOW` if this thread has taken it 4,294,967,295 times.
    pub fn acquire(&self, deadline: Deadline) -> Result<bool> {
        match self.again() {
            None => self.0.finish(self.taking().go(deadline), |end| self.took(end)),
            Some(again) => again.map(|()| true).map_err(|errno| self.0.error(errno)),
        }
    }

    /// Takes it once more, if this thread has it.
    #[inline]
    pub(crate) fn again(&self) -> Option<sys::Result<()>> {
        let holding = &self.0.holding;
        let deeper = || holding.set_depth(holding.depth().checked_add(1));
        holding.is_mine().then(|| deeper().ok_or(Errno::EOVERFLOW))
    }

    /// Gives it back once.
    ///
    /// # Errors
    /// As [`Lock::release`].
    pub fn release(&self) -> Result<Released> {
        let holding = &self.0.holding;
        if holding.is_mine() && holding.depth() > 1 {
            let _ = holding.set_depth(holding.depth().checked_sub(1));
            return Ok(Released::Yes);
        }
        give(&self.0, holding.is_mine() && holding.let_go())
    }
}

/// Gives it back, if that was the caller's to do.
#[inline]
fn give(object: &Object, ours: bool) -> Result<Released> {
    if ours {
        return object.give(LOCK_GIVE, || object.holding.keep());
    }
    Ok(Released::unless_held(object.set.value(LOCK)? == 0))
}
