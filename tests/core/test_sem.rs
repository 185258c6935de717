//! Semaphore sets: operations, values, waiting, permissions, limits, guards.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use sysv_ipc_rs::ipc::{Key, Kind, Mode, PermissionChange};
use sysv_ipc_rs::sem::{Operation, OperationFlags, SemaphoreSet};
use sysv_ipc_rs::wait::Deadline;
use sysv_ipc_rs::{Error, ErrorKind};

use crate::support::{
    MODE, NOBODY, Temporary, as_user, child, free_key, handle_usr1, in_child, in_namespace,
    is_root, op, send_thread, set, set_limit, thread_id, until_waiting, wait_until,
};

fn kind_of<T: std::fmt::Debug>(answer: Result<T, Error>) -> ErrorKind {
    answer.expect_err("an error").kind()
}

#[test]
fn create_gives_the_values_and_the_mode() {
    let set = Temporary(SemaphoreSet::create(Key::PRIVATE, &[0, 7, 32767], MODE).unwrap());
    assert_eq!(set.values().unwrap(), [0, 7, 32767]);
    let stat = set.stat().unwrap();
    assert_eq!((stat.id, stat.size, stat.permissions.mode), (set.id(), 3, 0o600));
    assert_eq!(stat.permissions.key, Key::PRIVATE);
    assert_ne!(stat.otime, 0, "it is marked as initialised");
}

#[test]
fn create_refuses_what_exists_and_leaves_it() {
    let key = free_key();
    let first = Temporary(SemaphoreSet::create(key, &[5], MODE).unwrap());
    let error = SemaphoreSet::create(key, &[1, 2], MODE).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::AlreadyExists, Errno::EEXIST));
    assert_eq!(first.values().unwrap(), [5]);
}

#[test]
fn a_create_that_fails_leaves_nothing() {
    let key = free_key();
    assert_eq!(kind_of(SemaphoreSet::create(key, &[1, 32768], MODE)), ErrorKind::LimitExceeded);
    let empty = SemaphoreSet::create(key, &[], MODE).unwrap_err();
    assert_eq!((empty.kind(), empty.errno()), (ErrorKind::Other, Errno::EINVAL));
    assert_eq!(kind_of(SemaphoreSet::open(key, 0)), ErrorKind::NotFound);
}

#[test]
fn more_values_than_one_semop_takes_are_all_set() {
    for first in [0, 9] {
        let mut values: Vec<u16> = (0..2000).map(|index| index % 3 + 1).collect();
        values[0] = first;
        let set = set(&values);
        assert_eq!(set.values().unwrap(), values);
        assert_ne!(set.stat().unwrap().otime, 0);
    }
}

#[test]
fn every_32_bit_key_but_0_leads_to_a_set() {
    for key in [i32::MIN, -1, i32::MAX] {
        let set = Temporary(SemaphoreSet::create(Key::new(key), &[1], MODE).unwrap());
        assert_eq!(SemaphoreSet::open(Key::new(key), 0).unwrap().id(), set.id());
    }
    let error = SemaphoreSet::open(Key::PRIVATE, 0).unwrap_err();
    assert!(error.to_string().contains("IPC_PRIVATE"), "{error}");
}

#[test]
fn open_asks_for_at_least_so_many() {
    let key = free_key();
    let set = Temporary(SemaphoreSet::create(key, &[0, 0], MODE).unwrap());
    assert_eq!(SemaphoreSet::open(key, 2).unwrap().len(), 2);
    let error = SemaphoreSet::open(key, 3).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Other, Errno::EINVAL));
    assert!(error.to_string().contains("3 semaphores, but the one that exists has 2"), "{error}");
    assert_eq!(SemaphoreSet::from_id(set.id()).unwrap().key(), key);
}

