//! What `sysv_ipc_rs.system` answers with.

use pyo3::prelude::*;

use crate::ipc::Kind;
use crate::python::msg::MessageQueueStat;
use crate::python::record::{Several, record};
use crate::python::sem::SemaphoreSetStat;
use crate::python::shm::SharedMemoryStat;
use crate::system as core;

record! {
    /// The kernel's limits of our IPC namespace, in the kernel's own units.
    ///
    /// `limit_source` tells the file that shows and sets each.
    ///
    /// See proc_sys_kernel(5).
    "sysv_ipc_rs.system" Limits {
        /// Most semaphores in one set.
        semmsl: u64,
        /// Most semaphores in all sets together.
        semmns: u64,
        /// Most operations in one semop.
        semopm: u64,
        /// Most semaphore sets.
        semmni: u64,
        /// Largest value of a semaphore; fixed.
        semvmx: u64,
        /// Most message queues.
        msgmni: u64,
        /// Most bytes in one message.
        msgmax: u64,
        /// Bytes that a new queue may hold.
        msgmnb: u64,
        /// Most pages of shared memory in all segments together.
        shmall: u64,
        /// Most bytes in one segment.
        shmmax: u64,
        /// Fewest bytes in one segment; fixed.
        shmmin: u64,
        /// Most segments.
        shmmni: u64,
    }
}

record! {
    /// What is in use, of every user, in our IPC namespace.
    ///
    /// See semctl(2), SEM_INFO; msgctl(2), MSG_INFO; shmctl(2), SHM_INFO.
    "sysv_ipc_rs.system" Usage {
        /// Semaphore sets.
        semaphore_sets: u64,
        /// Semaphores in all sets.
        semaphores: u64,
        /// Message queues.
        message_queues: u64,
        /// Messages in all queues.
        messages: u64,
        /// Bytes of those messages.
        message_bytes: u64,
        /// Shared memory segments, those marked for removal among them.
        segments: u64,
        /// Bytes of all segments, in whole pages.
        segment_bytes: u64,
        /// Bytes of segments that are in memory.
        resident_bytes: u64,
        /// Bytes of segments that are swapped out.
        swapped_bytes: u64,
    }
}

record! {
    /// Those who wait on one semaphore of a set.
    ///
    /// See semctl(2), GETNCNT and GETZCNT.
    "sysv_ipc_rs.system" Waiters {
        /// Which semaphore of the set.
        index: u16,
        /// How many threads wait for its value to grow.
        waiting: i32,
        /// How many threads wait for it to become 0.
        waiting_zero: i32,
        /// Their processes, as far as we may look into them.
        pids: Several<i32>,
    }
}

record! {
    /// A process that waits on a set or a queue, or has a segment attached.
    "sysv_ipc_rs.system" Use {
        /// The kind of the object: `semaphore_set`, `message_queue` or `shared_memory`.
        kind: String,
        /// Its id.
        id: i32,
        /// The process.
        pid: i32,
    }
}

record! {
    /// A segment that is left over, and what tells so.
    "sysv_ipc_rs.system" Orphan {
        /// What the kernel tells about it.
        segment: SharedMemoryStat,
        /// Why nobody can be using it, as texts.
        reasons: Several<String>,
    }
}

record! {
    /// A set or a queue that perhaps nobody uses any more, and what makes it look so.
    "sysv_ipc_rs.system" Suspect {
        /// What the kernel tells about it: SemaphoreSetStat or MessageQueueStat.
        object: SuspectedObject,
        /// What speaks for it, as texts. None of it is a proof.
        reasons: Several<String>,
    }
}

/// The stat of a set or of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, FromPyObject, IntoPyObject)]
pub(crate) enum SuspectedObject {
    Set(SemaphoreSetStat),
    Queue(MessageQueueStat),
}

impl From<core::Limits> for Limits {
    fn from(limits: core::Limits) -> Self {
        let core::Limits { semmsl, semmns, semopm, semmni, semvmx, .. } = limits;
        let core::Limits { msgmni, msgmax, msgmnb, shmall, shmmax, shmmin, shmmni, .. } = limits;
        Self {
            semmsl,
            semmns,
            semopm,
            semmni,
            semvmx,
            msgmni,
            msgmax,
            msgmnb,
            shmall,
            shmmax,
            shmmin,
            shmmni,
        }
    }
}

impl From<core::Usage> for Usage {
    fn from(usage: core::Usage) -> Self {
        Self {
            semaphore_sets: usage.semaphore_sets,
            semaphores: usage.semaphores,
            message_queues: usage.message_queues,
            messages: usage.messages,
            message_bytes: usage.message_bytes,
            segments: usage.segments,
            segment_bytes: usage.segment_bytes,
            resident_bytes: usage.resident_bytes,
            swapped_bytes: usage.swapped_bytes,
        }
    }
}

impl From<core::Waiters> for Waiters {
    fn from(waiters: core::Waiters) -> Self {
        let core::Waiters { index, waiting, waiting_zero, pids } = waiters;
        Self { index, waiting, waiting_zero, pids: Several(pids) }
    }
}

impl From<core::Use> for Use {
    fn from(core::Use { kind, id, pid }: core::Use) -> Self {
        let kind = match kind {
            Kind::SemaphoreSet => "semaphore_set",
            Kind::MessageQueue => "message_queue",
            Kind::SharedMemory => "shared_memory",
        };
        Self { kind: kind.to_owned(), id, pid }
    }
}

impl From<core::Orphan> for Orphan {
    fn from(orphan: core::Orphan) -> Self {
        Self { segment: orphan.segment.into(), reasons: Several(orphan.reasons) }
    }
}

impl From<core::Suspect> for Suspect {
    fn from(suspect: core::Suspect) -> Self {
        let object = match suspect.object {
            core::SuspectedObject::SemaphoreSet(stat) => SuspectedObject::Set(stat.into()),
            core::SuspectedObject::MessageQueue(stat) => SuspectedObject::Queue(stat.into()),
        };
        Self { object, reasons: Several(suspect.reasons) }
    }
}
