//! Who waits on what: counted by the kernel, named by `/proc` as far as that may be read.

use libc::{SYS_msgrcv, SYS_msgsnd, SYS_semop, SYS_semtimedop, c_long};

use super::proc::{Process, SystemCall, processes};
use crate::error::Result;
use crate::ipc::Kind;
use crate::sem::{Operation, OperationFlags, SemaphoreSet};

/// Those who wait on one semaphore of a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Waiters {
    /// Which semaphore.
    pub index: u16,
    /// How many threads wait for its value to grow (`GETNCNT`).
    pub waiting: i32,
    /// How many threads wait for it to become 0 (`GETZCNT`).
    pub waiting_zero: i32,
    /// Their processes by rising pid: those of this IPC namespace that we may look into.
    pub pids: Vec<i32>,
}

const SEMAPHORE_CALLS: [c_long; 2] = [SYS_semop, SYS_semtimedop];
pub(super) const QUEUE_CALLS: [c_long; 2] = [SYS_msgsnd, SYS_msgrcv];

/// What a blocked system call waits on, of the kinds that can be waited on.
pub(super) fn kind_waited_on(call: &SystemCall) -> Option<Kind> {
    let kinds = [Kind::SemaphoreSet, Kind::MessageQueue];
    kinds.into_iter().find(|&kind| calls_on(kind).contains(&call.number))
}

/// The system calls that wait on an object of this kind.
const fn calls_on(kind: Kind) -> &'static [c_long] {
    match kind {
        Kind::SemaphoreSet => &SEMAPHORE_CALLS,
        Kind::MessageQueue => &QUEUE_CALLS,
        Kind::SharedMemory => &[],
    }
}

/// The processes that wait on the object with this id, by rising pid: those of this IPC namespace
/// that we may look into (`ptrace` rules). On segments nobody waits.
///
/// # Errors
/// The errno of reading `/proc`.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Kind, Mode}, msg::MessageQueue, system};
/// let queue = MessageQueue::create(Key::PRIVATE, Mode::default())?;
/// assert!(system::waiting_processes(Kind::MessageQueue, queue.id())?.is_empty());
/// queue.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
///
/// # References
/// - [proc_pid_syscall(5)](https://man7.org/linux/man-pages/man5/proc_pid_syscall.5.html)
pub fn waiting_processes(kind: Kind, id: i32) -> Result<Vec<i32>> {
    let calls = calls_on(kind);
    let waits =
        |process: &Process| process.blocked_calls().iter().any(|call| call.is_on(calls, id));
    Ok(processes()?.into_iter().filter(waits).map(|process| process.pid).collect())
}

/// Those who wait on the semaphores of a set; only semaphores that somebody waits on.
///
/// A thread that does several operations at once waits on the first that can't proceed.
///
/// # Errors
/// [`ErrorKind::Removed`](crate::ErrorKind::Removed);
/// [`ErrorKind::AccessDenied`](crate::ErrorKind::AccessDenied) if the set can't be read; the errno
/// of reading `/proc`.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, sem::SemaphoreSet, system};
/// let set = SemaphoreSet::create(Key::PRIVATE, &[0, 0], Mode::default())?;
/// assert!(system::waiters(&set)?.is_empty());
/// set.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
#[doc(alias = "GETNCNT")]
pub fn waiters(set: &SemaphoreSet) -> Result<Vec<Waiters>> {
    let mut found = Vec::new();
    for index in (0..=u16::MAX).take(set.len()) {
        let (waiting, waiting_zero) = (set.waiting(index)?, set.waiting_zero(index)?);
        if waiting + waiting_zero > 0 {
            found.push(Waiters { index, waiting, waiting_zero, pids: Vec::new() });
        }
    }
    if !found.is_empty() {
        name_processes(set, &mut found)?;
    }
    Ok(found)
}

fn name_processes(set: &SemaphoreSet, found: &mut [Waiters]) -> Result<()> {
    let values = set.values()?;
    for process in processes()? {
        for call in process.blocked_calls() {
            if !call.is_on(&SEMAPHORE_CALLS, set.id()) {
                continue;
            }
            let ops = operations(&process, &call);
            let waiters = found.iter_mut().find(|waiters| {
                blocking(&ops, &values).is_some_and(|index| index == waiters.index)
            });
            if let Some(Waiters { pids, .. }) = waiters
                && !pids.contains(&process.pid)
            {
                pids.push(process.pid);
            }
        }
    }
    Ok(())
}

/// The operations that a blocked `semop` wants to do; none if they can't be read.
fn operations(process: &Process, call: &SystemCall) -> Vec<Operation> {
    let [_, address, count, ..] = call.arguments;
    // No kernel allows for more, whatever the other process claims.
    let count = usize::try_from(count).unwrap_or(0).min(1 << 16);
    let mut memory = vec![0; count * size_of::<libc::sembuf>()];
    if process.read_memory(address, &mut memory).is_err() {
        return Vec::new();
    }
    memory.as_chunks().0.iter().copied().map(operation).collect()
}

/// One `struct sembuf` out of another process's memory.
fn operation(memory: [u8; size_of::<libc::sembuf>()]) -> Operation {
    let [index, delta, flags] = [0, 2, 4].map(|at| [memory[at], memory[at + 1]]);
    let flags = OperationFlags::from_bits_retain(i16::from_ne_bytes(flags));
    Operation::new(u16::from_ne_bytes(index), i16::from_ne_bytes(delta), flags)
}

/// Which semaphore keeps the operations from being done, as the kernel finds it: they are tried in
/// their order, each on what those before it have left.
fn blocking(ops: &[Operation], values: &[u16]) -> Option<u16> {
    let mut values: Vec<_> = values.iter().copied().map(i32::from).collect();
    let blocking = ops.iter().find(|op| {
        let Some(value) = values.get_mut(usize::from(op.index())) else { return false };
        if op.delta() == 0 {
            return *value != 0;
        }
        *value += i32::from(op.delta());
        *value < 0
    });
    blocking.map(Operation::index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_blocking(ops: &[(u16, i16)], values: &[u16]) -> Option<u16> {
        let op = |&(index, delta)| Operation::new(index, delta, OperationFlags::empty());
        blocking(&ops.iter().map(op).collect::<Vec<_>>(), values)
    }

    #[test]
    fn the_first_operation_that_cannot_proceed_is_waited_on() {
        assert_eq!(first_blocking(&[(0, -1), (1, -1)], &[0, 0]), Some(0));
        assert_eq!(first_blocking(&[(0, -1), (1, -1)], &[1, 0]), Some(1));
        assert_eq!(first_blocking(&[(0, -1), (1, -1)], &[1, 1]), None);
        assert_eq!(first_blocking(&[(1, 0), (0, -1)], &[0, 1]), Some(1));
        assert_eq!(first_blocking(&[(0, 1), (0, 0)], &[0]), Some(0));
        assert_eq!(first_blocking(&[(0, 1), (0, -1)], &[0]), None);
        assert_eq!(first_blocking(&[(9, -1)], &[0]), None);
        assert_eq!(first_blocking(&[], &[0]), None);
    }

    #[test]
    fn operations_are_read_as_the_kernel_reads_them() {
        let [i, d, f] = [3u16.to_ne_bytes(), (-2i16).to_ne_bytes(), 0o4000i16.to_ne_bytes()];
        let op = operation([i[0], i[1], d[0], d[1], f[0], f[1]]);
        assert_eq!((op.index(), op.delta(), op.flags()), (3, -2, OperationFlags::NO_WAIT));
    }
}
