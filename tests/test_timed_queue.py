"""Time limits of the queue's calls, which the kernel does not know: they end on time everywhere."""

import math
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import MessageQueue

RECEIVES: dict[str, Callable[[MessageQueue, Any], object]] = {
    "receive": lambda queue, timeout: queue.receive(timeout=timeout),
    "receive by type": lambda queue, timeout: queue.receive(5, timeout=timeout),
    "receive others": lambda queue, timeout: queue.receive(1, exclude=True, timeout=timeout),
    "receive_into": lambda queue, timeout: queue.receive_into(bytearray(9), timeout=timeout),
    "receive_many": lambda queue, timeout: queue.receive_many(9, timeout=timeout),
}
SENDS: dict[str, Callable[[MessageQueue, Any], object]] = {
    "send": lambda queue, timeout: queue.send(b"late", timeout=timeout),
    "send_many": lambda queue, timeout: queue.send_many([b"late"], timeout=timeout),
}


@pytest.fixture(params=[*RECEIVES, *SENDS])
def wait(request: pytest.FixtureRequest, queue: MessageQueue) -> Callable[[Any], object]:
    """Each call that may have to wait, where it has to."""
    if request.param in SENDS:
        queue.max_bytes = 4
        queue.send(b"full")
        return lambda timeout: SENDS[request.param](queue, timeout)
    return lambda timeout: RECEIVES[request.param](queue, timeout)


def elapsed(wait: Callable[[Any], object], timeout: Any) -> float:
    """How long it took to end with a WaitTimeoutError."""
    started = time.monotonic()
    with pytest.raises(ipc.WaitTimeoutError) as caught:
        wait(timeout)
    assert caught.value.errno == 110
    return time.monotonic() - started


def test_a_wait_never_ends_early_and_soon_after(
    queue: MessageQueue, wait: Callable[[Any], object]
) -> None:
    before = queue.qsize()
    lateness = [elapsed(wait, 0.005) - 0.005 for _ in range(21)]
    assert min(lateness) >= 0
    # A machine that does nothing else has a median of 0.15 ms.
    assert statistics.median(lateness) < 0.02
    assert queue.qsize() == before


@pytest.mark.parametrize(
    "timeout",
    [5e-324, 1e-12, 1e-9, 1e-6, 50e-6, Fraction(1, 10**400), Decimal("1e-400"), np.float32(1e-30)],
    ids=support.name,
)
def test_a_tiny_timeout_ends_at_once(wait: Callable[[Any], object], timeout: Any) -> None:
    assert statistics.median(elapsed(wait, timeout) for _ in range(11)) < 0.01


def test_a_time_limit_that_ends_before_the_wait_begins_is_seen(queue: MessageQueue) -> None:
    """The signal comes between the arming of the timer and the system call: it must come again."""
    started = time.monotonic()
    for number in range(10_000):
        with suppress(ipc.WaitTimeoutError):
            queue.receive(timeout=1e-8 * (number % 5000))
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    "timeout",
    [True, 1, 0.5, Decimal("0.5"), Fraction(1, 2), np.float64(0.5), np.int8(1)],
    ids=support.name,
)
def test_any_real_number_is_a_timeout(queue: MessageQueue, timeout: Any) -> None:
    assert 0.5 <= elapsed(lambda limit: queue.receive(timeout=limit), timeout) < 5


@pytest.mark.parametrize("timeout", [math.inf, 1e300, 1e18, 10**30, 10**400, 2**63, 1e9, None])
def test_a_huge_timeout_waits(
    queue: MessageQueue, timeout: Any, request: pytest.FixtureRequest
) -> None:
    full = MessageQueue.create(max_bytes=1)
    request.addfinalizer(full.remove)
    full.send(b"x")
    with (
        support.Child(lambda: queue.receive(timeout=timeout).data) as receiver,
        support.Child(lambda: full.send(b"y", timeout=timeout)) as sender,
    ):
        support.wait_blocked(receiver.pid)
        support.wait_blocked(sender.pid)
        time.sleep(0.02)
        assert support.blocked(receiver.pid) == "msgrcv"
        assert support.blocked(sender.pid) == "msgsnd"
        queue.send(b"at last")
        full.receive()
        assert receiver.result() == b"at last"
        assert sender.result() is None
    assert full.receive().data == b"y"


