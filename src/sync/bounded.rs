//! `BoundedSemaphore`.

use super::program::End;
use super::protocols::{BOUND, BOUNDED, FREE, TOKEN_GIVE, TOKEN_TAKE};
use super::run::Run;
use super::{Object, Released};
use crate::error::Result;
use crate::ipc::{Key, Mode};
use crate::sem::SemaphoreSet;
use crate::wait::Deadline;

object! {
    /// Tokens, of which there are never more than at the beginning. Those of a process that dies
    /// come back. Only a process that has taken one can give one back.
    ///
    /// ```
    /// use sysv_ipc_rs::{ipc::{Key, Mode}, sync::{BoundedSemaphore, Released}, wait::Deadline};
    /// let tokens = BoundedSemaphore::create(Key::PRIVATE, 1, Mode::default())?;
    /// assert!(tokens.acquire(Deadline::NEVER)?);
    /// assert_eq!(tokens.value()?, 0);
    /// assert_eq!(tokens.release()?, Released::Yes);
    /// assert_eq!(tokens.release()?, Released::NotHeld);
    /// tokens.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    BoundedSemaphore: BOUNDED
}

impl BoundedSemaphore {
    /// Creates so many tokens.
    ///
    /// # Errors
    /// As [`SemaphoreSet::create`].
    pub fn create(key: Key, value: u16, mode: Mode) -> Result<Self> {
        Object::create(key, &Self::values(value), mode).map(Self)
    }

    /// The first values of its set.
    #[must_use]
    pub fn values(value: u16) -> Vec<u16> {
        let mut values = BOUNDED.values();
        values[usize::from(FREE)] = value;
        values[usize::from(BOUND)] = value;
        values
    }

    /// Takes a token, waiting until `deadline`; whether it was taken.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op_deadline`], but not that the time was up.
    pub fn acquire(&self, deadline: Deadline) -> Result<bool> {
        self.0.finish(self.taking().go(deadline), |end| self.took(end))
    }

    #[inline]
    pub(crate) fn taking(&self) -> Run {
        Run::new(self.0.set, TOKEN_TAKE)
    }

    /// Whether the run of [`Self::taking`] that ended so has taken one.
    #[inline]
    pub(crate) fn took(&self, end: End) -> bool {
        let taken = end == End::Done;
        if taken {
            self.0.holding.add_unit();
        }
        taken
    }

    /// Gives a token back; [`Released::NotHeld`] if this process has none.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`]. Then it still has it, unless the semaphore has been removed.
    #[inline]
    pub fn release(&self) -> Result<Released> {
        if !self.0.holding.take_unit() {
            return Ok(Released::NotHeld);
        }
        self.0.give(TOKEN_GIVE, || self.0.holding.add_unit())
    }

    /// How many tokens are free.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    pub fn value(&self) -> Result<i32> {
        self.0.set.value(FREE)
    }
}
