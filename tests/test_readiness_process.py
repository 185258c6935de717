"""`Readiness` and its process: fork, exec, exit, and signals, none of which are its watcher's."""

import errno
import os
import resource
import select
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from test_readiness import becomes_ready, is_ready, wait_asleep

START = """
import ctypes, os, resource, select, signal, sys, threading, time
import sysv_ipc_rs as ipc
import support
queue = ipc.MessageQueue.create()
semaphore = ipc.Semaphore.create(value=0)
def threads():
    return set(map(int, os.listdir("/proc/self/task")))
def ready(readiness, seconds=30):
    return bool(select.select([readiness], [], [], seconds)[0])
def watch_and_close():
    before = threads()
    messages, units = queue.readiness(), semaphore.readiness()
    assert not ready(messages, 0.02) and not ready(units, 0)
    queue.send(b"x")
    semaphore.release()
    assert ready(messages) and ready(units)
    queue.receive()
    semaphore.acquire()
    messages.clear()
    units.clear()
    assert not ready(messages, 0.02) and not ready(units, 0)
    started = time.monotonic()
    messages.close()
    units.close()
    assert time.monotonic() - started < 1.5, "they had to give up"
    support.wait_for(lambda: threads() == before)
"""


def check(program: str) -> None:
    """Run it in a new process, which ends well and prints nothing."""
    path = f"import sys; sys.path.append({str(Path(__file__).parent)!r})"
    end = "\nqueue.remove()\nsemaphore.remove()\n"
    assert support.python_prints(path + START + program + end) == ""


def test_a_forked_child_can_only_close_it(queue: ipc.MessageQueue) -> None:
    with queue.readiness() as readiness:

        def child() -> int:
            for use in (readiness.fileno, readiness.clear, readiness.__enter__):
                with pytest.raises(RuntimeError, match="process that made it"):
                    use()
            before = len(support.descriptors())
            readiness.close()
            readiness.close()
            after = len(support.descriptors())
            with pytest.raises(ValueError, match="closed"):
                readiness.clear()
            return before - after

        assert support.in_child(child) == 1


@pytest.mark.parametrize("way", ["close", "drop", "exit", "leave with"])
def test_a_forked_child_changes_nothing_in_the_parent(way: str, queue: ipc.MessageQueue) -> None:
    readiness = queue.readiness()
    for sent in (False, True):
        if sent:
            queue.send(b"x")
            assert becomes_ready(readiness)
        pid = os.fork()
        if not pid:
            status = 1
            try:
                if way == "close":
                    readiness.close()
                elif way == "drop":
                    del readiness
                elif way == "leave with":
                    readiness.__exit__(None, None, None)
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        assert is_ready(readiness) == sent
    queue.receive()
    readiness.clear()
    assert not is_ready(readiness, 0.01)
    queue.send(b"y")
    assert becomes_ready(readiness)
    before = support.threads()
    readiness.close()
    assert len(support.threads()) == len(before) - 1


def test_a_child_that_exits_by_itself_ends_well() -> None:
    check("""
readiness = queue.readiness()
cycle = [readiness]
cycle.append(cycle)
if not os.fork():
    sys.exit(0)
assert os.wait()[1] == 0
queue.send(b"x")
assert ready(readiness)
""")


def test_a_child_forked_during_anything_can_close_it(queue: ipc.MessageQueue) -> None:
    """Also while the watcher, or another thread, has a lock."""
    with queue.readiness() as readiness:
        ended = threading.Event()

        def use() -> None:
            while not ended.is_set():
                queue.send(b"x")
                queue.receive()
                readiness.clear()

        user = threading.Thread(target=use)
        user.start()
        try:
            for _ in range(50):
                support.in_child(readiness.close)
        finally:
            ended.set()
            user.join()


def test_a_child_makes_its_own(queue: ipc.MessageQueue) -> None:
    with queue.readiness() as readiness:

        def child() -> bool:
            with queue.readiness() as own:
                queue.send(b"x")
                return becomes_ready(own)

        assert support.in_child(child)
        assert becomes_ready(readiness)


def test_a_new_program_does_not_inherit_the_descriptor(queue: ipc.MessageQueue) -> None:
    with queue.readiness() as readiness:
        assert not os.get_inheritable(readiness.fileno())
    check("""
queue.remove()
semaphore.remove()
readiness = ipc.MessageQueue.create(1234567).readiness()
semaphore = ipc.Semaphore.create(1234567)
test = "import os, sys; sys.exit(os.path.exists('/proc/self/fd/' + sys.argv[1]))"
test += "; " + "import sysv_ipc_rs as ipc"
again = [sys.executable, "-c", '''
import os, sys
import sysv_ipc_rs as ipc
assert not os.path.exists("/proc/self/fd/" + sys.argv[1])
assert len(os.listdir("/proc/self/task")) == 1
ipc.MessageQueue.open(1234567).remove()
ipc.Semaphore.open(1234567).remove()
''', str(readiness.fileno())]
os.execv(sys.executable, again)
""")


