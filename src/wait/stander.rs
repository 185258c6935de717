//! A thread that stands in the kernel's queue on behalf of an event loop.

use std::fmt::Debug;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Deadline;
use super::sleeper::{Bell, Sleeper, close_inherited};
use crate::error::{Error, Result};
use crate::sys;

/// How long what has been got may lie uncollected before it goes back. Doubled each time: a loop
/// that is busy for longer must get it in the end.
const GRACE: Duration = Duration::from_millis(100);

/// How long the thread stands at a time where nothing can wake it.
const SLICE: Duration = Duration::from_millis(50);

/// What such a thread does in the kernel.
pub(crate) trait Errand: Debug + Send + Sync + 'static {
    /// What is to be got.
    type Wanted: Copy + PartialEq + Debug + Send;
    /// What has been got.
    type Got: Copy + Debug + Send;

    /// Waits for it; EINTR or EAGAIN if it has not been got.
    fn get(&self, wanted: Self::Wanted, deadline: Deadline) -> sys::Result<Self::Got>;

    /// Whether somebody else may be waiting for what has been got.
    fn must_go_back(got: Self::Got) -> bool;

    /// Gives it back; nobody can be told if that fails.
    fn give_back(&self, got: Self::Got);
}

#[derive(Debug)]
struct State<E: Errand> {
    wanted: Option<E::Wanted>,
    /// What came of what was wanted; the descriptor is readable.
    outcome: Option<(E::Wanted, sys::Result<E::Got>)>,
    /// What the thread is inside the system call for.
    standing: Option<E::Wanted>,
    closing: bool,
    grace: Duration,
}

#[derive(Debug)]
struct Shared<E: Errand> {
    errand: E,
    event: EventFd,
    state: Mutex<State<E>>,
    changed: Condvar,
}

impl<E: Errand> Shared<E> {
    fn state(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets an outcome that nobody has collected.
    fn discard(&self, state: &mut State<E>) {
        if let Some((_, Ok(got))) = state.outcome.take() {
            self.errand.give_back(got);
        }
    }

    /// The thread's life.
    fn serve(&self, bell: &Bell) {
        while let Some(wanted) = self.next() {
            let end = if bell.is_silent() { Deadline::after(SLICE) } else { Deadline::NEVER };
            let answer = self.errand.get(wanted, end);
            let mut state = self.state();
            state.standing = None;
            bell.hush();
            match answer {
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                answer if state.wanted == Some(wanted) => {
                    state.wanted = None;
                    state.outcome = Some((wanted, answer));
                    let _ = self.event.write(1);
                }
                Ok(got) => self.errand.give_back(got),
                Err(_) => {}
            }
        }
    }

    /// Waits until something is wanted; `None` when it is time to end.
    fn next(&self) -> Option<E::Wanted> {
        let mut state = self.state();
        loop {
            state = match (state.wanted, state.outcome) {
                _ if state.closing => {
                    self.discard(&mut state);
                    return None;
                }
                (Some(wanted), None) => {
                    state.standing = Some(wanted);
                    return Some(wanted);
                }
                (_, Some((_, Ok(got)))) if E::must_go_back(got) => self.lie(state),
                _ => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// What has been got lies until it is collected, but not for ever: the loop may never run
    /// again.
    fn lie<'a>(&self, state: MutexGuard<'a, State<E>>) -> MutexGuard<'a, State<E>> {
        let grace = state.grace;
        let lying = |state: &mut State<E>| state.outcome.is_some() && !state.closing;
        let waited = self.changed.wait_timeout_while(state, grace, lying);
        let (mut state, time) = waited.unwrap_or_else(PoisonError::into_inner);
        if time.timed_out() && state.outcome.is_some() {
            self.discard(&mut state);
            state.grace = state.grace.saturating_mul(2);
        }
        state
    }
}

/// The thread, and a descriptor that becomes readable when it has what was wanted.
#[derive(Debug)]
pub(crate) struct Stander<E: Errand> {
    shared: Arc<Shared<E>>,
    thread: Sleeper,
}

impl<E: Errand> Stander<E> {
    /// A thread that does nothing yet.
    ///
    /// # Errors
    /// The errno of `eventfd` or of making a thread.
    pub(crate) fn new(errand: E) -> Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = EventFd::from_value_and_flags(0, flags)
            .map_err(|errno| Error::from_errno("eventfd", errno))?;
        let state =
            State { wanted: None, outcome: None, standing: None, closing: false, grace: GRACE };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { errand, event, state, changed });
        let its = Arc::clone(&shared);
        let thread = Sleeper::start(move |bell| its.serve(bell))?;
        Ok(Self { shared, thread })
    }

    /// What it does.
    pub(crate) fn errand(&self) -> &E {
        &self.shared.errand
    }

    /// Whether this is the process that made it.
    pub(crate) fn is_ours(&self) -> bool {
        self.thread.is_ours()
    }

    /// Begins to get something, or goes on standing for it; with `None` leaves the kernel's queue.
    /// What it has or stands for else is given up.
    pub(crate) fn turn_to(&self, wanted: Option<E::Wanted>) {
        if !self.is_ours() {
            return;
        }
        let mut state = self.shared.state();
        if let Some((what, Ok(_))) = state.outcome
            && wanted == Some(what)
        {
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

    /// What it has got, which is now the caller's. Otherwise, or where that has gone back
    /// meanwhile, it has to be told again what is wanted.
    ///
    /// # Errors
    /// Those of getting it.
    pub(crate) fn collect(&self) -> sys::Result<Option<E::Got>> {
        if !self.is_ours() {
            return Ok(None);
        }
        let mut state = self.shared.state();
        let _ = self.shared.event.read();
        let outcome = state.outcome.take();
        self.shared.changed.notify_all();
        outcome.map(|(_, answer)| answer).transpose()
    }
}

impl<E: Errand> AsFd for Stander<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}

impl<E: Errand> Drop for Stander<E> {
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
