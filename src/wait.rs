//! Deadlines, and how a call that knows no time limit (`msgsnd`, `msgrcv`) ends on time all the
//! same: a timer signals the waiting thread out of it.

use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::sys;
use crate::sys::signal::{SignalSet, ThreadTimer};

mod signal;
pub(crate) mod sleeper;
pub(crate) mod stander;

#[cfg(fuzzing)]
pub(crate) use signal::blocked_mask as parse_blocked_mask;
use signal::claim;
pub use signal::{set_wakeup_signal, wakeup_signal};

/// The moment at which a wait ends, on the monotonic clock; or never.
///
/// ```
/// use std::time::Duration;
/// use sysv_ipc_rs::wait::Deadline;
///
/// assert!(!Deadline::NEVER.passed());
/// assert!(Deadline::after(Duration::ZERO).passed());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(End);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Passed,
    At(Instant),
    Never,
}

impl Deadline {
    /// A wait without end.
    pub const NEVER: Self = Self(End::Never);

    /// No wait at all.
    pub(crate) const PASSED: Self = Self(End::Passed);

    /// The moment that is `time` from now; one that the clock can't tell is [`Self::NEVER`].
    #[must_use]
    pub fn after(time: Duration) -> Self {
        if time.is_zero() {
            return Self::PASSED;
        }
        Self(Instant::now().checked_add(time).map_or(End::Never, End::At))
    }

    /// How long from now; `None` where there is no end, zero where it has passed.
    #[must_use]
    pub fn remaining(self) -> Option<Duration> {
        match self.0 {
            End::Passed => Some(Duration::ZERO),
            End::At(end) => Some(end.saturating_duration_since(Instant::now())),
            End::Never => None,
        }
    }

    /// Whether the moment is here or over.
    #[must_use]
    pub fn passed(self) -> bool {
        match self.0 {
            End::Passed => true,
            End::At(end) => end <= Instant::now(),
            End::Never => false,
        }
    }
}

/// After the first signal, how soon the timer fires again: a signal that comes before the thread
/// is inside the system call ends nothing.
const REFIRE: Duration = Duration::from_micros(200);

/// The first and the longest pause of a thread for which there is no signal or no timer.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(5));

/// A time limit for system calls that have none, held while one thread makes them.
///
/// Belongs to the thread that made it. Python's signal handlers don't run while it is held.
pub(crate) struct TimeLimit {
    deadline: Deadline,
    means: Means,
}

enum Means {
    /// No limit: the call may wait for ever.
    Endless,
    /// The timer signals this thread; the mask is the thread's own.
    Alarm { timer: Option<ThreadTimer>, mask: SignalSet },
    /// No signal or no timer is to be had: tries again after pauses.
    Pauses(Duration),
}

impl TimeLimit {
    /// Arms a timer for the calling thread, or, where there is none, falls back to pauses.
    #[inline]
    pub(crate) fn new(deadline: Deadline) -> Self {
        if deadline == Deadline::NEVER {
            return Self { deadline, means: Means::Endless };
        }
        Self::armed(deadline)
    }

    fn armed(deadline: Deadline) -> Self {
        let means = match deadline.remaining() {
            None => Means::Endless,
            Some(time) => alarm(time).unwrap_or(Means::Pauses(PAUSES.0)),
        };
        Self { deadline, means }
    }

    /// Whether the wait is a row of tries with pauses between them.
    #[cfg(feature = "python")]
    pub(crate) fn pauses(&self) -> bool {
        matches!(self.means, Means::Pauses(_))
    }

    /// Makes the call until it succeeds, fails, or is interrupted; EAGAIN once time is up.
    ///
    /// `call` is told whether it may wait.
    pub(crate) fn run<T>(
        &mut self,
        mut call: impl FnMut(bool) -> sys::Result<T>,
    ) -> sys::Result<T> {
        let Means::Pauses(pause) = &mut self.means else {
            let answer = call(!self.deadline.passed());
            // The timer's own signal looks like any other: the clock tells them apart.
            return match answer {
                Err(Errno::EINTR) if self.deadline.passed() => Err(Errno::EAGAIN),
                answer => answer,
            };
        };
        loop {
            match call(false) {
                Err(Errno::EAGAIN | Errno::ENOMSG) => {}
                answer => return answer,
            }
            if self.deadline.passed() {
                return Err(Errno::EAGAIN);
            }
            sleep((*pause).min(self.deadline.remaining().unwrap_or(PAUSES.1)))?;
            *pause = (*pause * 2).min(PAUSES.1);
        }
    }
}

impl Drop for TimeLimit {
    fn drop(&mut self) {
        if let Means::Alarm { timer, mask } = &mut self.means {
            // In this order: a signal of the timer must find the signal unblocked, or it stays
            // pending for ever.
            drop(timer.take());
            let _ = mask.apply(libc::SIG_SETMASK);
        }
    }
}

fn alarm(time: Duration) -> Option<Means> {
    // Looked at before anything is unblocked: a signal that waits for `sigwait` must stay pending.
    let mask = SignalSet::empty().apply(libc::SIG_BLOCK).ok()?;
    let signal = signal::claim_for(&mask)?;
    SignalSet::empty().with(signal).apply(libc::SIG_UNBLOCK).ok()?;
    let timer = ThreadTimer::new(signal).and_then(|timer| {
        timer.start(time, REFIRE)?;
        Ok(timer)
    });
    if timer.is_err() {
        let _ = mask.apply(libc::SIG_SETMASK);
    }
    timer.ok().map(|timer| Means::Alarm { timer: Some(timer), mask })
}

/// Sleeps; EINTR if a signal came.
pub(crate) fn sleep(time: Duration) -> sys::Result<()> {
    let clock = nix::time::ClockId::CLOCK_MONOTONIC;
    let time = sys::signal::to_timespec(time).into();
    nix::time::clock_nanosleep(clock, nix::time::ClockNanosleepFlags::empty(), &time).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn a_signal_that_comes_before_the_system_call_comes_again() {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let time = Duration::from_millis(2);
            let mut limit = TimeLimit::new(Deadline::after(time));
            assert!(matches!(limit.means, Means::Alarm { .. }), "no signal or no timer");
            let answer = limit.run(|_| {
                // As a thread that is not scheduled between the last look and the call.
                let started = Instant::now();
                while started.elapsed() < time * 5 {}
                sleep(Duration::from_mins(10))
            });
            sender.send(answer)
        });
        let answer = receiver.recv_timeout(Duration::from_secs(30));
        assert_eq!(answer, Ok(Err(Errno::EAGAIN)), "it sleeps still");
    }
}
