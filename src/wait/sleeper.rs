//! A thread of ours that sleeps in system calls, and can be woken out of them.

use std::ffi::c_int;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::eventfd::EventFd;

use super::signal::keep;
use super::{REFIRE, claim};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::process::Generation;
use crate::sys::signal::{SignalSet, ThreadTimer};

/// How often it is looked whether the thread has ended, and for how long at most.
const LOOK: Duration = Duration::from_micros(100);
const LOOKING: Duration = Duration::from_secs(2);

/// What wakes the thread: a timer that signals it, again and again, since a signal that comes
/// before the thread is inside the system call ends nothing.
#[derive(Debug, Default)]
pub(crate) struct Bell(OnceLock<Option<(c_int, ThreadTimer)>>);

impl Bell {
    /// For the calling thread; silent where no signal is free or no timer can be made.
    fn hang(&self) {
        let signal = claim();
        // Everything else is for the program's own threads.
        let _ = SignalSet::all_but(signal.unwrap_or(0)).apply(libc::SIG_SETMASK);
        self.0.get_or_init(|| {
            signal.and_then(|signal| Some((signal, ThreadTimer::new(signal).ok()?)))
        });
    }

    /// Whether it can't wake the thread, which has to look up by itself.
    pub(crate) fn is_silent(&self) -> bool {
        self.0.get().is_none_or(Option::is_none)
    }

    /// Wakes the thread, until it says [`Self::hush`].
    pub(crate) fn ring(&self) {
        // A program may have taken the signal for itself meanwhile.
        if let Some(Some((signal, timer))) = self.0.get()
            && keep(*signal)
        {
            let _ = timer.start(Duration::ZERO, REFIRE);
        }
    }

    /// The thread is awake.
    pub(crate) fn hush(&self) {
        if let Some(Some((_, timer))) = self.0.get() {
            let _ = timer.stop();
        }
    }
}

/// The thread; its user tells it to end before calling [`Self::end`].
#[derive(Debug)]
pub(crate) struct Sleeper {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
    maker: Generation,
}

impl Sleeper {
    pub(crate) fn start(life: impl FnOnce(&Bell) + Send + 'static) -> Result<Self> {
        let bell = Arc::new(Bell::default());
        let its = Arc::clone(&bell);
        let thread = spawn_without_signals(move || {
            its.hang();
            life(&its);
        });
        let thread = thread.map_err(|error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EAGAIN));
            // EAGAIN here is no wait whose time is up.
            Error::from_errno("pthread_create", errno).of_kind(ErrorKind::LimitExceeded).because(
                "no thread is to be had for the wait (RLIMIT_NPROC, /proc/sys/kernel/threads-max, \
                 the cgroup's pids.max and memory limit them)",
            )
        })?;
        Ok(Self { bell, thread: Some(thread), maker: Generation::current() })
    }

    /// Whether this is the process that has the thread; a forked child has not.
    pub(crate) fn is_ours(&self) -> bool {
        self.maker == Generation::current()
    }

    pub(crate) fn wake(&self) {
        self.bell.ring();
    }

    /// Whether [`Self::wake`] can.
    pub(crate) fn can_wake(&self) -> bool {
        !self.bell.is_silent()
    }

    /// Takes [`Self::wake`] back, if the thread has not heard it yet.
    pub(crate) fn let_sleep(&self) {
        self.bell.hush();
    }

    /// Wakes the thread and waits for its end.
    pub(crate) fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if !self.is_ours() {
            // The parent's: here there is none to wake or to wait for.
            std::mem::forget(thread);
            return;
        }
        self.bell.ring();
        let given_up = Instant::now() + LOOKING;
        while !thread.is_finished() {
            if Instant::now() >= given_up {
                // It ends by itself when the kernel lets it go.
                return;
            }
            thread::park_timeout(LOOK);
        }
        let _ = thread.join();
    }
}

/// A thread inherits the mask: no signal of the program's may ever be handled there.
fn spawn_without_signals(life: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let mask = SignalSet::all_but(0).apply(libc::SIG_SETMASK);
    let builder = thread::Builder::new().name("sysv_ipc_rs".to_owned());
    let thread = builder.stack_size(256 * 1024).spawn(life);
    if let Ok(mask) = mask {
        let _ = mask.apply(libc::SIG_SETMASK);
    }
    thread
}

/// In a forked child, closes the descriptor of an event that a thread of the parent owns too, so
/// that it is never dropped here.
pub(crate) fn close_inherited(event: &EventFd) {
    let _ = nix::unistd::close(event.as_raw_fd());
}
