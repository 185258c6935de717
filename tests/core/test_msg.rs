//! Message queues: selection, sizes, waiting, permissions, limits.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use sysv_ipc_rs::ipc::{Key, Kind, Mode, PermissionChange};
use sysv_ipc_rs::msg::{Message, MessageQueue, Selection};
use sysv_ipc_rs::wait::Deadline;
use sysv_ipc_rs::{Error, ErrorKind};

use crate::support::{
    MODE, NOBODY, SOMEBODY, Temporary, as_user, become_user, child, free_key, handle_usr1,
    in_namespace, is_root, our_uid, queue, send_thread, set_limit, thread_id, until_waiting,
};

fn kind_of<T: std::fmt::Debug>(answer: Result<T, Error>) -> ErrorKind {
    answer.expect_err("an error").kind()
}

fn text(message: &Message) -> (i64, &str) {
    (message.mtype, str::from_utf8(&message.data).unwrap())
}

const LATE: Duration = Duration::from_mins(1);

#[test]
fn messages_come_as_they_were_sent_in_order() {
    let queue = queue();
    let long = "x".repeat(8192);
    let sent = [(1, ""), (i64::MAX, "b"), (7, &long), (1, "\0\n")];
    for (mtype, data) in sent {
        queue.send(mtype, data.as_bytes()).unwrap();
    }
    let stat = queue.stat().unwrap();
    assert_eq!((stat.messages, stat.current_bytes), (4, 8195));
    for expected in sent {
        assert_eq!(text(&queue.receive(Selection::ANY).unwrap()), expected);
    }
    assert_eq!(queue.try_receive(Selection::ANY).unwrap(), None);
    let stat = queue.stat().unwrap();
    let us = std::process::id().cast_signed();
    assert_eq!((stat.last_send_pid, stat.last_receive_pid, stat.messages), (us, us, 0));
}

#[test]
fn a_selection_takes_what_msgrcv_says() {
    let queue = queue();
    for (mtype, data) in [(4, "d"), (2, "b"), (3, "c"), (2, "B")] {
        queue.send(mtype, data.as_bytes()).unwrap();
    }
    let take = |selection| {
        let message = queue.try_receive(selection).unwrap();
        message.map(|message| text(&message).1.to_owned())
    };
    assert_eq!(take(Selection::of(9)), None);
    assert_eq!(take(Selection::lowest_up_to(1)), None);
    assert_eq!(take(Selection::lowest_up_to(9)).unwrap(), "b");
    assert_eq!(take(Selection::except(4)).unwrap(), "c");
    assert_eq!(take(Selection::of(-i64::MAX)).unwrap(), "B");
    assert_eq!(take(Selection::except(4)), None);
    assert_eq!(take(Selection::lowest_up_to(i64::MIN)).unwrap(), "d");
    assert_eq!(take(Selection::lowest_up_to(0)), None);
}

#[test]
fn a_type_is_above_0() {
    let queue = queue();
    for mtype in [0, -1, i64::MIN] {
        let error = queue.send(mtype, b"x").unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Other, Errno::EINVAL));
        assert!(error.to_string().contains("above 0"), "{error}");
    }
    assert_eq!(queue.stat().unwrap().messages, 0);
}

#[test]
fn a_message_that_can_never_fit_is_refused_before_any_wait() {
    let queue = queue();
    let error = queue.send(1, &[0; 8193]).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::MessageTooBig, Errno::EINVAL));
    assert_eq!(error.limit().unwrap().name, "MSGMAX");
    queue.set_max_bytes(10).unwrap();
    for send in [MessageQueue::send, |queue: &_, mtype, data: &_| {
        MessageQueue::try_send(queue, mtype, data).map(drop)
    }] {
        let error = send(&queue, 1, &[0; 11]).unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::MessageTooBig, Errno::E2BIG));
        assert!(error.to_string().contains("max_bytes is 10"), "{error}");
    }
    queue.set_max_bytes(0).unwrap();
    assert_eq!(kind_of(queue.send(1, b"")), ErrorKind::MessageTooBig, "not even an empty one");
    assert_eq!(queue.stat().unwrap().messages, 0);
}

#[test]
fn a_full_queue_takes_nothing_more() {
    let queue = queue();
    queue.set_max_bytes(3).unwrap();
    assert!(queue.try_send(1, b"abc").unwrap());
    assert!(!queue.try_send(1, b"d").unwrap());
    for _ in 0..2 {
        assert!(queue.try_send(1, b"").unwrap(), "as many messages as bytes");
    }
    assert!(!queue.try_send(1, b"").unwrap());
    let late = queue.send_deadline(1, b"d", Deadline::after(Duration::from_millis(10)));
    assert_eq!(late.unwrap_err().errno(), Errno::ETIMEDOUT);
    assert_eq!(queue.stat().unwrap().messages, 3);
}

