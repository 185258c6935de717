//! PHP's semaphores: who comes in, who leaves, and what a death gives back.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use sysv_ipc_rs::ipc::{Key, Kind};
use sysv_ipc_rs::sem::{Operation, OperationFlags, PhpEntry, PhpSemaphore, SemaphoreSet};
use sysv_ipc_rs::wait::Deadline;
use sysv_ipc_rs::{Error, ErrorKind};

use crate::support::{
    MODE, Temporary, child, free_key, handle_usr1, in_child, set, until_waiting, wait_until,
};

/// Comes in with a deadline that no test should reach.
fn enter(key: Key, max_acquire: i16) -> Result<PhpSemaphore, Error> {
    PhpEntry::new(key, max_acquire, MODE, None, true).run(Deadline::NEVER)
}

fn made(max_acquire: i16) -> (PhpSemaphore, Temporary<SemaphoreSet>) {
    let semaphore = enter(free_key(), max_acquire).unwrap();
    let set = Temporary(semaphore.set());
    (semaphore, set)
}

#[test]
fn the_first_user_sets_the_tokens_and_the_last_that_leaves_makes_room_for_another() {
    let (first, set) = made(2);
    assert_eq!(set.values().unwrap(), [2, 1, 0]);
    let second = enter(set.key(), 7).unwrap();
    assert_eq!((second.max_acquire(), set.values().unwrap()), (7, vec![2, 2, 0]));
    second.acquire(Deadline::NEVER).unwrap();
    drop(second);
    assert_eq!(set.values().unwrap(), [2, 1, 0]);
    drop(first);
    let third = enter(set.key(), 7).unwrap();
    assert_eq!(set.values().unwrap(), [7, 1, 0]);
    assert_eq!(third.set(), *set);
}

#[test]
fn only_what_was_taken_is_given_back() {
    let (semaphore, set) = made(2);
    assert!(!semaphore.release().unwrap());
    assert!(semaphore.try_acquire().unwrap() && semaphore.try_acquire().unwrap());
    assert!(!semaphore.try_acquire().unwrap());
    assert_eq!(semaphore.taken(), 2);
    assert!(semaphore.release().unwrap() && semaphore.release().unwrap());
    assert!(!semaphore.release().unwrap());
    assert_eq!(set.values().unwrap(), [2, 1, 0]);
}

#[test]
fn the_death_of_a_user_gives_back_what_it_had() {
    let (_semaphore, set) = made(2);
    for auto_release in [true, false] {
        let user = child(|| {
            let entry = PhpEntry::new(set.key(), 2, MODE, None, auto_release);
            let own = entry.run(Deadline::NEVER).unwrap();
            own.acquire(Deadline::NEVER).unwrap();
            set.op(&[Operation::new(1, 0, OperationFlags::empty())]).unwrap();
        });
        wait_until("it has taken one", || set.values().unwrap() == [1, 2, 0]);
        user.kill(Signal::SIGKILL);
        wait_until("it is given back", || set.values().unwrap() == [2, 1, 0]);
    }
}

#[test]
fn without_auto_release_dropping_gives_nothing_back() {
    let (_semaphore, set) = made(2);
    in_child(|| {
        let entry = PhpEntry::new(set.key(), 2, MODE, None, false);
        let own = entry.run(Deadline::NEVER).unwrap();
        assert!(!own.auto_release() && own.try_acquire().unwrap());
        drop(own);
        assert_eq!(set.values().unwrap(), [1, 2, 0]);
    });
    assert_eq!(set.values().unwrap(), [2, 1, 0]);
}

#[test]
fn in_a_forked_child_it_is_inert() {
    let (semaphore, set) = made(2);
    assert!(semaphore.try_acquire().unwrap());
    // Borrowed, so that the parent keeps its own until the child has looked.
    let mut semaphore = Some(semaphore);
    in_child(|| {
        assert!(!semaphore.as_ref().unwrap().is_ours());
        drop(semaphore.take());
        assert_eq!(set.values().unwrap(), [1, 1, 0]);
    });
}

#[test]
fn a_gate_that_stays_shut_is_told_at_the_deadline_and_by_a_signal() {
    let key = free_key();
    let set = Temporary(SemaphoreSet::create(key, &[0, 0, 1], MODE).unwrap());
    let entry = PhpEntry::new(key, 1, MODE, None, true);
    let late = entry.run(Deadline::after(std::time::Duration::from_millis(2))).unwrap_err();
    assert_eq!((late.kind(), late.errno()), (ErrorKind::TimedOut, Errno::ETIMEDOUT));
    let waiter = child(|| {
        handle_usr1();
        let error = entry.run(Deadline::NEVER).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    });
    until_waiting(Kind::SemaphoreSet, set.id(), waiter.0);
    waiter.kill(Signal::SIGUSR1);
    waiter.succeed();
    assert_eq!(set.values().unwrap(), [0, 0, 1]);
}

#[test]
fn what_is_no_semaphore_of_phps_or_not_trusted_is_refused() {
    let key = free_key();
    let small = Temporary(SemaphoreSet::create(key, &[1, 1], MODE).unwrap());
    let error = enter(key, 1).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Other, Errno::EINVAL));
    small.remove().unwrap();
    let (_semaphore, set) = made(1);
    let stranger = set.stat().unwrap().permissions.uid + 1;
    let entry = PhpEntry::new(set.key(), 1, MODE, Some(stranger), true);
    assert_eq!(entry.run(Deadline::NEVER).unwrap_err().kind(), ErrorKind::UntrustedOwner);
    assert_eq!(set.values().unwrap(), [1, 1, 0]);
}

#[test]
fn one_that_is_found_by_its_id_must_have_its_key() {
    let (semaphore, found) = made(1);
    let by = |key, id| PhpEntry::new(key, 1, MODE, None, true).of_id(id).run(Deadline::NEVER);
    assert_eq!(by(found.key(), found.id()).unwrap().set(), *found);
    let other = set(&[1, 1, 1]);
    assert_eq!(by(found.key(), other.id()).unwrap_err().kind(), ErrorKind::Removed);
    found.remove().unwrap();
    assert_eq!(by(found.key(), found.id()).unwrap_err().kind(), ErrorKind::Removed);
    assert_eq!(semaphore.try_acquire().unwrap_err().kind(), ErrorKind::Removed);
}

#[test]
fn a_set_that_is_removed_while_one_waits_at_its_gate_is_made_anew() {
    let key = free_key();
    let old = SemaphoreSet::create(key, &[0, 0, 1], MODE).unwrap();
    let waiter = child(|| {
        let entered = enter(key, 3).unwrap();
        assert_eq!(entered.set().values().unwrap(), [3, 1, 0]);
        entered.set().remove().unwrap();
    });
    until_waiting(Kind::SemaphoreSet, old.id(), waiter.0);
    old.remove().unwrap();
    waiter.succeed();
}
