//! `sysv_ipc_rs.system`: limits, usage, lists of everyone's objects, and who uses them. All of it
//! runs detached from the interpreter.

use pyo3::Borrowed;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::type_object::PyTypeInfo;
use pyo3::types::{PyIterator, PyList};

use super::convert::Id;
use super::msg::{MessageQueue, MessageQueueStat};
use super::record::{Several, record};
use super::sem::{SemaphoreSet, SemaphoreSetStat};
use super::shm::{SharedMemory, SharedMemoryStat};
use crate::ipc::Kind;
use crate::system as core;
use crate::{Result, msg, sem, shm};

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

/// The id that a handle, a stat, or an int names.
fn id_of<Handle: PyTypeInfo, Stat: PyTypeInfo>(value: &Bound<'_, PyAny>) -> PyResult<i32> {
    if value.is_instance_of::<Handle>() || value.is_instance_of::<Stat>() {
        value.getattr("id")?.extract()
    } else {
        Ok(value.extract::<Id>()?.0)
    }
}

/// A set, named in one of these ways.
pub(super) struct AnySet(i32);

impl<'py> FromPyObject<'_, 'py> for AnySet {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        id_of::<SemaphoreSet, SemaphoreSetStat>(&value).map(Self)
    }
}

/// A segment, named in one of these ways.
pub(super) struct AnySegment(i32);

impl<'py> FromPyObject<'_, 'py> for AnySegment {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        id_of::<SharedMemory, SharedMemoryStat>(&value).map(Self)
    }
}

/// Collects what `list` finds, detached, and hands it out one by one.
fn listing<'py, Stat: IntoPyObject<'py> + From<T>, T: Send, I: Iterator<Item = T>>(
    py: Python<'py>,
    list: impl FnOnce() -> Result<I> + Send,
) -> PyResult<Bound<'py, PyIterator>> {
    let found: Vec<T> = py.detach(|| Ok::<_, crate::Error>(list()?.collect()))?;
    PyList::new(py, found.into_iter().map(Stat::from))?.try_iter()
}

