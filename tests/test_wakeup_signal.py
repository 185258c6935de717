"""Which real-time signal ends timed waits, and that no signal of the program's is swallowed."""

import signal

import pytest
import support

START = """
import os, signal, threading, time
import sysv_ipc_rs as ipc
LAST = signal.SIGRTMAX
queue = ipc.MessageQueue.create()
def wait(timeout=0.002):
    started = time.monotonic()
    try:
        queue.receive(timeout=timeout)
    except ipc.WaitTimeoutError:
        return timeout <= time.monotonic() - started < timeout + 2
"""


def check(program: str) -> None:
    """Run it in a new process, where it prints nothing."""
    assert support.python_prints(START + program + "\nqueue.remove()\n") == ""


def test_it_is_the_last_free_one() -> None:
    check("assert ipc.wakeup_signal == LAST; assert wait(); assert ipc.wakeup_signal == LAST")


def test_importing_takes_none() -> None:
    check("assert signal.getsignal(LAST) == signal.SIG_DFL; os.kill(os.getpid(), signal.SIGURG)")


def test_handled_and_ignored_signals_are_left_out() -> None:
    check("""
signal.signal(LAST, lambda *_: None)
signal.signal(LAST - 1, signal.SIG_IGN)
assert wait()
assert ipc.wakeup_signal == LAST - 2
""")


def test_signals_that_some_threads_block_are_left_out() -> None:
    check("""
done = threading.Event()
ready = threading.Barrier(2)
def taker():
    signal.pthread_sigmask(signal.SIG_BLOCK, [LAST, LAST - 2])
    ready.wait()
    done.wait()
thread = threading.Thread(target=taker)
thread.start()
ready.wait()
assert wait()
assert ipc.wakeup_signal == LAST - 1
done.set()
thread.join()
""")


def test_a_thread_that_blocks_all_signals_says_nothing() -> None:
    check("""
done = threading.Event()
ready = threading.Barrier(2)
def blocker():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    ready.wait()
    done.wait()
thread = threading.Thread(target=blocker)
thread.start()
ready.wait()
assert ipc.wakeup_signal == LAST
done.set()
thread.join()
""")


def test_another_is_chosen_when_the_program_takes_it() -> None:
    check("""
assert wait()
assert ipc.wakeup_signal == LAST
ran = []
signal.signal(LAST, lambda *_: ran.append(1))
assert all(wait() for _ in range(10))
assert ipc.wakeup_signal == LAST - 1
signal.signal(LAST - 1, lambda *_: ran.append(2))
assert all(wait() for _ in range(10))
assert ipc.wakeup_signal == LAST - 2
assert ran == []
os.kill(os.getpid(), LAST)
os.kill(os.getpid(), LAST - 1)
assert sorted(ran) == [1, 2]
""")


def test_waiting_threads_that_block_all_signals_are_no_hindrance() -> None:
    """Their masks lack the signals of their own waits, which may be former ones."""
    check("""
def waiter():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    wait(0.5)
threads = []
for round in range(4):
    thread = threading.Thread(target=waiter)
    thread.start()
    threads.append(thread)
    time.sleep(0.03)
    assert ipc.wakeup_signal == LAST - round
    signal.signal(LAST - round, lambda *_: None)
for thread in threads:
    thread.join()
""")


def test_the_program_can_choose() -> None:
    check("""
ipc.wakeup_signal = LAST - 7
assert ipc.wakeup_signal == LAST - 7
assert wait()
assert signal.getsignal(LAST) == signal.SIG_DFL
ipc.wakeup_signal = signal.SIGRTMIN
assert wait()
assert ipc.wakeup_signal == signal.SIGRTMIN
""")


def test_what_the_program_chose_stands_though_threads_block_it() -> None:
    check("""
ipc.wakeup_signal = LAST - 7
signal.pthread_sigmask(signal.SIG_BLOCK, [LAST - 7])
assert wait()
assert ipc.wakeup_signal == LAST - 7
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {LAST - 7}
""")


def test_a_signal_with_a_handler_can_not_be_chosen() -> None:
    check("""
handler = lambda *_: None
signal.signal(LAST - 1, handler)
signal.signal(LAST - 2, signal.SIG_IGN)
for taken in (LAST - 1, LAST - 2):
    try:
        ipc.wakeup_signal = taken
    except ValueError as error:
        assert str(int(taken)) in str(error)
    else:
        raise AssertionError("chosen")
assert signal.getsignal(LAST - 1) is handler
assert ipc.wakeup_signal == LAST
""")


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (0, "ValueError"),
        (-1, "ValueError"),
        (int(signal.SIGINT), "ValueError"),
        (int(signal.SIGKILL), "ValueError"),
        (32, "ValueError"),
        (33, "ValueError"),
        (65, "ValueError"),
        (2**70, "ValueError"),
        ("'64'", "TypeError"),
        (64.0, "TypeError"),
        (None, "TypeError"),
    ],
)
def test_only_real_time_signals_can_be_chosen(bad: object, error: str) -> None:
    check(f"""
try:
    ipc.wakeup_signal = {bad}
except {error}:
    pass
else:
    raise AssertionError("chosen")
assert ipc.wakeup_signal == LAST
""")


@pytest.mark.parametrize("also", ["", "wait()", "ipc.wakeup_signal"])
def test_a_signal_that_waits_for_sigwait_is_not_swallowed(also: str) -> None:
    """The thread blocks it for a purpose of its own, so that a wait there takes another."""
    check(f"""
{also}
signal.pthread_sigmask(signal.SIG_BLOCK, [LAST])
for _ in range(3):
    os.kill(os.getpid(), LAST)
    assert wait()
    assert signal.sigpending() == {{LAST}}
    assert signal.sigwait([LAST]) == LAST
assert ipc.wakeup_signal == LAST - 1
""")


def test_signals_for_signalfd_and_sigwait_all_arrive() -> None:
    check("""
signal.pthread_sigmask(signal.SIG_BLOCK, [LAST, LAST - 1])
taken = []
def take():
    while signal.sigwait([LAST, LAST - 1]) == LAST:
        taken.append(1)
taker = threading.Thread(target=take)
taker.start()
stop = threading.Event()
def waits():
    while not stop.is_set():
        wait(0.0001)
waiters = [threading.Thread(target=waits) for _ in range(4)]
for waiter in waiters:
    waiter.start()
for number in range(300):
    os.kill(os.getpid(), LAST)
    while len(taken) <= number:
        time.sleep(0)
stop.set()
for waiter in waiters:
    waiter.join()
os.kill(os.getpid(), LAST - 1)
taker.join()
assert len(taken) == 300
""")


def test_the_signal_itself_does_nothing_to_the_program() -> None:
    check("""
number = ipc.wakeup_signal
for _ in range(100):
    os.kill(os.getpid(), number)
assert wait()
""")


def test_a_stray_wakeup_does_not_end_a_wait() -> None:
    check("""
number = ipc.wakeup_signal
main = threading.main_thread().ident
def knock():
    for _ in range(50):
        time.sleep(0.002)
        signal.pthread_kill(main, number)
thread = threading.Thread(target=knock)
thread.start()
assert wait(0.3)
thread.join()
""")


def test_it_works_in_a_thread_that_python_did_not_start_on_an_alternate_stack() -> None:
    check("""
import faulthandler
faulthandler.enable()
assert wait()
faulthandler.disable()
""")
