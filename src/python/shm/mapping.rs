//! Who uses an attachment's memory, and so when it is unmapped.
//!
//! The buffer protocol gives no sign of the last user: `numpy.ndarray(buffer=a)` gives its view
//! back at once, keeps the object, and uses the memory. So once a buffer has been exported, the
//! memory stays as long as the attachment's object, which every user of a buffer keeps alive.

use std::mem;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::python::buffer::LONG_COPY;
use crate::shm as core;

/// A segment's memory in this process; unmapped when dropped, detached from the interpreter if it
/// is much.
#[derive(Debug)]
pub(in crate::python) struct Memory(Option<core::Attachment>);

impl Memory {
    pub(in crate::python) fn new(attachment: core::Attachment) -> Arc<Self> {
        Arc::new(Self::unshared(attachment))
    }

    pub(in crate::python) const fn unshared(attachment: core::Attachment) -> Self {
        Self(Some(attachment))
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
        if self.size() > LONG_COPY {
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
    Released,
}

/// An attachment's share in its memory. The lock is never held while Python code can run.
#[derive(Debug)]
pub(super) struct Mapping {
    state: RwLock<State>,
    memory: Weak<Memory>,
}

#[cold]
fn detached() -> PyErr {
    PyValueError::new_err("the attachment is detached")
}

impl Mapping {
    pub(super) fn new(attachment: core::Attachment) -> Self {
        let memory = Memory::new(attachment);
        Self { memory: Arc::downgrade(&memory), state: RwLock::new(State::Attached(memory)) }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something short that runs no Python code. `ValueError` if detached.
    #[inline]
    pub(super) fn with<T>(&self, work: impl FnOnce(&Arc<Memory>) -> T) -> PyResult<T> {
        match &*self.state() {
            State::Attached(memory) | State::Exported(memory) => Ok(work(memory)),
            State::Kept(_) | State::Released => Err(detached()),
        }
    }

    /// The memory, for longer. `ValueError` if detached.
    pub(super) fn share(&self) -> PyResult<Arc<Memory>> {
        self.with(Arc::clone)
    }

    /// From now on pointers may be about as long as this lives. `ValueError` if detached.
    pub(super) fn export(&self) -> PyResult<()> {
        let mut state = self.state_mut();
        match &*state {
            State::Attached(memory) => *state = State::Exported(Arc::clone(memory)),
            State::Exported(_) => {}
            State::Kept(_) | State::Released => return Err(detached()),
        }
        Ok(())
    }

    /// Refuses every new access. Unmaps at once if no pointer was given away and no call is at
    /// work.
    pub(super) fn detach(&self) {
        let mut state = self.state_mut();
        let before = mem::replace(&mut *state, State::Released);
        let released = match before {
            State::Exported(memory) | State::Kept(memory) => {
                *state = State::Kept(memory);
                None
            }
            State::Attached(memory) => Some(memory),
            State::Released => None,
        };
        drop(state);
        // Other threads run meanwhile.
        drop(released);
    }

    pub(super) fn detached(&self) -> bool {
        matches!(*self.state(), State::Kept(_) | State::Released)
    }

    /// Whether anybody still has the memory.
    pub(super) fn mapped(&self) -> bool {
        self.memory.strong_count() > 0
    }
}
