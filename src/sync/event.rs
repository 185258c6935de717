//! `Event`.

use super::Object;
use super::program::{End, Numbers};
use super::protocols::{EVENT, EVENT_CLEAR, EVENT_SET, EVENT_WAIT, UNSET};
use super::run::Run;
use crate::error::Result;
use crate::ipc::{Key, Mode};
use crate::sem::SemaphoreSet;
use crate::wait::Deadline;

object! {
    /// A flag that processes wait for. Who waits when it is set is let go, also if it is cleared at
    /// once.
    ///
    /// ```
    /// use sysv_ipc_rs::{ipc::{Key, Mode}, sync::Event, wait::Deadline};
    /// let event = Event::create(Key::PRIVATE, Mode::default())?;
    /// assert!(!event.wait(Deadline::after(std::time::Duration::ZERO))?);
    /// event.set_flag()?;
    /// assert!(event.is_set()? && event.wait(Deadline::NEVER)?);
    /// event.clear()?;
    /// event.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    Event: EVENT
}

impl Event {
    /// Creates an event that is not set.
    ///
    /// # Errors
    /// As [`SemaphoreSet::create`].
    pub fn create(key: Key, mode: Mode) -> Result<Self> {
        Object::create(key, &EVENT.values(), mode).map(Self)
    }

    /// Waits until it is set, or until `deadline`; whether it was set.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op_deadline`], but not that the time was up.
    pub fn wait(&self, deadline: Deadline) -> Result<bool> {
        self.0.finish(self.waiting().go(deadline), |end| end == End::Done)
    }

    #[inline]
    pub(crate) fn waiting(&self) -> Run {
        Run::new(self.0.set, EVENT_WAIT)
    }

    /// Sets it, and lets all go who wait.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`].
    #[inline]
    pub fn set_flag(&self) -> Result<()> {
        self.0.finish(Run::at_once(self.0.set, EVENT_SET, Numbers::default()), drop)
    }

    /// Makes it not set.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`].
    #[inline]
    pub fn clear(&self) -> Result<()> {
        self.0.finish(Run::at_once(self.0.set, EVENT_CLEAR, Numbers::default()), drop)
    }

    /// Whether it is set.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    pub fn is_set(&self) -> Result<bool> {
        Ok(self.0.set.value(UNSET)? == 0)
    }
}