#[test]
fn ids_of_no_set_are_removed_ones() {
    let gone = { set(&[1]).0 };
    for answer in [
        gone.op(&[op(0, 1)]),
        gone.try_op(&[op(0, -1)]).map(drop),
        gone.value(0).map(drop),
        gone.values().map(drop),
        gone.set_value(0, 1),
        gone.set_values(&[1]),
        gone.last_pid(0).map(drop),
        gone.waiting(0).map(drop),
        gone.waiting_zero(0).map(drop),
        gone.stat().map(drop),
        gone.set_permissions(PermissionChange::default()),
        gone.check_owner(0),
        gone.remove(),
        gone.hold(0, 1, Deadline::NEVER).map(drop),
        SemaphoreSet::from_id(gone.id()).map(drop),
        SemaphoreSet::from_id(-1).map(drop),
    ] {
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Removed, Errno::EIDRM), "{error}");
    }
}

#[test]
fn operations_are_done_all_at_once_or_not_at_all() {
    let set = set(&[1, 0]);
    assert!(!set.try_op(&[op(0, -1), op(1, -1)]).unwrap());
    assert_eq!(set.values().unwrap(), [1, 0]);
    set.op(&[op(0, -1), op(1, 2), op(0, 0)]).unwrap();
    assert_eq!(set.values().unwrap(), [0, 2]);
    assert!(set.try_op(&[op(1, 3), op(1, -5)]).unwrap(), "in their order, each on the others");
    assert_eq!(set.values().unwrap(), [0, 0]);
}

#[test]
fn every_errno_of_semop_has_its_meaning() {
    let set = set(&[1, 32767]);
    let error = set.op(&[op(0, -1), op(1, 1)]).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::LimitExceeded, Errno::ERANGE));
    assert_eq!(error.limit().unwrap().name, "SEMVMX");
    assert_eq!(set.values().unwrap(), [1, 32767]);

    let error = set.op(&[op(2, 1)]).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Other, Errno::EFBIG));
    assert!(error.to_string().contains("the set has 2"), "{error}");

    let error = set.op(&[op(0, 0); 501]).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::LimitExceeded, Errno::E2BIG));
    assert_eq!(error.limit().unwrap().name, "SEMOPM");

    let error = set.op(&[]).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Other, Errno::EINVAL));

    let no_wait = Operation::new(0, -2, OperationFlags::NO_WAIT);
    let error = set.op(&[no_wait]).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::TimedOut, Errno::ETIMEDOUT));
}

#[test]
fn an_expired_wait_has_changed_nothing() {
    let set = set(&[3]);
    for time in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(20)] {
        let begin = Instant::now();
        let error = set.op_deadline(&[op(0, -4)], Deadline::after(time)).unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::TimedOut, Errno::ETIMEDOUT));
        assert!(begin.elapsed() >= time);
        assert_eq!((set.value(0).unwrap(), set.waiting(0).unwrap()), (3, 0));
    }
}

#[test]
fn a_huge_timeout_waits() {
    let set = set(&[0]);
    let times = [Duration::MAX, Duration::from_secs(u64::from(u32::MAX) * 1000)];
    let handle = set.0;
    thread::scope(|scope| {
        for time in times {
            scope.spawn(move || handle.op_deadline(&[op(0, -1)], Deadline::after(time)));
        }
        wait_until("two waiters", || set.waiting(0).unwrap() == 2);
        set.op(&[op(0, 2)]).unwrap();
    });
    assert_eq!(set.value(0).unwrap(), 0);
}

#[test]
fn waiters_are_counted_and_let_go() {
    let set = set(&[0, 1]);
    thread::scope(|scope| {
        scope.spawn(|| set.op(&[op(0, -1)]).unwrap());
        scope.spawn(|| set.op(&[op(1, 0)]).unwrap());
        wait_until("a waiter", || set.waiting(0).unwrap() == 1);
        wait_until("a waiter for zero", || set.waiting_zero(1).unwrap() == 1);
        set.set_values(&[1, 0]).unwrap();
    });
    assert_eq!(set.values().unwrap(), [0, 0]);
    assert_eq!(set.last_pid(0).unwrap(), std::process::id().cast_signed());
}

