//! `MessageQueueStat`.

use pyo3::prelude::*;

use crate::msg as core;
use crate::python::record::record;

record! {
    /// What the kernel tells about a message queue, at one moment (`struct msqid_ds`).
    ///
    /// See msgctl(2), IPC_STAT.
    "sysv_ipc_rs" MessageQueueStat {
        /// The key it was created with; 0 = IPC_PRIVATE.
        key: i32,
        /// The kernel's number for it.
        id: i32,
        /// User id of the owner.
        uid: u32,
        /// Group id of the owner.
        gid: u32,
        /// User id of the creator.
        cuid: u32,
        /// Group id of the creator.
        cgid: u32,
        /// The nine permission bits.
        mode: u16,
        /// Which use of its slot in the kernel's table this object is.
        seq: u16,
        /// Time of the last send, in seconds since the epoch; 0 = never.
        stime: i64,
        /// Time of the last receive; 0 = never.
        rtime: i64,
        /// Time of creation or of the last change by msgctl.
        ctime: i64,
        /// Bytes of all messages in it.
        current_bytes: u64,
        /// Messages in it.
        messages: u64,
        /// How many bytes it may hold.
        max_bytes: u64,
        /// Process of the last send; 0 = none.
        last_send_pid: i32,
        /// Process of the last receive; 0 = none.
        last_receive_pid: i32,
    }
}

impl From<core::MessageQueueStat> for MessageQueueStat {
    fn from(stat: core::MessageQueueStat) -> Self {
        let owner = stat.permissions;
        Self {
            key: owner.key.get(),
            id: stat.id,
            uid: owner.uid,
            gid: owner.gid,
            cuid: owner.cuid,
            cgid: owner.cgid,
            mode: owner.access().bits(),
            seq: owner.seq,
            stime: stat.stime,
            rtime: stat.rtime,
            ctime: stat.ctime,
            current_bytes: stat.current_bytes,
            messages: stat.messages,
            max_bytes: stat.max_bytes,
            last_send_pid: stat.last_send_pid,
            last_receive_pid: stat.last_receive_pid,
        }
    }
}
