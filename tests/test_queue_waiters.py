"""Several who wait on one queue: order, removal, access taken away, exactly once."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Message, MessageQueue


def start(stack: ExitStack, function: Callable[[], object]) -> support.Child:
    """A child that waits by now."""
    child = stack.enter_context(support.Child(function))
    support.wait_blocked(child.pid)
    return child


def test_receivers_are_served_in_the_order_in_which_they_came(queue: MessageQueue) -> None:
    with ExitStack() as stack:
        children = [start(stack, queue.receive) for _ in range(6)]
        for child, data in zip(children, (b"a", b"b", b"c", b"d", b"e", b"f"), strict=True):
            queue.send(data)
            assert child.result() == Message(1, data)


def test_a_receiver_of_one_type_takes_no_other(queue: MessageQueue) -> None:
    with ExitStack() as stack:
        typed = start(stack, lambda: queue.receive(2))
        anything = start(stack, lambda: queue.receive(timeout=60))
        queue.send(b"one", 1)
        assert anything.result() == Message(1, b"one")
        queue.send(b"two", 2)
        assert typed.result() == Message(2, b"two")


@pytest.mark.parametrize("timeout", [None, 60])
def test_a_receiver_wakes_on_what_it_selects_alone(queue: MessageQueue, timeout: Any) -> None:
    with ExitStack() as stack:
        lowest = start(stack, lambda: queue.receive(-3, timeout=timeout))
        others = start(stack, lambda: queue.receive(5, exclude=True, timeout=timeout))
        queue.send(b"five", 5)
        time.sleep(0.02)
        assert queue.qsize() == 1
        queue.send(b"three", 3)
        assert lowest.result() == Message(3, b"three")
        queue.send(b"four", 4)
        assert others.result() == Message(4, b"four")
    assert queue.receive() == Message(5, b"five")


def test_a_small_message_may_overtake_a_sender_that_waits(queue: MessageQueue) -> None:
    queue.max_bytes = 10
    queue.send(b"x" * 6)
    with ExitStack() as stack:
        large = start(stack, lambda: queue.send(b"y" * 8))
        assert queue.try_send(b"z") is True
        assert queue.receive().data == b"x" * 6
        large.result()
    assert [message.data for message in queue.receive_many(9)] == [b"z", b"y" * 8]


def test_raising_max_bytes_lets_a_sender_go_on(queue: MessageQueue) -> None:
    queue.max_bytes = 3
    queue.send(b"abc")
    for timeout in (None, 60):
        with ExitStack() as stack:
            sender = start(stack, lambda timeout=timeout: queue.send(b"d", timeout=timeout))  # type: ignore[misc]
            queue.max_bytes += 1
            sender.result()


@pytest.mark.parametrize("timeout", [None, 60])
def test_access_taken_away_ends_a_receiver(queue: MessageQueue, timeout: Any) -> None:
    queue.chmod(0o666)
    with ExitStack() as stack:
        child = stack.enter_context(
            support.Child(lambda: queue.receive(timeout=timeout), support.NOBODY)
        )
        support.wait_blocked(child.pid)
        queue.chmod(0o600)
        with pytest.raises(ipc.AccessDeniedError):
            child.result()


def test_access_taken_away_ends_a_sender_when_there_is_room(queue: MessageQueue) -> None:
    queue.chmod(0o666)
    queue.max_bytes = 3
    queue.send(b"abc")
    with ExitStack() as stack:
        child = stack.enter_context(support.Child(lambda: queue.send(b"d"), support.NOBODY))
        support.wait_blocked(child.pid)
        queue.chmod(0o600)
        queue.receive()
        with pytest.raises(ipc.AccessDeniedError):
            child.result()
    assert queue.qsize() == 0


def test_a_change_of_the_mode_that_allows_it_still_ends_nothing(queue: MessageQueue) -> None:
    with ExitStack() as stack:
        children = [
            start(stack, lambda timeout=timeout: queue.receive(timeout=timeout))  # type: ignore[misc]
            for timeout in (None, 60)
        ]
        # They look again, and stand in the queue anew, in any order.
        queue.chmod(0o640)
        for child in children:
            support.wait_blocked(child.pid)
        queue.send_many([b"x", b"x"])
        for child in children:
            assert child.result() == Message(1, b"x")


RECEIVES: list[Callable[[MessageQueue], object]] = [
    lambda queue: queue.receive(),
    lambda queue: queue.receive(timeout=60),
    lambda queue: queue.receive_into(bytearray(5)),
    lambda queue: queue.receive_many(5),
    lambda queue: next(queue.messages()),
]
SENDS: list[Callable[[MessageQueue], object]] = [
    lambda queue: queue.send(b"x"),
    lambda queue: queue.send(b"x", timeout=60),
    lambda queue: queue.send_many([b"x"]),
]


def test_removal_ends_all_who_wait_each_with_one_error(queue: MessageQueue) -> None:
    """200 processes and 50 threads."""
    full = MessageQueue.create(max_bytes=1)
    full.send(b"x")
    ended: list[str] = []

    def wait(number: int) -> str:
        try:
            if number % 3:
                RECEIVES[number % len(RECEIVES)](queue)
            else:
                SENDS[number // 3 % len(SENDS)](full)
        except ipc.RemovedError:
            return "removed"
        except BaseException as error:
            return repr(error)
        return "returned"

    threads = [
        threading.Thread(target=lambda number=number: ended.append(wait(number)))
        for number in range(50)
    ]
    with ExitStack() as stack:
        children = [
            stack.enter_context(support.Child(lambda number=number: wait(number)))  # type: ignore[misc]
            for number in range(200)
        ]
        for thread in threads:
            thread.start()
        for child in children:
            support.wait_blocked(child.pid)
        for thread in threads:
            support.wait_blocked(thread)
        queue.remove()
        full.remove()
        removed = time.monotonic()
        for thread in threads:
            thread.join()
        answers = [child.result() for child in children]
        # A quiet machine needs a tenth of a second.
        assert time.monotonic() - removed < 30
    assert ended == ["removed"] * 50
    assert answers == ["removed"] * 200


@pytest.mark.parametrize("timeout", [None, 60, 0.0005])
def test_each_message_comes_exactly_once_and_in_order(queue: MessageQueue, timeout: Any) -> None:
    """Two senders, two receivers, and a queue that is mostly full or mostly empty."""
    total = 3000

    def again(call: Callable[[], Any]) -> Any:
        while True:
            try:
                return call()
            except ipc.WaitTimeoutError:
                pass

    def send(sender: int) -> None:
        for number in range(total):
            data = b"%d %d" % (sender, number)
            again(lambda: queue.send(data, 1 + number % 3, timeout=timeout))  # noqa: B023

    def receive() -> list[tuple[int, int]]:
        received = []
        while (message := again(lambda: queue.receive(timeout=timeout))).data != b"end":
            sender, number = map(int, message.data.split())
            received.append((sender, number))
        return received

    for max_bytes in (20, 16384):
        queue.max_bytes = max_bytes
        with ExitStack() as stack:
            receivers = [stack.enter_context(support.Child(receive)) for _ in range(2)]
            senders = [
                stack.enter_context(support.Child(lambda sender=sender: send(sender)))  # type: ignore[misc]
                for sender in range(2)
            ]
            for child in senders:
                child.result()
            for _ in receivers:
                queue.send(b"end")
            answers = [cast("list[tuple[int, int]]", child.result()) for child in receivers]
        for answer in answers:
            for sender in range(2):
                mine = [number for who, number in answer if who == sender]
                assert mine == sorted(mine)
        everything = sorted(answers[0] + answers[1])
        assert everything == [(sender, number) for sender in range(2) for number in range(total)]


def test_a_blocked_call_stops_no_other_thread(queue: MessageQueue) -> None:
    full = MessageQueue.create(max_bytes=1)
    full.send(b"x")
    threads = [
        threading.Thread(target=queue.receive),
        threading.Thread(target=queue.receive, kwargs={"timeout": 60}),
        threading.Thread(target=full.send, args=(b"y",)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        support.wait_blocked(thread)
    assert sum(range(100_000)) == 4999950000
    queue.send(b"x")
    queue.send(b"x")
    full.receive()
    for thread in threads:
        thread.join()
    full.remove()
