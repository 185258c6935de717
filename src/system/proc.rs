//! What `/proc` tells about processes: read here, parsed here, and never trusted to be there.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, getpid};

use crate::error::{Error, Result};
use crate::sys;

fn unreadable(error: &io::Error) -> Error {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    Error::from_errno("open", errno).because(format!("/proc can't be read: {errno}"))
}

/// Which IPC namespace the calling thread is in: the inode of `/proc/thread-self/ns/ipc`.
///
/// The ids and keys of objects, and the limits, belong to a namespace.
///
/// # Errors
/// The errno of looking there, where `/proc` is not mounted.
///
/// ```
/// assert!(sysv_ipc_rs::system::ipc_namespace()? > 0);
/// # Ok::<(), sysv_ipc_rs::Error>(())
/// ```
///
/// # References
/// - [ipc_namespaces(7)](https://man7.org/linux/man-pages/man7/ipc_namespaces.7.html)
pub fn ipc_namespace() -> Result<u64> {
    namespace_at("/proc/thread-self".into()).map_err(|error| unreadable(&error))
}

fn namespace_at(folder: PathBuf) -> io::Result<u64> {
    fs::metadata(folder.join("ns/ipc")).map(|ns| ns.ino())
}

/// A process of our IPC namespace that we may look into.
pub(super) struct Process {
    pub(super) pid: i32,
    folder: PathBuf,
}

/// The processes of our IPC namespace, as far as we may look into them; by rising pid.
pub(super) fn processes() -> Result<Vec<Process>> {
    let ours = ipc_namespace()?;
    let entries = fs::read_dir("/proc").map_err(|error| unreadable(&error))?;
    let mut processes: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some(Process { pid, folder: entry.path() })
        })
        .filter(|process| namespace_at(process.folder.clone()).is_ok_and(|other| other == ours))
        .collect();
    processes.sort_by_key(|process| process.pid);
    Ok(processes)
}

impl Process {
    /// The ids of the segments that it has attached, each as often as it has.
    pub(super) fn segments(&self) -> Vec<i32> {
        let maps = fs::read(self.folder.join("maps")).unwrap_or_default();
        maps.split(|&byte| byte == b'\n').filter_map(mapped_segment).collect()
    }

    /// The system calls in which its threads are blocked.
    pub(super) fn blocked_calls(&self) -> Vec<SystemCall> {
        let Ok(threads) = fs::read_dir(self.folder.join("task")) else { return Vec::new() };
        threads
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("syscall")).ok())
            .filter_map(|line| SystemCall::parse(&line))
            .collect()
    }

    /// Copies its memory at `address`.
    pub(super) fn read_memory(&self, address: u64, to: &mut [u8]) -> io::Result<()> {
        File::open(self.folder.join("mem"))?.read_exact_at(to, address)
    }
}

/// Which segment a line of `/proc/PID/maps` is of: the kernel gives the file behind a segment the
/// segment's id as its inode, and a name that is made of its key.
fn mapped_segment(line: &[u8]) -> Option<i32> {
    let line = std::str::from_utf8(line).ok()?;
    let mut fields = line.split_ascii_whitespace().skip(3);
    let (device, inode, name) = (fields.next()?, fields.next()?, fields.next()?);
    let key = name.strip_prefix("/SYSV")?;
    // No disk has such files; the kernel keeps segments in a file system of its own.
    let internal = device.starts_with("00:") && fields.eq(["(deleted)"]);
    let is_key = key.len() == 8 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
    if internal && is_key { inode.parse().ok() } else { None }
}

/// A system call in which a thread is blocked: `/proc/PID/task/TID/syscall`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SystemCall {
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

impl SystemCall {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let number = fields.next()?.parse().ok()?;
        let mut arguments = [0; 6];
        for argument in &mut arguments {
            *argument = u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok()?;
        }
        Some(Self { number, arguments })
    }

    /// The id that it was called with.
    pub(super) fn id(&self) -> i32 {
        // The kernel takes an int: the low half of the register.
        let [a, b, c, d, ..] = self.arguments[0].to_le_bytes();
        i32::from_le_bytes([a, b, c, d])
    }

    /// Whether it is one of `numbers`, on the object with this id.
    pub(super) fn is_on(&self, numbers: &[i64], id: i32) -> bool {
        numbers.contains(&self.number) && self.id() == id
    }
}

/// What can be told about the process that once had a pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// There is no such process any more.
    Over,
    /// A process has this pid; it started so long after 1970.
    Since(Duration),
    /// It can't be told: the pid is of another pid namespace, or the process is hidden from us.
    Unknown,
}

impl Life {
    pub(super) fn of(pid: i32) -> Self {
        // 0 stands for a pid that our namespace has no number for; below it are groups.
        if pid <= 0 {
            return Self::Unknown;
        }
        let exists = || signal::kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH);
        if !exists() {
            return Self::Over;
        }
        let told = Self::told_by_proc(pid);
        // `/proc` may hide other users' processes: that it is not there proves nothing.
        if told == Self::Unknown && !exists() { Self::Over } else { told }
    }

    fn told_by_proc(pid: i32) -> Self {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok().and_then(|stat| Stat::parse(&stat));
        match stat {
            Some(stat) if is_proc_ours() && stat.has_ended() => Self::Over,
            Some(stat) if is_proc_ours() => stat.start_time().map_or(Self::Unknown, Self::Since),
            _ => Self::Unknown,
        }
    }
}

/// Whether `/proc` is of our pid namespace; it may have been mounted in another.
fn is_proc_ours() -> bool {
    let Ok(ourselves) = fs::read_link("/proc/self") else { return false };
    ourselves.to_str().and_then(|pid| pid.parse().ok()) == Some(getpid().as_raw())
}

