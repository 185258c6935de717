"""Without memory no message is lost: it stays in the queue, or goes back."""

import resource
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import MessageQueue

_testcapi = pytest.importorskip("_testcapi")

MIB = 1024 * 1024
# More than the C library may have in reserve for each thread, which is 64 MiB.
LARGE = 80 * MIB
DATA = bytes(range(256)) * 12
TYPE = 12345678901


def without_memory(call: Callable[[], object], first: int, last: int) -> object:
    """Call it while Python's allocations from the first to the last fail; `None` if it fails."""
    _testcapi.set_nomemory(first, last)
    try:
        return call()
    except MemoryError:
        return None
    finally:
        _testcapi.remove_mem_hooks()


def drain(queue: MessageQueue) -> list[ipc.Message]:
    """What is left. An error that came too late for the last call comes now."""
    with suppress(MemoryError):
        queue.try_receive(9)
    return list(queue.messages(timeout=0))


@contextmanager
def little_memory(room: int) -> Iterator[None]:
    """So many MiB of address space are left."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    unlimited = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (used + room * MIB, unlimited))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (unlimited, unlimited))


TAKES: dict[str, Callable[[MessageQueue], Callable[[], object]]] = {
    "receive": lambda queue: queue.receive,
    "timed receive": lambda queue: lambda: queue.receive(TYPE, timeout=1.5),
    "try_receive": lambda queue: queue.try_receive,
    "receive_into": lambda queue: partial(queue.receive_into, bytearray(5000)),
    "try_receive_into": lambda queue: partial(queue.try_receive_into, bytearray(5000)),
    "receive_many": lambda queue: lambda: queue.receive_many(1),
    "messages": lambda queue: queue.messages().__next__,
}


@pytest.mark.parametrize("take", TAKES)
@pytest.mark.parametrize("lasting", [False, True])
def test_a_message_is_received_or_still_there(
    queue: MessageQueue, take: str, lasting: bool
) -> None:
    call = TAKES[take](queue)
    outcomes = set()
    for first in range(30):
        queue.send(DATA, TYPE)
        got = without_memory(call, first, 0 if lasting else first + 1)
        left = drain(queue)
        assert len(left) == (got is None)
        assert left in ([], [ipc.Message(TYPE, DATA)])
        outcomes.add(got is None)
    assert outcomes == {False, True}


def test_receive_many_gives_what_it_has_and_leaves_the_rest(queue: MessageQueue) -> None:
    counts = set()
    for first in range(40):
        queue.send_many([(TYPE + number, DATA) for number in range(4)])
        got = without_memory(lambda: queue.receive_many(9), first, first + 1)
        taken = got if isinstance(got, list) else []
        left = drain(queue)
        assert sorted(message.type - TYPE for message in [*taken, *left]) == [0, 1, 2, 3]
        counts.add(len(taken))
    assert counts >= {0, 1, 4}


SENDS: dict[str, Callable[[MessageQueue], object]] = {
    "send": lambda queue: queue.send(DATA, TYPE),
    "send a bytearray": lambda queue: queue.send(bytearray(DATA), TYPE),
    "try_send": lambda queue: queue.try_send(memoryview(DATA), TYPE),
    "send_many": lambda queue: queue.send_many([(TYPE, DATA), [TYPE, bytearray(DATA)]]),
}


@pytest.mark.parametrize("send", SENDS)
def test_a_message_is_sent_or_it_is_not(queue: MessageQueue, send: str) -> None:
    full = 2 if send == "send_many" else 1
    for first in range(30):
        # The tuple is made afterwards: that may fail too.
        done = without_memory(lambda: (SENDS[send](queue),), first, first + 1)
        left = drain(queue)
        assert len(left) == full or (done is None and not left)
        assert all(message == ipc.Message(TYPE, DATA) for message in left)


# mimalloc, which such builds use, takes address space in advance.
needs_malloc = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="a limit to memory is not felt here"
)


@needs_malloc
def test_a_message_that_memory_has_no_room_for_goes_back() -> None:
    """An address space too small for a second copy, and then too small for the first."""

    def inside() -> None:
        queue = MessageQueue.create()
        data = bytes(range(256)) * (LARGE // 256)
        buffer = bytearray(LARGE)
        queue.send(data, 5)
        takes: list[Callable[[], object]] = [
            queue.receive,
            lambda: queue.receive(timeout=1),
            queue.try_receive,
            lambda: queue.receive_many(3),
            lambda: next(queue.messages()),
        ]
        for room in (120, 40):
            for take in takes:
                with little_memory(room), pytest.raises(MemoryError):
                    take()
                assert queue.qsize() == 1
        sends: list[Callable[[], object]] = [
            lambda: queue.send(data),
            lambda: queue.try_send(data),
            lambda: queue.send_many([data]),
            lambda: ipc.Message(1, buffer),
            queue.peek,
        ]
        for send in sends:
            with little_memory(40), pytest.raises(MemoryError):
                send()
        assert queue.qsize() == 1
        assert queue.receive_into(buffer) == (5, len(data))
        assert buffer == data

    support.in_namespace(inside, msgmax=LARGE, msgmnb=LARGE)


@needs_malloc
def test_a_message_that_can_not_go_back_is_said_to_be_lost() -> None:
    def inside() -> None:
        queue = MessageQueue.create()
        queue.send(bytes(LARGE), 5)
        # Nothing of that size can be sent any more.
        Path("/proc/sys/kernel/msgmax").write_text("8192")
        with (
            little_memory(120),
            pytest.raises(MemoryError, match=f"type 5 and {LARGE} bytes is lost"),
        ):
            queue.receive()

    support.in_namespace(inside, msgmax=LARGE, msgmnb=LARGE)


def test_an_endless_iterable_is_no_crash() -> None:
    def inside() -> None:
        queue = MessageQueue.create()
        with little_memory(48), pytest.raises(MemoryError):
            queue.send_many(iter(lambda: b"x", None))
        assert queue.qsize() == 0

    support.in_namespace(inside)
