//! A descriptor that becomes readable when a message waits, or when a semaphore can be taken from:
//! what an event loop can wait for.
//!
//! A thread of its own waits in the kernel without taking anything. Two limits come from that:
//!
//! - A message of length zero it does take, and sends back at once: that message may land behind
//!   later ones, and is lost if it can't be sent back. Queues that carry empty messages should not
//!   be watched.
//! - On a semaphore it needs write permission, updates the last pid and the time of the last
//!   operation, and counts among those who wait.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{Error, Result};
use crate::msg::{MessageQueue, Selection};
use crate::sem::{Operation, OperationFlags, SemaphoreSet};
use crate::sys;
use crate::wait::Deadline;
use crate::wait::sleeper::{Bell, Sleeper, close_inherited};

/// How long the watcher sleeps at a time where nothing can wake it.
const SLICE: Duration = Duration::from_millis(5);

/// What is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// A message of the queue that the selection matches.
    Queue(MessageQueue, Selection),
    /// That so many units can be taken from the semaphore with this index.
    Semaphore(SemaphoreSet, u16, i16),
}

impl Watched {
    /// Whether it is so now.
    fn look(&self) -> sys::Result<bool> {
        let seen = match self {
            Self::Queue(queue, selection) => queue.sense(*selection, libc::IPC_NOWAIT),
            Self::Semaphore(set, index, units) => set.try_raw(&touch(*index, *units)),
        };
        match seen {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN | Errno::ENOMSG) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Waits until it is so; EINTR by any signal.
    fn sleep(&self) -> sys::Result<()> {
        match self {
            Self::Queue(queue, selection) => queue.sense(*selection, 0),
            Self::Semaphore(set, index, units) => {
                set.wait_raw(&touch(*index, *units), Deadline::NEVER)
            }
        }
    }

    fn error(&self, errno: Errno) -> Error {
        match self {
            Self::Queue(queue, _) => queue.receive_error(errno),
            Self::Semaphore(set, ..) => set.op_error(errno, 2),
        }
    }
}

/// Takes and gives in one step, which can be done exactly when the units can be taken.
fn touch(index: u16, units: i16) -> [Operation; 2] {
    [-units, units].map(|delta| Operation::new(index, delta, OperationFlags::empty()))
}

#[derive(Debug, Default)]
struct State {
    /// The descriptor is readable, and the watcher waits to be told that it isn't any more.
    ready: bool,
    closing: bool,
}

#[derive(Debug)]
struct Shared {
    watched: Watched,
    event: EventFd,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark_ready(&self, state: &mut State) {
        if !state.ready {
            state.ready = true;
            let _ = self.event.write(1);
        }
    }

    /// The watcher's life.
    fn watch(&self, bell: &Bell) {
        while self.until_cleared() {
            let answer = if bell.is_silent() { self.pause() } else { self.watched.sleep() };
            // Any error is for `clear` to tell, which will meet it too.
            if answer != Err(Errno::EINTR) {
                self.mark_ready(&mut self.state());
            }
        }
    }

    /// Waits while the descriptor is readable; `false` when it is time to end.
    fn until_cleared(&self) -> bool {
        let state = self.changed.wait_while(self.state(), |state| state.ready && !state.closing);
        !state.unwrap_or_else(PoisonError::into_inner).closing
    }

    /// One look and a pause; EINTR when there was nothing yet.
    fn pause(&self) -> sys::Result<()> {
        if self.watched.look()? {
            return Ok(());
        }
        let waited = self.changed.wait_timeout_while(self.state(), SLICE, |state| !state.closing);
        drop(waited);
        Err(Errno::EINTR)
    }
}

/// A descriptor that is readable while something waits, as far as is known: a hint that takes
/// nothing. Use: take until nothing is there, then [`clear`](Self::clear), which looks again, so
/// that nothing is missed.
///
/// Dropping it ends its thread. In a forked child it is inert.
///
/// ```
/// use sysv_ipc_rs::ipc::{Key, Mode};
/// use sysv_ipc_rs::msg::{MessageQueue, Selection};
/// use sysv_ipc_rs::readiness::{Readiness, Watched};
///
/// let queue = MessageQueue::create(Key::PRIVATE, Mode::default())?;
/// let readiness = Readiness::new(Watched::Queue(queue, Selection::ANY))?;
/// queue.send(1, b"hello")?;
/// // Here an event loop would wait until `readiness` is readable.
/// while queue.try_receive(Selection::ANY)?.is_some() {}
/// readiness.clear()?;
/// queue.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[derive(Debug)]
pub struct Readiness {
    shared: Arc<Shared>,
    watcher: Sleeper,
}

impl Readiness {
    /// Begins to watch.
    ///
    /// # Errors
    /// Those of receiving, or of `semop`; the errno of `eventfd` or of making a thread.
    pub fn new(watched: Watched) -> Result<Self> {
        let ready = watched.look().map_err(|errno| watched.error(errno))?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = EventFd::from_value_and_flags(ready.into(), flags)
            .map_err(|errno| Error::from_errno("eventfd", errno))?;
        let state = Mutex::new(State { ready, closing: false });
        let shared = Arc::new(Shared { watched, event, state, changed: Condvar::new() });
        let its = Arc::clone(&shared);
        let watcher = Sleeper::start(move |bell| its.watch(bell))?;
        Ok(Self { shared, watcher })
    }

    /// Whether this is the process that made it. A forked child shares the descriptor, and must
    /// not read it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.watcher.is_ours()
    }

    /// Looks again: unless something waits still, the descriptor is not readable any more until
    /// something does.
    ///
    /// # Errors
    /// What the watcher, or this look, has met: the object is gone, or access to it. The descriptor
    /// stays readable. `EPERM` in a forked child.
    pub fn clear(&self) -> Result<()> {
        if !self.is_ours() {
            let error = Error::from_errno("eventfd", Errno::EPERM);
            return Err(error.because("it belongs to the process that made it"));
        }
        let mut state = self.shared.state();
        match self.shared.watched.look() {
            Ok(true) => self.shared.mark_ready(&mut state),
            Ok(false) if state.ready => {
                let _ = self.shared.event.read();
                state.ready = false;
                self.shared.changed.notify_all();
            }
            Ok(false) => {}
            Err(errno) => {
                self.shared.mark_ready(&mut state);
                drop(state);
                return Err(self.shared.watched.error(errno));
            }
        }
        Ok(())
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        if self.is_ours() {
            self.shared.state().closing = true;
            self.shared.changed.notify_all();
        } else {
            close_inherited(&self.shared.event);
        }
        self.watcher.end();
    }
}