/// When the machine was booted, since 1970, as its clock sees it now.
fn boot_time() -> Option<Duration> {
    let now = |clock| clock_gettime(clock).ok().map(Duration::from);
    now(ClockId::CLOCK_REALTIME)?.checked_sub(now(ClockId::CLOCK_BOOTTIME)?)
}

/// What is wanted of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    threads: i64,
    /// In clock ticks after boot.
    start: u64,
}

impl Stat {
    fn parse(stat: &[u8]) -> Option<Self> {
        // The program's name may hold spaces, parentheses and line breaks, the rest does not.
        let name_end = stat.iter().rposition(|&byte| byte == b')')?;
        let rest = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        let &[state] = fields.first()?.as_bytes() else { return None };
        let (threads, start) = (fields.get(17)?.parse().ok()?, fields.get(19)?.parse().ok()?);
        Some(Self { state, threads, start })
    }

    /// Since 1970.
    fn start_time(&self) -> Option<Duration> {
        let ticks = u64::try_from(sys::clock_ticks()).ok().filter(|&ticks| ticks > 0)?;
        let after_boot = Duration::from_millis(self.start.saturating_mul(1000) / ticks);
        boot_time()?.checked_add(after_boot)
    }

    /// A zombie, unless it is only the first thread that has ended, of a process with others.
    fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.threads <= 1
    }
}

#[cfg(fuzzing)]
pub(crate) fn parse_any(data: &[u8]) {
    let _ = mapped_segment(data);
    if let Some(stat) = Stat::parse(data) {
        let _ = (stat.start_time(), stat.has_ended());
    }
    if let Some(call) = std::str::from_utf8(data).ok().and_then(SystemCall::parse) {
        let _ = call.is_on(&[call.number], 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_told_by_name_device_and_inode() {
        let line = |text: &str| mapped_segment(text.as_bytes());
        let shm =
            "7f00-7f01 rw-s 00000000 00:01 32769                      /SYSV00000000 (deleted)";
        assert_eq!(line(shm), Some(32769));
        assert_eq!(line(&shm.replace("00:01", "fe:00")), None);
        assert_eq!(line(&shm.replace(" (deleted)", "")), None);
        assert_eq!(line(&shm.replace("/SYSV", "/memfd:SYSV")), None);
        assert_eq!(line(&shm.replace("/SYSV", "/tmp/SYSV")), None);
        assert_eq!(line(&shm.replace("00000000 (", "0000000g (")), None);
        assert_eq!(line(&shm.replace("00000000 (", "000000001 (")), None);
        assert_eq!(line(&shm.replace("32769", "99999999999")), None);
        assert_eq!(line("7f00-7f01 rw-p 00000000 00:00 0"), None);
        assert_eq!(line(""), None);
        assert_eq!(mapped_segment(b"\xff\xfe 00:01 1 /SYSV00000000 (deleted)"), None);
    }

    #[test]
    fn a_system_call_is_its_number_and_six_arguments() {
        let blocked = SystemCall::parse("65 0x8001 0x7ffe0 0x1 0x0 0x0 0x0 0x7ffd0 0x7f12\n");
        let blocked = blocked.expect("a blocked call");
        assert_eq!(blocked.number, 65);
        assert_eq!(blocked.arguments, [0x8001, 0x7ffe0, 1, 0, 0, 0]);
        assert!(blocked.is_on(&[65, 220], 0x8001));
        assert!(!blocked.is_on(&[220], 0x8001));
        assert!(!blocked.is_on(&[65], 1));
        for line in ["running\n", "-1 0x7ffd0 0x7f12", "", "65 0x1", "65 1 2 3 4 5 6 7 8"] {
            assert_eq!(SystemCall::parse(line), None, "{line}");
        }
    }

    #[test]
    fn only_the_low_half_of_the_first_argument_counts() {
        let line = "65 0xffffffff00008001 0x0 0x0 0x0 0x0 0x0 0x0 0x0";
        assert!(SystemCall::parse(line).expect("a call").is_on(&[65], 0x8001));
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_hides_nothing() {
        let numbers = (4..=52).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        let stat = format!("77 (a) b ) (\n c) S {numbers}");
        let parsed = Stat::parse(stat.as_bytes()).expect("a stat");
        assert_eq!(parsed, Stat { state: b'S', threads: 20, start: 22 });
        assert_eq!(Stat::parse(b"77 (a"), None);
        assert_eq!(Stat::parse(b"77 (a) S 1 2"), None);
        assert_eq!(Stat::parse(b""), None);
        assert_eq!(Stat::parse(b"77 (\xff\xfe) Zz 1"), None);
    }

    #[test]
    fn a_first_thread_that_has_ended_is_not_the_end_of_its_process() {
        let ended = |state, threads| Stat { state, threads, start: 0 }.has_ended();
        assert!(ended(b'Z', 1));
        assert!(!ended(b'Z', 2));
        assert!(!ended(b'S', 1));
    }

    #[test]
    fn our_own_life_began_in_the_past_and_pid_0_is_unknown() {
        let Life::Since(start) = Life::of(getpid().as_raw()) else { panic!("we live") };
        let now = Duration::from(clock_gettime(ClockId::CLOCK_REALTIME).expect("a clock"));
        let age = now.checked_sub(start).expect("in the past");
        assert!(age < Duration::from_hours(1), "{age:?}");
        assert_eq!(Life::of(0), Life::Unknown);
        assert_eq!(Life::of(-1), Life::Unknown);
        assert_eq!(Life::of(i32::MAX), Life::Over);
    }
}
