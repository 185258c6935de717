//! Each wrapper of the core beside the bare call of libc. criterion times one after the other; the
//! ratio under them is of short turns in alternation, the fastest of each, which noise can't bend.
//!
//! A message costs more on purpose: its text is copied behind its type and out again into memory of
//! its own, and one of over 8 KiB is looked for twice, as it must fit before it is taken.

#![allow(unsafe_code, missing_docs, reason = "the bare calls; criterion's macros")]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "two calls are one piece of work")]

use std::ffi::{c_int, c_long, c_void};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use nix::sched::{CloneFlags, unshare};
use sysv_ipc_rs::ipc::{Key, Mode};
use sysv_ipc_rs::msg::{MessageQueue, Selection};
use sysv_ipc_rs::sem::{Operation, OperationFlags, SemaphoreSet};
use sysv_ipc_rs::shm::{AttachOptions, CreateOptions, SharedMemory};
use sysv_ipc_rs::wait::Deadline;

unsafe extern "C" {
    fn semtimedop(
        id: c_int,
        ops: *mut libc::sembuf,
        n: usize,
        time: *const libc::timespec,
    ) -> c_int;
}

/// A group with the wrapper and the bare call, both of which must succeed.
fn beside<T>(
    c: &mut Criterion,
    name: &str,
    mut wrapper: impl FnMut() -> sysv_ipc_rs::Result<T>,
    mut bare: impl FnMut() -> bool,
) {
    let mut group: BenchmarkGroup<'_, WallTime> = c.benchmark_group(name);
    group.bench_function("bare", |b| b.iter(|| assert!(bare())));
    group.bench_function("core", |b| b.iter(|| wrapper().unwrap()));
    group.finish();
    println!("{name}: core/bare = {:.3}, the fastest of alternating turns", ratio(wrapper, bare));
}

/// How long the wrapper takes in times of the bare call.
fn ratio<T>(
    mut wrapper: impl FnMut() -> sysv_ipc_rs::Result<T>,
    mut bare: impl FnMut() -> bool,
) -> f64 {
    let mut wrapped = || drop(wrapper().unwrap());
    let mut bare = || assert!(bare());
    let calls = TURN.as_nanos() / turn(1, &mut bare).as_nanos().max(1);
    let calls = u32::try_from(calls).map_or(1, |calls| calls.max(1));
    let turns = (0..TURNS).map(|_| (turn(calls, &mut wrapped), turn(calls, &mut bare)));
    let fastest = turns.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)));
    fastest.map_or(f64::NAN, |(ours, theirs)| ours.div_duration_f64(theirs))
}

const TURNS: usize = 1000;
const TURN: Duration = Duration::from_micros(100);

fn turn(calls: u32, mut call: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..calls).for_each(|_| call());
    start.elapsed()
}

fn set(size: usize) -> SemaphoreSet {
    SemaphoreSet::create(Key::PRIVATE, &vec![1; size], Mode::default()).unwrap()
}

fn semaphores(c: &mut Criterion) {
    let set = set(1);
    let id = set.id();
    for (name, flags) in [("semop", OperationFlags::empty()), ("undo", OperationFlags::UNDO)] {
        let [take, give] = [-1, 1].map(|delta| [Operation::new(0, delta, flags)]);
        let [mut bare_take, mut bare_give] =
            [-1, 1].map(|sem_op| libc::sembuf { sem_num: 0, sem_op, sem_flg: flags.bits() });
        beside(
            c,
            &format!("{name} pair"),
            || set.op(&take).and_then(|()| set.op(&give)),
            // SAFETY: both pointers lead to one live operation.
            || unsafe {
                libc::semop(id, &raw mut bare_take, 1) == 0
                    && libc::semop(id, &raw mut bare_give, 1) == 0
            },
        );
    }
    let mut add = libc::sembuf { sem_num: 0, sem_op: 0, sem_flg: 0 };
    let none = set_to_zero();
    let second = libc::timespec { tv_sec: 1, tv_nsec: 0 };
    let zero = [Operation::new(0, 0, OperationFlags::empty())];
    beside(
        c,
        "semtimedop",
        || none.op_deadline(&zero, Deadline::after(Duration::from_secs(1))),
        // SAFETY: the pointers lead to one live operation and a live time.
        || unsafe { semtimedop(none.id(), &raw mut add, 1, &raw const second) == 0 },
    );
    none.remove().unwrap();
    // SAFETY: GETVAL touches no memory.
    beside(c, "GETVAL", || set.value(0), || unsafe { libc::semctl(id, 0, libc::GETVAL) } >= 0);
    // SAFETY: a struct of integers.
    let mut ds: libc::semid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: IPC_STAT fills the struct.
    let stat = || unsafe { libc::semctl(id, 0, libc::IPC_STAT, &raw mut ds) } == 0;
    beside(c, "stat", || set.stat(), stat);
    set.remove().unwrap();
    for size in [1, 16, 256] {
        let set = self::set(size);
        let mut values = vec![0u16; size];
        beside(
            c,
            &format!("GETALL {size}"),
            || set.values(),
            // SAFETY: there is room for as many values as the set has.
            || unsafe { libc::semctl(set.id(), 0, libc::GETALL, values.as_mut_ptr()) } == 0,
        );
        set.remove().unwrap();
    }
}

