//! How every blocking call of the package waits: one try while attached to the interpreter; then
//! detached, until it is done, fails, the time is up, or a signal handler raises.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use pyo3::exceptions::{PyRecursionError, PyRuntimeWarning, PyValueError};
use pyo3::prelude::*;

use super::convert;
use super::error::os_error;
use crate::sys;
use crate::sys::process::Generation;
use crate::sys::signal::real_time_signals;
use crate::wait::{Deadline, TimeLimit};

/// How long a call may wait: its argument `timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timeout {
    /// `None`.
    Endless,
    /// At most so long; zero tries once.
    Within(Duration),
}

impl Timeout {
    /// Of the calls that never wait.
    pub(super) const ZERO: Self = Self::Within(Duration::ZERO);

    pub(super) fn deadline(self) -> Deadline {
        match self {
            Self::Endless => Deadline::NEVER,
            Self::Within(time) => Deadline::after(time),
        }
    }
}

/// Makes `attempt` until it succeeds or fails; EAGAIN or ENOMSG of it means that it would have to
/// wait, and is the answer when the time is up. It is told until when it may wait, if it may: then it
/// runs detached from the interpreter.
///
/// # Errors
/// What a signal handler raised. Then nothing has been done.
#[inline]
pub(super) fn wait<T: Send>(
    py: Python<'_>,
    timeout: Timeout,
    mut attempt: impl FnMut(Option<Deadline>) -> sys::Result<T> + Send,
) -> PyResult<sys::Result<T>> {
    match attempt(None) {
        Err(Errno::EAGAIN | Errno::ENOMSG) if timeout != Timeout::ZERO => {
            let deadline = timeout.deadline();
            wait_detached(py, deadline, || attempt(Some(deadline)))
        }
        answer => Ok(answer),
    }
}

/// The part of [`wait`] after the first try: detached, until `deadline`.
#[cold]
pub(super) fn wait_detached<T: Send>(
    py: Python<'_>,
    deadline: Deadline,
    mut attempt: impl FnMut() -> sys::Result<T> + Send,
) -> PyResult<sys::Result<T>> {
    raise_late()?;
    // A signal that came before the call has begun to wait would not end it.
    run_handlers(py)?;
    loop {
        match py.detach(&mut attempt) {
            // Also without any handler: SIGSTOP and SIGCONT end a semop.
            Err(Errno::EINTR) => warn_of_pauses(py)?,
            Err(Errno::EAGAIN | Errno::ENOMSG) if !deadline.passed() => {}
            answer => return Ok(answer),
        }
        run_handlers(py)?;
    }
}

thread_local! {
    /// How many handlers of signals run inside each other, in calls of ours.
    static NESTED: Cell<u32> = const { Cell::new(0) };
}

/// More than any program means. What a call that waits needs of the stack is more than the
/// interpreter reckons with for one level of a recursion.
const NESTED_MAX: u32 = 100;

/// Runs the handlers of the signals that have come; raises what they raise.
pub(super) fn run_handlers(py: Python<'_>) -> PyResult<()> {
    let nested = NESTED.get();
    if nested >= NESTED_MAX {
        let text = format!("{NESTED_MAX} signal handlers have interrupted each other's calls");
        return Err(PyRecursionError::new_err(text));
    }
    NESTED.set(nested + 1);
    let ran = py.check_signals();
    NESTED.set(nested);
    ran
}

thread_local! {
    /// What was raised when a call had done a part already: for this thread's next call.
    static LATE: Cell<Option<(Generation, PyErr)>> = const { Cell::new(None) };
}

/// Whether any thread has ever had to keep an exception.
static EVER_LATE: AtomicBool = AtomicBool::new(false);

/// Keeps an exception for this thread's next call.
#[cold]
pub(super) fn raise_later(error: PyErr) {
    EVER_LATE.store(true, Ordering::Relaxed);
    LATE.set(Some((Generation::current(), error)));
}

/// Raises what came too late for the thread's last call.
#[inline]
pub(super) fn raise_late() -> PyResult<()> {
    if EVER_LATE.load(Ordering::Relaxed) { take_late() } else { Ok(()) }
}

/// In a forked child it is the parent's.
#[cold]
fn take_late() -> PyResult<()> {
    let late = LATE.take().filter(|(process, _)| *process == Generation::current());
    late.map_or(Ok(()), |(_, error)| Err(error))
}

/// For a call that has waited and done its work: what a signal handler raises that came just then.
/// Leaves the call if `undo` could take the work back, else comes with the thread's next call: to
/// whom a call raises, it has done nothing.
#[cold]
pub(super) fn raise_undone(py: Python<'_>, undo: impl FnOnce() -> bool) -> PyResult<()> {
    match run_handlers(py) {
        Err(raised) if undo() => Err(raised),
        Err(raised) => {
            raise_later(raised);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Whether the program has been told that waits are rows of tries here.
static PAUSES: AtomicBool = AtomicBool::new(false);
static WARNED: AtomicBool = AtomicBool::new(false);

/// The time limit of a queue's call. Where it has to be a row of pauses for the first time, EINTR:
/// the program is to be told before anything is taken.
pub(super) fn time_limit(deadline: Deadline) -> sys::Result<TimeLimit> {
    let limit = TimeLimit::new(deadline);
    if limit.pauses() && !PAUSES.swap(true, Ordering::AcqRel) {
        return Err(Errno::EINTR);
    }
    Ok(limit)
}

fn warn_of_pauses(py: Python<'_>) -> PyResult<()> {
    if !PAUSES.load(Ordering::Acquire) || WARNED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    let text =
        c"no real-time signal is free or no timer can be made: timed waits on message queues \
        try again and again with pauses of up to 5 ms (see sysv_ipc_rs.wakeup_signal)";
    PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), text, 1)
}

/// The seconds of a `timeout`; `None` for ever. For `sysv_ipc_rs.aio`.
#[pyfunction]
pub(super) fn checked_timeout(timeout: Timeout) -> Option<f64> {
    match timeout {
        Timeout::Endless => None,
        Timeout::Within(time) => Some(time.as_secs_f64()),
    }
}

/// The real-time signal that ends the timed waits of queues; see `sysv_ipc_rs.wakeup_signal`.
#[pyfunction]
pub(super) fn wakeup_signal() -> Option<i32> {
    crate::wait::wakeup_signal()
}

/// Chooses the signal that `wakeup_signal` tells.
#[pyfunction]
pub(super) fn set_wakeup_signal(signal: &Bound<'_, PyAny>) -> PyResult<()> {
    let (first, last) = real_time_signals().into_inner();
    let signal = convert::small(signal, "wakeup_signal", first.into()..=last.into())?;
    crate::wait::set_wakeup_signal(signal).map_err(|errno| match errno {
        Errno::EBUSY => PyValueError::new_err(format!(
            "the program handles or ignores signal {signal} already; choose one that it does not use"
        )),
        errno => os_error(errno, format!("signal {signal} can't be used")),
    })
}
