//! The system's own view: limits, usage, lists, orphans, who waits and who has attached.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::getpid;
use sysv_ipc_rs::ErrorKind;
use sysv_ipc_rs::ipc::{Key, Kind, Mode};
use sysv_ipc_rs::msg::{MessageQueue, Selection};
use sysv_ipc_rs::sem::SemaphoreSet;
use sysv_ipc_rs::shm::{AttachOptions, CreateOptions, SharedMemory};
use sysv_ipc_rs::system::{self, SuspectedObject};
use sysv_ipc_rs::wait::Deadline;

use crate::support::{
    Child, MODE, NOBODY, Temporary, allowed, alone, as_user, child, in_child, in_namespace, limit,
    op, queue, segment, set, until_waiting,
};

const PAGE: u64 = 4096;

fn us() -> i32 {
    getpid().as_raw()
}

#[test]
fn limits_are_those_of_proc() {
    let own = [("sem", "100 2000 30 40"), ("msgmax", "777"), ("shmall", "12345")];
    in_namespace(&own, || {
        let limits = system::limits().unwrap();
        assert_eq!(limit("sem"), [limits.semmsl, limits.semmns, limits.semopm, limits.semmni],);
        assert_eq!(limits.semopm, 30);
        assert_eq!(limit("msgmni"), [limits.msgmni]);
        assert_eq!(limit("msgmax"), [limits.msgmax]);
        assert_eq!(limit("msgmnb"), [limits.msgmnb]);
        assert_eq!(limit("shmmni"), [limits.shmmni]);
        assert_eq!(limit("shmall"), [limits.shmall]);
        assert_eq!(limit("shmmax"), [limits.shmmax]);
        assert_eq!((limits.semvmx, limits.shmmin), (32767, 1));
    });
}

#[test]
fn every_limit_that_can_be_set_has_a_file() {
    let names = ["semmsl", "SEMMNS", "semopm", "semmni", "msgmni", "msgmax", "msgmnb", "shmmni"];
    for name in names.into_iter().chain(["shmall", "shmmax"]) {
        let file = system::limit_file(name).expect(name);
        assert!(fs::exists(file).unwrap(), "{file}");
    }
    for name in ["semvmx", "shmmin", "nonsense", ""] {
        assert_eq!(system::limit_file(name), None);
    }
}

#[test]
fn usage_counts_every_object() {
    in_namespace(&[], || {
        assert_eq!(system::usage().unwrap().semaphores, 0);
        SemaphoreSet::create(Key::PRIVATE, &[1, 2, 3], MODE).unwrap();
        let queue = MessageQueue::create(Key::PRIVATE, MODE).unwrap();
        queue.send(1, b"four").unwrap();
        queue.send(1, b"").unwrap();
        let size = usize::try_from(PAGE).unwrap() + 1;
        let options = CreateOptions::default();
        let memory = SharedMemory::create(Key::PRIVATE, size, MODE, options).unwrap();
        let attachment = memory.attach(AttachOptions::default()).unwrap();
        attachment.write(0, b"x").unwrap();
        memory.remove().unwrap();
        let usage = system::usage().unwrap();
        assert_eq!((usage.semaphore_sets, usage.semaphores), (1, 3));
        assert_eq!((usage.message_queues, usage.messages, usage.message_bytes), (1, 2, 4));
        assert_eq!((usage.segments, usage.segment_bytes), (1, 2 * PAGE));
        assert_eq!((usage.resident_bytes, usage.swapped_bytes), (PAGE, 0));
    });
}

#[test]
fn everyones_objects_are_listed_as_their_own_stat_tells() {
    let (set, queue, memory) = (set(&[1, 2]), queue(), segment(10));
    as_user(NOBODY, || {
        let stat = system::semaphore_sets().unwrap().find(|stat| stat.id == set.id());
        assert_eq!(stat, Some(set.stat().unwrap()));
        let stat = system::message_queues().unwrap().find(|stat| stat.id == queue.id());
        assert_eq!(stat, Some(queue.stat().unwrap()));
        let stat = system::shared_memory_segments().unwrap().find(|stat| stat.id == memory.id());
        assert_eq!(stat, Some(memory.stat().unwrap()));
    });
}