#[test]
fn removal_tells_every_waiter_once() {
    let owner = set(&[0]);
    let set = owner.0;
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..8).map(|_| scope.spawn(|| set.op(&[op(0, -1)]))).collect();
        let later = Deadline::after(Duration::from_mins(1));
        let timed = scope.spawn(move || set.op_deadline(&[op(0, -1)], later));
        wait_until("nine waiters", || set.waiting(0).unwrap() == 9);
        set.remove().unwrap();
        for waiter in waiters.into_iter().chain([timed]) {
            assert_eq!(kind_of(waiter.join().unwrap()), ErrorKind::Removed);
        }
    });
}

#[test]
fn a_signal_ends_a_wait_and_nothing_is_done() {
    handle_usr1();
    let set = set(&[0]);
    for deadline in [Deadline::NEVER, Deadline::after(Duration::from_mins(1))] {
        let (handle, (tell, thread)) = (set.0, std::sync::mpsc::channel());
        let waiter = thread::spawn(move || {
            tell.send(thread_id()).unwrap();
            handle.op_deadline(&[op(0, -1)], deadline)
        });
        let thread = thread.recv().unwrap();
        wait_until("a waiter", || set.waiting(0).unwrap() == 1);
        send_thread(thread, Signal::SIGUSR1 as i32);
        let error = waiter.join().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Interrupted, Errno::EINTR));
        assert_eq!((set.value(0).unwrap(), set.waiting(0).unwrap()), (0, 0));
    }
}

#[test]
fn stopping_and_continuing_ends_a_wait_as_a_signal_does() {
    let set = set(&[0]);
    let waiter = child(|| assert_eq!(kind_of(set.op(&[op(0, -1)])), ErrorKind::Interrupted));
    until_waiting(Kind::SemaphoreSet, set.id(), waiter.0);
    waiter.kill(Signal::SIGSTOP);
    wait_until("it has left the queue", || set.waiting(0).unwrap() == 0);
    waiter.kill(Signal::SIGCONT);
    waiter.succeed();
}

#[test]
fn values_are_checked_and_a_failed_change_changes_nothing() {
    let set = set(&[5, 6]);
    for value in [-1, 32768, i32::MAX] {
        let error = set.set_value(0, value).unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::LimitExceeded, Errno::ERANGE));
    }
    assert_eq!(kind_of(set.set_values(&[1, 32768])), ErrorKind::LimitExceeded);
    for values in [&[][..], &[1], &[1, 2, 3]] {
        assert_eq!(set.set_values(values).unwrap_err().errno(), Errno::EINVAL);
    }
    for index in [2, u16::MAX] {
        assert_eq!(set.value(index).unwrap_err().errno(), Errno::EINVAL);
        assert_eq!(kind_of(set.value(index)), ErrorKind::Other, "the set is there");
    }
    assert_eq!(set.values().unwrap(), [5, 6]);
    set.set_value(1, 32767).unwrap();
    assert_eq!(set.values().unwrap(), [5, 32767]);
}

#[test]
fn owner_and_mode_change_alone_or_together() {
    if !is_root() {
        return;
    }
    let set = set(&[1]);
    let change = |change| set.set_permissions(change).unwrap();
    change(PermissionChange { mode: Mode::new(0o640), ..Default::default() });
    change(PermissionChange { uid: Some(7), ..Default::default() });
    change(PermissionChange { gid: Some(8), ..Default::default() });
    let now = set.stat().unwrap().permissions;
    assert_eq!((now.uid, now.gid, now.cuid, now.cgid, now.mode), (7, 8, 0, 0, 0o640));
    assert_eq!(now.access(), Mode::new(0o640).unwrap());
    assert_eq!(kind_of(set.check_owner(7)), ErrorKind::UntrustedOwner, "the creator has rights");
    assert_eq!(kind_of(set.check_owner(0)), ErrorKind::UntrustedOwner);
    change(PermissionChange { uid: Some(0), ..Default::default() });
    set.check_owner(0).unwrap();
}

