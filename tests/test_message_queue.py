"""MessageQueue: the handle, the object behind it, and its control calls."""

import copy
import gc
import os
import pickle
import random
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import IPC_PRIVATE, MessageQueue, MessageQueueStat


def test_a_new_queue_is_empty_and_ours(queue: MessageQueue) -> None:
    stat = queue.stat()
    assert (stat.key, stat.id) == (IPC_PRIVATE, queue.id)
    assert (stat.messages, stat.current_bytes, stat.max_bytes) == (0, 0, queue.max_bytes)
    assert (stat.last_send_pid, stat.last_receive_pid, stat.stime, stat.rtime) == (0, 0, 0, 0)
    assert (stat.uid, stat.gid) == (stat.cuid, stat.cgid) == (os.geteuid(), os.getegid())
    assert stat.mode == 0o600
    assert abs(stat.ctime - time.time()) < 10


def test_stat_follows_what_is_sent_and_received(queue: MessageQueue) -> None:
    queue.send(b"four")
    queue.send(b"")
    stat = queue.stat()
    assert (stat.messages, stat.current_bytes) == (2, 4)
    assert (stat.last_send_pid, stat.last_receive_pid, stat.rtime) == (os.getpid(), 0, 0)
    assert abs(stat.stime - time.time()) < 10
    queue.receive()
    stat = queue.stat()
    assert (stat.messages, stat.current_bytes) == (1, 0)
    assert stat.last_receive_pid == os.getpid()
    assert abs(stat.rtime - time.time()) < 10


def test_stat_is_a_frozen_picklable_value(queue: MessageQueue) -> None:
    stat = queue.stat()
    assert stat == queue.stat()
    assert hash(stat) == hash(queue.stat())
    assert pickle.loads(pickle.dumps(stat)) == stat
    assert copy.copy(stat) == stat
    fields = stat._asdict()
    assert MessageQueueStat(**fields) == stat
    assert list(fields) == list(MessageQueueStat.__match_args__)
    assert all(type(value) is int for value in fields.values())
    assert stat._replace(messages=9).messages == 9
    with pytest.raises(AttributeError):
        stat.messages = 3  # type: ignore[misc]


def test_private_queues_differ() -> None:
    one, other = MessageQueue.create(), MessageQueue.create(IPC_PRIVATE)
    try:
        assert one != other
        assert one.id != other.id
        assert one.key == other.key == IPC_PRIVATE
    finally:
        one.remove()
        other.remove()


def test_create_makes_a_new_queue_or_fails() -> None:
    key = support.free_key()
    queue = MessageQueue.create(key, mode=0o640)
    try:
        assert queue.key == key
        assert queue.stat().key == key
        assert queue.stat().mode == 0o640
        with pytest.raises(ipc.AlreadyExistsError) as caught:
            MessageQueue.create(key)
        assert isinstance(caught.value, FileExistsError)
        assert caught.value.call == "msgget"
        assert f"{key:#010x}" in str(caught.value)
        assert MessageQueue.open(key).id == queue.id
        assert MessageQueue.open(key) == queue
    finally:
        queue.remove()
    with pytest.raises(ipc.NotFoundError) as missing:
        MessageQueue.open(key)
    assert f"{key:#010x}" in str(missing.value)


def test_open_or_create_does_one_of_both() -> None:
    key = support.free_key()
    made = MessageQueue.open_or_create(key, mode=0o620, max_bytes=100)
    try:
        assert (made.stat().mode, made.max_bytes) == (0o620, 100)
        found = MessageQueue.open_or_create(key, mode=0o666, max_bytes=5, owner=os.geteuid())
        assert found == made
        assert (made.stat().mode, made.max_bytes) == (0o620, 100)
    finally:
        made.remove()


def test_open_or_create_makes_nothing_for_another_owner() -> None:
    key = support.free_key()
    with pytest.raises(ipc.NotFoundError):
        MessageQueue.open_or_create(key, owner=os.geteuid() + 1)
    with pytest.raises(ipc.NotFoundError):
        MessageQueue.open(key)


