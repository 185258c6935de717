//! `Taker`: how `sysv_ipc_rs.aio` waits for a semaphore.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use pyo3::prelude::*;

use super::{Semaphore, SemaphoreGuard, core};
use crate::python::closable::Closable;
use crate::python::convert::Units;

/// A thread that stands in the kernel's queue for a semaphore, and a descriptor that becomes
/// readable when it has what was wanted. For `sysv_ipc_rs.aio` alone.
///
/// What is not collected within 0.1 s goes back: the loop may never run again.
#[pyclass(frozen, module = "sysv_ipc_rs._core")]
#[derive(Debug)]
pub(in crate::python) struct Taker(Closable<core::Taker>);

impl Taker {
    fn open(&self) -> PyResult<Arc<core::Taker>> {
        // In a forked child it is inert, but says nothing: what waited there is the parent's.
        self.0.open("Taker", |_| true)
    }
}

#[pymethods]
impl Taker {
    #[new]
    fn new(semaphore: &Semaphore) -> PyResult<Self> {
        Ok(Self(Closable::new(semaphore.taker()?)))
    }

    /// The descriptor.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.open()?.as_fd().as_raw_fd())
    }

    /// Begins to take `n` units, or with 0 to wait until the value is 0.
    fn want(&self, n: i16) -> PyResult<()> {
        self.open()?.want(n);
        Ok(())
    }

    /// Wants nothing any more; what has been taken goes back.
    fn withdraw(&self, py: Python<'_>) -> PyResult<()> {
        let taker = self.open()?;
        py.detach(|| taker.withdraw());
        Ok(())
    }

    /// Whether it has taken the units, which are now the caller's.
    fn take(&self, undo: bool) -> PyResult<bool> {
        let Some(guard) = self.open()?.collect()? else { return Ok(false) };
        if undo {
            // The kernel alone gives them back.
            std::mem::forget(guard);
        } else {
            guard.keep();
        }
        Ok(true)
    }

    /// A guard over the units, if it has taken them.
    fn hold(&self) -> PyResult<Option<SemaphoreGuard>> {
        Ok(self.open()?.collect()?.map(SemaphoreGuard::of))
    }

    /// Whether the value has been 0.
    fn was_zero(&self) -> PyResult<bool> {
        Ok(self.open()?.was_zero()?)
    }

    /// Ends the thread and closes the descriptor. A second call does nothing.
    fn close(&self, py: Python<'_>) {
        self.0.close(py);
    }
}

/// `n` as `Semaphore.acquire` takes it.
#[pyfunction]
pub(in crate::python) fn checked_units(n: Units) -> i16 {
    n.0
}
