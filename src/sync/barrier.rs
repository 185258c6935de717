//! `Barrier`.

use super::Object;
use super::program::{End, Number, Numbers, Program};
use super::protocols::{
    ARRIVED, BARRIER, BARRIER_ABORT, BARRIER_FAIL, BARRIER_RELEASE, BARRIER_RESET, BARRIER_WAIT,
    ROOM, SLOTS, STATE,
};
use super::run::Run;
use crate::error::Result;
use crate::ipc::{Key, Mode};
use crate::sem::SemaphoreSet;
use crate::wait::Deadline;

object! {
    /// Where processes wait for one another until there are as many as parties.
    ///
    /// Who dies before it passes is no longer counted.
    ///
    /// ```
    /// use sysv_ipc_rs::{ipc::{Key, Mode}, sync::Barrier, wait::Deadline};
    /// let barrier = Barrier::create(Key::PRIVATE, 1, Mode::default())?;
    /// assert_eq!(barrier.wait(Deadline::NEVER, || Ok(()))?, Some(0));
    /// barrier.abort()?;
    /// assert_eq!(barrier.wait(Deadline::NEVER, || Ok(()))?, None);
    /// barrier.remove()?;
    /// # Ok::<(), sysv_ipc_rs::Error>(())
    /// ```
    Barrier: BARRIER
}

impl Barrier {
    /// Creates a barrier at which nobody has arrived.
    ///
    /// # Errors
    /// As [`SemaphoreSet::create`]; a set has at most SEMMSL semaphores, of which it needs one a
    /// party.
    pub fn create(key: Key, parties: u16, mode: Mode) -> Result<Self> {
        Object::create(key, &Self::values(parties), mode).map(Self)
    }

    /// The first values of its set.
    #[must_use]
    pub fn values(parties: u16) -> Vec<u16> {
        let mut values = BARRIER.values();
        values[usize::from(ROOM)] = parties;
        values.extend((0..parties).map(|_| 1));
        values
    }

    /// How many have to arrive.
    #[must_use]
    pub fn parties(&self) -> u16 {
        u16::try_from(self.0.set.len() - usize::from(SLOTS)).unwrap_or(u16::MAX)
    }

    /// Waits for the others; the caller's index among them, from 0, or `None` if the barrier is
    /// broken, as it is when the time of any of them is up. One of them calls `action` before all
    /// are let go; if that fails, the barrier is broken.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op_deadline`], but not that the time was up; that of `action`.
    pub fn wait(
        &self,
        deadline: Deadline,
        action: impl FnOnce() -> Result<()>,
    ) -> Result<Option<u16>> {
        let mut run = self.waiting();
        let ended = run.go(deadline);
        if ended.is_err() {
            let _ = run.give_up();
        }
        match self.0.finish(ended, |end| end)? {
            End::Done => Ok(Some(Self::index(&run))),
            End::Lead => {
                let acted = action();
                let ended = self.lead(&run, acted.is_ok());
                acted.and(ended)
            }
            End::Expired => self.abort().map(|()| None),
            End::Died | End::Refused => Ok(None),
        }
    }

    /// Breaks it: all who wait, and who come later, are told so.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`].
    pub fn abort(&self) -> Result<()> {
        self.at_once(BARRIER_ABORT)
    }

    /// Makes it as new; all who wait are told that it is broken.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`].
    pub fn reset(&self) -> Result<()> {
        self.at_once(BARRIER_RESET)
    }

    /// How many have arrived and wait for others.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    pub fn waiting_count(&self) -> Result<i32> {
        let fills = self.0.set.value(STATE)? == 0;
        if fills { self.0.set.value(ARRIVED) } else { Ok(0) }
    }

    /// Whether it is broken.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    pub fn is_broken(&self) -> Result<bool> {
        Ok(self.0.set.value(STATE)? == 2)
    }

    pub(crate) fn waiting(&self) -> Run {
        let mut numbers = Numbers::default();
        let last = i16::try_from(self.parties() - 1).unwrap_or(i16::MAX);
        numbers.set(Number::LastSlot, last);
        Run::with(self.0.set, BARRIER_WAIT, numbers)
    }

    /// The index of who has passed.
    pub(crate) fn index(run: &Run) -> u16 {
        run.numbers.get(Number::Slot).cast_unsigned()
    }

    /// Lets all go whom the caller leads, or breaks the barrier; the caller's index, or `None` if
    /// it is broken.
    pub(crate) fn lead(&self, run: &Run, acted: bool) -> Result<Option<u16>> {
        let program = if acted { BARRIER_RELEASE } else { BARRIER_FAIL };
        let ended = Run::at_once(self.0.set, program, run.numbers);
        let passed = self.0.finish(ended, |end| acted && end == End::Done)?;
        Ok(passed.then(|| Self::index(run)))
    }

    fn at_once(&self, program: &'static Program) -> Result<()> {
        self.0.finish(Run::at_once(self.0.set, program, Numbers::default()), drop)
    }
}