#[test]
fn messages_above_the_usual_size_come_whole() {
    in_namespace(&[("msgmax", "200000"), ("msgmnb", "1000000")], || {
        let queue = MessageQueue::create(Key::PRIVATE, MODE).unwrap();
        for size in [8191, 8192, 8193, 65536, 65537, 200_000] {
            let data: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            queue.send(5, &data).unwrap();
            assert_eq!(queue.peek(0).unwrap().unwrap().data, data);
            let later = Deadline::after(LATE);
            assert_eq!(queue.receive_deadline(Selection::ANY, later).unwrap().data, data);
        }
        thread::scope(|scope| {
            let receiver = scope.spawn(|| queue.receive(Selection::of(5)).unwrap());
            let us = nix::unistd::getpid();
            until_waiting(Kind::MessageQueue, queue.id(), us);
            queue.send(5, &vec![1; 200_000]).unwrap();
            assert_eq!(receiver.join().unwrap().data.len(), 200_000);
        });
        queue.send(5, &vec![1; 200_000]).unwrap();
        set_limit("msgmax", "100");
        assert_eq!(queue.receive(Selection::ANY).unwrap().data.len(), 200_000);
    });
}

#[test]
fn peek_takes_nothing() {
    let queue = queue();
    assert_eq!(queue.peek(0).unwrap(), None);
    queue.send(3, b"first").unwrap();
    queue.send(4, b"").unwrap();
    for _ in 0..2 {
        assert_eq!(text(&queue.peek(0).unwrap().unwrap()), (3, "first"));
        assert_eq!(text(&queue.peek(1).unwrap().unwrap()), (4, ""));
        assert_eq!(queue.peek(2).unwrap(), None);
        assert_eq!(queue.peek(u32::MAX).unwrap(), None);
    }
    let stat = queue.stat().unwrap();
    assert_eq!((stat.messages, stat.last_receive_pid), (2, 0));
}

#[test]
fn a_timed_wait_ends_on_time_and_takes_nothing() {
    let queue = queue();
    queue.send(2, b"other").unwrap();
    for time in [Duration::ZERO, Duration::from_nanos(1), Duration::from_millis(30)] {
        let begin = Instant::now();
        let error = queue.receive_deadline(Selection::of(1), Deadline::after(time)).unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::TimedOut, Errno::ETIMEDOUT));
        assert!(begin.elapsed() >= time);
    }
    assert_eq!(queue.stat().unwrap().messages, 1);
}

#[test]
fn a_timed_wait_gets_what_comes_in_time() {
    let queue = queue();
    queue.set_max_bytes(1).unwrap();
    let later = || Deadline::after(LATE);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| queue.receive_deadline(Selection::of(1), later()).unwrap());
        until_waiting(Kind::MessageQueue, queue.id(), nix::unistd::getpid());
        queue.send(1, b"a").unwrap();
        assert_eq!(text(&receiver.join().unwrap()), (1, "a"));
        queue.send(1, b"b").unwrap();
        let sender = scope.spawn(|| queue.send_deadline(1, b"c", later()).unwrap());
        until_waiting(Kind::MessageQueue, queue.id(), nix::unistd::getpid());
        assert_eq!(text(&queue.receive(Selection::ANY).unwrap()), (1, "b"));
        sender.join().unwrap();
        assert_eq!(text(&queue.receive(Selection::ANY).unwrap()), (1, "c"));
    });
}

#[test]
fn a_huge_timeout_waits() {
    let queue = queue();
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let forever = Deadline::after(Duration::from_secs(u64::from(u32::MAX) * 1000));
            queue.receive_deadline(Selection::ANY, forever).unwrap()
        });
        until_waiting(Kind::MessageQueue, queue.id(), nix::unistd::getpid());
        queue.send(1, b"a").unwrap();
        receiver.join().unwrap();
    });
}

#[test]
fn a_signal_ends_a_wait_and_nothing_is_taken_or_sent() {
    handle_usr1();
    let queue = queue();
    queue.set_max_bytes(1).unwrap();
    queue.send(2, b"x").unwrap();
    for deadline in [Deadline::NEVER, Deadline::after(LATE)] {
        for sends in [false, true] {
            let (handle, (tell, thread)) = (queue.0, mpsc::channel());
            let waiter = thread::spawn(move || {
                tell.send(thread_id()).unwrap();
                if sends {
                    handle.send_deadline(1, b"y", deadline)
                } else {
                    handle.receive_deadline(Selection::of(1), deadline).map(drop)
                }
            });
            let thread = thread.recv().unwrap();
            while !waiter.is_finished() {
                send_thread(thread, Signal::SIGUSR1 as i32);
                thread::sleep(Duration::from_millis(1));
            }
            let error = waiter.join().unwrap().unwrap_err();
            assert_eq!((error.kind(), error.errno()), (ErrorKind::Interrupted, Errno::EINTR));
        }
    }
    assert_eq!(queue.stat().unwrap().messages, 1);
}

