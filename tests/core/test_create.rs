//! `open_or_create` of a set: nobody ever works with uninitialised values.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use sysv_ipc_rs::ipc::{Key, Mode};
use sysv_ipc_rs::sem::{Creation, SemaphoreSet};
use sysv_ipc_rs::{ErrorKind, Result};

use crate::support::{
    Child, MODE, NOBODY, SOMEBODY, Temporary, as_user, become_user, child, free_key, handle_usr1,
    is_root, op, our_uid, pristine_set, send_thread, set, thread_id, wait_until,
};

fn open_or_create(key: Key, values: &[u16], timeout: Duration) -> Result<SemaphoreSet> {
    Creation::new(key, values.to_vec(), MODE, None, Some(timeout)).run()
}

const SOON: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_mins(1);

#[test]
fn what_exists_is_opened_as_it_is() {
    let key = free_key();
    let set = Temporary(open_or_create(key, &[2, 3], LATE).unwrap());
    set.op(&[op(0, -1)]).unwrap();
    let again = open_or_create(key, &[9], LATE).unwrap();
    assert_eq!((again.id(), again.values().unwrap()), (set.id(), vec![1, 3]));
    let error = open_or_create(key, &[9; 3], LATE).unwrap_err();
    assert_eq!(error.errno(), Errno::EINVAL, "too few semaphores");
}

#[test]
fn threads_that_race_all_get_one_initialised_set() {
    for _ in 0..50 {
        let (key, start) = (free_key(), Barrier::new(8));
        let take = || {
            start.wait();
            let set = open_or_create(key, &[8], LATE).unwrap();
            assert!(set.try_op(&[op(0, -1)]).unwrap(), "uninitialised");
            set
        };
        thread::scope(|scope| {
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            let sets = racers.into_iter().map(|racer| racer.join().unwrap());
            let sets: Vec<_> = sets.collect();
            let set = Temporary(sets[0]);
            assert!(sets.iter().all(|other| other.id() == set.id()));
            assert_eq!(set.value(0).unwrap(), 0);
        });
    }
}

#[test]
fn processes_that_race_while_creators_die_never_see_an_uninitialised_set() {
    const RACERS: u16 = 4;
    const ROUNDS: u16 = 40;
    let keys: Vec<_> = (0..ROUNDS).map(|_| free_key()).collect();
    let gate = set(&[0]);
    let race = || {
        for &key in &keys {
            gate.op(&[op(0, -1)]).unwrap();
            let set = open_or_create(key, &[RACERS, 1], SOON).unwrap();
            assert!(set.try_op(&[op(1, -1), op(0, -1), op(1, 1)]).unwrap(), "uninitialised");
        }
    };
    let racers: Vec<Child> = (0..RACERS).map(|_| child(race)).collect();
    for (round, &key) in keys.iter().enumerate() {
        if round % 4 == 0 {
            // What a creator leaves that dies between creating and initialising.
            pristine_set(key, 2);
        }
        wait_until("all racers at the gate", || gate.waiting(0).unwrap() == i32::from(RACERS));
        gate.op(&[op(0, RACERS.cast_signed())]).unwrap();
    }
    for racer in racers {
        racer.succeed();
    }
    for key in keys {
        let set = Temporary(SemaphoreSet::open(key, 2).unwrap());
        assert_eq!(set.values().unwrap(), [0, 1], "one set for all of them");
    }
}

#[test]
fn an_abandoned_set_is_replaced_after_the_timeout_and_not_before() {
    let key = free_key();
    let old = pristine_set(key, 1);
    let begin = Instant::now();
    let set = Temporary(open_or_create(key, &[4], SOON).unwrap());
    assert!(begin.elapsed() >= SOON);
    assert_ne!(set.id(), old);
    assert_eq!(set.values().unwrap(), [4]);
    assert_eq!(SemaphoreSet::from_id(old).unwrap_err().kind(), ErrorKind::Removed);
}