@pytest.mark.parametrize("kept", ["module", "cycle", "thread", "builtins"])
def test_the_interpreter_ends_well_while_it_sleeps(kept: str) -> None:
    check(
        """
readiness = queue.readiness(), semaphore.readiness()
"""
        + {
            "module": "",
            "cycle": "cycle = [readiness]; cycle.append(cycle)",
            "thread": """
def wait():
    while True:
        select.select(readiness, [], [])
threading.Thread(target=wait, daemon=True).start()
""",
            "builtins": "import builtins; builtins.readiness = readiness",
        }[kept]
    )


def test_without_a_free_signal_it_works_all_the_same() -> None:
    check("""
for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
    signal.signal(number, lambda *_: None)
assert ipc.wakeup_signal is None
watch_and_close()
""")


@pytest.mark.parametrize("signals", [0, 1])
def test_where_no_signal_can_be_queued_it_works_all_the_same(signals: int) -> None:
    check(f"""
resource.setrlimit(resource.RLIMIT_SIGPENDING, ({signals}, {signals}))
watch_and_close()
""")


def test_where_no_thread_is_to_be_had_it_says_so_and_leaves_nothing(
    queue: ipc.MessageQueue,
) -> None:
    queue.chmod(0o666)

    def refused() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        before = support.descriptors()
        with pytest.raises(ipc.LimitExceededError, match="RLIMIT_NPROC") as caught:
            queue.readiness()
        assert (caught.value.errno, caught.value.call) == (errno.EAGAIN, "pthread_create")
        assert support.descriptors() == before

    # Root has no such limit; nobody else is this user.
    support.in_child(refused, 65_432)


def test_a_program_may_reset_all_handlers_while_it_sleeps() -> None:
    check("""
before = threads()
readiness = queue.readiness(), semaphore.readiness()
for thread in threads() - before:
    support.wait_for(lambda: support.blocked(os.getpid(), thread))
libc = ctypes.CDLL(None)
for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
    libc.signal(number, 0)
started = time.monotonic()
for one in readiness:
    one.close()
assert time.monotonic() - started < 1.5, "they had to give up"
support.wait_for(lambda: threads() == before)
watch_and_close()
""")


def test_a_program_may_take_the_signal_for_itself_while_it_sleeps() -> None:
    check("""
before = threads()
readiness = queue.readiness()
(thread,) = threads() - before
support.wait_for(lambda: support.blocked(os.getpid(), thread))
got = []
signal.signal(ipc.wakeup_signal, lambda *_: got.append(_))
readiness.close()
assert not got, "the program never sees it"
queue.send(b"x")
support.wait_for(lambda: threads() == before, "the watcher ends when the kernel lets it go")
queue.receive()
watch_and_close()
""")


def test_no_signal_of_the_program_is_ever_handled_on_the_watcher(queue: ipc.MessageQueue) -> None:
    before = support.threads()
    with queue.readiness():
        (thread,) = support.threads() - before
        wait_asleep(thread)
        status = Path(f"/proc/self/task/{thread}/status").read_text()
        blocked = int(status.split("SigBlk:")[1].split()[0], 16)
    # SIGKILL and SIGSTOP can't be blocked; 32 and 33 are the C library's.
    free = {number for number in range(1, 65) if not blocked >> (number - 1) & 1}
    assert free == {signal.SIGKILL, signal.SIGSTOP, 32, 33, ipc.wakeup_signal}


def test_making_one_leaves_the_callers_mask_as_it_was(queue: ipc.MessageQueue) -> None:
    mine = {signal.SIGUSR2, signal.SIGRTMIN + 5}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, mine)
    try:
        with queue.readiness():
            assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before | mine
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_it_survives_stop_and_continue(queue: ipc.MessageQueue, semaphore: ipc.Semaphore) -> None:
    semaphore.acquire()
    reader, writer = os.pipe()

    def child() -> bool:
        with queue.readiness() as messages, semaphore.readiness() as units:
            for _ in range(3):
                os.write(writer, b"x")
                os.kill(os.getpid(), signal.SIGSTOP)
            assert not select.select([messages, units], [], [], 0)[0]
            os.write(writer, b"x")
            return becomes_ready(messages) and becomes_ready(units)

    try:
        with support.Child(child) as watcher:
            for _ in range(3):
                os.read(reader, 1)
                support.wait_for(lambda: support.state(watcher.pid) == "T")
                watcher.kill(signal.SIGCONT)
            os.read(reader, 1)
            queue.send(b"x")
            semaphore.release()
            assert watcher.result()
    finally:
        os.close(reader)
        os.close(writer)


def test_a_busy_interpreter_does_not_keep_it_from_seeing(queue: ipc.MessageQueue) -> None:
    """The watcher never touches Python: the descriptor is readable while Python is busy."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10)
    try:
        with queue.readiness() as readiness:
            poll = select.poll()
            poll.register(readiness, select.POLLIN)
            queue.send(b"x")
            started = time.monotonic()
            while time.monotonic() - started < 5 and not poll.poll(0):
                pass
            assert time.monotonic() - started < 5
    finally:
        sys.setswitchinterval(interval)