@pytest.mark.parametrize("bad", [-1, -0.001, -math.inf, math.nan, "1", b"1", 1j, [], object()])
def test_a_bad_timeout_is_refused_before_any_system_call(queue: MessageQueue, bad: Any) -> None:
    queue.send(b"x")
    for name, call in {**RECEIVES, **SENDS}.items():
        with pytest.raises((ValueError, TypeError), match=r"timeout|number|float"):
            call(queue, bad)
        assert queue.qsize() == 1, name
    with pytest.raises((ValueError, TypeError)):
        queue.messages(timeout=bad)


def test_a_message_in_time_is_received(queue: MessageQueue) -> None:
    for wait in RECEIVES.values():
        with support.Child(lambda wait=wait: wait(queue, 30)) as child:  # type: ignore[misc]
            support.wait_blocked(child.pid)
            queue.send(b"x", 5)
            assert child.result()


def test_room_in_time_is_used(queue: MessageQueue) -> None:
    queue.max_bytes = 4
    for wait in SENDS.values():
        queue.send(b"full")
        with support.Child(lambda wait=wait: wait(queue, 30)) as child:  # type: ignore[misc]
            support.wait_blocked(child.pid)
            assert queue.receive().data == b"full"
            child.result()
        assert queue.receive().data == b"late"


def test_a_removed_queue_ends_a_timed_wait(queue: MessageQueue) -> None:
    with support.Child(lambda: queue.receive(timeout=100)) as child:
        support.wait_blocked(child.pid)
        queue.remove()
        with pytest.raises(ipc.RemovedError):
            child.result()


def test_a_timed_call_that_need_not_wait_arms_no_timer() -> None:
    """No handler was installed, so none was needed."""
    program = """
import sysv_ipc_rs as ipc
caught = lambda: [line for line in open("/proc/self/status") if line.startswith("SigCgt")]
queue = ipc.MessageQueue.create()
before = caught()
queue.send(b"x", timeout=10)
queue.receive(timeout=10)
assert caught() == before
try:
    queue.receive(timeout=0.001)
except ipc.WaitTimeoutError:
    pass
assert caught() != before
queue.remove()
"""
    assert support.python_prints(program) == ""


# Signals: masks, handlers, what is left behind


def timer_signals() -> set[int]:
    return set(range(signal.SIGRTMIN, signal.SIGRTMAX + 1))


@pytest.mark.parametrize("blocked", [set(), timer_signals(), signal.valid_signals()], ids=len)
def test_the_mask_is_restored_and_nothing_stays_pending(
    wait: Callable[[Any], object], blocked: set[int]
) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        lateness = [elapsed(wait, 0.002) - 0.002 for _ in range(20)]
        assert min(lateness) >= 0
        assert statistics.median(lateness) < 0.02
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
        assert signal.sigpending() == set()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_it_ends_on_time_where_the_whole_process_blocks_all_signals() -> None:
    program = """
import signal, threading, time
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
import sysv_ipc_rs as ipc
queue = ipc.MessageQueue.create()
late = []
def wait():
    for _ in range(10):
        started = time.monotonic()
        try:
            queue.receive(timeout=0.01)
        except ipc.WaitTimeoutError:
            late.append(time.monotonic() - started - 0.01)
threads = [threading.Thread(target=wait) for _ in range(4)]
for thread in threads:
    thread.start()
wait()
for thread in threads:
    thread.join()
queue.remove()
assert not signal.sigpending()
assert len(late) == 50 and 0 <= min(late) and sorted(late)[25] < 0.1, late
"""
    assert support.python_prints(program) == ""


