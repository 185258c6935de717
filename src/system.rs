//! The system's own view: limits, usage, and lists of every user's objects.

use std::fmt;

use nix::errno::Errno;

use crate::error::{Error, Result, Subject};
use crate::ipc::Control;
use crate::msg::{MessageQueue, MessageQueueStat};
use crate::sem::{SemaphoreSet, SemaphoreSetStat};
use crate::shm::{SharedMemory, SharedMemoryStat};
use crate::sys;

mod orphans;
mod proc;
mod suspects;
mod uses;
mod waiters;

pub use orphans::{Orphan, orphans};
pub use proc::ipc_namespace;
#[cfg(fuzzing)]
pub(crate) use proc::parse_any;
pub use suspects::{Suspect, SuspectedObject, suspects};
pub use uses::{Use, uses};
pub use waiters::{Waiters, waiters, waiting_processes};

/// The kernel's limits of the calling process's IPC namespace, in the kernel's own units.
///
/// # References
/// - [proc_sys_kernel(5)](https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Most semaphores in one set.
    pub semmsl: u64,
    /// Most semaphores in all sets together.
    pub semmns: u64,
    /// Most operations in one `semop`.
    pub semopm: u64,
    /// Most semaphore sets.
    pub semmni: u64,
    /// Largest value of a semaphore.
    pub semvmx: u64,
    /// Most message queues.
    pub msgmni: u64,
    /// Most bytes in one message.
    pub msgmax: u64,
    /// Bytes that a new queue holds.
    pub msgmnb: u64,
    /// Most pages of shared memory in all segments together.
    pub shmall: u64,
    /// Most bytes in one segment.
    pub shmmax: u64,
    /// Fewest bytes in one segment.
    pub shmmin: u64,
    /// Most segments.
    pub shmmni: u64,
}

/// What is in use of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Semaphore sets.
    pub semaphore_sets: u64,
    /// Semaphores in all sets.
    pub semaphores: u64,
    /// Message queues.
    pub message_queues: u64,
    /// Messages in all queues.
    pub messages: u64,
    /// Bytes of those messages.
    pub message_bytes: u64,
    /// Shared memory segments, those marked for removal among them.
    pub segments: u64,
    /// Bytes of all segments, in whole pages.
    pub segment_bytes: u64,
    /// Bytes of segments that are in memory.
    pub resident_bytes: u64,
    /// Bytes of segments that are swapped out.
    pub swapped_bytes: u64,
}

/// One limit, as an error names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Its name in upper case, such as `SEMMNI`.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// How much of it is used, where that can be told.
    pub used: Option<u64>,
    /// The file that shows and sets it; `None` for a limit that is fixed.
    pub file: Option<&'static str>,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the limit {} is {}", self.name, self.value)?;
        if let Some(used) = self.used {
            write!(f, ", {used} used")?;
        }
        match self.file {
            Some(file) => write!(f, " (see and raise it in {file})"),
            None => f.write_str(" and fixed"),
        }
    }
}

/// The file of a limit, by its name; `None` for a fixed one.
#[must_use]
pub fn limit_file(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_uppercase().as_str() {
        "SEMMSL" | "SEMMNS" | "SEMOPM" | "SEMMNI" => "/proc/sys/kernel/sem",
        "MSGMNI" => "/proc/sys/kernel/msgmni",
        "MSGMAX" => "/proc/sys/kernel/msgmax",
        "MSGMNB" => "/proc/sys/kernel/msgmnb",
        "SHMALL" => "/proc/sys/kernel/shmall",
        "SHMMAX" => "/proc/sys/kernel/shmmax",
        "SHMMNI" => "/proc/sys/kernel/shmmni",
        _ => return None,
    })
}

impl Limit {
    /// The limit that `value` and `used` take out of what the kernel tells; zeros where it tells
    /// nothing.
    pub(crate) fn now(
        name: &'static str,
        value: impl Fn(&Limits) -> u64,
        used: Option<fn(&Usage) -> u64>,
    ) -> Self {
        let value = limits().map_or(0, |limits| value(&limits));
        let used = used.and_then(|used| usage().ok().map(|usage| used(&usage)));
        Self { name, value, used, file: limit_file(name) }
    }
}