#[test]
fn a_set_that_is_initialised_meanwhile_is_opened() {
    let key = free_key();
    let slow = pristine_set(key, 1);
    let set = Temporary(SemaphoreSet::from_id(slow).unwrap());
    thread::scope(|scope| {
        let opener = scope.spawn(|| open_or_create(key, &[4], LATE).unwrap());
        set.op(&[op(0, 6)]).unwrap();
        let opened = opener.join().unwrap();
        assert_eq!((opened.id(), opened.values().unwrap()), (set.id(), vec![6]));
    });
}

#[test]
fn a_set_made_ready_by_setval_or_setall_is_ready() {
    for by_setall in [false, true] {
        let key = free_key();
        let set = Temporary(SemaphoreSet::from_id(pristine_set(key, 2)).unwrap());
        if by_setall { set.set_values(&[0, 0]) } else { set.set_value(1, 0) }.unwrap();
        assert_eq!(set.stat().unwrap().otime, 0);
        assert_eq!(open_or_create(key, &[4], LATE).unwrap().id(), set.id());
    }
}

#[test]
fn a_stopped_creator_that_lost_its_set_starts_over() {
    let key = free_key();
    let go = set(&[0]);
    let creator = child(|| {
        // As far as `create` comes before it is stopped.
        let id = pristine_set(key, 1);
        go.op(&[op(0, 1)]).unwrap();
        wait_until("another has it removed", || SemaphoreSet::from_id(id).is_err());
        let mine = open_or_create(key, &[3], LATE).unwrap();
        assert!(mine.try_op(&[op(0, -1)]).unwrap());
    });
    go.op(&[op(0, -1)]).unwrap();
    let set = Temporary(open_or_create(key, &[3], SOON).unwrap());
    creator.succeed();
    assert_eq!(set.values().unwrap(), [2]);
}

#[test]
fn a_pristine_set_of_another_user_is_left_alone() {
    if !is_root() {
        return;
    }
    let key = free_key();
    child(|| {
        become_user(NOBODY);
        pristine_set(key, 1);
    })
    .succeed();
    let id = SemaphoreSet::open(key, 0).unwrap().id();
    let theirs = Temporary(SemaphoreSet::from_id(id).unwrap());
    let error = open_or_create(key, &[4], SOON).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::TimedOut, Errno::ETIMEDOUT));
    assert!(error.to_string().contains(&format!("id {id}")), "{error}");
    assert_eq!(theirs.stat().unwrap().permissions.cuid, NOBODY);
}

#[test]
fn a_set_that_hides_its_values_is_told_by_its_otime() {
    let key = free_key();
    let mode = Mode::new(0o622).unwrap();
    let set = Temporary(SemaphoreSet::create(key, &[4], mode).unwrap());
    as_user(NOBODY, || assert_eq!(open_or_create(key, &[4], LATE).unwrap().id(), set.id()));
}

#[test]
fn an_owner_that_is_not_us_is_waited_for_by_nobody_and_created_by_nobody() {
    let key = free_key();
    let wanted = |owner| Creation::new(key, vec![1], MODE, Some(owner), Some(LATE)).run();
    assert_eq!(wanted(SOMEBODY).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(SemaphoreSet::open(key, 0).unwrap_err().kind(), ErrorKind::NotFound);
    let us = our_uid();
    let set = Temporary(wanted(us).unwrap());
    assert_eq!(wanted(SOMEBODY).unwrap_err().kind(), ErrorKind::UntrustedOwner);
    assert_eq!(wanted(us).unwrap().id(), set.id());
    as_user(NOBODY, || {
        let error = wanted(us).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UntrustedOwner, "0600: it can't be read");
    });
}

#[test]
fn a_signal_ends_the_wait_for_a_creator() {
    handle_usr1();
    let key = free_key();
    let _pristine = Temporary(SemaphoreSet::from_id(pristine_set(key, 1)).unwrap());
    let (tell, thread) = std::sync::mpsc::channel();
    let opener = thread::spawn(move || {
        tell.send(thread_id()).unwrap();
        open_or_create(key, &[4], LATE)
    });
    let thread = thread.recv().unwrap();
    while !opener.is_finished() {
        send_thread(thread, Signal::SIGUSR1 as i32);
        thread::sleep(Duration::from_millis(1));
    }
    let error = opener.join().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Interrupted, Errno::EINTR));
}
