//! `sysv_ipc_rs.system`: limits, usage, lists of everyone's objects, and who uses them. All of it
//! runs detached from the interpreter.

use pyo3::Borrowed;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::type_object::PyTypeInfo;

use super::collect::collect;
use super::convert::Id;
use super::msg::{MessageQueue, MessageQueueStat};
use super::sem::{SemaphoreSet, SemaphoreSetStat};
use super::shm::{SharedMemory, SharedMemoryStat};
use crate::ipc::Kind;
use crate::system as core;
use crate::{msg, sem, shm};

mod listing;
mod records;

use listing::{Listing, Stats};
pub(super) use records::{Limits, Orphan, Suspect, Usage, Use, Waiters};

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
pub(super) fn semaphore_sets(py: Python<'_>) -> PyResult<Listing> {
    Listing::of(py, || Ok(Stats::Sets(collect(core::semaphore_sets()?.map(Ok), 0)?)))
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
pub(super) fn message_queues(py: Python<'_>) -> PyResult<Listing> {
    Listing::of(py, || Ok(Stats::Queues(collect(core::message_queues()?.map(Ok), 0)?)))
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
pub(super) fn shared_memory_segments(py: Python<'_>) -> PyResult<Listing> {
    Listing::of(py, || Ok(Stats::Segments(collect(core::shared_memory_segments()?.map(Ok), 0)?)))
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

/// Who waits on a set or a queue, or has a segment attached, of all objects at once.
///
/// It looks at every process once: where many objects are looked at, quicker than
/// `waiting_processes` and `attached_processes` of each.
///
/// Returns:
///     A list of Use by rising pid, each once: of the processes of our IPC namespace that we may look
///     into (as root: all).
///
/// See proc_pid_syscall(5) and proc_pid_maps(5).
#[pyfunction]
pub(super) fn uses(py: Python<'_>) -> PyResult<Vec<Use>> {
    Ok(py.detach(core::uses)?.into_iter().map(Use::from).collect())
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
