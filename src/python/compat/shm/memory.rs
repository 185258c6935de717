//! What a `SharedMemory` object has attached.

use std::sync::{Arc, PoisonError, RwLock};

use nix::errno::Errno;
use pyo3::exceptions::{PyBufferError, PyMemoryError, PyValueError};
use pyo3::prelude::*;

use super::core::{AttachOptions, SharedMemory as Segment};
use crate::python::compat::arguments::Address;
use crate::python::compat::error::{self, Class};
use crate::python::shm::Memory;

/// `shmat`.
pub(super) fn attach(id: i32, address: Address, flags: i32) -> PyResult<Arc<Memory>> {
    if flags & libc::SHM_REMAP != 0 {
        return Err(PyValueError::new_err(
            "SHM_REMAP would replace whatever memory is there; only sysv_ipc_rs.raw.shmat does",
        ));
    }
    let options = AttachOptions {
        readonly: flags & libc::SHM_RDONLY != 0,
        executable: flags & libc::SHM_EXEC != 0,
        address: address.0,
        round_address: flags & libc::SHM_RND != 0,
    };
    Segment::bare(id).attach(options).map(Memory::new).map_err(|error| match error.errno() {
        errno @ (Errno::EACCES | Errno::EPERM) => {
            Class::Permissions.with(errno, "No permission to attach")
        }
        Errno::EINVAL | Errno::EIDRM => PyValueError::new_err("Invalid id, address, or flags"),
        errno => error::common(errno),
    })
}

#[derive(Debug, Default)]
struct State {
    now: Option<Arc<Memory>>,
    /// Pointers to these have been given away: nobody tells when they are gone, see `mapping`.
    exported: Vec<Arc<Memory>>,
}

/// The memory that is attached now, and what was and may be in use. The lock is never held while
/// Python code can run.
#[derive(Debug, Default)]
pub(super) struct Attached(RwLock<State>);

impl Attached {
    /// The memory, for as long as it is needed.
    #[inline]
    pub(super) fn get(&self) -> Option<Arc<Memory>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).now.clone()
    }

    /// Where the memory is, if there is any.
    pub(super) fn address(&self) -> Option<usize> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        state.now.as_ref().map(|memory| memory.address())
    }

    fn replace(&self, new: Option<Arc<Memory>>) -> Option<Arc<Memory>> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut state.now, new)
    }

    /// Other memory from now on. Unmaps what was there, unless it was exported.
    pub(super) fn set(&self, memory: Arc<Memory>) {
        drop(self.replace(Some(memory)));
    }

    /// As `set`, but takes memory of the same segment and kind that was exported before in its
    /// place: a program that attaches, looks and detaches in a loop would map it each time anew.
    pub(super) fn set_or_again(&self, memory: Arc<Memory>) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let alike = state.exported.iter().find(|known| {
            known.segment() == memory.segment() && known.readonly() == memory.readonly()
        });
        let new = alike.unwrap_or(&memory).clone();
        let former = state.now.replace(new);
        drop(state);
        drop(former);
    }

    /// No memory from now on; whether there was any.
    pub(super) fn take(&self) -> bool {
        self.replace(None).is_some()
    }

    /// The memory, which from now on stays mapped as long as `self` lives.
    pub(super) fn export(&self, writable: bool) -> PyResult<Option<Arc<Memory>>> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(memory) = state.now.clone() else { return Ok(None) };
        if writable && memory.readonly() {
            return Err(PyBufferError::new_err("the memory is attached read-only"));
        }
        if !state.exported.iter().any(|known| Arc::ptr_eq(known, &memory)) {
            state.exported.try_reserve(1).map_err(|_| PyMemoryError::new_err(()))?;
            state.exported.push(Arc::clone(&memory));
        }
        Ok(Some(memory))
    }
}
