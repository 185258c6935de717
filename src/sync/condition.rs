//! `Condition`.

use super::lock::{Lock, RLock};
use super::program::{End, Number, Numbers};
use super::protocols::{
    CONDITION, CONDITION_CONFIRM, CONDITION_ENTER, CONDITION_LEAVE, CONDITION_NOTIFY,
    CONDITION_PUT_BACK, CONDITION_SLEEP, FOREIGN, WAITING,
};
use super::run::Run;
use super::{Object, Released};
use crate::error::{Error, Result};
use crate::ipc::{Control, Key, Mode};
use crate::sem::SemaphoreSet;
use crate::sys;
use crate::wait::Deadline;

/// The lock of a condition.
#[derive(Debug, Clone)]
pub enum ConditionLock {
    /// One that belongs to a process.
    Lock(Lock),
    /// One that belongs to a thread.
    RLock(RLock),
}

impl ConditionLock {
    /// Whether the caller holds it.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match self {
            Self::Lock(lock) => lock.0.holding.is_ours(),
            Self::RLock(lock) => lock.0.holding.is_mine(),
        }
    }

    /// Takes it, waiting until `deadline`; whether it was taken.
    ///
    /// # Errors
    /// As [`Lock::acquire`] and [`RLock::acquire`].
    pub fn acquire(&self, deadline: Deadline) -> Result<bool> {
        match self {
            Self::Lock(lock) => lock.acquire(deadline),
            Self::RLock(lock) => lock.acquire(deadline),
        }
    }

    /// Gives it back once.
    ///
    /// # Errors
    /// As [`Lock::release`] and [`RLock::release`].
    pub fn release(&self) -> Result<Released> {
        match self {
            Self::Lock(lock) => lock.release(),
            Self::RLock(lock) => lock.release(),
        }
    }

    /// Whether it is held by this process, and the process that held it before died so.
    #[must_use]
    pub fn owner_died(&self) -> bool {
        self.object().holding.died()
    }

    pub(crate) fn object(&self) -> &Object {
        match self {
            Self::Lock(lock) => &lock.0,
            Self::RLock(lock) => &lock.0,
        }
    }

    #[cfg(feature = "python")]
    pub(crate) fn taking(&self) -> Run {
        match self {
            Self::Lock(lock) => lock.taking(),
            Self::RLock(lock) => lock.taking(),
        }
    }

    #[cfg(feature = "python")]
    pub(crate) fn took(&self, end: End) -> bool {
        match self {
            Self::Lock(lock) => lock.took(end),
            Self::RLock(lock) => lock.took(end),
        }
    }

    /// Gives it back however often it was taken; how often.
    pub(crate) fn release_all(&self) -> Result<u32> {
        let holding = &self.object().holding;
        let depth = holding.depth();
        let _ = holding.set_depth(Some(1));
        let given = self.release();
        if given.is_err() {
            let _ = holding.set_depth(Some(depth));
        }
        given.map(|_| depth)
    }

    /// It has been taken again, by who had taken it so often.
    pub(crate) fn restore(&self, depth: u32) {
        let _ = self.object().holding.set_depth(Some(depth));
    }
}

/// A condition that processes wait for, with a lock: its own [`RLock`], or another one.
///
/// A notification that a waiter can't make use of, since it dies or its time is up, goes to the
/// next. Seldom, when a notification finds somebody who has given the lock and does not yet sleep,
/// others in the same state are woken too: look at what you wait for again.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, sync::{Condition, Released}, wait::Deadline};
/// let condition = Condition::create(Key::PRIVATE, None, Mode::default())?;
/// assert!(condition.lock().acquire(Deadline::NEVER)?);
/// condition.notify(1)?;
/// let end = Deadline::after(std::time::Duration::from_millis(1));
/// assert!(!condition.wait(end)?, "nobody has notified since");
/// assert_eq!(condition.lock().release()?, Released::Yes);
/// condition.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Condition {
    pub(crate) object: Object,
    lock: ConditionLock,
}

impl Condition {
    /// Creates a condition for which nobody waits.
    ///
    /// # Errors
    /// As [`SemaphoreSet::create`].
    pub fn create(key: Key, lock: Option<ConditionLock>, mode: Mode) -> Result<Self> {
        let object = Object::create(key, &Self::values(lock.is_some()), mode)?;
        Ok(Self::with(object, lock))
    }

    /// The first values of its set.
    #[must_use]
    pub fn values(foreign: bool) -> Vec<u16> {
        let mut values = CONDITION.values();
        values[usize::from(FOREIGN)] = foreign.into();
        values
    }

    /// The one that has this key; it needs the lock that it was created with.
    ///
    /// # Errors
    /// As [`SemaphoreSet::open`] and [`Self::from_set`].
    pub fn open(key: Key, lock: Option<ConditionLock>) -> Result<Self> {
        Self::from_set(SemaphoreSet::open(key, 0)?, lock)
    }

