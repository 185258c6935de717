//! The extension module `sysv_ipc_rs._core`: Python classes over the safe core.

#![allow(clippy::doc_markdown, reason = "the docs of Python names are what help() shows")]
#![allow(clippy::unused_self, reason = "Python's methods have one")]

use pyo3::prelude::*;

mod buffer;
mod closable;
mod collect;
mod compat;
mod convert;
mod error;
mod handle;
mod msg;
mod raw;
mod readiness;
mod record;
mod sem;
mod shm;
mod sync;
mod system;
mod wait;

/// The compiled part of `sysv_ipc_rs`; import its names from `sysv_ipc_rs`.
#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;
    use pyo3::types::PyModule;

    #[pymodule_export]
    use super::compat::compat;
    #[pymodule_export]
    use super::convert::{ftok, key_from_name};
    #[pymodule_export]
    use super::msg::{
        Message, MessageIterator, MessageQueue, MessageQueueStat, check_target, checked_messages,
        checked_selection, reopen_message_queue,
    };
    #[pymodule_export]
    use super::raw::raw;
    #[pymodule_export]
    use super::readiness::Readiness;
    #[pymodule_export]
    use super::sem::{
        PhpSemaphore, Semaphore, SemaphoreGuard, SemaphoreSet, SemaphoreSetStat, Taker,
        checked_units, reopen_php_semaphore, reopen_semaphore, reopen_semaphore_set,
    };
    #[pymodule_export]
    use super::shm::{
        AtomicInteger, Attachment, AttachmentIterator, SharedMemory, SharedMemoryStat,
        reopen_shared_memory,
    };
    #[pymodule_export]
    use super::sync::{
        Barrier, BoundedSemaphore, Condition, Event, Lock, LockAgent, NotificationAgent, RLock,
        RWLock, RWLockSide, reopen_barrier, reopen_bounded_semaphore, reopen_condition,
        reopen_event, reopen_lock, reopen_rlock, reopen_rwlock, sync_protocols,
    };
    #[pymodule_export]
    use super::system::{
        Limits, Orphan, Suspect, Usage, Use, Waiters, attached_processes, ipc_namespace,
        limit_source, limits, message_queues, orphans, semaphore_sets, shared_memory_segments,
        suspects, usage, uses, waiters, waiting_processes,
    };
    #[pymodule_export]
    use super::wait::{checked_timeout, set_wakeup_signal, wakeup_signal};

    #[pymodule_export]
    const IPC_PRIVATE: i32 = libc::IPC_PRIVATE;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::error::add_to(module)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // The package says what is public.
        module.delattr("__all__")
    }
}
