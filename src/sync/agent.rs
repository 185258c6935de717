//! A thread that waits for a lock or a condition, on behalf of an event loop.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use super::Object;
use super::program::{End, Numbers, Program};
use super::protocols::{
    CONDITION_PUT_BACK, CONDITION_SLEEP, LOCK_GIVE, LOCK_PASS_ON, LOCK_TAKE, READ_GIVE,
    READ_PASS_ON, READ_TAKE, WRITE_GIVE, WRITE_PASS_ON, WRITE_TAKE,
};
use super::run::Run;
use crate::error::Result;
use crate::sem::SemaphoreSet;
use crate::sys;
use crate::wait::Deadline;
use crate::wait::stander::{Errand, Stander};

/// What an agent waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A lock, also one that is a condition's own.
    Lock,
    /// An `RWLock`, to read.
    Read,
    /// An `RWLock`, to write.
    Write,
    /// A notification, in the era that is among the numbers.
    Notification(Numbers),
}

impl Wanted {
    /// What gets it, gives it back, and gives it back with what was told.
    fn programs(self) -> [&'static Program; 3] {
        match self {
            Self::Lock => [LOCK_TAKE, LOCK_GIVE, LOCK_PASS_ON],
            Self::Read => [READ_TAKE, READ_GIVE, READ_PASS_ON],
            Self::Write => [WRITE_TAKE, WRITE_GIVE, WRITE_PASS_ON],
            Self::Notification(_) => [CONDITION_SLEEP, CONDITION_PUT_BACK, CONDITION_PUT_BACK],
        }
    }

    fn numbers(self) -> Numbers {
        if let Self::Notification(numbers) = self { numbers } else { Numbers::default() }
    }
}

#[derive(Debug)]
struct Waiting(SemaphoreSet);

impl Errand for Waiting {
    type Wanted = Wanted;
    type Got = (Wanted, End);

    fn get(&self, wanted: Wanted, deadline: Deadline) -> sys::Result<(Wanted, End)> {
        let [get, ..] = wanted.programs();
        let mut run = Run::with(self.0, get, wanted.numbers());
        let ended = run.go(deadline);
        if ended == Err(Errno::EINTR) {
            run.give_up()?;
        }
        match ended? {
            // Where nothing wakes the thread, it looks up now and then.
            End::Expired if deadline.passed() => Err(Errno::EAGAIN),
            end => Ok((wanted, end)),
        }
    }

    fn must_go_back((_, end): (Wanted, End)) -> bool {
        matches!(end, End::Done | End::Died)
    }

    fn give_back(&self, (wanted, end): (Wanted, End)) {
        let [_, give, pass_on] = wanted.programs();
        let _ = match end {
            End::Done => Run::at_once(self.0, give, Numbers::default()),
            End::Died => Run::at_once(self.0, pass_on, Numbers::default()),
            _ => Ok(end),
        };
    }
}

/// The thread. What is not collected within 0.1 s (longer each time) goes back, and with it what
/// was told of a dead owner.
#[derive(Debug)]
pub(crate) struct Agent {
    stander: Stander<Waiting>,
    object: Object,
}

impl Agent {
    pub(crate) fn new(object: &Object) -> Result<Self> {
        let stander = Stander::new(Waiting(object.set))?;
        Ok(Self { stander, object: object.clone() })
    }

    /// Begins to wait for it, or goes on; with `None` waits for nothing.
    pub(crate) fn want(&self, wanted: Option<Wanted>) {
        self.stander.turn_to(wanted);
    }

    /// How it ended, if it has.
    pub(crate) fn collect(&self) -> Result<Option<End>> {
        let got = self.stander.collect().map_err(|errno| self.object.error(errno))?;
        Ok(got.map(|(_, end)| end))
    }
}

impl AsFd for Agent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stander.as_fd()
    }
}