def test_from_id_finds_the_same_queue(queue: MessageQueue) -> None:
    found = MessageQueue.from_id(queue.id)
    assert found == queue
    assert found.key == queue.key
    assert MessageQueue.from_id(queue.id, owner=os.geteuid()) == queue


def test_removal_is_explicit_and_a_second_one_raises(queue: MessageQueue) -> None:
    again = MessageQueue.from_id(queue.id)
    del again
    gc.collect()
    assert queue.qsize() == 0
    queue.remove()
    with pytest.raises(ipc.RemovedError) as caught:
        queue.remove()
    assert caught.value.errno == 43
    assert str(queue.id) in str(caught.value)


def removed_calls(queue: MessageQueue) -> list[Callable[[], object]]:
    return [
        lambda: queue.send(b"x"),
        lambda: queue.send(b""),
        lambda: queue.send(b"x", timeout=0),
        lambda: queue.send(b"x", timeout=0.01),
        lambda: queue.try_send(b"x"),
        lambda: queue.send(bytes(10**6)),
        lambda: queue.send_many([b"x"]),
        queue.receive,
        lambda: queue.receive(timeout=0.01),
        queue.try_receive,
        lambda: queue.receive_into(bytearray(1)),
        lambda: queue.try_receive_into(bytearray(1)),
        lambda: queue.receive_many(1),
        lambda: next(queue.messages()),
        lambda: next(queue.messages(timeout=0)),
        queue.peek,
        queue.qsize,
        queue.stat,
        lambda: queue.max_bytes,
        lambda: setattr(queue, "max_bytes", 1),
        lambda: queue.chmod(0o600),
        queue.chown,
        queue.remove,
        lambda: MessageQueue.from_id(queue.id),
        lambda: MessageQueue.from_id(queue.id, owner=0),
        lambda: pickle.loads(pickle.dumps(queue)),
        queue.readiness,
    ]


def test_every_call_on_a_removed_queue_says_removed(queue: MessageQueue) -> None:
    queue.remove()
    for call in removed_calls(queue):
        with pytest.raises(ipc.RemovedError) as caught:
            call()
        assert caught.value.errno == 43
        assert isinstance(caught.value, ipc.ExistenceError)


def test_a_new_queue_with_the_old_key_is_another() -> None:
    key = support.free_key()
    old = MessageQueue.create(key)
    old.send(b"lost with it")
    old.remove()
    new = MessageQueue.create(key)
    try:
        assert new != old
        assert new.qsize() == 0
        with pytest.raises(ipc.RemovedError):
            old.try_receive()
        with pytest.raises(ipc.RemovedError):
            old.remove()
        assert new.qsize() == 0
    finally:
        new.remove()


def test_handles_are_equal_by_id_and_always_true(queue: MessageQueue) -> None:
    other = MessageQueue.from_id(queue.id)
    assert queue == other
    assert (queue != other) is False
    assert hash(queue) == hash(other)
    assert len({queue, other}) == 1
    assert queue != queue.id
    assert queue
    semaphore = ipc.Semaphore.create()
    try:
        assert queue != semaphore
    finally:
        semaphore.remove()


def test_repr_shows_key_and_id_without_a_system_call() -> None:
    queue = MessageQueue.create(key := support.free_key())
    queue.remove()
    assert repr(queue) == f"MessageQueue(key={key:#010x}, id={queue.id})"


def test_there_is_no_constructor_and_no_subclass(queue: MessageQueue) -> None:
    with pytest.raises(TypeError, match=r"create.*open"):
        MessageQueue()
    with pytest.raises(TypeError, match=r"create.*open"):
        MessageQueue(1, key=2)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        type("Mine", (MessageQueue,), {})
    with pytest.raises(TypeError):
        object.__new__(MessageQueue)
    with pytest.raises(AttributeError):
        queue.other = 1  # type: ignore[attr-defined]


