//! A thread that stands in the kernel's queue for units of a semaphore, on behalf of an event loop.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{Operation, OperationFlags, SemaphoreGuard, SemaphoreSet};
use crate::error::{Error, Result};
use crate::sys;
use crate::wait::Deadline;
use crate::wait::sleeper::{Bell, Sleeper, close_inherited};

/// How long units may lie uncollected before they go back. Doubled each time: a loop that is busy
/// for longer must get them in the end.
const GRACE: Duration = Duration::from_millis(100);

/// How long the thread stands at a time where nothing can wake it.
const SLICE: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct State {
    /// How many units are to be taken; 0 waits for the value 0.
    wanted: Option<i16>,
    /// What came of it, with the units; the descriptor is readable.
    outcome: Option<sys::Result<i16>>,
    /// What the thread is inside the system call for.
    standing: Option<i16>,
    closing: bool,
    grace: Duration,
}

#[derive(Debug)]
struct Shared {
    set: SemaphoreSet,
    index: u16,
    event: EventFd,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Always with `SEM_UNDO`: if the process dies before the units are collected, they go back.
    fn operation(&self, delta: i16) -> [Operation; 1] {
        let flags = if delta == 0 { OperationFlags::empty() } else { OperationFlags::UNDO };
        [Operation::new(self.index, delta, flags)]
    }

    fn give_back(&self, units: i16) {
        if units > 0 {
            // Nobody can be told if that fails.
            let _ = self.set.try_raw(&self.operation(units));
        }
    }

    /// Forgets an outcome that nobody has collected.
    fn discard(&self, state: &mut State) {
        if let Some(Ok(units)) = state.outcome.take() {
            self.give_back(units);
        }
    }

    /// The thread's life.
    fn serve(&self, bell: &Bell) {
        while let Some(units) = self.next() {
            let end = if bell.is_silent() { Deadline::after(SLICE) } else { Deadline::NEVER };
            let answer = self.set.wait_raw(&self.operation(-units), end);
            let mut state = self.state();
            state.standing = None;
            bell.hush();
            match answer {
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                answer if state.wanted == Some(units) => {
                    state.wanted = None;
                    state.outcome = Some(answer.map(|()| units));
                    let _ = self.event.write(1);
                }
                Ok(()) => self.give_back(units),
                Err(_) => {}
            }
        }
    }

    /// Waits until something is wanted; `None` when it is time to end.
    fn next(&self) -> Option<i16> {
        let mut state = self.state();
        loop {
            state = match (state.wanted, state.outcome) {
                _ if state.closing => {
                    self.discard(&mut state);
                    return None;
                }
                (Some(units), None) => {
                    state.standing = Some(units);
                    return Some(units);
                }
                (_, Some(Ok(1..))) => self.lie(state),
                _ => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Units lie until they are collected, but not for ever: the loop may never run again.
    fn lie<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let grace = state.grace;
        let lying = |state: &mut State| state.outcome.is_some() && !state.closing;
        let waited = self.changed.wait_timeout_while(state, grace, lying);
        let (mut state, time) = waited.unwrap_or_else(PoisonError::into_inner);
        if time.timed_out() && state.outcome.is_some() {
            self.discard(&mut state);
            state.grace = state.grace.saturating_mul(2);
        }
        state
    }
}

/// A thread that takes units of one semaphore, standing in the kernel's queue among those who wait,
/// and a descriptor that becomes readable when it has them.
///
/// Units that are not collected within 0.1 s (longer each time) go back, and the descriptor stays
/// readable: an event loop that never runs again keeps them from nobody. If the process dies they go
/// back too. Dropping it ends its thread. In a forked child it is inert.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, sem::{SemaphoreSet, Taker}};
///
/// let set = SemaphoreSet::create(Key::PRIVATE, &[1], Mode::default())?;
/// let taker = Taker::new(set, 0)?;
/// taker.want(1);
/// let guard = loop {
///     // Here an event loop would wait until `taker` is readable.
///     if let Some(guard) = taker.collect()? {
///         break guard;
///     }
/// };
/// assert_eq!(set.value(0)?, 0);
/// drop(guard);
/// assert_eq!(set.value(0)?, 1);
/// set.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct Taker {
    shared: Arc<Shared>,
    thread: Sleeper,
}

impl Taker {
    /// A thread that does nothing yet.
    ///
    /// # Errors
    /// The errno of `eventfd` or of making a thread.
    pub fn new(set: SemaphoreSet, index: u16) -> Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = EventFd::from_value_and_flags(0, flags)
            .map_err(|errno| Error::from_errno("eventfd", errno))?;
        let state =
            State { wanted: None, outcome: None, standing: None, closing: false, grace: GRACE };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { set, index, event, state, changed });
        let its = Arc::clone(&shared);
        let thread = Sleeper::start(move |bell| its.serve(bell))?;
        Ok(Self { shared, thread })
    }

    /// Whether this is the process that made it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.thread.is_ours()
    }

    /// Begins to take so many units, or with 0 to wait until the value is 0. Goes on standing where
    /// it stands for as many already; what it has or stands for else is given up.
    pub fn want(&self, units: i16) {
        self.turn_to(Some(units));
    }

    /// Leaves the kernel's queue; what it has taken goes back.
    pub fn withdraw(&self) {
        self.turn_to(None);
    }

    fn turn_to(&self, wanted: Option<i16>) {
        if !self.is_ours() {
            return;
        }
        let mut state = self.shared.state();
        if wanted.is_some() && state.outcome.is_some_and(|outcome| outcome.ok() == wanted) {
            return;
        }
        let _ = self.shared.event.read();
        self.shared.discard(&mut state);
        match state.standing {
            None => {}
            // It may have been told to leave, and not have heard it yet.
            standing if standing == wanted => self.thread.let_sleep(),
            Some(_) => self.thread.wake(),
        }
        state.wanted = wanted;
        self.shared.changed.notify_all();
    }

    /// The units, held with `SEM_UNDO`, if it has them. Otherwise, or where they have gone back
    /// meanwhile, it has to be told again what is wanted.
    ///
    /// # Errors
    /// Those of taking.
    pub fn collect(&self) -> Result<Option<SemaphoreGuard>> {
        let units = self.outcome()?.filter(|&units| units > 0);
        Ok(units.map(|units| SemaphoreGuard::new(self.shared.set, self.shared.index, units)))
    }

    /// Whether the value has been 0, if that was wanted.
    ///
    /// # Errors
    /// Those of waiting.
    pub fn was_zero(&self) -> Result<bool> {
        Ok(self.outcome()? == Some(0))
    }

    fn outcome(&self) -> Result<Option<i16>> {
        if !self.is_ours() {
            return Ok(None);
        }
        let mut state = self.shared.state();
        let _ = self.shared.event.read();
        let outcome = state.outcome.take();
        self.shared.changed.notify_all();
        outcome.transpose().map_err(|errno| self.shared.set.op_error(errno, 1))
    }
}

impl AsFd for Taker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        if self.is_ours() {
            self.shared.state().closing = true;
            self.shared.changed.notify_all();
        } else {
            close_inherited(&self.shared.event);
        }
        self.thread.end();
    }
}
