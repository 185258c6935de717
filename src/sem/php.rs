//! PHP's semaphores (its extension `sysvsem`): sets of three with an entry protocol of their own.

use std::sync::atomic::{AtomicI16, Ordering};

use nix::errno::Errno;

use super::{Operation, OperationFlags, SemaphoreGuard, SemaphoreSet, get};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::ipc::{Control, GetFlags, Key, Mode, open_or_create, same_key};
use crate::sys;
use crate::sys::process::Generation;
use crate::wait::Deadline;

const TOKENS: u16 = 0;
/// The first of them sets the number of tokens.
const USERS: u16 = 1;
/// Not zero while somebody comes in.
const ENTRY: u16 = 2;

const SIZE: usize = 3;

const fn step(index: u16, delta: i16) -> Operation {
    Operation::new(index, delta, OperationFlags::UNDO)
}

/// Waits until nobody else comes in; then comes in, as one more user.
const ENTER: [Operation; 3] =
    [Operation::new(ENTRY, 0, OperationFlags::empty()), step(ENTRY, 1), step(USERS, 1)];

/// How a semaphore of PHP's `sem_get` is found or made.
///
/// A newcomer keeps others out while it looks whether it is the only user, and if so sets the number
/// of tokens. All that it does is undone by the kernel if it dies in the middle.
#[derive(Debug)]
pub struct PhpEntry {
    key: Key,
    tokens: i16,
    mode: Mode,
    owner: Option<u32>,
    auto_release: bool,
    id: Option<i32>,
}

impl PhpEntry {
    /// `sem_get($key, $max_acquire, $permissions, $auto_release)`; `owner` refuses a set that isn't
    /// that user's alone.
    #[must_use]
    pub const fn new(
        key: Key,
        max_acquire: i16,
        mode: Mode,
        owner: Option<u32>,
        auto_release: bool,
    ) -> Self {
        Self { key, tokens: max_acquire, mode, owner, auto_release, id: None }
    }

    /// For the set with this id and `key` alone, which must exist.
    #[must_use]
    pub const fn of_id(self, id: i32) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Comes in, at the latest by `deadline`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] while another keeps us out; [`ErrorKind::Interrupted`];
    /// [`ErrorKind::AccessDenied`]; [`ErrorKind::UntrustedOwner`]; [`ErrorKind::NotFound`] if there
    /// is none and `owner` is not our effective user id; `EINVAL` if the key's set has fewer than
    /// three semaphores; [`ErrorKind::LimitExceeded`] if it has 32767 users.
    pub fn run(&self, deadline: Deadline) -> Result<PhpSemaphore> {
        self.attempt(Some(deadline)).unwrap_or_else(|errno| Err(self.late(errno)))
    }

    /// One attempt: EAGAIN if it is not to wait, or at the deadline; EINTR after a signal.
    pub(crate) fn attempt(&self, until: Option<Deadline>) -> sys::Result<Result<PhpSemaphore>> {
        loop {
            let set = match self.find() {
                Ok(set) => set,
                Err(error) => return Ok(Err(error)),
            };
            let entered = match until {
                None => set.try_raw(&ENTER),
                Some(deadline) => set.wait_raw(&ENTER, deadline),
            };
            let answer = match entered {
                Ok(()) => self.become_user(set),
                Err(errno @ (Errno::EAGAIN | Errno::EINTR)) => return Err(errno),
                Err(errno) => Err(set.op_error(errno, ENTER.len())),
            };
            match answer {
                // Somebody has removed it meanwhile: there may be a new one, or is to be.
                Err(error) if error.kind() == ErrorKind::Removed => {}
                answer => return Ok(answer),
            }
        }
    }

    /// The error of an attempt that did not get in.
    pub(crate) fn late(&self, errno: Errno) -> Error {
        let subject = Subject::Key(SemaphoreSet::KIND, self.key);
        let error = Error::new("semop", errno, subject);
        match errno {
            Errno::EAGAIN => error.because("another process is coming in, and does not get on"),
            _ => error,
        }
    }

    fn find(&self) -> Result<SemaphoreSet> {
        if let Some(id) = self.id {
            let set = SemaphoreSet::from_id(id)?;
            return same_key::<SemaphoreSet>(id, set.key, self.key.get()).map(|()| set);
        }
        let open = || {
            let set = SemaphoreSet::open(self.key, SIZE)?;
            self.owner.map_or(Ok(()), |owner| set.check_owner(owner))?;
            Ok(set)
        };
        let flags = GetFlags::CREATE | GetFlags::EXCLUSIVE;
        open_or_create(self.owner, open, || {
            let id = get(self.key, SIZE, flags, self.mode)?;
            Ok(SemaphoreSet { id, key: self.key, len: SIZE })
        })
    }

    /// The rest of the protocol, while others are kept out.
    fn become_user(&self, set: SemaphoreSet) -> Result<PhpSemaphore> {
        let only = set.value(USERS).map(|users| users == 1);
        let ready = only
            .and_then(|only| if only { set.set_value(TOKENS, self.tokens.into()) } else { Ok(()) });
        let let_in = [step(ENTRY, -1), step(USERS, -1)];
        let entered =
            ready.and_then(|()| set.try_raw(&let_in[..1]).map_err(|errno| set.op_error(errno, 1)));
        if let Err(error) = entered {
            let _ = set.try_raw(&let_in);
            return Err(error);
        }
        let (user, taken) = (Generation::current(), AtomicI16::new(0));
        Ok(PhpSemaphore { set, user, taken, tokens: self.tokens, auto_release: self.auto_release })
    }
}