def test_handles_can_be_weakly_referenced(queue: MessageQueue) -> None:
    handle = MessageQueue.from_id(queue.id)
    reference = weakref.ref(handle)
    assert reference() is handle
    del handle
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_handle_opens_the_same_queue(queue: MessageQueue, protocol: int) -> None:
    assert pickle.loads(pickle.dumps(queue, protocol)) == queue
    key = support.free_key()
    with_key = MessageQueue.create(key)
    try:
        copied = copy.deepcopy(with_key)
        assert (copied.key, copied.id) == (key, with_key.id)
    finally:
        with_key.remove()


def test_a_pickled_handle_does_not_open_another_queue_with_its_id(queue: MessageQueue) -> None:
    function, (number, key) = queue.__reduce__()
    assert function(number, key) == queue
    with pytest.raises(ipc.RemovedError):
        function(number, key + 1)


def test_a_handle_works_in_a_spawned_process(queue: MessageQueue) -> None:
    queue.send(b"ping", 5)
    program = (
        "import pickle, sys; queue = pickle.load(sys.stdin.buffer);"
        "queue.send(queue.receive(5).data + b' pong', 6)"
    )
    subprocess.run([sys.executable, "-c", program], input=pickle.dumps(queue), check=True)
    assert queue.receive(6).data == b"ping pong"


def test_the_queue_has_no_length_iteration_or_membership(queue: MessageQueue) -> None:
    container: Any = queue
    queue.send(b"x")
    with pytest.raises(TypeError):
        len(container)
    with pytest.raises(TypeError):
        iter(container)
    with pytest.raises(TypeError):
        b"x" in container  # noqa: B015
    with pytest.raises(TypeError):
        container[0]
    assert queue.qsize() == 1


def test_messages_come_in_the_order_of_sending(queue: MessageQueue) -> None:
    for number in range(100):
        queue.send(b"%d" % number, number + 1)
    assert queue.qsize() == 100
    assert [queue.receive() for _ in range(100)] == [
        ipc.Message(number + 1, b"%d" % number) for number in range(100)
    ]


def test_try_twins_never_wait(queue: MessageQueue) -> None:
    assert queue.try_receive() is None
    assert queue.try_receive_into(bytearray(5)) is None
    queue.max_bytes = 3
    assert queue.try_send(b"abc") is True
    assert queue.try_send(b"d", 7) is False
    assert queue.qsize() == 1
    assert queue.try_receive(2) is None
    assert queue.try_receive() == ipc.Message(1, b"abc")
    assert queue.try_send(b"abc") is True
    into = bytearray(5)
    assert queue.try_receive_into(into) == (1, 3)
    assert into == b"abc\0\0"


def test_send_returns_nothing(queue: MessageQueue) -> None:
    sent: object = queue.send(b"x")  # type: ignore[func-returns-value]
    assert sent is None


def test_a_call_with_timeout_0_tries_once(queue: MessageQueue) -> None:
    for receive in (
        lambda: queue.receive(timeout=0),
        lambda: queue.receive_into(bytearray(1), timeout=0),
        lambda: queue.receive_many(1, timeout=0),
    ):
        with pytest.raises(ipc.WaitTimeoutError) as caught:
            receive()
        assert isinstance(caught.value, TimeoutError)
        assert (caught.value.errno, caught.value.call) == (110, "msgrcv")
    queue.max_bytes = 1
    queue.send(b"x", timeout=0)
    with pytest.raises(ipc.WaitTimeoutError) as full:
        queue.send(b"y", timeout=0)
    assert (full.value.errno, full.value.call) == (110, "msgsnd")
    with pytest.raises(ipc.WaitTimeoutError):
        queue.send_many([b"y"], timeout=0)
    assert queue.receive(timeout=0).data == b"x"