fn set_to_zero() -> SemaphoreSet {
    SemaphoreSet::create(Key::PRIVATE, &[0], Mode::default()).unwrap()
}

fn messages(c: &mut Criterion) {
    // Without limits of our own to raise, the long messages are left out below.
    if unshare(CloneFlags::CLONE_NEWIPC).is_ok() {
        for limit in ["msgmax", "msgmnb"] {
            // Not every kernel lets a user namespace's root do that.
            let _ = std::fs::write(format!("/proc/sys/kernel/{limit}"), "65536");
        }
    }
    let queue = MessageQueue::create(Key::PRIVATE, Mode::default()).unwrap();
    let id = queue.id();
    // The type 1, and the text.
    let mut packet: Vec<c_long> = vec![1; 1 + (1 << 16) / size_of::<c_long>()];
    let data = vec![0; 1 << 16];
    let there: *mut c_void = packet.as_mut_ptr().cast();
    for size in [16, 256, 1024, 8192, 1 << 16] {
        if queue.try_send(1, &data[..size]).is_err() {
            eprintln!("{size} bytes: more than msgmax or the queue's max_bytes");
            continue;
        }
        queue.receive(Selection::ANY).unwrap();
        beside(
            c,
            &format!("message of {size}"),
            || queue.send(1, &data[..size]).and_then(|()| queue.receive(Selection::ANY)),
            // SAFETY: the packet holds a type and at least `size` bytes.
            || unsafe {
                libc::msgsnd(id, there, size, 0) == 0 && libc::msgrcv(id, there, size, 0, 0) >= 0
            },
        );
    }
    queue.remove().unwrap();
}

fn memory(c: &mut Criterion) {
    let segment =
        SharedMemory::create(Key::PRIVATE, 1 << 16, Mode::default(), CreateOptions::default())
            .unwrap();
    let id = segment.id();
    beside(
        c,
        "attach and detach",
        || segment.attach(AttachOptions::default()),
        // SAFETY: what is attached is detached again, and not used.
        || unsafe { libc::shmdt(libc::shmat(id, std::ptr::null(), 0)) } == 0,
    );
    segment.remove().unwrap();
}

fn listing(c: &mut Criterion) {
    let sets: Vec<_> = (0..1000).map(|_| set(1)).collect();
    // SAFETY: structs of integers.
    let (mut info, mut ds): (libc::seminfo, libc::semid_ds) = unsafe { std::mem::zeroed() };
    beside(
        c,
        "list 1000 sets",
        || sysv_ipc_rs::system::semaphore_sets().map(Iterator::count),
        || {
            // SAFETY: the struct is the one that the command fills.
            let last = unsafe { libc::semctl(0, 0, libc::SEM_INFO, &raw mut info) };
            (0..=last).fold(0, |found, index| {
                // SAFETY: the struct is the one that the command fills.
                let id = unsafe { libc::semctl(index, 0, libc::SEM_STAT_ANY, &raw mut ds) };
                found + usize::from(id >= 0)
            }) >= 1000
        },
    );
    for set in sets {
        set.remove().unwrap();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = semaphores, messages, memory, listing
}
criterion_main!(benches);