    /// The one that lives in this set.
    ///
    /// # Errors
    /// `EINVAL` if the set is no condition's, or one's that was created with another lock.
    pub fn from_set(set: SemaphoreSet, lock: Option<ConditionLock>) -> Result<Self> {
        let object = Object::of(set, &CONDITION)?;
        let foreign = set.value(FOREIGN)? > 0;
        if foreign == lock.is_some() {
            return Ok(Self::with(object, lock));
        }
        let errno = nix::errno::Errno::EINVAL;
        let error = Error::new("semget", errno, SemaphoreSet::subject(set.id()));
        Err(error.because(if foreign {
            "the condition was created with another lock, which has to be given"
        } else {
            "the condition was created with its own lock"
        }))
    }

    fn with(object: Object, lock: Option<ConditionLock>) -> Self {
        let lock = lock.unwrap_or_else(|| ConditionLock::RLock(RLock(object.clone())));
        Self { object, lock }
    }

    /// The lock.
    #[must_use]
    pub const fn lock(&self) -> &ConditionLock {
        &self.lock
    }

    /// The set that it lives in.
    #[must_use]
    pub const fn set(&self) -> SemaphoreSet {
        self.object.set
    }

    /// Removes it at once; who waits on it is told so.
    ///
    /// # Errors
    /// As [`SemaphoreSet::remove`].
    pub fn remove(&self) -> Result<()> {
        self.object.remove()
    }

    /// Gives the lock, waits until it is notified or until `deadline`, and takes the lock again;
    /// whether it was notified. Only who holds the lock may call it.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op_deadline`], but not that the time was up. The lock is held again, but
    /// where it has been removed, or where taking it is interrupted.
    pub fn wait(&self, deadline: Deadline) -> Result<bool> {
        let numbers = self.enter()?;
        let depth = self.give_lock()?;
        let ended = self.sleeping(numbers).go(deadline);
        let woken = matches!(ended, Ok(End::Done));
        self.lock.acquire(Deadline::NEVER).inspect_err(|_| self.put_back(woken))?;
        self.lock.restore(depth);
        if ended.is_err() {
            let failed = self.fail(numbers, woken);
            self.object.finish(ended, drop)?;
            failed?;
        }
        self.leave(numbers, woken)
    }

    /// Wakes so many of those who wait, in the order in which they began to. Only who holds the
    /// lock may call it.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op`].
    pub fn notify(&self, count: u16) -> Result<()> {
        let mut numbers = Numbers::default();
        numbers.set(Number::Count, i16::try_from(count).unwrap_or(i16::MAX));
        self.object.finish(Run::at_once(self.object.set, CONDITION_NOTIFY, numbers), drop)
    }

    /// How many wait and have not been notified.
    ///
    /// # Errors
    /// As [`SemaphoreSet::value`].
    pub fn waiting(&self) -> Result<i32> {
        self.object.set.value(WAITING)
    }

    /// Registers the holder of the lock as waiting.
    pub(crate) fn enter(&self) -> Result<Numbers> {
        let mut run = Run::new(self.object.set, CONDITION_ENTER);
        self.object.finish(run.go(Deadline::NEVER), drop)?;
        Ok(run.numbers)
    }

    /// Gives the lock, or takes the registration back; how often it had been taken.
    pub(crate) fn give_lock(&self) -> Result<u32> {
        self.lock.release_all().inspect_err(|_| {
            let _ = self.leave(Numbers::default(), false);
        })
    }

    pub(crate) fn sleeping(&self, numbers: Numbers) -> Run {
        Run::with(self.object.set, CONDITION_SLEEP, numbers)
    }

    /// Ends the wait of who holds the lock again; whether it was notified.
    pub(crate) fn leave(&self, numbers: Numbers, woken: bool) -> Result<bool> {
        let program = if woken { CONDITION_CONFIRM } else { CONDITION_LEAVE };
        let ended: sys::Result<End> = Run::at_once(self.object.set, program, numbers);
        self.object.finish(ended, |end| end == End::Done)
    }

    /// As [`Self::leave`], of a wait that fails: a notification goes on to the next.
    pub(crate) fn fail(&self, numbers: Numbers, woken: bool) -> Result<()> {
        let notified = self.leave(numbers, woken)?;
        self.notify(u16::from(notified))
    }

    /// Ends the wait of who was perhaps woken and can't have the lock again.
    ///
    /// It stays registered until the process ends; who doesn't sleep takes no notification.
    pub(crate) fn put_back(&self, woken: bool) {
        if woken {
            // What can't be given back now is when the process ends.
            let _ = Run::at_once(self.object.set, CONDITION_PUT_BACK, Numbers::default());
        }
    }
}
