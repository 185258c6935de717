//! What a protocol is written in: operations on semaphores, in steps that lead to one another.

use libc::sembuf;

use crate::sem::{Operation, OperationFlags};

/// A number that is known only when a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Which of a barrier's slots the caller takes.
    Slot,
    /// The last slot there is.
    LastSlot,
    /// How many are to be notified.
    Count,
    /// How many notifications nobody has taken.
    Left,
    /// A condition's era, when it was last read.
    Era,
    /// The era after that one; after 32767 comes 0.
    NextEra,
}

/// What [`Number`]s are while a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers([i16; 6]);

impl Numbers {
    /// The number, 0 if it hasn't been set.
    #[must_use]
    pub const fn get(&self, number: Number) -> i16 {
        self.0[number as usize]
    }

    /// Sets it; with the era goes the one after it.
    pub const fn set(&mut self, number: Number, value: i16) {
        self.0[number as usize] = value;
        if matches!(number, Number::Era) {
            self.0[Number::NextEra as usize] = if value == i16::MAX { 0 } else { value + 1 };
        }
    }
}

/// Which semaphore of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The one with this index.
    At(u16),
    /// The caller's slot: so many after this index.
    Slot(u16),
}

/// What is added to a semaphore; 0 waits for the value 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delta {
    /// So much.
    By(i16),
    /// A number.
    Plus(Number),
    /// The negative of a number.
    Minus(Number),
}

/// One operation of a step: a `struct sembuf` in which numbers may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// Which semaphore.
    pub place: Place,
    /// What is added.
    pub delta: Delta,
    /// `SEM_UNDO`.
    pub undo: bool,
    /// `IPC_NOWAIT`: if this is the first that can't proceed, the step doesn't wait.
    pub now: bool,
}

impl Op {
    pub(super) const fn new(place: Place, delta: Delta) -> Self {
        Self { place, delta, undo: false, now: false }
    }

    pub(super) const fn undo(mut self) -> Self {
        self.undo = true;
        self
    }

    pub(super) const fn now(mut self) -> Self {
        self.now = true;
        self
    }

    /// As the kernel takes it; `now` adds `IPC_NOWAIT`.
    #[inline]
    pub(super) const fn sembuf(&self, numbers: &Numbers, now: bool) -> sembuf {
        let sem_num = match self.place {
            Place::At(index) => index,
            Place::Slot(first) => first + numbers.get(Number::Slot).cast_unsigned(),
        };
        let sem_op = match self.delta {
            Delta::By(delta) => delta,
            Delta::Plus(number) => numbers.get(number),
            Delta::Minus(number) => -numbers.get(number),
        };
        let mut sem_flg = if self.undo { OperationFlags::UNDO.bits() } else { 0 };
        if now || self.now {
            sem_flg |= OperationFlags::NO_WAIT.bits();
        }
        sembuf { sem_num, sem_op, sem_flg }
    }

    /// As [`Operation`], where no number is missing.
    #[must_use]
    pub const fn operation(&self, numbers: &Numbers) -> Operation {
        let sembuf { sem_num, sem_op, sem_flg } = self.sembuf(numbers, false);
        Operation::new(sem_num, sem_op, OperationFlags::from_bits_retain(sem_flg))
    }
}

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has done what it is for.
    Done,
    /// It has, and the last owner died as one.
    Died,
    /// It has, and the caller is the one to act for all.
    Lead,
    /// The time was up, and nothing is changed.
    Expired,
    /// The object's state forbids it.
    Refused,
}

/// What comes after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The step with this index.
    To(usize),
    /// The program's end.
    End(End),
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// One `semop` of all of these, which never waits.
    Try(&'static [Op]),
    /// One `semop`, which waits until it can be done, or until an operation with `now` is the first
    /// that can't.
    Wait(&'static [Op]),
    /// `GETVAL` of this semaphore into the number, or, if that is smaller, the other number. A value
    /// of 0 goes the way of `again`.
    Read(u16, Number, Option<Number>),
    /// The next slot; after the last comes the first.
    NextSlot,
}

/// One step of a program: at most one system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What it is called in the docs.
    pub name: &'static str,
    /// What it does.
    pub act: Act,
    /// What comes after it is done.
    pub done: Next,
    /// What comes if it can't be done now (`EAGAIN`).
    pub again: Next,
    /// Of a step that waits: what comes when it has been tried once and the time is up.
    pub expired: Next,
    /// Of a step that waits: what comes when the caller gives up, since a signal handler raised.
    pub interrupted: Next,
}

impl Step {
    pub(super) const fn new(name: &'static str, act: Act, done: Next, again: Next) -> Self {
        let end = Next::End(End::Expired);
        Self { name, act, done, again, expired: end, interrupted: end }
    }

    pub(super) const fn expired(mut self, next: Next) -> Self {
        self.expired = next;
        self
    }

    pub(super) const fn interrupted(mut self, next: Next) -> Self {
        self.interrupted = next;
        self
    }
}

/// The most operations that a step has.
pub(super) const OPS_MAX: usize = 8;

/// Steps; the first is where it begins.
pub type Program = [Step];

/// A kind of object: its semaphores and what is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// The name of the class.
    pub name: &'static str,
    /// What each semaphore is called, and its first value. A barrier's slots, one a party, follow.
    pub semaphores: &'static [(&'static str, u16)],
    /// Name and steps of each program.
    pub programs: &'static [(&'static str, &'static Program)],
}

impl Protocol {
    /// The first values, but for what the caller chooses.
    #[must_use]
    pub fn values(&self) -> Vec<u16> {
        self.semaphores.iter().map(|&(_, value)| value).collect()
    }

    /// Whether slots follow the semaphores.
    #[must_use]
    pub fn has_slots(&self) -> bool {
        let mut steps = self.programs.iter().flat_map(|(_, program)| *program);
        steps.any(|step| step.act == Act::NextSlot)
    }
}
