"""How much a queue may hold, and messages that never fit."""

from collections.abc import Callable
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import MessageQueue


def test_max_bytes_can_be_set(queue: MessageQueue) -> None:
    for value in (0, 1, 1000):
        queue.max_bytes = value
        assert queue.max_bytes == queue.stat().max_bytes == value


def test_create_sets_max_bytes() -> None:
    queue = MessageQueue.create(max_bytes=77)
    try:
        assert queue.max_bytes == 77
    finally:
        queue.remove()


@pytest.mark.parametrize("bad", [-1, 2**31, 2**32 + 5, 2**40, 2**64, 10**30])
def test_max_bytes_out_of_range_changes_and_makes_nothing(queue: MessageQueue, bad: int) -> None:
    before = queue.max_bytes
    key = support.free_key()
    for call in (
        lambda: setattr(queue, "max_bytes", bad),
        lambda: MessageQueue.create(key, max_bytes=bad),
        lambda: MessageQueue.open_or_create(key, max_bytes=bad),
    ):
        with pytest.raises((ValueError, OverflowError), match=r"max_bytes.*0 to 2147483647"):
            call()
    assert queue.max_bytes == before
    with pytest.raises(ipc.NotFoundError):
        MessageQueue.open(key)


@pytest.mark.parametrize("bad", [1.5, "1", b"1"])
def test_max_bytes_is_an_int(queue: MessageQueue, bad: Any) -> None:
    with pytest.raises(TypeError):
        queue.max_bytes = bad
    with pytest.raises(TypeError):
        MessageQueue.create(max_bytes=bad)
    with pytest.raises((TypeError, AttributeError)):
        del queue.max_bytes


@pytest.mark.skipif(support.has_capability(24), reason="CAP_SYS_RESOURCE")
def test_more_than_msgmnb_needs_a_privilege_and_leaves_nothing() -> None:
    def above() -> None:
        key = support.free_key()
        queue = MessageQueue.create()
        queue.max_bytes = 1000
        with pytest.raises(ipc.AccessDeniedError, match=r"MSGMNB.*1000") as caught:
            queue.max_bytes = 1001
        assert caught.value.errno == 1
        assert "/proc/sys/kernel/msgmnb" in str(caught.value)
        assert queue.max_bytes == 1000
        for make in (MessageQueue.create, MessageQueue.open_or_create):
            with pytest.raises(ipc.AccessDeniedError):
                make(key, max_bytes=1001)
            with pytest.raises(ipc.NotFoundError):
                MessageQueue.open(key)

    support.in_namespace(above, msgmnb=1000)


def test_lowering_max_bytes_keeps_what_is_queued(queue: MessageQueue) -> None:
    queue.send(b"x" * 100)
    queue.max_bytes = 10
    assert queue.stat().current_bytes == 100
    assert queue.try_send(b"y") is False
    assert queue.receive().data == b"x" * 100
    assert queue.try_send(b"y") is True


def test_empty_messages_count_too(queue: MessageQueue) -> None:
    queue.max_bytes = 3
    assert queue.send_many([b""] * 5, timeout=0) == 3
    assert (queue.qsize(), queue.stat().current_bytes) == (3, 0)
    queue.max_bytes = 0
    assert queue.receive().data == b""


def test_a_full_queue_by_bytes_takes_empty_messages_still(queue: MessageQueue) -> None:
    queue.max_bytes = 10
    queue.send(b"x" * 10)
    assert queue.try_send(b"y") is False
    assert queue.try_send(b"") is True


# Messages that can never fit


def never_fitting(queue: MessageQueue, data: bytes) -> list[Callable[[], object]]:
    return [
        lambda: queue.send(data),
        lambda: queue.send(data, timeout=0),
        lambda: queue.send(data, timeout=100),
        lambda: queue.try_send(data),
        lambda: queue.send_many([b"fits", data]),
        lambda: queue.send_many([data], timeout=0),
    ]


def test_a_message_over_max_bytes_is_refused_before_any_wait(queue: MessageQueue) -> None:
    queue.max_bytes = 10
    for call in never_fitting(queue, b"x" * 11):
        with pytest.raises(ipc.MessageTooBigError, match=r"11.*10") as caught:
            call()
        assert isinstance(caught.value, ipc.LimitExceededError)
        assert caught.value.call == "msgsnd"
        assert queue.qsize() == 0
    queue.send(b"x" * 10)
    for call in never_fitting(queue, b"x" * 11):
        with pytest.raises(ipc.MessageTooBigError):
            call()
    assert queue.qsize() == 1


@pytest.mark.parametrize("excess", [1, 100_000, 10**8])
def test_a_message_over_msgmax_is_refused(queue: MessageQueue, excess: int) -> None:
    with open("/proc/sys/kernel/msgmax") as file:
        msgmax = int(file.read())
    data = bytes(msgmax + excess)
    for call in never_fitting(queue, data):
        with pytest.raises(ipc.MessageTooBigError, match="MSGMAX") as caught:
            call()
        assert str(msgmax) in str(caught.value)
        assert str(len(data)) in str(caught.value)
        assert "/proc/sys/kernel/msgmax" in str(caught.value)
        assert queue.qsize() == 0


def test_the_limit_on_queues_is_named() -> None:
    def fill() -> None:
        key = support.free_key()
        for _ in range(3):
            MessageQueue.create()
        for make in (MessageQueue.create, MessageQueue.open_or_create):
            with pytest.raises(ipc.LimitExceededError, match=r"MSGMNI.*3.*3 used") as caught:
                make(key)
            assert "/proc/sys/kernel/msgmni" in str(caught.value)
            assert caught.value.errno == 28
            assert caught.value.call == "msgget"
        with pytest.raises(ipc.NotFoundError):
            MessageQueue.open(key)

    support.in_namespace(fill, msgmni=3)