/// The kernel gives its limits as signed integers that are never negative.
fn unsigned(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

fn failed(call: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::new(call, errno, Subject::None)
}

/// The limits of this IPC namespace (`IPC_INFO` of the three kinds).
///
/// # Errors
/// Only where the kernel was built without System V IPC.
///
/// ```
/// assert_eq!(sysv_ipc_rs::system::limits()?.semvmx, 32767);
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[doc(alias = "IPC_INFO")]
pub fn limits() -> Result<Limits> {
    let (_, sem) = sys::semctl_info(0, libc::IPC_INFO).map_err(failed("semctl"))?;
    let (_, msg) = sys::msgctl_info(0, libc::IPC_INFO).map_err(failed("msgctl"))?;
    let (_, shm) = sys::shmctl_ipc_info(0).map_err(failed("shmctl"))?;
    Ok(Limits {
        semmsl: unsigned(sem.semmsl),
        semmns: unsigned(sem.semmns),
        semopm: unsigned(sem.semopm),
        semmni: unsigned(sem.semmni),
        semvmx: unsigned(sem.semvmx),
        msgmni: unsigned(msg.msgmni),
        msgmax: unsigned(msg.msgmax),
        msgmnb: unsigned(msg.msgmnb),
        shmall: shm.shmall,
        shmmax: shm.shmmax,
        shmmin: shm.shmmin,
        shmmni: shm.shmmni,
    })
}

/// What is in use (`SEM_INFO`, `MSG_INFO`, `SHM_INFO`).
///
/// # Errors
/// Only where the kernel was built without System V IPC.
///
/// ```
/// let usage = sysv_ipc_rs::system::usage()?;
/// assert!(usage.semaphores >= usage.semaphore_sets);
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[doc(alias = "SEM_INFO")]
pub fn usage() -> Result<Usage> {
    let (_, sem) = sys::semctl_info(0, libc::SEM_INFO).map_err(failed("semctl"))?;
    let (_, msg) = sys::msgctl_info(0, libc::MSG_INFO).map_err(failed("msgctl"))?;
    let (_, shm) = sys::shmctl_shm_info(0).map_err(failed("shmctl"))?;
    let page = sys::shmlba() as u64;
    Ok(Usage {
        semaphore_sets: unsigned(sem.semusz),
        semaphores: unsigned(sem.semaem),
        message_queues: unsigned(msg.msgpool),
        messages: unsigned(msg.msgmap),
        message_bytes: unsigned(msg.msgtql),
        segments: unsigned(shm.used_ids),
        segment_bytes: shm.shm_tot.saturating_mul(page),
        resident_bytes: shm.shm_rss.saturating_mul(page),
        swapped_bytes: shm.shm_swp.saturating_mul(page),
    })
}

/// All objects of a kind, from slot 0 to the highest that was used when the walk began.
///
/// An object that exists throughout is given exactly once; looking changes nothing of it.
fn walk<C: Control, T>(highest: i32, stat: impl Fn(i32, C::Ds) -> T) -> impl Iterator<Item = T> {
    (0..=highest).filter_map(move |slot| {
        let (id, ds) = C::ctl_stat(slot, C::STAT_ANY).ok()?;
        Some(stat(id, ds))
    })
}

/// Every user's semaphore sets.
///
/// # Errors
/// Only where the kernel was built without System V IPC.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, sem::SemaphoreSet, system};
/// let set = SemaphoreSet::create(Key::PRIVATE, &[1, 2], Mode::default())?;
/// assert!(system::semaphore_sets()?.any(|stat| stat.id == set.id() && stat.size == 2));
/// set.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[doc(alias = "SEM_STAT_ANY")]
pub fn semaphore_sets() -> Result<impl Iterator<Item = SemaphoreSetStat>> {
    let (highest, _) = sys::semctl_info(0, libc::IPC_INFO).map_err(failed("semctl"))?;
    Ok(walk::<SemaphoreSet, _>(highest, SemaphoreSetStat::new))
}

/// Every user's message queues.
///
/// # Errors
/// Only where the kernel was built without System V IPC.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, msg::MessageQueue, system};
/// let queue = MessageQueue::create(Key::PRIVATE, Mode::default())?;
/// assert!(system::message_queues()?.any(|stat| stat.id == queue.id()));
/// queue.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[doc(alias = "MSG_STAT_ANY")]
pub fn message_queues() -> Result<impl Iterator<Item = MessageQueueStat>> {
    let (highest, _) = sys::msgctl_info(0, libc::IPC_INFO).map_err(failed("msgctl"))?;
    Ok(walk::<MessageQueue, _>(highest, MessageQueueStat::new))
}

/// Every user's shared memory segments, those marked for removal among them.
///
/// # Errors
/// Only where the kernel was built without System V IPC.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, shm::SharedMemory, system};
/// let memory = SharedMemory::create(Key::PRIVATE, 100, Mode::default(), Default::default())?;
/// assert!(system::shared_memory_segments()?.any(|stat| stat.id == memory.id() && stat.size == 100));
/// memory.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[doc(alias = "SHM_STAT_ANY")]
pub fn shared_memory_segments() -> Result<impl Iterator<Item = SharedMemoryStat>> {
    // SHM_INFO tells the same, but counts every page of every segment.
    let (highest, _) = sys::shmctl_ipc_info(0).map_err(failed("shmctl"))?;
    Ok(walk::<SharedMemory, _>(highest, SharedMemoryStat::new))
}

/// The processes that have the segment attached, by rising pid: those of this IPC namespace that we
/// may look into (`ptrace` rules). `attached` of its [`SharedMemoryStat`] counts all, and a process
/// once for each attachment.
///
/// # Errors
/// [`ErrorKind::Removed`](crate::ErrorKind::Removed); the errno of reading `/proc`.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, shm::SharedMemory, system};
/// let memory = SharedMemory::create(Key::PRIVATE, 1, Mode::default(), Default::default())?;
/// assert!(system::attached_processes(&memory)?.is_empty());
/// let attachment = memory.attach(Default::default())?;
/// assert_eq!(system::attached_processes(&memory)?, [std::process::id().cast_signed()]);
/// memory.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
///
/// # References
/// - [proc_pid_maps(5)](https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html)
pub fn attached_processes(segment: &SharedMemory) -> Result<Vec<i32>> {
    if segment.stat()?.attached == 0 {
        return Ok(Vec::new());
    }
    let id = segment.id();
    let attached =
        proc::processes()?.into_iter().filter(|process| process.segments().contains(&id));
    Ok(attached.map(|process| process.pid).collect())
}