def test_handlers_of_real_time_signals_run_beside_it(queue: MessageQueue) -> None:
    ran: list[int] = []
    numbers = [signal.SIGRTMIN, signal.SIGRTMIN + 5, signal.SIGRTMAX, signal.SIGRTMAX - 1]
    main = threading.main_thread().ident
    assert main is not None
    before = [signal.signal(number, lambda number, _: ran.append(number)) for number in numbers]

    def send() -> None:
        for number in numbers * 5:
            time.sleep(0.005)
            signal.pthread_kill(main, number)

    sender = threading.Thread(target=send)
    try:
        sender.start()
        assert 0.3 <= elapsed(lambda timeout: queue.receive(timeout=timeout), 0.3) < 2
        sender.join()
        assert sorted(ran) == sorted(numbers * 5)
        assert ipc.wakeup_signal not in numbers
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler or signal.SIG_DFL)


def test_many_threads_wait_at_once_each_its_own_time(queue: MessageQueue) -> None:
    late: list[float] = []

    def wait(number: int) -> None:
        timeout = 0.02 + number * 0.005
        late.append(elapsed(lambda limit: queue.receive(9, timeout=limit), timeout) - timeout)

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(late) == 50
    assert min(late) >= 0
    assert statistics.median(late) < 0.3


def test_a_long_wait_costs_no_processor_time(queue: MessageQueue) -> None:
    with pytest.raises(ipc.WaitTimeoutError):
        queue.receive(timeout=0.001)
    before = resource.getrusage(resource.RUSAGE_THREAD)
    with pytest.raises(ipc.WaitTimeoutError):
        queue.receive(timeout=2)
    after = resource.getrusage(resource.RUSAGE_THREAD)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 0.02
    switches = after.ru_nvcsw - before.ru_nvcsw
    assert switches < 20


# Processes


def test_fork_during_a_wait_disturbs_neither(queue: MessageQueue) -> None:
    late: list[float] = []

    def wait() -> None:
        late.append(elapsed(lambda limit: queue.receive(timeout=limit), 0.3) - 0.3)

    thread = threading.Thread(target=wait)
    thread.start()
    support.wait_blocked(thread)

    def child() -> tuple[float, set[int], set[int]]:
        time.sleep(0.4)
        spent = elapsed(lambda limit: queue.receive(timeout=limit), 0.01)
        return spent, signal.sigpending(), signal.pthread_sigmask(signal.SIG_BLOCK, [])

    with support.Child(child) as process:
        thread.join()
        spent, pending, mask = cast("tuple[float, set[int], set[int]]", process.result())
    assert 0 <= late[0] < 0.5
    assert 0.01 <= spent < 0.2
    assert (pending, mask) == (set(), signal.pthread_sigmask(signal.SIG_BLOCK, []))


def test_new_programs_during_a_wait_run_undisturbed(queue: MessageQueue) -> None:
    late: list[float] = []

    def wait() -> None:
        late.append(elapsed(lambda limit: queue.receive(timeout=limit), 0.3) - 0.3)

    thread = threading.Thread(target=wait)
    thread.start()
    support.wait_blocked(thread)
    for _ in range(5):
        subprocess.run(["sleep", "0.1"], check=True)
    thread.join()
    assert 0 <= late[0] < 0.5


def test_a_program_that_is_replaced_during_a_wait_lives(queue: MessageQueue) -> None:
    program = f"""
import os, sys, threading, time
import sysv_ipc_rs as ipc
queue = ipc.MessageQueue.from_id({queue.id})
threading.Thread(target=lambda: queue.receive(timeout=0.05), daemon=True).start()
time.sleep(0.01)
os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(0.2); print('alive')"])
"""
    assert support.python_prints(program) == "alive\n"


