"""Messages of any size: empty ones, large ones, and those that are too large for the caller."""

import random
import resource
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Message, MessageQueue

MIB = 1024 * 1024
SIZES = [0, 1, 7, 8, 8191, 8192, 8193, 16_000, 65_535, 65_536, 65_537, 524_289, MIB, 5 * MIB + 3]


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def limits(**values: int) -> None:
    for name, value in values.items():
        Path("/proc/sys/kernel", name).write_text(str(value))


def test_messages_of_any_size_come_through_whole() -> None:
    def inside() -> None:
        queue = MessageQueue.create()
        for size in SIZES:
            data = noise(size)
            queue.send(data, 5)
            assert queue.receive() == Message(5, data)
            queue.send(bytearray(data), 5)
            assert queue.try_receive(5) == Message(5, data)
            assert queue.try_send(memoryview(data), 6)
            assert queue.receive(timeout=1).data == data
            assert queue.send_many([data, (7, data)]) == 2
            assert queue.peek(1) == Message(7, data)
            assert queue.receive_many(5) == [Message(1, data), Message(7, data)]
            queue.send(data)
            buffer = bytearray(size + 5)
            assert queue.receive_into(buffer) == (1, size)
            assert buffer == data + bytes(5)
            queue.send(data)
            assert queue.try_receive_into(buffer) == (1, size)

    support.in_namespace(inside, msgmax=8 * MIB, msgmnb=64 * MIB)


def test_messages_of_different_sizes_mix() -> None:
    def inside() -> None:
        queue = MessageQueue.create()
        texts = [noise(size) for size in [*SIZES, *reversed(SIZES)]]
        assert queue.send_many(texts) == len(texts)
        assert [message.data for message in queue.receive_many(1000)] == texts
        assert queue.send_many(texts) == len(texts)
        assert [message.data for message in queue.messages(timeout=0)] == texts

    support.in_namespace(inside, msgmax=8 * MIB, msgmnb=64 * MIB)


def test_a_large_message_reaches_one_who_waits_already() -> None:
    def inside() -> None:
        queue = MessageQueue.create()
        data = noise(3 * MIB)
        for timeout in (None, 30):
            with support.Child(partial(queue.receive, timeout=timeout)) as child:
                support.wait_blocked(child.pid)
                queue.send(data, 2)
                assert child.result() == Message(2, data)

    support.in_namespace(inside, msgmax=8 * MIB, msgmnb=64 * MIB)


def test_lowering_msgmax_loses_nothing_that_is_queued() -> None:
    def inside() -> None:
        queue = MessageQueue.create()
        data = noise(MIB)
        queue.send_many([data] * 4)
        limits(msgmax=100)
        with pytest.raises(ipc.MessageTooBigError, match=r"MSGMAX is 100\b") as caught:
            queue.peek()
        assert caught.value.call == "msgrcv"
        with pytest.raises(ipc.MessageTooBigError):
            queue.send(b"x" * 101)
        queue.send(b"x" * 100)
        assert queue.receive().data == data
        buffer = bytearray(MIB)
        assert queue.receive_into(buffer) == (1, MIB)
        assert buffer == data
        assert queue.receive(max_size=10, truncate=True).data == data[:10]
        assert [len(message.data) for message in queue.receive_many(5)] == [MIB, 100]

    support.in_namespace(inside, msgmax=MIB, msgmnb=8 * MIB)


def test_raising_msgmax_needs_no_new_handle() -> None:
    def inside() -> None:
        queue = MessageQueue.create(max_bytes=MIB)
        with pytest.raises(ipc.MessageTooBigError):
            queue.send(b"x" * 101)
        limits(msgmax=MIB)
        queue.send(noise(MIB))
        assert queue.receive().data == noise(MIB)

    support.in_namespace(inside, msgmax=100, msgmnb=MIB)


# max_size and truncate


@pytest.mark.parametrize("max_size", [3, 4, 8192, 10**6, sys.maxsize, 2**63, 2**64 - 1, None])
@pytest.mark.parametrize("truncate", [False, True])
def test_a_message_that_fits_is_taken_whole(
    queue: MessageQueue, max_size: int | None, truncate: bool
) -> None:
    queue.send(b"abc")
    assert queue.receive(max_size=max_size, truncate=truncate).data == b"abc"
    queue.send(b"abc")
    message = queue.try_receive(max_size=max_size, truncate=truncate)
    assert message == Message(1, b"abc")


