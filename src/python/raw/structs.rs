//! The C structs, as frozen values with C's field names.

#![allow(clippy::struct_field_names, reason = "they are C's")]

use libc::{ipc_perm, msginfo, msqid_ds, sembuf, semid_ds, seminfo, shmid_ds};

use pyo3::prelude::*;

use super::ints::{Int, Key, Long, Short, SizeT, UInt, ULong, UShort};
use crate::python::record::record;
use crate::sys::{self, Zeroed};

record! {
    /// One operation of `semop` (`struct sembuf`).
    ///
    /// See semop(2).
    "sysv_ipc_rs.raw" Sembuf {
        /// Which semaphore of the set.
        sem_num: UShort,
        /// What is added to its value; 0 waits for zero.
        sem_op: Short,
        /// IPC_NOWAIT, SEM_UNDO.
        sem_flg: Short,
    }
}

record! {
    /// Owner and mode of an object (`struct ipc_perm`). IPC_SET takes `uid`, `gid` and `mode`.
    ///
    /// See sysvipc(7).
    "sysv_ipc_rs.raw" IpcPerm {
        /// The key it was created with; 0 = IPC_PRIVATE (C's `__key`).
        key: Key,
        /// User id of the owner.
        uid: UInt,
        /// Group id of the owner.
        gid: UInt,
        /// User id of the creator.
        cuid: UInt,
        /// Group id of the creator.
        cgid: UInt,
        /// The nine permission bits; of shared memory also SHM_DEST and SHM_LOCKED.
        mode: UInt,
        /// Which use of its slot in the kernel's table it is (C's `__seq`).
        seq: UShort,
    }
}

record! {
    /// What the kernel tells about a semaphore set (`struct semid_ds`).
    ///
    /// See semctl(2).
    "sysv_ipc_rs.raw" SemidDs {
        /// Owner and mode.
        sem_perm: IpcPerm,
        /// Time of the last semop, in seconds since the epoch; 0 = never.
        sem_otime: Long,
        /// Time of creation or of the last change by semctl.
        sem_ctime: Long,
        /// How many semaphores it has.
        sem_nsems: ULong,
    }
}

record! {
    /// What the kernel tells about a message queue (`struct msqid_ds`). IPC_SET takes `msg_qbytes`
    /// too.
    ///
    /// See msgctl(2).
    "sysv_ipc_rs.raw" MsqidDs {
        /// Owner and mode.
        msg_perm: IpcPerm,
        /// Time of the last msgsnd, in seconds since the epoch; 0 = never.
        msg_stime: Long,
        /// Time of the last msgrcv; 0 = never.
        msg_rtime: Long,
        /// Time of creation or of the last change by msgctl.
        msg_ctime: Long,
        /// Bytes of all messages in it (C's `__msg_cbytes`).
        msg_cbytes: ULong,
        /// Messages in it.
        msg_qnum: ULong,
        /// How many bytes it may hold.
        msg_qbytes: ULong,
        /// Process of the last msgsnd; 0 = none.
        msg_lspid: Int,
        /// Process of the last msgrcv; 0 = none.
        msg_lrpid: Int,
    }
}

record! {
    /// What the kernel tells about a shared memory segment (`struct shmid_ds`).
    ///
    /// See shmctl(2).
    "sysv_ipc_rs.raw" ShmidDs {
        /// Owner and mode.
        shm_perm: IpcPerm,
        /// Its bytes, as asked for when it was created.
        shm_segsz: SizeT,
        /// Time of the last shmat, in seconds since the epoch; 0 = never.
        shm_atime: Long,
        /// Time of the last shmdt; 0 = never.
        shm_dtime: Long,
        /// Time of creation or of the last change by shmctl.
        shm_ctime: Long,
        /// Process that created it.
        shm_cpid: Int,
        /// Process of the last shmat or shmdt; 0 = none.
        shm_lpid: Int,
        /// How many attachments there are.
        shm_nattch: ULong,
    }
}