/// Every user's semaphore sets, also those that we may not use.
///
/// The list is taken at the call. A set that exists throughout is in it exactly once, whatever is
/// created and removed meanwhile. Looking changes nothing of them.
///
/// Returns:
///     An iterator of SemaphoreSetStat.
///
/// See semctl(2), SEM_STAT_ANY.
#[pyfunction]
pub(super) fn semaphore_sets(py: Python<'_>) -> PyResult<Bound<'_, PyIterator>> {
    listing::<SemaphoreSetStat, _, _>(py, core::semaphore_sets)
}

/// Every user's message queues, also those that we may not use.
///
/// The list is taken at the call. A queue that exists throughout is in it exactly once, whatever is
/// created and removed meanwhile. Looking changes nothing of them.
///
/// Returns:
///     An iterator of MessageQueueStat.
///
/// See msgctl(2), MSG_STAT_ANY.
#[pyfunction]
pub(super) fn message_queues(py: Python<'_>) -> PyResult<Bound<'_, PyIterator>> {
    listing::<MessageQueueStat, _, _>(py, core::message_queues)
}

/// Every user's shared memory segments, those marked for removal among them.
///
/// The list is taken at the call. A segment that exists throughout is in it exactly once, whatever
/// is created and removed meanwhile. Looking changes nothing of them.
///
/// Returns:
///     An iterator of SharedMemoryStat.
///
/// See shmctl(2), SHM_STAT_ANY.
#[pyfunction]
pub(super) fn shared_memory_segments(py: Python<'_>) -> PyResult<Bound<'_, PyIterator>> {
    listing::<SharedMemoryStat, _, _>(py, core::shared_memory_segments)
}

/// The kernel's limits of our IPC namespace.
///
/// Returns:
///     Limits, in the kernel's own units: counts, bytes, and for `shmall` pages.
///
/// See semctl(2), msgctl(2) and shmctl(2), IPC_INFO.
#[pyfunction]
pub(super) fn limits(py: Python<'_>) -> PyResult<Limits> {
    Ok(py.detach(core::limits)?.into())
}

/// The file that shows and sets a limit.
///
/// Args:
///     name: The name of a field of Limits.
///
/// Returns:
///     The file's path, or None for a limit that is fixed.
///
/// Raises:
///     ValueError: No limit has the name.
///
/// See proc_sys_kernel(5).
#[pyfunction]
pub(super) fn limit_source(name: &str) -> PyResult<Option<&'static str>> {
    if !Limits::FIELDS.contains(&name) {
        let names = Limits::FIELDS.join(", ");
        return Err(PyValueError::new_err(format!("{name:?} is no limit; these are: {names}")));
    }
    Ok(core::limit_file(name))
}

/// What is in use, of every user, in our IPC namespace.
///
/// Returns:
///     Usage: counts and bytes.
///
/// See semctl(2), SEM_INFO; msgctl(2), MSG_INFO; shmctl(2), SHM_INFO.
#[pyfunction]
pub(super) fn usage(py: Python<'_>) -> PyResult<Usage> {
    Ok(py.detach(core::usage)?.into())
}

/// Those who wait on the semaphores of a set.
///
/// A thread that does several operations at once waits on the first that can't proceed. The kernel
/// counts threads; their processes are named as far as we may look into them (as root: all, of our
/// IPC namespace).
///
/// Args:
///     semaphore_set: A SemaphoreSet, its stat, or its id.
///
/// Returns:
///     A list of Waiters, one for each semaphore that somebody waits on.
///
/// Raises:
///     RemovedError: The set is gone.
///     AccessDeniedError: The set can't be read.
///
/// See semctl(2), GETNCNT and GETZCNT; proc_pid_syscall(5).
#[pyfunction]
pub(super) fn waiters(py: Python<'_>, semaphore_set: AnySet) -> PyResult<Vec<Waiters>> {
    let found = py.detach(|| core::waiters(&sem::SemaphoreSet::from_id(semaphore_set.0)?))?;
    Ok(found.into_iter().map(Waiters::from).collect())
}

/// The processes that wait on a semaphore set or a message queue, to take, give, send or receive.
///
/// Args:
///     object: A SemaphoreSet or a MessageQueue, or the stat of one.
///
/// Returns:
///     Their pids, rising: those of our IPC namespace that we may look into (as root: all).
///
/// Raises:
///     RemovedError: The object is gone.
///
/// See proc_pid_syscall(5).
#[pyfunction]
pub(super) fn waiting_processes(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<Vec<i32>> {
    let is_set =
        object.is_instance_of::<SemaphoreSet>() || object.is_instance_of::<SemaphoreSetStat>();
    let is_queue =
        object.is_instance_of::<MessageQueue>() || object.is_instance_of::<MessageQueueStat>();
    if !is_set && !is_queue {
        return Err(PyTypeError::new_err("a SemaphoreSet, a MessageQueue, or the stat of one"));
    }
    let id = object.getattr("id")?.extract()?;
    Ok(py.detach(|| {
        if is_set {
            sem::SemaphoreSet::from_id(id)?;
            core::waiting_processes(Kind::SemaphoreSet, id)
        } else {
            msg::MessageQueue::from_id(id)?;
            core::waiting_processes(Kind::MessageQueue, id)
        }
    })?)
}

/// The processes that have a segment attached.
///
/// `attached` of its stat counts every attachment, a process as often as it has attached it.
///
/// Args:
///     segment: A SharedMemory, its stat, or its id.
///
/// Returns:
///     Their pids, rising: those of our IPC namespace that we may look into (as root: all).
///
/// Raises:
///     RemovedError: The segment is gone.
///
/// See proc_pid_maps(5).
#[pyfunction]
pub(super) fn attached_processes(py: Python<'_>, segment: AnySegment) -> PyResult<Vec<i32>> {
    Ok(py.detach(|| core::attached_processes(&shm::SharedMemory::from_id(segment.0)?))?)
}

/// The segments that are left over: nobody has them attached, and both their creator and their
/// last user are dead.
///
/// A process that has such a pid now, but started after it was noted, is another one. What can't be
/// told, as for a pid of another pid namespace, is no orphan. Of semaphore sets and queues the
/// kernel notes no creator: none of them is ever called an orphan (see `suspects`). If the clock
/// was set forward meanwhile, a process that is alive but not attached can look as if it had
/// started later.
///
/// Returns:
///     A list of Orphan.
#[pyfunction]
pub(super) fn orphans(py: Python<'_>) -> PyResult<Vec<Orphan>> {
    Ok(py.detach(core::orphans)?.into_iter().map(Orphan::from).collect())
}

/// The sets and queues that all known users of are dead, and that nobody waits on.
///
/// Only a suspicion: the kernel notes no creator of sets and queues, so each may be owned by a
/// process that is alive and idle. What was never used, and sets that may not be read, are left
/// out.
///
/// Returns:
///     A list of Suspect.
#[pyfunction]
pub(super) fn suspects(py: Python<'_>) -> PyResult<Vec<Suspect>> {
    Ok(py.detach(core::suspects)?.into_iter().map(Suspect::from).collect())
}

/// Which IPC namespace we are in: ids, keys and limits belong to one.
///
/// Returns:
///     The inode of /proc/self/ns/ipc.
///
/// See ipc_namespaces(7).
#[pyfunction]
pub(super) fn ipc_namespace(py: Python<'_>) -> PyResult<u64> {
    Ok(py.detach(core::ipc_namespace)?)
}