#[test]
fn stopping_and_continuing_does_not_end_a_wait() {
    let queue = queue();
    let receiver = child(|| {
        assert_eq!(text(&queue.receive(Selection::ANY).unwrap()), (1, "hi"));
    });
    until_waiting(Kind::MessageQueue, queue.id(), receiver.0);
    receiver.kill(Signal::SIGSTOP);
    receiver.kill(Signal::SIGCONT);
    until_waiting(Kind::MessageQueue, queue.id(), receiver.0);
    queue.send(1, b"hi").unwrap();
    receiver.succeed();
}

#[test]
fn removal_tells_every_waiter() {
    let queue = queue();
    queue.set_max_bytes(1).unwrap();
    queue.send(2, b"x").unwrap();
    let (receive, send) = (
        |deadline| kind_of(queue.receive_deadline(Selection::of(1), deadline)),
        |deadline| kind_of(queue.send_deadline(1, b"y", deadline)),
    );
    let waiters: Vec<_> = [Deadline::NEVER, Deadline::after(LATE)]
        .into_iter()
        .flat_map(|deadline| {
            let receiver = child(|| assert_eq!(receive(deadline), ErrorKind::Removed));
            let sender = child(|| assert_eq!(send(deadline), ErrorKind::Removed));
            [receiver, sender]
        })
        .collect();
    for waiter in &waiters {
        until_waiting(Kind::MessageQueue, queue.id(), waiter.0);
    }
    queue.remove().unwrap();
    for waiter in waiters {
        waiter.succeed();
    }
    for answer in [
        queue.send(1, b""),
        queue.try_send(1, b"").map(drop),
        queue.receive(Selection::ANY).map(drop),
        queue.try_receive(Selection::ANY).map(drop),
        queue.peek(0).map(drop),
        queue.stat().map(drop),
        queue.set_max_bytes(1),
        queue.set_permissions(PermissionChange::default()),
        queue.check_owner(0),
        queue.remove(),
        MessageQueue::from_id(queue.id()).map(drop),
    ] {
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Removed, Errno::EIDRM), "{error}");
    }
}

#[test]
fn permission_that_is_taken_away_ends_the_wait() {
    if !is_root() {
        return;
    }
    let queue = queue();
    let mode = |bits| PermissionChange { mode: Mode::new(bits), ..Default::default() };
    queue.set_permissions(mode(0o666)).unwrap();
    let receiver = child(|| {
        become_user(NOBODY);
        let error = queue.receive(Selection::ANY).unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::AccessDenied, Errno::EACCES));
    });
    until_waiting(Kind::MessageQueue, queue.id(), receiver.0);
    queue.set_permissions(mode(0o600)).unwrap();
    receiver.succeed();
}

#[test]
fn the_mode_decides_what_strangers_may() {
    let queue = queue();
    queue.send(1, b"x").unwrap();
    as_user(NOBODY, || {
        for answer in
            [queue.send(1, b"y"), queue.receive(Selection::ANY).map(drop), queue.peek(0).map(drop)]
        {
            let error = answer.unwrap_err();
            assert_eq!((error.kind(), error.errno()), (ErrorKind::AccessDenied, Errno::EACCES));
        }
        assert_eq!(queue.stat().unwrap().messages, 1, "what anybody may see");
        for answer in [queue.remove(), queue.set_max_bytes(5)] {
            let error = answer.unwrap_err();
            assert_eq!((error.kind(), error.errno()), (ErrorKind::AccessDenied, Errno::EPERM));
        }
        assert_eq!(kind_of(queue.check_owner(0)), ErrorKind::UntrustedOwner);
    });
    queue.check_owner(our_uid()).unwrap();
    assert_eq!(kind_of(queue.check_owner(SOMEBODY)), ErrorKind::UntrustedOwner);
}

