//! The crate's own locks and the like, and what a death changes.

use std::time::Duration;

use sysv_ipc_rs::ipc::Key;
use sysv_ipc_rs::sync::{
    Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, RWLock, Released, protocols,
};
use sysv_ipc_rs::wait::Deadline;

use super::support::{MODE, Temporary, in_child, set};

fn now() -> Deadline {
    Deadline::after(Duration::ZERO)
}

#[test]
fn the_death_of_a_locks_owner_is_told_once() {
    let set = set(&protocols::LOCKS.values());
    let lock = Lock::from_set(*set).expect("a lock");
    in_child(|| assert!(lock.acquire(now()).expect("taken")));
    for told in [true, false] {
        assert!(lock.acquire(now()).expect("taken"));
        assert_eq!(lock.owner_died(), told);
        assert_eq!(lock.release().expect("given"), Released::Yes);
    }
}

#[test]
fn a_child_gives_back_nothing_of_its_parents() {
    let set = set(&protocols::LOCKS.values());
    let (lock, own) = (Lock::from_set(*set), RLock::from_set(*set));
    let (lock, own) = (lock.expect("a lock"), own.expect("a lock"));
    assert!(lock.acquire(now()).expect("taken"));
    in_child(|| {
        assert_eq!(lock.release().expect("an answer"), Released::NotOurs);
        assert_eq!(own.release().expect("an answer"), Released::NotOurs);
        assert!(!own.acquire(now()).expect("an answer"));
    });
    assert_eq!(lock.release().expect("given"), Released::Yes);
    assert_eq!(lock.release().expect("an answer"), Released::NotHeld);
}

#[test]
fn the_tokens_of_the_dead_come_back() {
    let set = set(&BoundedSemaphore::values(2));
    let tokens = BoundedSemaphore::from_set(*set).expect("tokens");
    in_child(|| {
        assert!(tokens.acquire(now()).expect("taken") && tokens.acquire(now()).expect("taken"));
        assert!(!tokens.acquire(now()).expect("an answer"));
    });
    assert_eq!(set.values().expect("values"), [2, 0, 2]);
}

#[test]
fn the_death_of_a_writer_is_told_to_a_reader() {
    let set = set(&protocols::RWLOCK.values());
    let lock = RWLock::from_set(*set).expect("a lock");
    in_child(|| assert!(lock.acquire_write(now()).expect("taken")));
    assert!(lock.acquire_read(now()).expect("taken") && lock.owner_died());
    assert!(!lock.acquire_write(Deadline::after(Duration::from_millis(5))).expect("an answer"));
    assert_eq!(lock.release_read().expect("given"), Released::Yes);
    assert_eq!(set.values().expect("values"), [1, 0, 0]);
}

#[test]
fn who_waits_at_a_barrier_and_ends_is_not_counted() {
    let set = set(&Barrier::values(2));
    let barrier = Barrier::from_set(*set).expect("a barrier");
    assert_eq!(barrier.wait(now(), || Ok(())).expect("an answer"), None);
    assert!(barrier.is_broken().expect("a state"));
    barrier.reset().expect("reset");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait(Deadline::NEVER, || Ok(())));
        let mine = barrier.wait(Deadline::NEVER, || Ok(())).expect("passed");
        let theirs = other.join().expect("no panic").expect("passed");
        assert_eq!(mine.map(|index| 1 - index), theirs);
    });
    assert_eq!(set.values().expect("values")[1..], [0, 2, 1, 1, 1]);
}

#[test]
fn a_notification_wakes_a_waiter_and_an_event_all() {
    let (set, other) = (set(&Condition::values(false)), set(&protocols::EVENT.values()));
    let condition = Condition::from_set(*set, None).expect("a condition");
    let event = Event::from_set(*other).expect("an event");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            assert!(condition.lock().acquire(Deadline::NEVER)?);
            event.set_flag()?;
            let notified = condition.wait(Deadline::NEVER)?;
            condition.lock().release().map(|released| (notified, released))
        });
        assert!(event.wait(Deadline::NEVER).expect("set"));
        assert!(condition.lock().acquire(Deadline::NEVER).expect("taken"));
        condition.notify(1).expect("notified");
        assert_eq!(condition.lock().release().expect("given"), Released::Yes);
        let waited = waiter.join().expect("no panic").expect("no error");
        assert_eq!(waited, (true, Released::Yes));
    });
    assert_eq!(set.values().expect("values")[..4], [1, 0, 0, 0]);
}

#[test]
fn a_set_of_another_size_is_refused() {
    let lock = Temporary(Lock::create(Key::PRIVATE, MODE).expect("a lock").set());
    assert!(Event::from_set(*lock).is_err());
    assert!(Condition::from_set(*lock, None).is_err());
    let foreign = set(&Condition::values(true));
    assert!(Condition::from_set(*foreign, None).is_err(), "its lock is another object");
}