@pytest.mark.parametrize("max_size", [0, 1, 2])
def test_a_message_that_is_too_big_stays(queue: MessageQueue, max_size: int) -> None:
    queue.send(b"abc", 5)
    queue.send(b"", 6)
    for take in (
        lambda: queue.receive(max_size=max_size),
        lambda: queue.receive(max_size=max_size, timeout=5),
        lambda: queue.receive(5, max_size=max_size, timeout=0),
        lambda: queue.try_receive(max_size=max_size),
        lambda: queue.receive_into(bytearray(max_size)),
        lambda: queue.receive_into(bytearray(max_size), timeout=5),
        lambda: queue.try_receive_into(bytearray(max_size)),
    ):
        with pytest.raises(ipc.MessageTooBigError, match=f"than {max_size} bytes") as caught:
            take()
        assert (caught.value.errno, caught.value.call) == (7, "msgrcv")
        assert queue.qsize() == 2
    # It stands in the way of smaller ones behind it, but not of those of other types.
    assert queue.receive(6, max_size=max_size).data == b""
    assert queue.receive().data == b"abc"


@pytest.mark.parametrize("max_size", [0, 1, 2])
def test_truncate_cuts_and_drops_the_rest(queue: MessageQueue, max_size: int) -> None:
    for _ in range(4):
        queue.send(b"abc", 5)
    assert queue.receive(max_size=max_size, truncate=True) == Message(5, b"abc"[:max_size])
    assert queue.try_receive(max_size=max_size, truncate=True) == Message(5, b"abc"[:max_size])
    for receive in (queue.receive_into, queue.try_receive_into):
        buffer = bytearray(max_size)
        assert receive(buffer, truncate=True) == (5, max_size)
        assert buffer == b"abc"[:max_size]
    assert (queue.qsize(), queue.stat().current_bytes) == (0, 0)


def test_truncate_without_max_size_cuts_nothing(queue: MessageQueue) -> None:
    queue.send(b"x" * 8192)
    assert len(queue.receive(truncate=True).data) == 8192


@pytest.mark.parametrize("max_size", [8192, 8193, 65_536, 65_537, 100_000, 199_999])
def test_large_messages_are_cut_and_refused_likewise(max_size: int) -> None:
    def inside() -> None:
        queue = MessageQueue.create()
        data = noise(200_000)
        queue.send_many([data] * 3)
        with pytest.raises(ipc.MessageTooBigError):
            queue.receive(max_size=max_size)
        with pytest.raises(ipc.MessageTooBigError):
            queue.receive_into(bytearray(max_size))
        assert queue.qsize() == 3
        assert queue.receive(max_size=max_size, truncate=True).data == data[:max_size]
        buffer = bytearray(max_size)
        assert queue.receive_into(buffer, truncate=True) == (1, max_size)
        assert buffer == data[:max_size]
        assert queue.receive(max_size=200_000, truncate=True).data == data

    support.in_namespace(inside, msgmax=MIB, msgmnb=8 * MIB)


@pytest.mark.parametrize("bad", [-1, -(2**63), 2**64, 10**30])
def test_max_size_has_a_range(queue: MessageQueue, bad: int) -> None:
    queue.send(b"x")
    for take in (queue.receive, queue.try_receive):
        with pytest.raises((ValueError, OverflowError), match="max_size"):
            take(max_size=bad)
    assert queue.qsize() == 1


@pytest.mark.parametrize("bad", [1.0, "1", b"1"])
def test_max_size_is_an_int(queue: MessageQueue, bad: Any) -> None:
    queue.send(b"x")
    for take in (queue.receive, queue.try_receive):
        with pytest.raises(TypeError):
            take(max_size=bad)
    assert queue.qsize() == 1


def test_a_waiting_receiver_with_too_little_room_leaves_the_message(queue: MessageQueue) -> None:
    with support.Child(lambda: queue.receive(max_size=2)) as child:
        support.wait_blocked(child.pid)
        queue.send(b"abc")
        with pytest.raises(ipc.MessageTooBigError):
            child.result()
    assert queue.receive().data == b"abc"


def test_room_for_a_large_message_is_not_room_for_the_largest() -> None:
    """With 64 MiB of address space left, a message of 5 MiB can be received."""

    def inside() -> None:
        queue = MessageQueue.create()
        data = noise(5 * MIB)
        queue.send(data)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 64 * MIB, resource.RLIM_INFINITY))
        assert queue.receive().data == data

    support.in_namespace(inside, msgmax=8 * MIB, msgmnb=64 * MIB)
