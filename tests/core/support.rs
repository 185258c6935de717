//! What several tests need: objects that go away, children, other users, own namespaces, signals.

#![allow(unsafe_code)]

use std::fs;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, setgroups, setresgid, setresuid};
use sysv_ipc_rs::ipc::{Key, Kind, Mode};
use sysv_ipc_rs::msg::MessageQueue;
use sysv_ipc_rs::sem::{Operation, OperationFlags, SemaphoreSet};
use sysv_ipc_rs::shm::{CreateOptions, SharedMemory};
use sysv_ipc_rs::system;

pub(crate) const NOBODY: u32 = 65534;
/// A user that no test runs as.
pub(crate) const SOMEBODY: u32 = 65533;
pub(crate) const MODE: Mode = Mode::OWNER;

/// A kernel object that is removed at the end, also of a test that fails.
#[derive(Debug)]
pub(crate) struct Temporary<T: Removable>(pub(crate) T);

pub(crate) trait Removable: Copy {
    fn remove_now(self);
}

macro_rules! removable {
    ($($kind:ty),*) => {$(
        impl Removable for $kind {
            fn remove_now(self) {
                let _ = self.remove();
            }
        }
    )*};
}

removable!(SemaphoreSet, MessageQueue, SharedMemory);

impl<T: Removable> Deref for Temporary<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Removable> Drop for Temporary<T> {
    fn drop(&mut self) {
        self.0.remove_now();
    }
}

pub(crate) fn set(values: &[u16]) -> Temporary<SemaphoreSet> {
    Temporary(SemaphoreSet::create(Key::PRIVATE, values, MODE).expect("a set"))
}

pub(crate) fn queue() -> Temporary<MessageQueue> {
    Temporary(MessageQueue::create(Key::PRIVATE, MODE).expect("a queue"))
}

pub(crate) fn segment(size: usize) -> Temporary<SharedMemory> {
    let made = SharedMemory::create(Key::PRIVATE, size, MODE, CreateOptions::default());
    Temporary(made.expect("a segment"))
}

/// A key that no other test uses.
pub(crate) fn free_key() -> Key {
    static NEXT: AtomicI32 = AtomicI32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Key::from_name(&format!("test {number} of process {}", std::process::id()))
}

pub(crate) fn op(index: u16, delta: i16) -> Operation {
    Operation::new(index, delta, OperationFlags::empty())
}

/// Looks again and again until it is so.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let given_up = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < given_up, "never came: {what}");
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Waits until a process waits on the object in the kernel.
pub(crate) fn until_waiting(kind: Kind, id: i32, pid: Pid) {
    let waits = || system::waiting_processes(kind, id).expect("/proc").contains(&pid.as_raw());
    wait_until("a process that waits on the object", waits);
}

/// A forked process. It is killed at the end if it still runs.
#[derive(Debug)]
pub(crate) struct Child(pub(crate) Pid);

impl Child {
    pub(crate) fn kill(&self, signal: Signal) {
        kill(self.0, signal).expect("a process to signal");
    }

    /// Its end.
    pub(crate) fn wait(self) -> WaitStatus {
        let status = waitpid(self.0, None).expect("a child to wait for");
        std::mem::forget(self);
        status
    }

