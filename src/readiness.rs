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

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{Error, Result};
use crate::msg::{MessageQueue, Selection};
use crate::sem::{Operation, OperationFlags, SemaphoreSet};
use crate::sys;
use crate::sys::process::Generation;
use crate::sys::signal::{SignalSet, signal_thread, thread_id};
use crate::wait::{Deadline, still_wakes, wakeup_signal};

/// How long the watcher sleeps at a time where no signal can wake it.
const SLICE: Duration = Duration::from_millis(5);

/// How often the watcher is signalled until it has seen it, and for how long at most.
const KNOCK: Duration = Duration::from_micros(200);
const KNOCKING: Duration = Duration::from_secs(2);

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
    /// The watcher's id in the kernel; 0 before it runs.
    watcher: AtomicI32,
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
    fn watch(&self, signal: Option<i32>) {
        // Everything else is for the program's own threads.
        let _ = SignalSet::all_but(signal.unwrap_or(0)).apply(libc::SIG_SETMASK);
        self.watcher.store(thread_id(), Ordering::Release);
        while self.until_cleared() {
            let answer = if signal.is_some() { self.watched.sleep() } else { self.pause() };
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
    descriptor: OwnedFd,
    maker: Generation,
    signal: Option<i32>,
    thread: Option<JoinHandle<()>>,
}

impl Readiness {
    /// Begins to watch.
    ///
    /// # Errors
    /// Those of receiving, or of `semop`; the errno of `eventfd` or of making a thread.
    pub fn new(watched: Watched) -> Result<Self> {
        let failed = |call| move |errno| Error::from_errno(call, errno);
        let ready = watched.look().map_err(|errno| watched.error(errno))?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event =
            EventFd::from_value_and_flags(ready.into(), flags).map_err(failed("eventfd"))?;
        // The watcher keeps its own, so that it never writes to a descriptor that is another's.
        let descriptor =
            event.as_fd().try_clone_to_owned().map_err(|error| failed("dup")(errno_of(&error)))?;
        let shared = Arc::new(Shared {
            watched,
            event,
            state: Mutex::new(State { ready, ..State::default() }),
            changed: Condvar::new(),
            watcher: AtomicI32::new(0),
        });
        let (signal, watcher) = (wakeup_signal(), Arc::clone(&shared));
        let thread = spawn_without_signals(move || watcher.watch(signal))
            .map_err(|error| failed("pthread_create")(errno_of(&error)))?;
        let maker = Generation::current();
        Ok(Self { shared, descriptor, maker, signal, thread: Some(thread) })
    }

    /// Whether this is the process that made it. A forked child shares the descriptor, and must
    /// not read it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.maker == Generation::current()
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

    /// Tells the watcher to end, and wakes it out of the kernel until it has.
    fn stop(&self, thread: JoinHandle<()>) {
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
        let given_up = Instant::now() + KNOCKING;
        while !thread.is_finished() {
            let watcher = self.shared.watcher.load(Ordering::Acquire);
            // A program may have taken the signal for itself meanwhile.
            if let Some(signal) = self.signal.filter(|&signal| watcher != 0 && still_wakes(signal))
            {
                let _ = signal_thread(watcher, signal);
            }
            if Instant::now() >= given_up {
                // It ends by itself when the kernel lets it go.
                return;
            }
            thread::park_timeout(KNOCK);
        }
        let _ = thread.join();
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.is_ours() {
            self.stop(thread);
        } else {
            // The thread is the parent's; here there is none to wake or to wait for.
            std::mem::forget(thread);
        }
    }
}

/// A thread inherits the mask: no signal of the program's may ever be handled there.
fn spawn_without_signals(life: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let mask = SignalSet::all_but(0).apply(libc::SIG_SETMASK);
    let builder = thread::Builder::new().name("sysv_ipc_rs watcher".to_owned());
    let thread = builder.stack_size(256 * 1024).spawn(life);
    if let Ok(mask) = mask {
        let _ = mask.apply(libc::SIG_SETMASK);
    }
    thread
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EAGAIN))
}