#[test]
fn max_bytes_is_never_cut_off_and_names_its_limit() {
    in_namespace(&[("msgmnb", "5000")], || {
        let queue = MessageQueue::create(Key::PRIVATE, MODE).unwrap();
        for size in [1 << 31, 1 << 32, (1 << 32) + 5, u64::MAX] {
            assert_eq!(queue.set_max_bytes(size).unwrap_err().errno(), Errno::EINVAL);
        }
        queue.set_max_bytes(4000).unwrap();
        as_user(NOBODY, || {
            let own = MessageQueue::create(Key::PRIVATE, MODE).unwrap();
            let error = own.set_max_bytes(5001).unwrap_err();
            assert_eq!((error.kind(), error.errno()), (ErrorKind::AccessDenied, Errno::EPERM));
            let limit = error.limit().unwrap();
            assert_eq!((limit.name, limit.value), ("MSGMNB", 5000));
            let refused = MessageQueue::create_sized(free_key(), MODE, Some(5001));
            assert_eq!(kind_of(refused), ErrorKind::AccessDenied);
            assert_eq!(sysv_ipc_rs::system::usage().unwrap().message_queues, 2, "nothing is left");
        });
        assert_eq!(queue.stat().unwrap().max_bytes, 4000);
    });
}

#[test]
fn changing_the_mode_of_a_queue_above_msgmnb_says_why_it_fails() {
    in_namespace(&[("msgmnb", "5000")], || {
        let queue = MessageQueue::create(Key::PRIVATE, Mode::new(0o600).unwrap()).unwrap();
        let change = PermissionChange { uid: Some(NOBODY), ..Default::default() };
        queue.set_permissions(change).unwrap();
        set_limit("msgmnb", "100");
        as_user(NOBODY, || {
            let mode = PermissionChange { mode: Mode::new(0o640), ..Default::default() };
            let error = queue.set_permissions(mode).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AccessDenied);
            assert_eq!(error.limit().unwrap().name, "MSGMNB", "{error}");
            queue.set_max_bytes(100).unwrap();
            queue.set_permissions(mode).unwrap();
        });
    });
}

#[test]
fn open_or_create_opens_or_creates() {
    let key = free_key();
    let open = |owner| MessageQueue::open_or_create(key, MODE, Some(50), owner);
    assert_eq!(kind_of(open(Some(SOMEBODY))), ErrorKind::NotFound);
    let queue = Temporary(open(None).unwrap());
    assert_eq!(queue.stat().unwrap().max_bytes, 50);
    assert_eq!(open(Some(our_uid())).unwrap().id(), queue.id());
    assert_eq!(MessageQueue::open(key).unwrap().id(), queue.id());
    assert_eq!(MessageQueue::from_id(queue.id()).unwrap().key(), key);
    assert_eq!(kind_of(open(Some(SOMEBODY))), ErrorKind::UntrustedOwner);
    assert_eq!(kind_of(MessageQueue::create(key, MODE)), ErrorKind::AlreadyExists);
    assert_eq!(MessageQueue::open(Key::PRIVATE).unwrap_err().errno(), Errno::EINVAL);
}

#[test]
fn threads_that_race_to_create_get_one_queue() {
    for _ in 0..100 {
        let key = free_key();
        let ids: Vec<_> = thread::scope(|scope| {
            let racers: [_; 4] = std::array::from_fn(|_| {
                scope.spawn(|| MessageQueue::open_or_create(key, MODE, None, None).unwrap())
            });
            racers.map(|racer| racer.join().unwrap()).to_vec()
        });
        let queue = Temporary(ids[0]);
        assert!(ids.iter().all(|other| other.id() == queue.id()));
    }
}

#[test]
fn the_limit_of_queues_is_named() {
    in_namespace(&[("msgmni", "2")], || {
        let create = || MessageQueue::create(Key::PRIVATE, MODE);
        for _ in 0..2 {
            create().unwrap();
        }
        let error = create().unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::LimitExceeded, Errno::ENOSPC));
        let limit = error.limit().unwrap();
        assert_eq!((limit.name, limit.value, limit.used), ("MSGMNI", 2, Some(2)));
        assert!(error.to_string().contains("/proc/sys/kernel/msgmni"), "{error}");
    });
}

#[test]
fn every_message_is_received_once_beside_timeouts_of_microseconds() {
    const EACH: usize = 2000;
    let queue = queue();
    queue.set_max_bytes(200).unwrap();
    let received = AtomicUsize::new(0);
    let short = || Deadline::after(Duration::from_micros(50));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for number in 0..EACH {
                    let data = number.to_le_bytes();
                    while let Err(error) = queue.send_deadline(1, &data, short()) {
                        assert_eq!(error.kind(), ErrorKind::TimedOut);
                    }
                }
            });
            scope.spawn(|| {
                while received.load(Ordering::Relaxed) < 2 * EACH {
                    match queue.receive_deadline(Selection::ANY, short()) {
                        Ok(_) => _ = received.fetch_add(1, Ordering::Relaxed),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
                    }
                }
            });
        }
    });
    assert_eq!(received.into_inner(), 2 * EACH);
    assert_eq!(queue.stat().unwrap().messages, 0);
}