    /// Waits until it has succeeded.
    pub(crate) fn succeed(self) {
        let pid = self.0;
        assert_eq!(self.wait(), WaitStatus::Exited(pid, 0));
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill_and_wait(self) {
        self.kill(Signal::SIGKILL);
        self.wait();
    }

    /// Waits until it has ended, but leaves it a zombie.
    pub(crate) fn until_zombie(&self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(nix::sys::wait::Id::Pid(self.0), flags).expect("a child");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}

/// Seconds after which a child that hangs is killed.
const ENDS_WITHIN: u32 = 120;

/// Forks a process that runs `life` and exits: with 0, or with 101 if it panics.
pub(crate) fn child(life: impl FnOnce()) -> Child {
    // SAFETY: the child uses memory and this crate only; the C library makes its allocator usable
    // after a fork, and std's locks of stdout are not touched.
    match unsafe { fork() }.expect("a fork") {
        ForkResult::Parent { child } => Child(child),
        ForkResult::Child => {
            nix::unistd::alarm::set(ENDS_WITHIN);
            let ended = catch_unwind(AssertUnwindSafe(life));
            if let Err(panic) = &ended {
                tell(panic.downcast_ref::<String>().map_or_else(
                    || panic.downcast_ref::<&str>().copied().unwrap_or("?"),
                    String::as_str,
                ));
            }
            // SAFETY: ends the process at once, without the parent's exit handlers.
            unsafe { libc::_exit(if ended.is_ok() { 0 } else { 101 }) }
        }
    }
}

/// Ends the calling thread alone.
pub(crate) fn exit_thread() -> ! {
    // SAFETY: ends the thread without unwinding; what it owns is never reached again.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    unreachable!("the thread has ended")
}

/// Says on stderr why a child failed; libtest catches only what std writes.
fn tell(text: &str) {
    let text = format!("child {}: {text}\n", std::process::id());
    // SAFETY: pointer and length are those of a live string.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// Runs a test in a process of its own with one thread: no other test forks beside it, or has used
/// signals before.
///
/// That is a child of this program, started again for the one test that `test` is a closure of.
pub(crate) fn alone<F: FnOnce()>(test: F) {
    const MARK: &str = "SYSV_IPC_RS_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return in_child(test);
    }
    let name = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    let (_, name) = name.split_once("::").expect("a path");
    let this = std::env::current_exe().expect("a program");
    let args = [name, "--exact", "--test-threads=1", "--nocapture"];
    let told = Command::new(this).args(args).env(MARK, "1").output().expect("a process");
    let text = String::from_utf8_lossy(&told.stdout);
    let ran = told.status.success() && text.contains("1 passed");
    assert!(ran, "{text}{}", String::from_utf8_lossy(&told.stderr));
}

/// Runs in a child, which must succeed.
pub(crate) fn in_child(life: impl FnOnce()) {
    // What it owns is dropped here too, but not while the child looks.
    let mut life = Some(life);
    child(|| life.take().expect("it runs once")()).succeed();
}

/// Runs in a child that is another user, with no rights of root left.
pub(crate) fn as_user(uid: u32, life: impl FnOnce()) {
    in_child(|| {
        become_user(uid);
        life();
    });
}

pub(crate) fn become_user(uid: u32) {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    allowed(setgroups(&[]));
    allowed(setresgid(group, group, group));
    allowed(setresuid(user, user, user));
}

/// Our own user id.
pub(crate) fn our_uid() -> u32 {
    Uid::effective().as_raw()
}

/// Whether tests may do what root may; others are left out where not.
pub(crate) fn is_root() -> bool {
    Uid::effective().is_root()
}

/// In a child: what needs root's rights, without which the child ends here and counts as good.
pub(crate) fn allowed(done: nix::Result<()>) {
    match done {
        Err(Errno::EPERM) => {
            tell("left out: needs root's rights");
            // SAFETY: ends the process at once, without the parent's exit handlers.
            unsafe { libc::_exit(0) }
        }
        done => done.expect("root's rights"),
    }
}

/// Runs in a child with its own IPC namespace, whose limits in `/proc/sys/kernel` are these.
pub(crate) fn in_namespace(limits: &[(&str, &str)], life: impl FnOnce()) {
    in_child(|| {
        allowed(unshare(CloneFlags::CLONE_NEWIPC));
        for (name, value) in limits {
            set_limit(name, value);
        }
        life();
    });
}

pub(crate) fn set_limit(name: &str, value: &str) {
    fs::write(Path::new("/proc/sys/kernel").join(name), value).expect("a limit of our namespace");
}

pub(crate) fn limit(name: &str) -> Vec<u64> {
    let text = fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).expect("a limit");
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

extern "C" fn do_nothing(_: libc::c_int) {}

/// Has SIGUSR1 do nothing but end system calls.
pub(crate) fn handle_usr1() {
    let action =
        SigAction::new(SigHandler::Handler(do_nothing), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing, so it is async-signal-safe.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.expect("a handler");
}

/// Has a real-time signal do nothing, by a handler of the program's own.
pub(crate) fn handle_real_time(signal: i32) {
    let handler: extern "C" fn(libc::c_int) = count;
    // SAFETY: the handler only adds to an atomic.
    let before = unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    assert_ne!(before, libc::SIG_ERR, "a handler");
}

/// Has a signal ignored.
pub(crate) fn ignore(signal: i32) {
    // SAFETY: no handler is installed.
    let before = unsafe { libc::signal(signal, libc::SIG_IGN) };
    assert_ne!(before, libc::SIG_ERR, "a change");
}

static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn count(_: libc::c_int) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
}

/// How often the handler of [`handle_real_time`] ran.
pub(crate) fn caught() -> i32 {
    CAUGHT.load(Ordering::Relaxed)
}

/// The mask of the signals that these are in.
pub(crate) fn signals(members: impl IntoIterator<Item = i32>) -> libc::sigset_t {
    // SAFETY: all zeros is the empty set of Linux.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    for signal in members {
        // SAFETY: the set is initialised.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}

pub(crate) fn real_time() -> impl DoubleEndedIterator<Item = i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// Makes these the signals that the calling thread blocks.
pub(crate) fn block(members: impl IntoIterator<Item = i32>) {
    let set = signals(members);
    // SAFETY: the set is initialised.
    let failed =
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
    assert_eq!(failed, 0);
}

/// Whether the calling thread blocks the signal.
pub(crate) fn blocks(signal: i32) -> bool {
    let mut set = signals([]);
    // SAFETY: asks only; the set is initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    // SAFETY: the set is initialised.
    unsafe { libc::sigismember(&raw const set, signal) == 1 }
}

/// The signals that wait for the calling thread or its process.
pub(crate) fn pending() -> Vec<i32> {
    let mut set = signals([]);
    // SAFETY: the set is initialised, and filled by the kernel.
    unsafe { libc::sigpending(&raw mut set) };
    // SAFETY: the set is initialised.
    (1..=libc::SIGRTMAX())
        .filter(|&it| unsafe { libc::sigismember(&raw const set, it) } == 1)
        .collect()
}

/// Sends a signal, also a real-time one, to a process.
pub(crate) fn send(pid: u32, signal: i32) {
    // SAFETY: only integers are passed.
    assert_eq!(unsafe { libc::kill(pid.cast_signed(), signal) }, 0);
}

pub(crate) fn thread_id() -> i32 {
    // SAFETY: gettid has no preconditions.
    unsafe { libc::gettid() }
}

/// Sends a signal to one thread of this process.
pub(crate) fn send_thread(thread: i32, signal: i32) {
    let pid = std::process::id().cast_signed();
    // SAFETY: only integers are passed.
    assert_eq!(unsafe { libc::tgkill(pid, thread, signal) }, 0, "{}", Errno::last());
}

/// `semget` itself: a set that nobody initialises.
pub(crate) fn pristine_set(key: Key, size: i32) -> i32 {
    // SAFETY: only integers are passed.
    let id = unsafe { libc::semget(key.get(), size, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    assert!(id >= 0, "{}", Errno::last());
    id
}