record! {
    /// Limits of semaphore sets, or what is used of them (`struct seminfo`).
    ///
    /// See semctl(2), IPC_INFO and SEM_INFO.
    "sysv_ipc_rs.raw" Seminfo {
        /// Unused.
        semmap: Int,
        /// Most sets.
        semmni: Int,
        /// Most semaphores in all sets together.
        semmns: Int,
        /// Unused.
        semmnu: Int,
        /// Most semaphores in one set.
        semmsl: Int,
        /// Most operations in one semop.
        semopm: Int,
        /// Unused.
        semume: Int,
        /// Unused; of SEM_INFO, the number of sets.
        semusz: Int,
        /// Largest value of a semaphore.
        semvmx: Int,
        /// Largest value that the kernel undoes; of SEM_INFO, the number of semaphores.
        semaem: Int,
    }
}

record! {
    /// Limits of message queues, or what is used of them (`struct msginfo`).
    ///
    /// See msgctl(2), IPC_INFO and MSG_INFO.
    "sysv_ipc_rs.raw" Msginfo {
        /// Unused; of MSG_INFO, the number of queues.
        msgpool: Int,
        /// Unused; of MSG_INFO, the number of messages.
        msgmap: Int,
        /// Most bytes in one message.
        msgmax: Int,
        /// Bytes that a new queue may hold.
        msgmnb: Int,
        /// Most queues.
        msgmni: Int,
        /// Unused.
        msgssz: Int,
        /// Unused; of MSG_INFO, the bytes of all messages.
        msgtql: Int,
        /// Unused.
        msgseg: UShort,
    }
}

record! {
    /// Limits of shared memory (`struct shminfo`).
    ///
    /// See shmctl(2), IPC_INFO.
    "sysv_ipc_rs.raw" Shminfo {
        /// Most bytes in one segment.
        shmmax: ULong,
        /// Fewest bytes in one segment.
        shmmin: ULong,
        /// Most segments.
        shmmni: ULong,
        /// Unused.
        shmseg: ULong,
        /// Most pages in all segments together.
        shmall: ULong,
    }
}

record! {
    /// What is used of shared memory (`struct shm_info`).
    ///
    /// See shmctl(2), SHM_INFO.
    "sysv_ipc_rs.raw" ShmInfo {
        /// How many segments there are.
        used_ids: Int,
        /// Pages of all segments.
        shm_tot: ULong,
        /// Pages that are in memory.
        shm_rss: ULong,
        /// Pages that are swapped out.
        shm_swp: ULong,
        /// Unused.
        swap_attempts: ULong,
        /// Unused.
        swap_successes: ULong,
    }
}

impl From<&Sembuf> for sembuf {
    fn from(op: &Sembuf) -> Self {
        Self { sem_num: op.sem_num.0, sem_op: op.sem_op.0, sem_flg: op.sem_flg.0 }
    }
}

#[allow(clippy::useless_conversion, reason = "mode is u16 on x86_64, u32 on aarch64")]
impl From<ipc_perm> for IpcPerm {
    fn from(perm: ipc_perm) -> Self {
        Self {
            key: Key(perm.__key),
            uid: UInt(perm.uid),
            gid: UInt(perm.gid),
            cuid: UInt(perm.cuid),
            cgid: UInt(perm.cgid),
            mode: UInt(perm.mode.into()),
            seq: UShort(perm.__seq),
        }
    }
}

impl IpcPerm {
    /// What `IPC_SET` takes of it.
    #[allow(clippy::cast_possible_truncation, reason = "the kernel takes the low nine bits")]
    fn fill(&self, perm: &mut ipc_perm) {
        perm.uid = self.uid.0;
        perm.gid = self.gid.0;
        perm.mode = self.mode.0 as _;
    }
}

impl From<semid_ds> for SemidDs {
    fn from(ds: semid_ds) -> Self {
        Self {
            sem_perm: ds.sem_perm.into(),
            sem_otime: Long(ds.sem_otime),
            sem_ctime: Long(ds.sem_ctime),
            sem_nsems: ULong(ds.sem_nsems),
        }
    }
}