@pytest.mark.parametrize("bad", [0, -1, -(2**63), 2**63, 2**200, -(2**63) - 1])
def test_types_to_send_are_above_0(queue: MessageQueue, bad: int) -> None:
    for send in (
        lambda: queue.send(b"x", bad),
        lambda: queue.send(b"x", type=bad),
        lambda: queue.try_send(b"x", bad),
        lambda: queue.send_many([b"x"], bad),
        lambda: queue.send_many([b"x", (bad, b"x")]),
        lambda: ipc.Message(bad, b"x"),
    ):
        with pytest.raises((ValueError, OverflowError), match=r"1 to 9223372036854775807"):
            send()
    assert queue.qsize() == 0


@pytest.mark.parametrize("bad", [1.0, "1", None, b"1", [1]])
def test_types_are_ints(queue: MessageQueue, bad: Any) -> None:
    for call in (
        lambda: queue.send(b"x", bad),
        lambda: queue.try_send(b"x", bad),
        lambda: queue.send_many([b"x"], bad),
        lambda: queue.send_many([(bad, b"x")]),
        lambda: queue.receive(bad),
        lambda: queue.try_receive(bad),
        lambda: queue.receive_into(bytearray(1), bad),
        lambda: queue.try_receive_into(bytearray(1), bad),
        lambda: queue.receive_many(1, bad),
        lambda: queue.messages(bad),
        lambda: queue.peek(bad),
        lambda: ipc.Message(bad, b"x"),
    ):
        with pytest.raises(TypeError):
            call()
    assert queue.qsize() == 0


def test_anything_with_index_is_an_int(queue: MessageQueue) -> None:
    queue.send(b"x", support.Index(7))
    assert queue.peek(support.Index(0)) == ipc.Message(7, b"x")
    assert queue.receive(support.Index(7), max_size=support.Index(1)).type == 7
    queue.max_bytes = support.Index(20)
    assert queue.max_bytes == 20
    with pytest.raises(ZeroDivisionError):
        queue.send(b"x", support.Index(ZeroDivisionError()))


def test_an_index_that_removes_the_queue_gets_an_ordinary_error() -> None:
    queue = MessageQueue.create()

    def remove() -> int:
        queue.remove()
        return 1

    with pytest.raises(ipc.RemovedError):
        queue.send(b"x", support.Index(remove))


# Looking without taking


def test_peek_takes_nothing(queue: MessageQueue) -> None:
    assert queue.peek() is None
    queue.send_many([b"m0", (6, b"m1long"), (9, b"")])
    assert queue.peek() == ipc.Message(1, b"m0")
    assert queue.peek(0) == queue.peek()
    assert queue.peek(1) == ipc.Message(6, b"m1long")
    assert queue.peek(index=2) == ipc.Message(9, b"")
    assert queue.peek(3) is None
    assert queue.peek(2**32 - 1) is None
    assert queue.qsize() == 3
    assert queue.stat().last_receive_pid == 0


def test_peek_copies_messages_of_every_size(queue: MessageQueue) -> None:
    for size in (0, 1, 1023, 1024, 1025, 8191, 8192):
        data = bytes(range(256)) * (size // 256 + 1)
        queue.send(data[:size], 3)
        assert queue.peek() == ipc.Message(3, data[:size])
        assert queue.peek() == queue.receive()


def test_what_was_peeked_at_before_changes_nothing(queue: MessageQueue) -> None:
    texts = [bytes([size % 251]) * size for size in (4000, 0, 64, 1025, 31, 8192, 33)]
    assert queue.send_many(texts) == len(texts)
    for index in random.Random(8).choices(range(len(texts)), k=500):
        # Often enough for the handle to expect no longer ones.
        for _ in range(random.Random(index).choice([1, 3, 200])):
            assert queue.peek(index) == ipc.Message(1, texts[index])
    assert [message.data for message in queue.receive_many(len(texts))] == texts


@pytest.mark.parametrize("bad", [-1, -(2**70), 2**64])
def test_peek_has_no_negative_places(queue: MessageQueue, bad: int) -> None:
    queue.send(b"x")
    with pytest.raises((ValueError, OverflowError), match="index"):
        queue.peek(bad)