#[test]
fn an_empty_namespace_has_nothing() {
    in_namespace(&[], || {
        assert_eq!(system::semaphore_sets().unwrap().count(), 0);
        assert_eq!(system::message_queues().unwrap().count(), 0);
        assert_eq!(system::shared_memory_segments().unwrap().count(), 0);
        assert_eq!(system::orphans().unwrap(), []);
        assert_eq!(system::suspects().unwrap(), []);
    });
}

#[test]
fn what_exists_throughout_is_listed_exactly_once_while_others_come_and_go() {
    in_namespace(&[], || {
        let create = || MessageQueue::create(Key::PRIVATE, MODE).unwrap();
        let stable: Vec<_> = (0..300).map(|_| create().id()).collect();
        let churn = || {
            loop {
                let queues = [(); 20].map(|()| create());
                for queue in queues {
                    queue.remove().unwrap();
                }
            }
        };
        let _churning = [child(churn), child(churn)];
        for _ in 0..500 {
            let mut seen = HashMap::new();
            for stat in system::message_queues().unwrap() {
                *seen.entry(stat.id).or_insert(0) += 1;
            }
            assert!(stable.iter().all(|id| seen.get(id) == Some(&1)));
        }
    });
}

#[test]
fn the_namespace_is_ours() {
    let ours = system::ipc_namespace().unwrap();
    assert_eq!(ours, system::ipc_namespace().unwrap());
    in_namespace(&[], || assert_ne!(system::ipc_namespace().unwrap(), ours));
}

#[test]
fn looking_changes_neither_attachments_nor_times() {
    alone(|| {
        let (set, queue, memory) = (set(&[1]), queue(), segment(10));
        let _attachment = memory.attach(AttachOptions::default()).unwrap();
        let stats = || (set.stat().unwrap(), queue.stat().unwrap(), memory.stat().unwrap());
        let before = stats();
        system::attached_processes(&memory).unwrap();
        system::waiters(&set).unwrap();
        system::orphans().unwrap();
        system::suspects().unwrap();
        system::usage().unwrap();
        system::shared_memory_segments().unwrap().for_each(drop);
        assert_eq!(stats(), before);
    });
}

#[test]
fn attached_processes_are_named() {
    alone(|| {
        let memory = segment(10);
        assert_eq!(system::attached_processes(&memory).unwrap(), [0; 0]);
        let attach = || memory.attach(AttachOptions::default()).unwrap();
        let sleeper = |ready: &SemaphoreSet| {
            let _attachments = (attach(), attach());
            ready.op(&[op(0, 1)]).unwrap();
            thread::sleep(Duration::from_mins(1));
        };
        let ready = set(&[0]);
        let children = [child(|| sleeper(&ready)), child(|| sleeper(&ready))];
        ready.op(&[op(0, -2)]).unwrap();
        let mut pids: Vec<_> = children.iter().map(|child| child.0.as_raw()).collect();
        pids.sort_unstable();
        assert_eq!(system::attached_processes(&memory).unwrap(), pids);
        let other = segment(10);
        assert_eq!(system::attached_processes(&other).unwrap(), [0; 0]);
        memory.remove().unwrap();
        assert_eq!(system::attached_processes(&memory).unwrap(), pids, "marked for removal");
        drop(children);
        let gone = system::attached_processes(&memory).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::Removed);
    });
}

#[test]
fn the_same_id_in_another_namespace_is_another_segment() {
    in_namespace(&[], || {
        let create = || {
            let options = CreateOptions::default();
            let memory = SharedMemory::create(Key::PRIVATE, 10, MODE, options).unwrap();
            let attachment = memory.attach(AttachOptions::default()).unwrap();
            (memory, attachment)
        };
        let (memory, _attachment) = create();
        let ours = us();
        let check = |memory: &SharedMemory, other: i32| {
            let pids = system::attached_processes(memory).unwrap();
            assert_eq!(pids, [us()]);
            assert_ne!(us(), other);
        };
        in_namespace(&[], || {
            let (theirs, _attachment) = create();
            assert_eq!(theirs.id(), memory.id());
            check(&theirs, ours);
        });
        check(&memory, 0);
    });
}

