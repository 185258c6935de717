//! Who uses what, of everyone's objects at once: one look at every process, however many objects
//! there are.

use super::proc::processes;
use super::waiters::kind_waited_on;
use crate::error::Result;
use crate::ipc::Kind;

/// A process that waits on a set or a queue, or has a segment attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Use {
    /// The kind of the object.
    pub kind: Kind,
    /// Its id.
    pub id: i32,
    /// The process.
    pub pid: i32,
}

/// Who waits on a set or a queue, or has a segment attached, by rising pid: the processes of this
/// IPC namespace that we may look into (`ptrace` rules), each once for each object.
///
/// # Errors
/// The errno of reading `/proc`.
///
/// ```
/// use sysv_ipc_rs::{ipc::{Key, Mode}, shm::SharedMemory, system};
/// let memory = SharedMemory::create(Key::PRIVATE, 1, Mode::default(), Default::default())?;
/// let attachment = memory.attach(Default::default())?;
/// let ours = |used: &system::Use| {
///     used.id == memory.id() && used.pid == std::process::id().cast_signed()
/// };
/// assert_eq!(system::uses()?.into_iter().filter(ours).count(), 1);
/// memory.remove()?;
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
///
/// # References
/// - [proc_pid_maps(5)](https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html)
/// - [proc_pid_syscall(5)](https://man7.org/linux/man-pages/man5/proc_pid_syscall.5.html)
pub fn uses() -> Result<Vec<Use>> {
    let mut found: Vec<Use> = Vec::new();
    for process in processes()? {
        let calls = process.blocked_calls();
        let waits = calls.iter().filter_map(|call| Some((kind_waited_on(call)?, call.id())));
        let segments = process.segments();
        let attached = segments.into_iter().map(|id| (Kind::SharedMemory, id));
        let before = found.len();
        for (kind, id) in waits.chain(attached) {
            let used = Use { kind, id, pid: process.pid };
            if !found[before..].contains(&used) {
                found.push(used);
            }
        }
    }
    Ok(found)
}