def test_an_interpreter_ends_during_waits(queue: MessageQueue) -> None:
    program = f"""
import threading, time
import sysv_ipc_rs as ipc
queue = ipc.MessageQueue.from_id({queue.id})
def wait():
    while True:
        try:
            queue.receive(timeout=0.0005)
        except ipc.WaitTimeoutError:
            pass
for _ in range(8):
    threading.Thread(target=wait, daemon=True).start()
threading.Thread(target=queue.receive, daemon=True).start()
time.sleep(0.02)
"""
    for _ in range(5):
        assert support.python_prints(program) == ""


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
def test_it_ends_on_time_under_valgrind(queue: MessageQueue) -> None:
    program = f"""
import time
import sysv_ipc_rs as ipc
queue = ipc.MessageQueue.from_id({queue.id})
for timeout in (0.001, 0.3):
    started = time.monotonic()
    try:
        queue.receive(timeout=timeout)
    except ipc.WaitTimeoutError:
        print(timeout <= time.monotonic() - started < timeout + 1)
"""
    ended = subprocess.run(
        ["valgrind", "-q", "--tool=none", sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (ended.returncode, ended.stdout) == (0, "True\nTrue\n"), ended.stderr


# Where no timer is to be had


NO_TIMERS = """
import resource, signal, sys, threading, time, warnings
import sysv_ipc_rs as ipc
resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
queue = ipc.MessageQueue.create()
def elapsed(timeout):
    started = time.monotonic()
    try:
        queue.receive(timeout=timeout)
    except ipc.WaitTimeoutError:
        return time.monotonic() - started
    raise AssertionError("a message came")
"""


def test_without_timers_it_says_so_once_and_ends_on_time() -> None:
    program = """
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    late = [elapsed(0.02) - 0.02 for _ in range(11)]
    queue.max_bytes = 0
    threads = [threading.Thread(target=elapsed, args=(0.02,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
(warning,) = caught
assert issubclass(warning.category, RuntimeWarning), warning
assert "wakeup_signal" in str(warning.message)
assert warning.filename == "<string>"
assert 0 <= min(late) and sorted(late)[5] < 0.1, late
queue.remove()
"""
    assert support.python_prints(NO_TIMERS + program) == ""


def test_without_timers_a_warning_as_error_loses_nothing() -> None:
    program = """
warnings.simplefilter("error")
def send():
    time.sleep(0.05)
    queue.send(b"x")
thread = threading.Thread(target=send)
thread.start()
try:
    queue.receive(timeout=5)
    raise AssertionError("no warning")
except RuntimeWarning:
    pass
assert queue.receive(timeout=5).data == b"x"
thread.join()
queue.max_bytes = 1
queue.send(b"y")
try:
    queue.send(b"z", timeout=0.01)
except ipc.WaitTimeoutError:
    assert queue.qsize() == 1
queue.remove()
"""
    assert support.python_prints(NO_TIMERS + program) == ""


def test_without_timers_messages_come_and_signals_are_handled() -> None:
    program = """
warnings.simplefilter("ignore")
class Stop(Exception):
    pass
def stop(*_):
    raise Stop
signal.signal(signal.SIGALRM, stop)
started = time.monotonic()
try:
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    queue.receive(timeout=30)
except Stop:
    print(time.monotonic() - started < 5)
ran = []
signal.signal(signal.SIGALRM, lambda *_: ran.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
print(0.2 <= elapsed(0.2) < 2, len(ran) > 3)
signal.setitimer(signal.ITIMER_REAL, 0)
threading.Timer(0.05, queue.send, (b"x",)).start()
print(queue.receive(timeout=30).data)
threading.Timer(0.05, queue.remove).start()
try:
    queue.receive(timeout=30)
except ipc.RemovedError:
    print("removed")
"""
    printed = support.python_prints(NO_TIMERS + program)
    assert printed == "True\nTrue True\nb'x'\nremoved\n"


def test_where_no_signal_is_free_it_ends_on_time_too() -> None:
    program = """
import signal, time, warnings
import sysv_ipc_rs as ipc
for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
    signal.signal(number, lambda *_: None)
assert ipc.wakeup_signal is None
queue = ipc.MessageQueue.create()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(3):
        started = time.monotonic()
        try:
            queue.receive(timeout=0.05)
        except ipc.WaitTimeoutError:
            assert 0.05 <= time.monotonic() - started < 1
assert [warning.category for warning in caught] == [RuntimeWarning]
signal.signal(signal.SIGRTMAX - 3, signal.SIG_DFL)
assert ipc.wakeup_signal == signal.SIGRTMAX - 3
queue.remove()
"""
    assert support.python_prints(program) == ""
