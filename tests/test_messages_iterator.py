"""MessageQueue.messages(): one message after the other."""

import gc
import itertools
import os
import pickle
import signal
import threading
import time
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Message, MessageQueue


class HandlerError(Exception):
    """What a signal handler raises."""


def test_it_takes_what_is_there_and_ends(queue: MessageQueue) -> None:
    queue.send_many([b"a", b"b", b"c"])
    assert [message.data for message in queue.messages(timeout=0)] == [b"a", b"b", b"c"]
    assert queue.qsize() == 0


def test_it_is_an_iterator(queue: MessageQueue) -> None:
    messages = queue.messages(timeout=0)
    assert iter(messages) is messages
    queue.send(b"a")
    assert next(messages) == Message(1, b"a")
    with pytest.raises(StopIteration):
        next(messages)
    assert next(messages, "default") == "default"


def test_it_selects(queue: MessageQueue) -> None:
    queue.send_many([(3, b"a"), (1, b"b"), (2, b"c"), (3, b"d")])
    assert [message.data for message in queue.messages(-2, timeout=0)] == [b"b", b"c"]
    assert list(queue.messages(3, exclude=True, timeout=0)) == []
    assert [message.data for message in queue.messages(type=3, timeout=0)] == [b"a", b"d"]


def test_it_ends_when_the_time_passes_without_a_message(queue: MessageQueue) -> None:
    queue.send(b"a")
    before = time.monotonic()
    assert len(list(queue.messages(timeout=0.05))) == 1
    assert time.monotonic() - before >= 0.05


def test_each_message_has_the_whole_time(queue: MessageQueue) -> None:
    def send() -> None:
        for _ in range(6):
            time.sleep(0.1)
            queue.send(b"x")

    thread = threading.Thread(target=send)
    thread.start()
    # All of them together take longer than that.
    assert len(list(queue.messages(timeout=0.5))) == 6
    thread.join()


def test_once_ended_it_stays_so(queue: MessageQueue) -> None:
    messages = queue.messages(timeout=0)
    assert list(messages) == []
    queue.send(b"later")
    assert list(messages) == []
    assert next(messages, None) is None
    assert queue.qsize() == 1
    assert len(list(queue.messages(timeout=0))) == 1
    queue.remove()
    assert list(messages) == []


def test_without_timeout_it_waits_for_ever(queue: MessageQueue) -> None:
    def take() -> list[bytes]:
        taken = []
        for message in queue.messages():
            taken.append(message.data)
            if message.data == b"end":
                break
        return taken

    with support.Child(take) as child:
        for data in (b"a", b"b", b"end"):
            support.wait_blocked(child.pid)
            queue.send(data)
        assert child.result() == [b"a", b"b", b"end"]


def test_a_removed_queue_raises(queue: MessageQueue) -> None:
    for timeout in (None, 100):
        victim = MessageQueue.create()
        messages = victim.messages(timeout=timeout)
        victim.send(b"a")
        assert next(messages).data == b"a"
        thread = threading.Timer(0.01, victim.remove)
        thread.start()
        with pytest.raises(ipc.RemovedError):
            next(messages)
        with pytest.raises(ipc.RemovedError):
            next(messages)
        thread.join()
    assert queue.qsize() == 0


def test_it_outlives_its_handle(queue: MessageQueue) -> None:
    messages = MessageQueue.from_id(queue.id).messages(timeout=0)
    gc.collect()
    queue.send(b"a")
    assert [message.data for message in messages] == [b"a"]


def test_threads_may_share_one(queue: MessageQueue) -> None:
    total = 4000
    messages = queue.messages(timeout=60)
    taken: list[list[int]] = [[] for _ in range(6)]

    def take(mine: list[int]) -> None:
        mine.extend(int(data) for data in iter(lambda: next(messages).data, b"end"))

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for number in range(total):
        queue.send(b"%d" % number)
    queue.send_many([b"end"] * len(threads))
    for thread in threads:
        thread.join()
    assert sorted(itertools.chain(*taken)) == list(range(total))
    assert all(mine == sorted(mine) for mine in taken)


@pytest.mark.parametrize("bad", [-1, float("nan")])
def test_its_timeout_is_checked_when_it_is_made(queue: MessageQueue, bad: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        queue.messages(timeout=bad)


def test_it_can_not_be_pickled_or_made(queue: MessageQueue) -> None:
    messages: Any = queue.messages()
    with pytest.raises(TypeError):
        pickle.dumps(messages)
    with pytest.raises(TypeError):
        type(messages)()


def test_what_a_handler_raises_ends_no_more_than_the_step(queue: MessageQueue) -> None:
    reader, writer = os.pipe()

    def raise_it(*_: object) -> None:
        os.write(writer, b"!")
        raise HandlerError

    def take() -> list[object]:
        seen: list[object] = []
        messages = queue.messages(timeout=30)
        with support.handler(signal.SIGUSR1, raise_it):
            while len(seen) < 3:
                try:
                    seen.append(next(messages).data)
                except HandlerError:
                    seen.append("interrupted")
        return seen

    queue.send(b"a")
    with support.Child(take) as child:
        support.wait_for(lambda: queue.qsize() == 0)
        support.wait_blocked(child.pid)
        child.kill(signal.SIGUSR1)
        os.read(reader, 1)
        queue.send(b"b")
        answer = child.result()
    os.close(reader)
    os.close(writer)
    assert answer == [b"a", "interrupted", b"b"]
