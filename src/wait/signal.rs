//! Which real-time signal wakes waiting threads.

use std::ffi::c_int;
use std::fs;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use nix::errno::Errno;

use crate::sys::signal::{Disposition, SignalSet, disposition, handle, real_time_signals};

/// The signal in use; 0 before one is chosen; negated where the program chose it, who then knows
/// best which threads block it.
static CHOSEN: AtomicI32 = AtomicI32::new(0);

/// All signals that were ever in use, as a mask: waits that began with one may still unblock it.
static EVER: AtomicU64 = AtomicU64::new(0);

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
    handle(signal)?;
    EVER.fetch_or(bit(signal), Ordering::AcqRel);
    CHOSEN.store(-signal, Ordering::Release);
    Ok(())
}

/// The signal in use, looked at anew: a program may have given it another handler meanwhile.
pub(crate) fn claim() -> Option<c_int> {
    let chosen = CHOSEN.load(Ordering::Acquire);
    match chosen.abs() {
        0 => choose(chosen),
        signal if still_wakes(signal) => Some(signal),
        _ => choose(chosen),
    }
}

/// Whether the signal still does nothing but end system calls.
fn still_wakes(signal: c_int) -> bool {
    disposition(signal) == Ok(Disposition::Ours)
}

/// As [`still_wakes`], and makes it so again where the program has reset all handlers.
pub(crate) fn keep(signal: c_int) -> bool {
    match disposition(signal) {
        Ok(Disposition::Ours) => true,
        Ok(Disposition::Default) => handle(signal).is_ok(),
        _ => false,
    }
}

/// As [`claim`], for a thread with this mask: one that blocks the signal for a purpose of its own
/// needs another, unless the program chose it.
pub(crate) fn claim_for(mask: &SignalSet) -> Option<c_int> {
    let signal = claim()?;
    let reserved = mask.contains(signal) && !blocks_all(|other| mask.contains(other));
    match CHOSEN.load(Ordering::Acquire) {
        chosen if reserved && chosen > 0 => choose(chosen),
        _ => Some(signal),
    }
}

/// Chooses a signal instead of the one that was chosen; but the program, or another thread, may
/// choose meanwhile.
#[cold]
fn choose(instead: i32) -> Option<c_int> {
    let masks = blocked_by_threads();
    let free = real_time_signals().rev().filter(|&signal| {
        !masks.iter().any(|mask| mask & bit(signal) != 0)
            && matches!(disposition(signal), Ok(Disposition::Default | Disposition::Ours))
    });
    for signal in free {
        if handle(signal).is_ok() {
            EVER.fetch_or(bit(signal), Ordering::AcqRel);
            let chosen =
                CHOSEN.compare_exchange(instead, signal, Ordering::AcqRel, Ordering::Acquire);
            return Some(chosen.map_or_else(i32::abs, |_| signal));
        }
    }
    None
}

/// The signal's bit in a mask, as `/proc` gives it.
fn bit(signal: c_int) -> u64 {
    let place = u32::try_from(signal - 1).unwrap_or(u32::MAX);
    1u64.checked_shl(place).unwrap_or(0)
}

/// The masks of the threads that block some real-time signals for a purpose of their own.
fn blocked_by_threads() -> Vec<u64> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok())
        .filter_map(|status| blocked_mask(&status))
        .filter(|mask| !blocks_all(|signal| mask & bit(signal) != 0))
        .collect()
}

/// Whether every real-time signal is blocked, but for those that our own waits unblock.
fn blocks_all(blocked: impl Fn(c_int) -> bool) -> bool {
    let ever = EVER.load(Ordering::Acquire);
    real_time_signals().all(|signal| ever & bit(signal) != 0 || blocked(signal))
}

/// `SigBlk` of a `/proc/PID/status`.
pub(crate) fn blocked_mask(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}
