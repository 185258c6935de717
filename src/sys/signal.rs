//! Real-time signals, and timers that signal one thread: what ends a call that has no time limit.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::ptr;
use std::time::Duration;

use libc::{itimerspec, sigaction, sigevent, sigset_t, timer_t, timespec};
use nix::errno::Errno;

use super::Result;

/// What the process does with a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// `SIG_DFL`.
    Default,
    /// The handler of [`handle`].
    Ours,
    /// Ignored, or somebody else's handler.
    Taken,
}

/// The real-time signals that the C library leaves to programs.
pub(crate) fn real_time_signals() -> RangeInclusive<c_int> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// Does nothing: that a handler ran is what ends the system call.
extern "C" fn wake(_signal: c_int) {}

pub(crate) fn disposition(signal: c_int) -> Result<Disposition> {
    exchange(signal, None).map(|action| meaning(&action))
}

/// Makes the process do nothing on `signal`, but end the system call it interrupts. EBUSY, and
/// nothing is changed, if it is taken.
pub(crate) fn handle(signal: c_int) -> Result<()> {
    // SAFETY: all zeros is a sigaction.
    let mut action: sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = (wake as *const ()).addr();
    action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
    let old = exchange(signal, Some(&action))?;
    if meaning(&old) == Disposition::Taken {
        exchange(signal, Some(&old))?;
        return Err(Errno::EBUSY);
    }
    Ok(())
}

/// Sets what the process does with a signal, if `new` says any; gives what it did before.
///
/// `new` is one of this module's own actions, or one that `exchange` gave.
fn exchange(signal: c_int, new: Option<&sigaction>) -> Result<sigaction> {
    let mut old = MaybeUninit::<sigaction>::zeroed();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the kernel reads `new`, if any, and fills `old`; `wake` is async-signal-safe.
    Errno::result(unsafe { libc::sigaction(signal, new, old.as_mut_ptr()) })?;
    // SAFETY: zeroed, then filled by the kernel.
    Ok(unsafe { old.assume_init() })
}

fn meaning(action: &sigaction) -> Disposition {
    match action.sa_sigaction {
        libc::SIG_DFL => Disposition::Default,
        handler if handler == (wake as *const ()).addr() => Disposition::Ours,
        _ => Disposition::Taken,
    }
}

/// A set of signals.
#[derive(Clone, Copy)]
pub(crate) struct SignalSet(sigset_t);

impl SignalSet {
    pub(crate) fn empty() -> Self {
        let mut set = MaybeUninit::zeroed();
        // SAFETY: sigemptyset initialises the set.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: initialised by sigemptyset.
        Self(unsafe { set.assume_init() })
    }

    pub(crate) fn with(mut self, signal: c_int) -> Self {
        // SAFETY: the set is initialised; an impossible signal is refused with EINVAL.
        unsafe { libc::sigaddset(&raw mut self.0, signal) };
        self
    }

    /// All signals but one.
    pub(crate) fn all_but(signal: c_int) -> Self {
        let mut set = Self::empty();
        // SAFETY: the set is initialised.
        unsafe { libc::sigfillset(&raw mut set.0) };
        // SAFETY: the set is initialised; an impossible signal is refused with EINVAL.
        unsafe { libc::sigdelset(&raw mut set.0, signal) };
        set
    }

    pub(crate) fn contains(&self, signal: c_int) -> bool {
        // SAFETY: the set is initialised.
        unsafe { libc::sigismember(&raw const self.0, signal) == 1 }
    }

    /// Makes this the calling thread's mask of blocked signals (`SIG_SETMASK`), or changes the
    /// mask by it (`SIG_BLOCK`, `SIG_UNBLOCK`); gives the mask from before.
    pub(crate) fn apply(&self, how: c_int) -> Result<Self> {
        let mut old = Self::empty();
        // SAFETY: both sets are initialised.
        let failed = unsafe { libc::pthread_sigmask(how, &raw const self.0, &raw mut old.0) };
        if failed == 0 { Ok(old) } else { Err(Errno::from_raw(failed)) }
    }
}

/// A timer on CLOCK_MONOTONIC that signals the thread that made it. Drop deletes it.
#[derive(Debug)]
pub(crate) struct ThreadTimer(timer_t);

// SAFETY: a timer's id is a number that any thread of the process may use.
unsafe impl Send for ThreadTimer {}
// SAFETY: the calls on a timer are atomic in the kernel.
unsafe impl Sync for ThreadTimer {}

impl ThreadTimer {
    pub(crate) fn new(signal: c_int) -> Result<Self> {
        // SAFETY: all zeros is a sigevent.
        let mut event: sigevent = unsafe { MaybeUninit::zeroed().assume_init() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        // SAFETY: gettid has no preconditions.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let (clock, mut timer) = (libc::CLOCK_MONOTONIC, ptr::null_mut());
        // SAFETY: the event is initialised, and the kernel's id is written to `timer`.
        Errno::result(unsafe { libc::timer_create(clock, &raw mut event, &raw mut timer) })?;
        Ok(Self(timer))
    }

    /// Fires after `first` (at least a nanosecond), then again every `period`.
    pub(crate) fn start(&self, first: Duration, period: Duration) -> Result<()> {
        self.set(first.max(Duration::from_nanos(1)), period)
    }

    /// Fires no more.
    pub(crate) fn stop(&self) -> Result<()> {
        self.set(Duration::ZERO, Duration::ZERO)
    }

    fn set(&self, first: Duration, period: Duration) -> Result<()> {
        let times = itimerspec { it_interval: to_timespec(period), it_value: to_timespec(first) };
        // SAFETY: the timer is alive until drop; `times` is only read.
        let set = unsafe { libc::timer_settime(self.0, 0, &raw const times, ptr::null_mut()) };
        Errno::result(set).map(drop)
    }
}

impl Drop for ThreadTimer {
    fn drop(&mut self) {
        // SAFETY: the timer was made by timer_create and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// The longest time that a `timespec` holds stands for every longer one.
pub(crate) fn to_timespec(time: Duration) -> timespec {
    timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
