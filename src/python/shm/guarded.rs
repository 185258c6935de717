//! What threads that are attached to the interpreter share. While there is a GIL they come one at a
//! time, and a lock of ours, whose two locked instructions cost as much as a copy of 64 bytes, would
//! lock nothing.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use pyo3::ffi;
use pyo3::prelude::*;

/// Whether the interpreter has a GIL: without one its objects have more in their heads than a count
/// and a type.
const GIL: bool = size_of::<ffi::PyObject>() == size_of::<[usize; 2]>();

/// A value of several threads.
pub(super) struct Guarded<T>(Guard<T>);

enum Guard<T> {
    /// Only made if there is one. The cell finds out if a thread ever lets go of the GIL amid an
    /// access.
    Gil(RefCell<T>),
    Lock(RwLock<T>),
}

// SAFETY: what is not Sync by itself is the cell. It is only reached by who proves that its thread
// is attached to the interpreter, and so holds the GIL.
unsafe impl<T: Send + Sync> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(super) fn new(value: T) -> Self {
        Self(if GIL { Guard::Gil(RefCell::new(value)) } else { Guard::Lock(RwLock::new(value)) })
    }

    /// Looks at it. The work must run no Python code, and not detach from the interpreter.
    #[inline]
    pub(super) fn read<R>(&self, _py: Python<'_>, work: impl FnOnce(&T) -> R) -> R {
        match &self.0 {
            Guard::Gil(cell) => work(&cell.borrow()),
            Guard::Lock(lock) => work(&lock.read().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Changes it. The same holds for the work.
    #[inline]
    pub(super) fn write<R>(&self, _py: Python<'_>, work: impl FnOnce(&mut T) -> R) -> R {
        match &self.0 {
            Guard::Gil(cell) => work(&mut cell.borrow_mut()),
            Guard::Lock(lock) => work(&mut lock.write().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl<T> fmt::Debug for Guarded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever asks need not be attached.
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}
