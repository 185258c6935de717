//! Which real-time signal wakes waiting threads.

use std::ffi::c_int;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::errno::Errno;

use crate::sys::signal::{Disposition, SignalSet, disposition, handle, real_time_signals};

/// The signal in use; 0 before one is chosen.
static CHOSEN: AtomicI32 = AtomicI32::new(0);

/// Whether the program chose it, who then knows best which threads block it.
static BY_PROGRAM: AtomicBool = AtomicBool::new(false);

/// The real-time signal that ends the timed waits of queues inside the kernel, chosen if none is
/// yet; `None` where none is free.
///
/// The choice goes from `SIGRTMAX` down and leaves out signals that the kernel refuses, that have a
/// handler or are ignored, and that some threads block (as programs do that take them by `sigwait`
/// or `signalfd`). A thread that blocks every real-time signal says nothing of any of them: which
/// of them it waits for can't be told, so a program that takes signals that way should call
/// [`set_wakeup_signal`] first.
///
/// ```
/// let signal = sysv_ipc_rs::wait::wakeup_signal().expect("a test has free signals");
/// assert!((libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&signal));
/// ```
///
/// # References
/// - [signal(7)](https://man7.org/linux/man-pages/man7/signal.7.html)
#[must_use]
pub fn wakeup_signal() -> Option<c_int> {
    claim()
}

/// Makes `signal` the one that [`wakeup_signal`] tells.
///
/// # Errors
/// `EINVAL` if it is no real-time signal, `EBUSY` if the program ignores or handles it.
///
/// ```
/// sysv_ipc_rs::wait::set_wakeup_signal(libc::SIGRTMAX() - 3)?;
/// assert_eq!(sysv_ipc_rs::wait::wakeup_signal(), Some(libc::SIGRTMAX() - 3));
/// # Ok::<(), nix::errno::Errno>(())
/// ```
pub fn set_wakeup_signal(signal: c_int) -> Result<(), Errno> {
    if !real_time_signals().contains(&signal) {
        return Err(Errno::EINVAL);
    }
    match disposition(signal)? {
        Disposition::Taken => return Err(Errno::EBUSY),
        Disposition::Default => handle(signal)?,
        Disposition::Ours => {}
    }
    CHOSEN.store(signal, Ordering::Release);
    BY_PROGRAM.store(true, Ordering::Release);
    Ok(())
}

/// The signal in use, looked at anew: a program may have given it another handler meanwhile.
pub(crate) fn claim() -> Option<c_int> {
    match CHOSEN.load(Ordering::Acquire) {
        0 => choose(),
        signal if still_wakes(signal) => Some(signal),
        _ => choose(),
    }
}

/// Whether the signal still does nothing but end system calls.
pub(crate) fn still_wakes(signal: c_int) -> bool {
    disposition(signal) == Ok(Disposition::Ours)
}

#[cold]
fn choose() -> Option<c_int> {
    let masks = blocked_by_threads();
    let free = real_time_signals().rev().filter(|&signal| {
        !masks.iter().any(|&mask| blocks(mask, signal))
            && matches!(disposition(signal), Ok(Disposition::Default | Disposition::Ours))
    });
    for signal in free {
        if handle(signal).is_ok() {
            CHOSEN.store(signal, Ordering::Release);
            BY_PROGRAM.store(false, Ordering::Release);
            return Some(signal);
        }
    }
    None
}

/// Whether a mask, as `/proc` gives it, has the bit of `signal`.
fn blocks(mask: u64, signal: c_int) -> bool {
    u32::try_from(signal - 1).is_ok_and(|bit| mask.checked_shr(bit).unwrap_or(0) & 1 == 1)
}

/// The masks of the threads that block some real-time signals for a purpose of their own.
fn blocked_by_threads() -> Vec<u64> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok())
        .filter_map(|status| blocked_mask(&status))
        .filter(|&mask| !blocks_all(|signal| blocks(mask, signal)))
        .collect()
}

/// Whether every real-time signal is blocked, but for the one that our own waits unblock.
fn blocks_all(blocked: impl Fn(c_int) -> bool) -> bool {
    let ours = CHOSEN.load(Ordering::Acquire);
    real_time_signals().all(|signal| signal == ours || blocked(signal))
}

/// `SigBlk` of a `/proc/PID/status`.
fn blocked_mask(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

/// A signal for a thread whose mask shows that it blocks `signal` for a purpose of its own: another
/// one, unless the program chose it.
pub(crate) fn claim_besides(mask: &SignalSet, signal: c_int) -> Option<c_int> {
    let reserved = mask.contains(signal) && !blocks_all(|other| mask.contains(other));
    if reserved && !BY_PROGRAM.load(Ordering::Acquire) { choose() } else { Some(signal) }
}
