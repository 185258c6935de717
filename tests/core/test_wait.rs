//! How waits end on time, and which signal ends them. What a process does with its signals is one
//! for all its threads, so each test has a process of its own.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::resource::{Resource, UsageWho, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use sysv_ipc_rs::ErrorKind;
use sysv_ipc_rs::msg::{MessageQueue, Selection};
use sysv_ipc_rs::wait::{Deadline, set_wakeup_signal, wakeup_signal};

use crate::support::{
    alone, block, blocks, caught, handle_real_time, ignore, in_child, pending, queue, real_time,
    send, send_thread, thread_id, wait_until,
};

const SHORT: Duration = Duration::from_millis(20);

/// Waits for a message that doesn't come; how late it was told so.
fn lateness(queue: MessageQueue, time: Duration) -> Duration {
    let end = Instant::now() + time;
    let error = queue.receive_deadline(Selection::ANY, Deadline::after(time)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    Instant::now().checked_duration_since(end).expect("not too early")
}

/// Times out, both ways, soon enough.
fn times_out(queue: MessageQueue) {
    assert!(lateness(queue, SHORT) < Duration::from_secs(5));
    queue.set_max_bytes(1).unwrap();
    queue.send(1, b"x").unwrap();
    let late = queue.send_deadline(1, b"y", Deadline::after(SHORT)).unwrap_err();
    assert_eq!((late.kind(), late.errno()), (ErrorKind::TimedOut, Errno::ETIMEDOUT));
    queue.receive(Selection::ANY).unwrap();
}

#[test]
fn a_deadline_is_never_late_by_rounding() {
    let tiny = Deadline::after(Duration::from_nanos(1));
    assert!(tiny.remaining().is_some());
    assert!(Deadline::after(Duration::ZERO).passed());
    assert_eq!(Deadline::after(Duration::ZERO).remaining(), Some(Duration::ZERO));
    assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
    assert_eq!(Deadline::NEVER.remaining(), None);
    let later = Deadline::after(Duration::from_hours(1));
    assert!(!later.passed() && later.remaining().unwrap() <= Duration::from_hours(1));
}

#[test]
fn timed_waits_are_late_by_a_millisecond_at_most_as_a_rule() {
    alone(|| {
        let queue = queue();
        let mut late: Vec<_> =
            (0..100).map(|_| lateness(queue.0, Duration::from_millis(2))).collect();
        late.sort_unstable();
        assert!(late[50] < Duration::from_millis(5), "median {:?}", late[50]);
    });
}

#[test]
fn a_signal_that_comes_before_the_wait_has_begun_is_no_matter() {
    alone(|| {
        let queue = queue();
        for number in 0..3000 {
            lateness(queue.0, Duration::from_micros(1 + number % 30));
        }
    });
}

#[test]
fn a_wait_costs_no_cpu_time() {
    alone(|| {
        let queue = queue();
        let used = || {
            let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
            (usage.user_time() + usage.system_time()).num_microseconds()
        };
        lateness(queue.0, Duration::from_millis(1));
        let before = used();
        lateness(queue.0, Duration::from_secs(1));
        let spent = used() - before;
        assert!(spent < 50_000, "{spent} us");
    });
}

#[test]
fn a_wait_leaves_the_mask_the_timers_and_no_pending_signal() {
    alone(|| {
        let queue = queue();
        block(real_time());
        times_out(queue.0);
        assert!(real_time().all(blocks));
        assert_eq!(pending(), [0; 0]);
        assert_eq!(std::fs::read_to_string("/proc/self/timers").unwrap_or_default(), "");
        block([]);
        times_out(queue.0);
        assert!(!real_time().any(blocks));
    });
}

#[test]
fn a_thread_that_blocks_everything_waits_no_longer() {
    alone(|| {
        let queue = queue();
        block(1..=libc::SIGRTMAX());
        times_out(queue.0);
        assert_eq!(wakeup_signal(), Some(libc::SIGRTMAX()));
    });
}

#[test]
fn signals_that_the_program_handles_or_ignores_are_left_alone() {
    alone(|| {
        let queue = queue();
        handle_real_time(libc::SIGRTMAX());
        ignore(libc::SIGRTMAX() - 1);
        times_out(queue.0);
        assert_eq!(wakeup_signal(), Some(libc::SIGRTMAX() - 2));
        assert_eq!(caught(), 0);
        send(std::process::id(), libc::SIGRTMAX());
        assert_eq!(caught(), 1, "its handler is still its own");
    });
}

#[test]
fn a_signal_that_the_program_takes_for_itself_later_is_given_up() {
    alone(|| {
        let queue = queue();
        times_out(queue.0);
        assert_eq!(wakeup_signal(), Some(libc::SIGRTMAX()));
        handle_real_time(libc::SIGRTMAX());
        times_out(queue.0);
        assert_eq!(wakeup_signal(), Some(libc::SIGRTMAX() - 1));
        assert_eq!(caught(), 0);
    });
}

#[test]
fn signals_that_only_some_threads_block_are_left_alone() {
    alone(|| {
        let queue = queue();
        let done = Arc::new(Barrier::new(2));
        let (ready, other_is_ready) = channel();
        let end = Arc::clone(&done);
        let other = thread::spawn(move || {
            block([libc::SIGRTMAX(), libc::SIGRTMAX() - 2]);
            ready.send(()).unwrap();
            end.wait();
        });
        other_is_ready.recv().unwrap();
        times_out(queue.0);
        assert_eq!(wakeup_signal(), Some(libc::SIGRTMAX() - 1));
        done.wait();
        other.join().unwrap();
    });
}

#[test]
fn a_signal_that_waits_to_be_taken_stays_pending() {
    alone(|| {
        let queue = queue();
        assert_eq!(wakeup_signal(), Some(libc::SIGRTMAX()));
        // As a program does that will take it by `sigwait`, chosen before or not.
        block([libc::SIGRTMAX()]);
        send(std::process::id(), libc::SIGRTMAX());
        times_out(queue.0);
        assert_eq!(pending(), [libc::SIGRTMAX()]);
        assert_eq!(wakeup_signal(), Some(libc::SIGRTMAX() - 1));
    });
}

#[test]
fn the_programs_choice_counts_even_where_a_thread_blocks_it() {
    alone(|| {
        let queue = queue();
        assert_eq!(set_wakeup_signal(libc::SIGUSR1), Err(Errno::EINVAL));
        assert_eq!(set_wakeup_signal(libc::SIGRTMIN() - 1), Err(Errno::EINVAL));
        assert_eq!(set_wakeup_signal(libc::SIGRTMAX() + 1), Err(Errno::EINVAL));
        let choice = libc::SIGRTMIN() + 5;
        set_wakeup_signal(choice).unwrap();
        block([choice]);
        times_out(queue.0);
        assert_eq!(wakeup_signal(), Some(choice));
        assert!(blocks(choice));
    });
}

#[test]
fn without_a_free_signal_a_wait_still_ends_on_time() {
    alone(|| {
        let queue = queue();
        real_time().for_each(handle_real_time);
        times_out(queue.0);
        assert_eq!(wakeup_signal(), None);
        thread::scope(|scope| {
            let receiver = scope.spawn(|| {
                let later = Deadline::after(Duration::from_mins(1));
                queue.receive_deadline(Selection::ANY, later).unwrap()
            });
            thread::sleep(SHORT);
            queue.send(1, b"x").unwrap();
            receiver.join().unwrap();
        });
        assert_eq!(caught(), 0);
    });
}

#[test]
fn without_a_timer_a_wait_still_ends_on_time() {
    alone(|| {
        let queue = queue();
        setrlimit(Resource::RLIMIT_SIGPENDING, 0, 0).unwrap();
        block([]);
        times_out(queue.0);
        assert!(!real_time().any(blocks), "the mask is restored");
    });
}

#[test]
fn many_threads_wait_at_once_each_for_its_own_time() {
    alone(|| {
        let queue = queue();
        thread::scope(|scope| {
            for number in 0..20 {
                let handle = queue.0;
                scope.spawn(move || {
                    if number % 2 == 0 {
                        block(real_time());
                    }
                    let late = lateness(handle, Duration::from_millis(5 * number));
                    assert!(late < Duration::from_secs(5), "{late:?}");
                });
            }
        });
        assert_eq!(wakeup_signal(), Some(libc::SIGRTMAX()), "no wait looks like a reservation");
    });
}

#[test]
fn an_earlier_signal_is_no_reservation() {
    alone(|| {
        let queue = queue();
        let (tell, thread) = channel();
        let handle = queue.0;
        let waiter = thread::spawn(move || {
            block(real_time());
            tell.send(thread_id()).unwrap();
            let late = Deadline::after(Duration::from_mins(1));
            handle.receive_deadline(Selection::of(9), late).map(drop)
        });
        thread.recv().unwrap();
        wait_until("it waits", || wakeup_signal() == Some(libc::SIGRTMAX()));
        thread::sleep(SHORT);
        // It blocks all but SIGRTMAX now, which we don't use any more.
        set_wakeup_signal(libc::SIGRTMAX() - 1).unwrap();
        handle_real_time(libc::SIGRTMAX() - 1);
        handle_real_time(libc::SIGRTMAX());
        assert_eq!(wakeup_signal(), Some(libc::SIGRTMAX() - 2));
        queue.send(9, b"").unwrap();
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn a_signal_of_the_programs_own_does_not_make_it_early() {
    alone(|| {
        let queue = queue();
        let signal = libc::SIGRTMIN() + 1;
        handle_real_time(signal);
        let (tell, thread) = channel();
        let handle = queue.0;
        let waiter = thread::spawn(move || {
            tell.send(thread_id()).unwrap();
            let end = Deadline::after(SHORT);
            loop {
                let error = handle.receive_deadline(Selection::ANY, end).unwrap_err();
                if error.kind() == ErrorKind::TimedOut {
                    return end.passed();
                }
                assert_eq!(error.kind(), ErrorKind::Interrupted);
            }
        });
        let thread = thread.recv().unwrap();
        while !waiter.is_finished() {
            send_thread(thread, signal);
            thread::sleep(Duration::from_micros(300));
        }
        assert!(waiter.join().unwrap());
        assert!(caught() > 0);
    });
}

#[test]
fn a_child_forked_during_a_wait_waits_by_itself() {
    alone(|| {
        let queue = queue();
        thread::scope(|scope| {
            scope.spawn(|| lateness(queue.0, Duration::from_millis(200)));
            thread::sleep(SHORT);
            in_child(|| {
                assert!(lateness(queue.0, SHORT) < Duration::from_secs(5));
            });
        });
    });
}