/// One user of a semaphore of PHP's `sem_get`: it counts as such until it is dropped, which gives
/// back what it has taken, unless it was made without `auto_release`; then, as also when the process
/// dies, the kernel does both.
///
/// In a forked child it is inert: the child is no user.
///
/// ```
/// use sysv_ipc_rs::ipc::{Key, Mode};
/// use sysv_ipc_rs::{sem::PhpEntry, wait::Deadline};
/// let key = Key::from_name("sysv_ipc_rs::sem::PhpEntry");
/// let semaphore = PhpEntry::new(key, 1, Mode::default(), None, true).run(Deadline::NEVER)?;
/// assert!(semaphore.try_acquire()?);
/// assert!(!semaphore.try_acquire()?);
/// assert!(semaphore.release()?);
/// semaphore.set().remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct PhpSemaphore {
    set: SemaphoreSet,
    user: Generation,
    /// Tokens that no guard is there for.
    taken: AtomicI16,
    tokens: i16,
    auto_release: bool,
}

impl PhpSemaphore {
    /// Which member of the set counts the tokens that are left.
    pub const TOKENS: u16 = TOKENS;

    /// Which one counts the users, in all processes.
    pub const USERS: u16 = USERS;

    /// What takes one token.
    pub(crate) const TAKE: [Operation; 1] = [SemaphoreGuard::take(TOKENS, 1)];

    /// The set of three.
    #[must_use]
    pub const fn set(&self) -> SemaphoreSet {
        self.set
    }

    /// How many tokens it asked for.
    #[must_use]
    pub const fn max_acquire(&self) -> i16 {
        self.tokens
    }

    /// Whether dropping it gives back.
    #[must_use]
    pub const fn auto_release(&self) -> bool {
        self.auto_release
    }

    /// Whether this process, not one that has forked it, is the user.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.user == Generation::current()
    }

    /// How many tokens were taken by [`Self::acquire`] and not given back.
    #[must_use]
    pub fn taken(&self) -> i16 {
        self.taken.load(Ordering::Acquire)
    }

    /// `sem_acquire($semaphore)`—takes a token, waiting until `deadline`.
    ///
    /// # Errors
    /// As [`SemaphoreSet::op_deadline`].
    pub fn acquire(&self, deadline: Deadline) -> Result<()> {
        self.set.op_deadline(&Self::TAKE, deadline).map(|()| self.count_taken())
    }

    /// `sem_acquire($semaphore, true)`—takes a token if there is one.
    ///
    /// # Errors
    /// As [`SemaphoreSet::try_op`].
    pub fn try_acquire(&self) -> Result<bool> {
        let taken = self.set.try_op(&Self::TAKE)?;
        if taken {
            self.count_taken();
        }
        Ok(taken)
    }

    /// Counts a token that was just taken by [`Self::TAKE`].
    pub(crate) fn count_taken(&self) {
        self.taken.fetch_add(1, Ordering::AcqRel);
    }

    /// A guard over a token that was just taken by [`Self::TAKE`].
    #[cfg(feature = "python")]
    pub(crate) fn guard(&self) -> SemaphoreGuard {
        SemaphoreGuard::new(self.set, TOKENS, 1)
    }

    /// `sem_release($semaphore)`—gives back a token; false if none is taken.
    ///
    /// # Errors
    /// [`ErrorKind::Removed`]; [`ErrorKind::LimitExceeded`] if there were more than 32767.
    pub fn release(&self) -> Result<bool> {
        let less = |taken: i16| (taken > 0).then(|| taken - 1);
        if self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_err() {
            return Ok(false);
        }
        let given = self.set.try_raw(&[step(TOKENS, 1)]);
        given.map(|()| true).map_err(|errno| {
            self.count_taken();
            self.set.op_error(errno, 1)
        })
    }

    /// Gives back all tokens that were taken by [`Self::acquire`], and with `leave` is no user any
    /// more: both at once, as PHP does.
    fn give_back(&self, leave: bool) {
        if !self.auto_release || !self.is_ours() {
            return;
        }
        let taken = self.taken.swap(0, Ordering::AcqRel);
        let steps = [(leave, step(USERS, -1)), (taken > 0, step(TOKENS, taken))];
        let steps: Vec<_> =
            steps.into_iter().filter_map(|(wanted, step)| wanted.then_some(step)).collect();
        if !steps.is_empty() {
            // Nobody can be told any more: a removed set has nothing to give back to.
            let _ = self.set.try_raw(&steps);
        }
    }

    /// Gives back all tokens that were taken by [`Self::acquire`].
    #[cfg(feature = "python")]
    pub(crate) fn give_back_all(&self) {
        self.give_back(false);
    }
}

impl Drop for PhpSemaphore {
    fn drop(&mut self) {
        self.give_back(true);
    }
}