#[test]
fn the_mode_decides_what_strangers_may() {
    let own = set(&[1]);
    as_user(NOBODY, || {
        let denied = |answer: Result<(), Error>| {
            let error = answer.unwrap_err();
            assert_eq!((error.kind(), error.errno()), (ErrorKind::AccessDenied, Errno::EACCES));
        };
        denied(own.op(&[op(0, 1)]));
        denied(own.value(0).map(drop));
        denied(own.set_value(0, 1));
        denied(own.set_values(&[1]));
        denied(own.last_pid(0).map(drop));
        denied(own.waiting(0).map(drop));
        denied(own.waiting_zero(0).map(drop));
        denied(own.values().map(drop));
        assert_eq!(own.stat().unwrap().size, 1, "what anybody may see");
        assert_eq!(SemaphoreSet::from_id(own.id()).unwrap().len(), 1);
        for answer in [own.remove(), own.set_permissions(PermissionChange::default())] {
            let error = answer.unwrap_err();
            assert_eq!((error.kind(), error.errno()), (ErrorKind::AccessDenied, Errno::EPERM));
        }
        assert_eq!(kind_of(own.check_owner(0)), ErrorKind::UntrustedOwner, "it can't be read");
    });
    assert_eq!(own.value(0).unwrap(), 1);
}

#[test]
fn a_mode_without_the_creators_own_rights_is_no_obstacle_to_creating() {
    as_user(NOBODY, || {
        let set = SemaphoreSet::create(Key::PRIVATE, &[3], Mode::new(0o040).unwrap()).unwrap();
        assert_eq!(set.stat().unwrap().permissions.mode, 0o040);
        assert_eq!(kind_of(set.value(0)), ErrorKind::AccessDenied);
        set.remove().unwrap();
    });
}

#[test]
fn every_limit_of_sets_is_named_with_its_value_and_file() {
    in_namespace(&[("sem", "10 25 4 3")], || {
        let failed = |size: usize| {
            let error = SemaphoreSet::create(Key::PRIVATE, &vec![1; size], MODE).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LimitExceeded);
            let limit = *error.limit().unwrap();
            assert_eq!(limit.file, Some("/proc/sys/kernel/sem"));
            (error.errno(), limit.name, limit.value, limit.used)
        };
        assert_eq!(failed(11), (Errno::EINVAL, "SEMMSL", 10, None));
        let ten = SemaphoreSet::create(Key::PRIVATE, &[1; 10], MODE).unwrap();
        SemaphoreSet::create(Key::PRIVATE, &[1; 10], MODE).unwrap();
        assert_eq!(failed(10), (Errno::ENOSPC, "SEMMNS", 25, Some(20)));
        SemaphoreSet::create(Key::PRIVATE, &[1], MODE).unwrap();
        assert_eq!(failed(1), (Errno::ENOSPC, "SEMMNI", 3, Some(3)));
        assert_eq!(ten.values().unwrap(), [1; 10], "more than SEMOPM values");
        let error = ten.op(&[op(0, 1); 5]).unwrap_err();
        assert_eq!(error.limit().unwrap().value, 4);
        set_limit("sem", "10 25 4 2");
        assert_eq!(failed(1), (Errno::ENOSPC, "SEMMNI", 2, Some(3)));
    });
}

#[test]
fn a_guard_gives_back_exactly_once() {
    let set = set(&[2]);
    let guard = set.hold(0, 2, Deadline::NEVER).unwrap();
    assert_eq!((set.value(0).unwrap(), guard.held(), guard.index()), (0, true, 0));
    guard.release().unwrap();
    guard.release().unwrap();
    assert_eq!((set.value(0).unwrap(), guard.held()), (2, false));
    drop(guard);
    assert_eq!(set.value(0).unwrap(), 2);
    let guards = [(); 2].map(|()| set.hold(0, 1, Deadline::NEVER).unwrap());
    assert_eq!(kind_of(set.hold(0, 1, Deadline::after(Duration::ZERO))), ErrorKind::TimedOut);
    drop(guards);
    assert_eq!(set.value(0).unwrap(), 2);
}

#[test]
fn a_guard_takes_at_least_one_unit() {
    let set = set(&[2]);
    for units in [0, -1, i16::MIN] {
        assert_eq!(set.hold(0, units, Deadline::NEVER).unwrap_err().errno(), Errno::EINVAL);
    }
    assert_eq!(set.value(0).unwrap(), 2);
}

