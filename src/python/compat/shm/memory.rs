//! What a `SharedMemory` object has attached.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use nix::errno::Errno;
use pyo3::exceptions::{PyBufferError, PyMemoryError, PyValueError};
use pyo3::prelude::*;

use super::core::{AttachOptions, SharedMemory as Segment};
use crate::python::compat::arguments::Address;
use crate::python::compat::error::{self, Class};
use crate::python::shm::Memory;

/// `shmat`.
pub(super) fn attach(id: i32, address: Address, flags: i32) -> PyResult<Memory> {
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
    Segment::bare(id).attach(options).map(Memory::unshared).map_err(|error| match error.errno() {
        errno @ (Errno::EACCES | Errno::EPERM) => {
            Class::Permissions.with(errno, "No permission to attach")
        }
        Errno::EINVAL | Errno::EIDRM => PyValueError::new_err("Invalid id, address, or flags"),
        errno => error::common(errno),
    })
}

/// What is attached.
#[derive(Debug, Default)]
enum Now {
    #[default]
    Nothing,
    /// Most programs that attach in a loop never share it, and it need not be counted.
    Own(Memory),
    Shared(Arc<Memory>),
}

impl Now {
    fn address(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Own(memory) => memory.address(),
            Self::Shared(memory) => memory.address(),
        }
    }

    /// The memory, with whoever has it already.
    fn share(&mut self) -> Option<Arc<Memory>> {
        let memory = match mem::take(self) {
            Self::Nothing => return None,
            Self::Own(memory) => Arc::new(memory),
            Self::Shared(memory) => memory,
        };
        *self = Self::Shared(Arc::clone(&memory));
        Some(memory)
    }
}

#[derive(Debug, Default)]
struct State {
    now: Now,
    /// Pointers to these have been given away: nobody tells when they are gone, see `mapping`.
    exported: Vec<Arc<Memory>>,
}

/// The memory that is attached now, and what was and may be in use. The lock is never held while
/// Python code can run.
#[derive(Debug, Default)]
pub(super) struct Attached {
    state: RwLock<State>,
    /// Where the memory is, for who wants to know only that; 0 without any.
    address: AtomicUsize,
}

impl Attached {
    /// The memory, for as long as it is needed.
    #[inline]
    pub(super) fn get(&self) -> Option<Arc<Memory>> {
        match &self.state.read().unwrap_or_else(PoisonError::into_inner).now {
            Now::Nothing => return None,
            Now::Shared(memory) => return Some(Arc::clone(memory)),
            Now::Own(_) => {}
        }
        self.state_mut().now.share()
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the memory is; 0 without any.
    #[inline]
    pub(super) fn address(&self) -> usize {
        self.address.load(Relaxed)
    }

    fn replace(&self, state: &mut State, new: Now) -> Now {
        self.address.store(new.address(), Relaxed);
        mem::replace(&mut state.now, new)
    }

    /// Other memory from now on. Unmaps what was there, unless it was exported.
    pub(super) fn set(&self, memory: Memory) {
        let former = self.replace(&mut self.state_mut(), Now::Own(memory));
        drop(former);
    }

    /// As `set`, but takes memory of the same segment and kind that was exported before in its
    /// place: a program that attaches, looks and detaches in a loop would map it each time anew.
    pub(super) fn set_or_again(&self, memory: Memory) {
        let mut state = self.state_mut();
        let alike = state.exported.iter().find(|known| {
            known.segment() == memory.segment() && known.readonly() == memory.readonly()
        });
        let (new, spare) = match alike {
            Some(known) => (Now::Shared(Arc::clone(known)), Some(memory)),
            None => (Now::Own(memory), None),
        };
        let former = self.replace(&mut state, new);
        drop(state);
        drop((former, spare));
    }

    /// No memory from now on; whether there was any.
    pub(super) fn take(&self) -> bool {
        let former = self.replace(&mut self.state_mut(), Now::Nothing);
        !matches!(former, Now::Nothing)
    }

    /// The memory, which from now on stays mapped as long as `self` lives.
    pub(super) fn export(&self, writable: bool) -> PyResult<Option<Arc<Memory>>> {
        let mut state = self.state_mut();
        let Some(memory) = state.now.share() else { return Ok(None) };
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
