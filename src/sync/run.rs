//! How programs run: one step after the other, with at most one system call each.

use libc::sembuf;
use nix::errno::Errno;

use super::program::{Act, End, Next, Number, Numbers, OPS_MAX, Op, Program};
use crate::sem::SemaphoreSet;
use crate::sys;
use crate::sys::signal::to_timespec;
use crate::wait::Deadline;

/// A program that runs on a set. It can be left while it waits, and gone on with.
#[derive(Debug)]
pub(crate) struct Run {
    set: SemaphoreSet,
    program: &'static Program,
    at: usize,
    /// Whether the waiting step has been tried since something was last done.
    tried: bool,
    /// How many slots have been tried besides the first.
    slots: i16,
    /// What is known by now.
    pub(crate) numbers: Numbers,
}

/// How a step of operations may be done.
#[derive(Clone, Copy)]
enum Patience {
    None,
    Until(Deadline),
}

impl Patience {
    fn is_over(self) -> bool {
        matches!(self, Self::Until(deadline) if deadline.passed())
    }
}

impl Run {
    #[inline]
    pub(crate) fn new(set: SemaphoreSet, program: &'static Program) -> Self {
        Self::with(set, program, Numbers::default())
    }

    #[inline]
    pub(crate) fn with(set: SemaphoreSet, program: &'static Program, numbers: Numbers) -> Self {
        Self { set, program, at: 0, tried: false, slots: 0, numbers }
    }

    /// Runs a program that never waits.
    #[inline]
    pub(crate) fn at_once(
        set: SemaphoreSet,
        program: &'static Program,
        numbers: Numbers,
    ) -> sys::Result<End> {
        Self::with(set, program, numbers).go(Deadline::PASSED)
    }

    /// Goes as far as it can without waiting; EAGAIN where it would have to wait.
    #[cfg(feature = "python")]
    #[inline]
    pub(crate) fn probe(&mut self) -> sys::Result<End> {
        self.run(Patience::None)
    }

    /// Goes on to the end, waiting until `deadline`; after EINTR it has to be called again, or
    /// [`Self::give_up`].
    pub(crate) fn go(&mut self, deadline: Deadline) -> sys::Result<End> {
        self.run(Patience::Until(deadline))
    }

    /// Leaves it where it waits, as if it had never been begun.
    pub(crate) fn give_up(&mut self) -> sys::Result<End> {
        match self.program[self.at].interrupted {
            Next::End(end) => Ok(end),
            Next::To(step) => {
                self.at = step;
                self.go(Deadline::PASSED)
            }
        }
    }

    #[inline]
    fn run(&mut self, patience: Patience) -> sys::Result<End> {
        loop {
            let step = &self.program[self.at];
            let next = match step.act {
                Act::Try(ops) => match self.semop(ops, Patience::None) {
                    Err(Errno::EAGAIN) => step.again,
                    answer => answer.map(|()| step.done)?,
                },
                Act::Wait(_) if self.tried && matches!(patience, Patience::None) => {
                    return Err(Errno::EAGAIN);
                }
                Act::Wait(_) if self.tried && patience.is_over() => step.expired,
                Act::Wait(ops) => {
                    let answer = self.semop(ops, patience);
                    self.tried = answer.is_err();
                    match answer {
                        Err(Errno::EAGAIN) => step.again,
                        answer => answer.map(|()| step.done)?,
                    }
                }
                Act::Read(index, number, most) => {
                    let value = sys::semctl(self.set.id(), index.into(), libc::GETVAL)?;
                    let value = i16::try_from(value).unwrap_or(i16::MAX);
                    let value = most.map_or(value, |most| value.min(self.numbers.get(most)));
                    self.numbers.set(number, value);
                    if value == 0 { step.again } else { step.done }
                }
                Act::NextSlot => {
                    self.next_slot();
                    step.done
                }
            };
            match next {
                Next::To(step) => self.at = step,
                Next::End(end) => return Ok(end),
            }
        }
    }

    /// A waiting step is tried with every slot before it counts as tried.
    fn next_slot(&mut self) {
        let (slot, last) = (self.numbers.get(Number::Slot), self.numbers.get(Number::LastSlot));
        self.numbers.set(Number::Slot, if slot < last { slot + 1 } else { 0 });
        self.slots = self.slots.saturating_add(1);
        if self.slots <= last {
            self.tried = false;
        }
    }

    #[inline]
    fn semop(&self, ops: &[Op], patience: Patience) -> sys::Result<()> {
        let time = match patience {
            Patience::None => Some(None),
            Patience::Until(deadline) => match deadline.remaining() {
                None => None,
                Some(time) if time.is_zero() => Some(None),
                Some(time) => Some(Some(time)),
            },
        };
        let now = matches!(time, Some(None));
        let mut buffer = [sembuf { sem_num: 0, sem_op: 0, sem_flg: 0 }; OPS_MAX];
        for (place, op) in buffer.iter_mut().zip(ops) {
            *place = op.sembuf(&self.numbers, now);
        }
        let ops = &buffer[..ops.len().min(OPS_MAX)];
        match time {
            Some(Some(time)) => sys::semtimedop(self.set.id(), ops, &to_timespec(time)),
            _ => sys::semop(self.set.id(), ops),
        }
    }
}