#[test]
fn waiters_are_counted_where_they_wait_and_named() {
    let set = set(&[0, 1, 0, 5]);
    let waits = |ops: &'static [(u16, i16)]| {
        child(|| {
            let ops: Vec<_> = ops.iter().map(|&(index, delta)| op(index, delta)).collect();
            let _ = set.op_deadline(&ops, Deadline::after(Duration::from_mins(1)));
        })
    };
    let (takes, zero, both) = (waits(&[(0, -1)]), waits(&[(1, 0)]), waits(&[(3, -1), (0, -1)]));
    let two_threads = child(|| {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| set.op(&[op(2, -1)]).unwrap());
            }
        });
    });
    crate::support::wait_until("five waiters", || {
        let found = system::waiters(&set).unwrap();
        found.iter().map(|it| it.waiting + it.waiting_zero).sum::<i32>() == 5
    });
    let found = system::waiters(&set).unwrap();
    let facts: Vec<_> =
        found.iter().map(|it| (it.index, it.waiting, it.waiting_zero, it.pids.clone())).collect();
    let pid = |child: &Child| child.0.as_raw();
    let mut first = vec![pid(&takes), pid(&both)];
    first.sort_unstable();
    let expected =
        [(0, 2, 0, first), (1, 0, 1, vec![pid(&zero)]), (2, 2, 0, vec![pid(&two_threads)])];
    assert_eq!(facts, expected);
    let all = system::waiting_processes(Kind::SemaphoreSet, set.id()).unwrap();
    assert_eq!(all.len(), 4);
    drop((takes, zero, both, two_threads));
    assert_eq!(system::waiters(&set).unwrap(), []);
    let gone = { crate::support::set(&[1]).0 };
    assert_eq!(system::waiters(&gone).unwrap_err().kind(), ErrorKind::Removed);
}

#[test]
fn processes_that_wait_on_a_queue_are_named() {
    let (queue, other) = (queue(), queue());
    let receiver = child(|| drop(queue.receive(Selection::ANY)));
    until_waiting(Kind::MessageQueue, queue.id(), receiver.0);
    let waiting =
        |queue: &MessageQueue| system::waiting_processes(Kind::MessageQueue, queue.id()).unwrap();
    assert_eq!(waiting(&queue), [receiver.0.as_raw()]);
    assert_eq!(waiting(&other), [0; 0]);
    assert_eq!(system::waiting_processes(Kind::SemaphoreSet, queue.id()).unwrap(), [0; 0]);
    assert_eq!(system::waiting_processes(Kind::SharedMemory, queue.id()).unwrap(), [0; 0]);
}

fn new_segment() -> SharedMemory {
    SharedMemory::create(Key::PRIVATE, 10, MODE, CreateOptions::default()).unwrap()
}

fn is_orphan(memory: &SharedMemory) -> bool {
    let orphans = system::orphans().unwrap();
    let ours: Vec<_> = orphans.iter().filter(|it| it.segment.id == memory.id()).collect();
    assert!(ours.iter().all(|it| it.reasons.len() == 3 && it.segment == memory.stat().unwrap()));
    !ours.is_empty()
}

/// What a process that ends leaves behind: the segment it creates, used by it or not.
fn left_by_a_child(used: bool) -> Temporary<SharedMemory> {
    let before: Vec<_> = system::shared_memory_segments().unwrap().map(|stat| stat.id).collect();
    let creator = child(|| {
        let memory = new_segment();
        if used {
            drop(memory.attach(AttachOptions::default()).unwrap());
        }
    });
    let pid = creator.0.as_raw();
    creator.succeed();
    let mut left = system::shared_memory_segments()
        .unwrap()
        .filter(|stat| stat.creator_pid == pid && !before.contains(&stat.id));
    Temporary(SharedMemory::from_id(left.next().unwrap().id).unwrap())
}

#[test]
fn an_orphan_has_no_attachment_no_creator_and_no_last_user() {
    alone(|| {
        assert!(is_orphan(&left_by_a_child(false)), "never used, creator dead");
        assert!(is_orphan(&left_by_a_child(true)), "used and left by its dead creator");

        let memory = left_by_a_child(true);
        let attachment = memory.attach(AttachOptions::default()).unwrap();
        assert!(!is_orphan(&memory), "attached");
        in_child(|| drop(memory.attach(AttachOptions::default()).unwrap()));
        assert!(!is_orphan(&memory), "attached, though creator and last user are dead");
        drop(attachment);
        assert!(!is_orphan(&memory), "we are its last user");

        let memory = left_by_a_child(false);
        in_child(|| drop(memory.attach(AttachOptions::default()).unwrap()));
        assert!(is_orphan(&memory), "creator and last user are dead");

        let memory = segment(10);
        assert!(!is_orphan(&memory), "we are its creator");
        in_child(|| drop(memory.attach(AttachOptions::default()).unwrap()));
        assert!(!is_orphan(&memory), "we are its creator, its last user is dead");
    });
}

