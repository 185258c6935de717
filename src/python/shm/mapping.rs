//! Who uses an attachment's memory, and so when it is unmapped.
//!
//! The buffer protocol gives no sign of the last user: `numpy.ndarray(buffer=a)` gives its view
//! back at once, keeps the object, and uses the memory. So once a buffer has been exported, the
//! memory stays as long as the attachment's object, which every user of a buffer keeps alive.

use std::mem;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::guarded::Guarded;
use crate::shm as core;

/// Segments of more bytes than this are unmapped detached from the interpreter. If all of it was
/// touched, so much takes some 40 microseconds; to get the interpreter back from a thread that
/// computes takes up to 5 ms.
const LONG_UNMAP: usize = 2 << 20;

/// A segment's memory in this process; unmapped when dropped, detached from the interpreter if it
/// is much.
#[derive(Debug)]
pub(in crate::python) struct Memory(Option<core::Attachment>);

impl Memory {
    pub(in crate::python) fn new(attachment: core::Attachment) -> Arc<Self> {
        Arc::new(Self(Some(attachment)))
    }
}

impl Deref for Memory {
    type Target = core::Attachment;

    #[inline]
    fn deref(&self) -> &core::Attachment {
        self.0.as_ref().expect("only a drop takes it away")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.size() > LONG_UNMAP {
            Python::attach(|py| py.detach(|| drop(self.0.take())));
        }
    }
}

/// What an attachment has to do with its memory.
#[derive(Debug)]
enum State {
    /// Its own, and whatever call is at work there keeps it too.
    Attached(Arc<Memory>),
    /// Pointers to it have been given away.
    Exported(Arc<Memory>),
    /// Detached, but pointers to it may be about.
    Kept(Arc<Memory>),
    /// Detached; a call that is at work there, or an atomic word, may still have it.
    Released(Weak<Memory>),
}

impl State {
    /// What is not needed any more.
    fn detach(&mut self) -> Option<Arc<Memory>> {
        let (state, released) = match mem::replace(self, Self::Released(Weak::new())) {
            Self::Exported(memory) | Self::Kept(memory) => (Self::Kept(memory), None),
            Self::Attached(memory) => {
                // If nobody else has it by now, nobody can get it any more.
                let shared = Arc::strong_count(&memory) > 1;
                let others = if shared { Arc::downgrade(&memory) } else { Weak::new() };
                (Self::Released(others), Some(memory))
            }
            Self::Released(others) => (Self::Released(others), None),
        };
        *self = state;
        released
    }
}

/// An attachment's share in its memory.
#[derive(Debug)]
pub(super) struct Mapping(Guarded<State>);

#[cold]
fn detached() -> PyErr {
    PyValueError::new_err("the attachment is detached")
}

impl Mapping {
    pub(super) fn new(attachment: core::Attachment) -> Self {
        Self(Guarded::new(State::Attached(Memory::new(attachment))))
    }

    /// Does something short that runs no Python code. `ValueError` if detached.
    #[inline]
    pub(super) fn with<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Arc<Memory>) -> T,
    ) -> PyResult<T> {
        let done = self.0.read(py, |state| match state {
            State::Attached(memory) | State::Exported(memory) => Some(work(memory)),
            State::Kept(_) | State::Released(_) => None,
        });
        done.ok_or_else(detached)
    }

    /// The memory, for longer. `ValueError` if detached.
    pub(super) fn share(&self, py: Python<'_>) -> PyResult<Arc<Memory>> {
        self.with(py, Arc::clone)
    }

    /// From now on pointers may be about as long as this lives. `ValueError` if detached.
    pub(super) fn export(&self, py: Python<'_>) -> PyResult<()> {
        let exported = self.0.write(py, |state| match state {
            State::Attached(memory) => {
                *state = State::Exported(Arc::clone(memory));
                true
            }
            State::Exported(_) => true,
            State::Kept(_) | State::Released(_) => false,
        });
        if exported { Ok(()) } else { Err(detached()) }
    }

    /// Refuses every new access. Unmaps at once if no pointer was given away and no call is at
    /// work.
    pub(super) fn detach(&self, py: Python<'_>) {
        let released = self.0.write(py, State::detach);
        // Other threads run meanwhile.
        drop(released);
    }

    pub(super) fn detached(&self, py: Python<'_>) -> bool {
        self.0.read(py, |state| matches!(state, State::Kept(_) | State::Released(_)))
    }

    /// Whether anybody still has the memory.
    pub(super) fn mapped(&self, py: Python<'_>) -> bool {
        self.0.read(py, |state| match state {
            State::Attached(_) | State::Exported(_) | State::Kept(_) => true,
            State::Released(memory) => memory.strong_count() > 0,
        })
    }
}
