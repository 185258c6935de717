//! Segments that nobody will miss.

use std::time::Duration;

use super::proc::Life;
use super::shared_memory_segments;
use crate::error::Result;
use crate::ipc::{Control, Time};
use crate::shm::{SharedMemory, SharedMemoryStat};

/// A segment that is left over, and what tells so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Orphan {
    /// What the kernel tells about it.
    pub segment: SharedMemoryStat,
    /// Why nobody can be using it.
    pub reasons: Vec<String>,
}

/// The kernel's times are whole seconds, cut off, of a clock that may be a tick behind: what they
/// stand for was over so long after them.
const CERTAINLY_OVER: Duration = Duration::from_millis(1050);

/// The segments that are left over: nobody has them attached, and both their creator and their last
/// user are dead.
///
/// A process that has such a pid now, but started after it was noted, is another one. A pid of 0 is
/// of another pid namespace: what can't be told is no orphan. (0 as the last user of a segment that
/// nobody ever attached is nobody.) If the clock was set forward meanwhile, a process that is alive
/// and not attached can look as if it had started later.
///
/// Of semaphore sets and queues the kernel notes no creator: none of them is ever called an orphan.
///
/// # Errors
/// Only where the kernel was built without System V IPC.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, shm::SharedMemory, system};
/// let memory = SharedMemory::create(Key::PRIVATE, 1, Mode::default(), Default::default())?;
/// let ours = |orphan: &system::Orphan| orphan.segment.id == memory.id();
/// assert!(!system::orphans()?.iter().any(ours), "its creator is alive: we are");
/// memory.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
pub fn orphans() -> Result<Vec<Orphan>> {
    Ok(shared_memory_segments()?
        .filter_map(|segment| {
            let reasons = reasons(&segment, Life::of)?;
            // Somebody may have attached it while we looked at the others.
            let ds = SharedMemory::stat_raw(segment.id).ok()?;
            (SharedMemoryStat::new(segment.id, ds) == segment).then_some(())?;
            Some(Orphan { segment, reasons })
        })
        .collect())
}

/// Why the segment is an orphan; `None` if it may not be one.
fn reasons(segment: &SharedMemoryStat, life: impl Fn(i32) -> Life) -> Option<Vec<String>> {
    if segment.attached != 0 {
        return None;
    }
    let mut reasons = vec!["nobody has it attached".to_owned()];
    let gone = |who, pid, noted| gone(who, pid, noted, life(pid));
    // Its ctime is when it was made, or later.
    reasons.push(gone("creator", segment.creator_pid, segment.ctime)?);
    let last_use = segment.atime.max(segment.dtime);
    reasons.push(if last_use == 0 && segment.last_pid == 0 {
        "nobody ever attached it".to_owned()
    } else {
        gone("last user", segment.last_pid, last_use)?
    });
    Some(reasons)
}

/// Why the process that had this pid when it was noted is dead; `None` if it may be alive.
pub(super) fn gone(who: &str, pid: i32, noted: Time, life: Life) -> Option<String> {
    match life {
        Life::Over => Some(format!("its {who}, process {pid}, is dead")),
        Life::Since(start) => {
            let noted = Duration::from_secs(noted.try_into().ok()?);
            (start > noted + CERTAINLY_OVER).then(|| {
                format!("its {who} is dead: another process has started since and is {pid} now")
            })
        }
        Life::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::{Key, Permissions};

    const CREATOR: i32 = 10;
    const USER: i32 = 20;

    fn segment() -> SharedMemoryStat {
        let permissions =
            Permissions { key: Key::new(1), uid: 0, gid: 0, cuid: 0, cgid: 0, mode: 0o600, seq: 0 };
        SharedMemoryStat {
            id: 5,
            permissions,
            size: 1,
            atime: 2000,
            dtime: 3000,
            ctime: 1000,
            creator_pid: CREATOR,
            last_pid: USER,
            attached: 0,
            marked_for_removal: false,
            locked: false,
        }
    }

    fn is_orphan(segment: &SharedMemoryStat, creator: Life, user: Life) -> bool {
        let life = |pid| match pid {
            0 => Life::Unknown,
            CREATOR => creator,
            _ => user,
        };
        reasons(segment, life).is_some()
    }

    fn at(millis: u64) -> Life {
        Life::Since(Duration::from_millis(millis))
    }

    #[test]
    fn both_must_be_dead() {
        assert!(is_orphan(&segment(), Life::Over, Life::Over));
        assert!(!is_orphan(&segment(), at(0), Life::Over));
        assert!(!is_orphan(&segment(), Life::Over, at(0)));
        assert!(!is_orphan(&segment(), Life::Unknown, Life::Over));
        assert!(!is_orphan(&segment(), Life::Over, Life::Unknown));
    }

    #[test]
    fn what_is_attached_is_none() {
        let attached = SharedMemoryStat { attached: 1, ..segment() };
        assert!(!is_orphan(&attached, Life::Over, Life::Over));
    }

    #[test]
    fn a_pid_is_another_process_only_if_that_surely_started_later() {
        // Noted in second 1000, so until 1001, and a tick later at most.
        assert!(!is_orphan(&segment(), at(1_000_500), Life::Over));
        assert!(!is_orphan(&segment(), at(1_001_040), Life::Over));
        assert!(is_orphan(&segment(), at(1_001_060), Life::Over));
        // The last user was seen in second 3000, whenever the segment was made.
        assert!(!is_orphan(&segment(), Life::Over, at(2_500_000)));
        assert!(is_orphan(&segment(), Life::Over, at(3_001_060)));
    }

    #[test]
    fn pid_0_is_unknown_but_for_a_segment_that_nobody_ever_attached() {
        let unused = SharedMemoryStat { last_pid: 0, atime: 0, dtime: 0, ..segment() };
        assert!(is_orphan(&unused, Life::Over, Life::Over));
        assert!(!is_orphan(&unused, at(0), Life::Over));
        let foreign = SharedMemoryStat { last_pid: 0, ..segment() };
        assert!(!is_orphan(&foreign, Life::Over, Life::Over));
        let foreign = SharedMemoryStat { creator_pid: 0, ..unused };
        assert!(!is_orphan(&foreign, Life::Over, Life::Over));
    }

    #[test]
    fn every_reason_names_its_process() {
        let all = reasons(&segment(), |_| Life::Over).expect("an orphan");
        assert_eq!(all.len(), 3);
        assert!(all[1].contains("creator, process 10,"), "{all:?}");
        assert!(all[2].contains("last user, process 20,"), "{all:?}");
    }
}