#[test]
fn a_last_user_that_came_later_and_lives_keeps_it() {
    alone(|| {
        let memory = left_by_a_child(true);
        let user = child(|| {
            drop(memory.attach(AttachOptions::default()).unwrap());
            loop {
                thread::sleep(Duration::from_mins(1));
            }
        });
        let used = || memory.stat().unwrap().last_pid == user.0.as_raw();
        crate::support::wait_until("it has used it", used);
        crate::support::wait_until("it has detached", || memory.stat().unwrap().attached == 0);
        assert!(!is_orphan(&memory));
        user.kill(Signal::SIGSTOP);
        assert!(!is_orphan(&memory), "a stopped process lives");
        user.kill(Signal::SIGKILL);
        user.until_zombie();
        assert!(is_orphan(&memory), "a zombie doesn't");
    });
}

#[test]
fn a_process_whose_first_thread_has_ended_lives() {
    let go = set(&[0]);
    let creator = child(|| {
        let _ = new_segment();
        go.op(&[op(0, 1)]).unwrap();
        thread::spawn(|| {
            loop {
                thread::sleep(Duration::from_mins(1));
            }
        });
        crate::support::exit_thread();
    });
    go.op(&[op(0, -1)]).unwrap();
    let zombie = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", creator.0)).unwrap();
        stat.rsplit_once(')').unwrap().1.starts_with(" Z")
    };
    crate::support::wait_until("its first thread has ended", zombie);
    let pid = creator.0.as_raw();
    let found = system::shared_memory_segments().unwrap().find(|stat| stat.creator_pid == pid);
    let found = Temporary(SharedMemory::from_id(found.unwrap().id).unwrap());
    assert!(!is_orphan(&found));
    creator.kill_and_wait();
    assert!(is_orphan(&found));
}

#[test]
fn a_pid_of_another_pid_namespace_is_unknown() {
    in_child(|| {
        allowed(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID));
        // In the namespace of the children we see them, but they see nobody of ours.
        let memory = new_segment();
        in_child(|| {
            let stat = memory.stat().unwrap();
            assert_eq!(stat.creator_pid, 0);
            assert!(!is_orphan(&memory));
        });
        memory.remove().unwrap();
    });
}

#[test]
fn a_set_or_queue_is_never_more_than_suspected_and_not_while_a_user_lives() {
    in_namespace(&[], || {
        let (set, queue) = (
            SemaphoreSet::create(Key::PRIVATE, &[1], MODE).unwrap(),
            MessageQueue::create(Key::PRIVATE, Mode::new(0o666).unwrap()).unwrap(),
        );
        let suspected = || -> Vec<i32> {
            let objects = system::suspects().unwrap().into_iter().map(|it| match it.object {
                SuspectedObject::SemaphoreSet(stat) => stat.id,
                SuspectedObject::MessageQueue(stat) => stat.id + 1000,
            });
            objects.collect()
        };
        assert_eq!(suspected(), [0; 0], "an idle master's");
        in_child(|| {
            set.op(&[op(0, 1)]).unwrap();
            queue.send(1, b"x").unwrap();
        });
        assert_eq!(suspected(), [set.id(), queue.id() + 1000]);
        assert_eq!(system::orphans().unwrap(), []);
        set.op(&[op(0, 1)]).unwrap();
        queue.receive(Selection::ANY).unwrap();
        assert_eq!(suspected(), [0; 0]);
        let receiver = child(|| drop(queue.receive(Selection::of(1))));
        until_waiting(Kind::MessageQueue, queue.id(), receiver.0);
        in_child(|| drop(queue.send(2, b"").and_then(|()| queue.receive(Selection::of(2)))));
        assert_eq!(suspected(), [0; 0], "somebody waits on it");
    });
}
