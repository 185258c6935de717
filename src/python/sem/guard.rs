//! What is held, and given back exactly once.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::core;

/// Units of a semaphore that are held with SEM_UNDO, and given back exactly once: by `release`, at
/// the end of a `with` block, when the guard is dropped, or by the kernel when the process ends,
/// also by SIGKILL.
///
/// Made by `hold` and `try_hold` of a `Semaphore` and of `interop.PHPSemaphore`. In a child forked
/// while it is held it is inert: the child doesn't own what the parent holds. Setting the
/// semaphore's value meanwhile makes the kernel forget what it would have undone; giving back adds
/// the units all the same, and when the process ends the kernel takes them away again.
///
/// See semop(2), SEM_UNDO.
#[pyclass(frozen, weakref, module = "sysv_ipc_rs")]
#[derive(Debug)]
pub(crate) struct SemaphoreGuard {
    guard: core::SemaphoreGuard,
    /// Of a PHP semaphore: who may not leave the set before the units are given back.
    user: Option<Box<User>>,
}

type User = Mutex<Option<Arc<core::PhpSemaphore>>>;

impl SemaphoreGuard {
    #[inline]
    pub(super) const fn of(guard: core::SemaphoreGuard) -> Self {
        Self { guard, user: None }
    }

    pub(super) fn of_user(user: Arc<core::PhpSemaphore>) -> Self {
        Self { guard: user.guard(), user: Some(Box::new(Mutex::new(Some(user)))) }
    }

    #[inline]
    fn give_back(&self) -> crate::error::Result<()> {
        let released = self.guard.release();
        if let Some(user) = &self.user {
            leave_set(user);
        }
        released
    }

    /// The end of a `with` block: the body's exception is never hidden.
    pub(super) fn leave(&self, raised: &Bound<'_, PyAny>) -> PyResult<bool> {
        match self.give_back() {
            Ok(()) => {}
            Err(error) if raised.is_none() => return Err(error.into()),
            Err(error) => {
                let note = format!("Besides, the semaphore could not be given back: {error}");
                if let Err(failed) = raised.call_method1("add_note", (note,)) {
                    failed.write_unraisable(raised.py(), Some(raised));
                }
            }
        }
        Ok(false)
    }
}

/// Out of the way of the guards of plain semaphores, which have none.
#[cold]
fn leave_set(user: &User) {
    let user = user.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(user);
}

#[pymethods]
impl SemaphoreGuard {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        Err(PyTypeError::new_err(
            "SemaphoreGuard has no public constructor: use Semaphore.hold(), of a semaphore made \
             by Semaphore.create() or Semaphore.open()",
        ))
    }

    /// Whether this process still holds the units.
    #[getter]
    fn held(&self) -> bool {
        self.guard.held()
    }

    /// Gives the units back. A second call does nothing.
    ///
    /// Raises:
    ///     RemovedError: The set is gone; the guard holds nothing any more.
    ///     LimitExceededError: The value was set so high meanwhile that it would pass 32767.
    ///
    /// See semop(2).
    fn release(&self) -> PyResult<()> {
        Ok(self.give_back()?)
    }

    const fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (exc_type, exc_value, traceback))]
    fn __exit__(
        &self,
        exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let _ = (exc_type, traceback);
        self.leave(exc_value)
    }

    fn __repr__(&self) -> String {
        let state = if self.guard.held() { "held" } else { "released" };
        let (set, index) = (self.guard.set(), self.guard.index());
        format!("<SemaphoreGuard {state}, key={}, id={}, index={index}>", set.key(), set.id())
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a SemaphoreGuard can't be pickled: it belongs to its process"))
    }
}

/// The guards of the `with` blocks that are open on a handle.
#[derive(Debug, Default)]
pub(super) struct Entered(
    /// Never locked across a call into Python, so that a fork finds it free.
    Mutex<Vec<(ThreadId, Py<SemaphoreGuard>)>>,
);

impl Entered {
    pub(super) fn push(&self, guard: Py<SemaphoreGuard>) {
        let entry = (thread::current().id(), guard);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// The guard of the `with` block that ends now: the newest of this thread, or, where a block is
    /// left in another thread than it was entered in, the newest of all.
    fn pop(&self) -> Option<Py<SemaphoreGuard>> {
        let thread = thread::current().id();
        let mut entered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match entered.iter().rposition(|(owner, _)| *owner == thread) {
            Some(newest) => Some(entered.remove(newest)),
            None => entered.pop(),
        }
        .map(|(_, guard)| guard)
    }

    /// The end of a `with` block, which gives back what was taken at its beginning.
    pub(super) fn leave(&self, raised: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.pop().map_or(Ok(false), |guard| guard.get().leave(raised))
    }
}
