//! Sets and queues that perhaps nobody will miss. The kernel notes no creator of theirs: an idle
//! master may own each of them, so this is never more than a suspicion.

use super::orphans::gone;
use super::proc::{Life, Process, processes};
use super::waiters::QUEUE_CALLS;
use super::{message_queues, semaphore_sets};
use crate::error::Result;
use crate::msg::MessageQueueStat;
use crate::sem::{SemaphoreSet, SemaphoreSetStat};

/// A set or a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SuspectedObject {
    /// A semaphore set.
    SemaphoreSet(SemaphoreSetStat),
    /// A message queue.
    MessageQueue(MessageQueueStat),
}

/// A set or a queue that perhaps nobody uses any more, and what makes it look so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Suspect {
    /// What the kernel tells about it.
    pub object: SuspectedObject,
    /// What speaks for it. None of it is a proof.
    pub reasons: Vec<String>,
}

/// The sets and queues that all known users of are dead, and that nobody waits on.
///
/// Only a suspicion: their creator, who may be alive and idle, is known to nobody. What was never
/// used, and sets that may not be read, are left out.
///
/// # Errors
/// The errno of reading `/proc`, or where the kernel was built without System V IPC.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, sem::SemaphoreSet, system};
/// let set = SemaphoreSet::create(Key::PRIVATE, &[1], Mode::default())?;
/// let ours = |suspect: &system::Suspect| {
///     matches!(suspect.object, system::SuspectedObject::SemaphoreSet(stat) if stat.id == set.id())
/// };
/// assert!(!system::suspects()?.iter().any(ours), "we have used it, and live");
/// set.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
pub fn suspects() -> Result<Vec<Suspect>> {
    let sets = semaphore_sets()?.filter_map(|stat| {
        let reasons = set_reasons(&stat)?;
        Some(Suspect { object: SuspectedObject::SemaphoreSet(stat), reasons })
    });
    let blocked: Vec<_> = processes()?.iter().flat_map(Process::blocked_calls).collect();
    let waited_on = |id| blocked.iter().any(|call| call.is_on(&QUEUE_CALLS, id));
    let queues = message_queues()?.filter(|stat| !waited_on(stat.id)).filter_map(|stat| {
        let reasons = queue_reasons(&stat, Life::of)?;
        Some(Suspect { object: SuspectedObject::MessageQueue(stat), reasons })
    });
    Ok(sets.chain(queues).collect())
}

fn set_reasons(stat: &SemaphoreSetStat) -> Option<Vec<String>> {
    let set = SemaphoreSet::from_id(stat.id).ok()?;
    let mut pids = Vec::new();
    for index in (0..=u16::MAX).take(set.len()) {
        if set.waiting(index).ok()? + set.waiting_zero(index).ok()? > 0 {
            return None;
        }
        pids.push(set.last_pid(index).ok()?);
    }
    pids.sort_unstable();
    pids.dedup();
    // 0 is nobody, or of another pid namespace.
    pids.retain(|&pid| pid != 0);
    let noted = stat.otime.max(stat.ctime);
    let reasons: Option<Vec<_>> =
        pids.into_iter().map(|pid| gone("last user", pid, noted, Life::of(pid))).collect();
    reasons.filter(|reasons| !reasons.is_empty())
}

fn queue_reasons(stat: &MessageQueueStat, life: impl Fn(i32) -> Life) -> Option<Vec<String>> {
    let users = [
        ("last sender", stat.last_send_pid, stat.stime),
        ("last receiver", stat.last_receive_pid, stat.rtime),
    ];
    let used = users.into_iter().filter(|&(_, pid, noted)| pid != 0 || noted != 0);
    let reasons: Option<Vec<_>> =
        used.map(|(who, pid, noted)| gone(who, pid, noted, life(pid))).collect();
    reasons.filter(|reasons| !reasons.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::{Key, Permissions};

    fn queue(
        last_send_pid: i32,
        stime: i64,
        last_receive_pid: i32,
        rtime: i64,
    ) -> MessageQueueStat {
        let permissions =
            Permissions { key: Key::new(1), uid: 0, gid: 0, cuid: 0, cgid: 0, mode: 0o600, seq: 0 };
        MessageQueueStat {
            id: 5,
            permissions,
            stime,
            rtime,
            ctime: 1,
            current_bytes: 0,
            messages: 0,
            max_bytes: 1,
            last_send_pid,
            last_receive_pid,
        }
    }

    #[test]
    fn a_queue_is_suspect_only_if_every_known_user_is_dead() {
        let life = |pid| match pid {
            0 => Life::Unknown,
            10 => Life::Over,
            _ => Life::Since(std::time::Duration::ZERO),
        };
        let suspect = |stat: &MessageQueueStat| queue_reasons(stat, life).is_some();
        assert!(suspect(&queue(10, 100, 10, 100)));
        assert!(suspect(&queue(10, 100, 0, 0)));
        assert!(!suspect(&queue(10, 100, 20, 100)));
        assert!(!suspect(&queue(10, 100, 0, 100)), "a receiver in another pid namespace");
        assert!(!suspect(&queue(0, 0, 0, 0)), "never used: nothing is known");
    }
}