/// What `IPC_SET` takes of it.
impl From<&SemidDs> for semid_ds {
    fn from(values: &SemidDs) -> Self {
        let mut ds = Self::zeroed();
        values.sem_perm.fill(&mut ds.sem_perm);
        ds
    }
}

impl From<msqid_ds> for MsqidDs {
    fn from(ds: msqid_ds) -> Self {
        Self {
            msg_perm: ds.msg_perm.into(),
            msg_stime: Long(ds.msg_stime),
            msg_rtime: Long(ds.msg_rtime),
            msg_ctime: Long(ds.msg_ctime),
            msg_cbytes: ULong(ds.__msg_cbytes),
            msg_qnum: ULong(ds.msg_qnum),
            msg_qbytes: ULong(ds.msg_qbytes),
            msg_lspid: Int(ds.msg_lspid),
            msg_lrpid: Int(ds.msg_lrpid),
        }
    }
}

/// What `IPC_SET` takes of it.
impl From<&MsqidDs> for msqid_ds {
    fn from(values: &MsqidDs) -> Self {
        let mut ds = Self::zeroed();
        values.msg_perm.fill(&mut ds.msg_perm);
        ds.msg_qbytes = values.msg_qbytes.0;
        ds
    }
}

impl From<shmid_ds> for ShmidDs {
    fn from(ds: shmid_ds) -> Self {
        Self {
            shm_perm: ds.shm_perm.into(),
            shm_segsz: SizeT(ds.shm_segsz),
            shm_atime: Long(ds.shm_atime),
            shm_dtime: Long(ds.shm_dtime),
            shm_ctime: Long(ds.shm_ctime),
            shm_cpid: Int(ds.shm_cpid),
            shm_lpid: Int(ds.shm_lpid),
            shm_nattch: ULong(ds.shm_nattch),
        }
    }
}

/// What `IPC_SET` takes of it.
impl From<&ShmidDs> for shmid_ds {
    fn from(values: &ShmidDs) -> Self {
        let mut ds = Self::zeroed();
        values.shm_perm.fill(&mut ds.shm_perm);
        ds
    }
}

impl From<seminfo> for Seminfo {
    fn from(info: seminfo) -> Self {
        Self {
            semmap: Int(info.semmap),
            semmni: Int(info.semmni),
            semmns: Int(info.semmns),
            semmnu: Int(info.semmnu),
            semmsl: Int(info.semmsl),
            semopm: Int(info.semopm),
            semume: Int(info.semume),
            semusz: Int(info.semusz),
            semvmx: Int(info.semvmx),
            semaem: Int(info.semaem),
        }
    }
}

impl From<msginfo> for Msginfo {
    fn from(info: msginfo) -> Self {
        Self {
            msgpool: Int(info.msgpool),
            msgmap: Int(info.msgmap),
            msgmax: Int(info.msgmax),
            msgmnb: Int(info.msgmnb),
            msgmni: Int(info.msgmni),
            msgssz: Int(info.msgssz),
            msgtql: Int(info.msgtql),
            msgseg: UShort(info.msgseg),
        }
    }
}

impl From<sys::shminfo> for Shminfo {
    fn from(info: sys::shminfo) -> Self {
        Self {
            shmmax: ULong(info.shmmax),
            shmmin: ULong(info.shmmin),
            shmmni: ULong(info.shmmni),
            shmseg: ULong(info.shmseg),
            shmall: ULong(info.shmall),
        }
    }
}

impl From<sys::shm_info> for ShmInfo {
    fn from(info: sys::shm_info) -> Self {
        Self {
            used_ids: Int(info.used_ids),
            shm_tot: ULong(info.shm_tot),
            shm_rss: ULong(info.shm_rss),
            shm_swp: ULong(info.shm_swp),
            swap_attempts: ULong(info.swap_attempts),
            swap_successes: ULong(info.swap_successes),
        }
    }
}