#[test]
fn threads_that_race_to_release_a_guard_give_back_once() {
    let set = set(&[1]);
    for _ in 0..200 {
        let guard = set.hold(0, 1, Deadline::NEVER).unwrap();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| guard.release().unwrap());
            }
        });
        assert_eq!(set.value(0).unwrap(), 1);
    }
}

#[test]
fn a_guard_is_inert_in_a_forked_child_and_its_child() {
    let set = set(&[1]);
    let guard = Mutex::new(Some(set.hold(0, 1, Deadline::NEVER).unwrap()));
    let inert = || {
        let guard = guard.lock().unwrap().take().unwrap();
        assert!(!guard.held());
        guard.release().unwrap();
        drop(guard);
    };
    in_child(|| {
        in_child(inert);
        inert();
        assert_eq!(set.value(0).unwrap(), 0, "the parent holds it");
    });
    assert_eq!(set.value(0).unwrap(), 0);
}

#[test]
fn a_childs_own_guard_is_its_own() {
    let set = set(&[2]);
    let ours = set.hold(0, 1, Deadline::NEVER).unwrap();
    in_child(|| {
        let own = set.hold(0, 1, Deadline::NEVER).unwrap();
        assert!(own.held());
        drop(own);
        assert_eq!(set.value(0).unwrap(), 1);
    });
    assert!(ours.held());
    drop(ours);
    assert_eq!(set.value(0).unwrap(), 2);
}

#[test]
fn the_kernel_gives_back_what_a_killed_holder_held() {
    let set = set(&[1]);
    let holder = child(|| {
        let _guard = set.hold(0, 1, Deadline::NEVER).unwrap();
        thread::sleep(Duration::from_mins(1));
    });
    wait_until("it holds", || set.value(0).unwrap() == 0);
    thread::scope(|scope| {
        let next = scope.spawn(|| set.hold(0, 1, Deadline::NEVER).unwrap());
        wait_until("a waiter", || set.waiting(0).unwrap() == 1);
        holder.kill_and_wait();
        drop(next.join().unwrap());
    });
    assert_eq!(set.value(0).unwrap(), 1);
}

#[test]
fn giving_back_to_a_removed_set_or_a_full_one_is_an_error_but_no_drop_fails() {
    let set = set(&[1]);
    let guard = set.hold(0, 1, Deadline::NEVER).unwrap();
    set.set_value(0, 32767).unwrap();
    assert_eq!(kind_of(guard.release()), ErrorKind::LimitExceeded);
    assert!(!guard.held());
    set.set_value(0, 2).unwrap();
    let (one, other) = (set.hold(0, 1, Deadline::NEVER), set.hold(0, 1, Deadline::NEVER));
    set.remove().unwrap();
    assert_eq!(kind_of(one.unwrap().release()), ErrorKind::Removed);
    drop(other.unwrap());
}

#[test]
fn taking_back_and_forth_with_undo_never_drifts() {
    let set = set(&[1]);
    for _ in 0..40_000 {
        drop(set.hold(0, 1, Deadline::NEVER).unwrap());
    }
    assert_eq!(set.value(0).unwrap(), 1);
}

#[test]
fn a_handle_whose_id_is_another_set_by_now_reads_and_writes_nothing_of_it() {
    in_namespace(&[], || {
        let old = SemaphoreSet::create(Key::PRIVATE, &[1; 3], MODE).unwrap();
        for size in [1, 5, 30_000] {
            let _ = old.remove();
            set_limit("sem_next_id", &old.id().to_string());
            let new = SemaphoreSet::create(Key::PRIVATE, &vec![7; size], MODE).unwrap();
            assert_eq!(new.id(), old.id());
            assert_eq!(kind_of(old.values()), ErrorKind::Removed);
            assert_eq!(kind_of(old.set_values(&[0; 3])), ErrorKind::Removed);
            assert_eq!(new.values().unwrap(), vec![7; size]);
        }
    });
}
