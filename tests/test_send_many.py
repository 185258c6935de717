"""send_many and receive_many: several messages with one call."""

import os
import signal
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Message, MessageQueue


class HandlerError(Exception):
    """What a signal handler raises."""


def test_it_sends_all_in_order_and_tells_how_many(queue: MessageQueue) -> None:
    assert queue.send_many([b"a", b"b", b"c"]) == 3
    assert [message.data for message in queue.receive_many(9)] == [b"a", b"b", b"c"]


def test_nothing_is_sent_of_nothing(queue: MessageQueue) -> None:
    assert queue.send_many([]) == 0
    assert queue.send_many(iter(())) == 0
    assert queue.qsize() == 0


Pair = namedtuple("Pair", ["type", "data"])


def test_pairs_have_a_type_of_their_own(queue: MessageQueue) -> None:
    messages: list[Any] = [
        b"a",
        (2, b"b"),
        [3, bytearray(b"c")],
        Message(4, b"d"),
        Pair(5, memoryview(b"e")),
        (support.Index(6), b"f"),
        bytearray(b"g"),
    ]
    assert queue.send_many(messages, 9) == 7
    assert queue.receive_many(9) == [
        Message(mtype, data)
        for mtype, data in [(9, b"a"), (2, b"b"), (3, b"c"), (4, b"d"), (5, b"e"), (6, b"f")]
    ] + [Message(9, b"g")]


def test_any_iterable_will_do(queue: MessageQueue) -> None:
    def generate() -> Iterator[bytes]:
        yield b"a"
        yield b"b"

    for messages in ((b"a", b"b"), generate(), {b"a": 1, b"b": 2}, map(bytes, [b"a", b"b"])):
        assert queue.send_many(messages) == 2
        assert [message.data for message in queue.messages(timeout=0)] == [b"a", b"b"]


def test_what_was_received_can_be_sent_on(queue: MessageQueue) -> None:
    queue.send_many([(3, b"a"), (4, b"")])
    assert queue.send_many(queue.receive_many(5)) == 2
    assert queue.receive_many(5) == [Message(3, b"a"), Message(4, b"")]


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([b"good", "text"], TypeError),
        ([b"good", 5], TypeError),
        ([b"good", None], TypeError),
        ([b"good", (1,)], TypeError),
        ([b"good", (1, b"a", b"b")], TypeError),
        ([b"good", ()], TypeError),
        ([b"good", []], TypeError),
        ([b"good", (1, "text")], TypeError),
        ([b"good", (b"text", 1)], TypeError),
        ([b"good", ("1", b"text")], TypeError),
        ([b"good", (1.0, b"text")], TypeError),
        ([b"good", (None, b"text")], TypeError),
        ([b"good", (0, b"text")], ValueError),
        ([b"good", (-1, b"text")], ValueError),
        ([b"good", (2**63, b"text")], ValueError),
        ([b"good", [1, (1, b"nested")]], TypeError),
        ([b"good", memoryview(b"gaps")[::2]], BufferError),
        ([b"good", (1, memoryview(b"gaps")[::2])], BufferError),
        ([b"good", (support.Index(ZeroDivisionError()), b"")], ZeroDivisionError),
        (b"bytes are ints", TypeError),
        ("text", TypeError),
        (5, TypeError),
        (None, TypeError),
        ((1, b"a pair"), TypeError),
    ],
    ids=support.name,
)
def test_all_are_checked_before_the_first_is_sent(
    queue: MessageQueue, messages: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        queue.send_many(messages)
    assert queue.qsize() == 0


def test_an_iterable_that_raises_sends_nothing(queue: MessageQueue) -> None:
    def generate() -> Iterator[bytes]:
        yield b"good"
        raise HandlerError

    with pytest.raises(HandlerError):
        queue.send_many(generate())
    assert queue.qsize() == 0


def test_a_message_that_never_fits_stops_all_of_them(queue: MessageQueue) -> None:
    queue.max_bytes = 10
    for messages in ([b"fits", b"x" * 11], [b"x" * 11], [b"fits"] * 9 + [b"x" * 10_000]):
        with pytest.raises(ipc.MessageTooBigError):
            queue.send_many(messages)
        assert queue.qsize() == 0


def test_it_sends_what_fits_before_the_time_is_up(queue: MessageQueue) -> None:
    queue.max_bytes = 3
    for timeout in (0, 0.001, 0.02):
        assert queue.send_many([b"a", b"b", b"c", b"d", b"e"], timeout=timeout) == 3
        assert [message.data for message in queue.receive_many(9)] == [b"a", b"b", b"c"]


def test_it_raises_if_none_went(queue: MessageQueue) -> None:
    queue.max_bytes = 3
    queue.send(b"abc")
    for timeout in (0, 0.001, 0.02):
        with pytest.raises(ipc.WaitTimeoutError):
            queue.send_many([b"a", b"b"], timeout=timeout)
    assert queue.receive_many(9) == [Message(1, b"abc")]


def test_the_timeout_is_for_all_together(queue: MessageQueue) -> None:
    queue.max_bytes = 1
    queue.send(b"x")

    def drain() -> None:
        while queue.receive(timeout=5).data != b"end":
            stop.wait(0.1)

    stop = threading.Event()
    thread = threading.Thread(target=drain)
    thread.start()
    sent = queue.send_many([b"y"] * 100, timeout=0.35)
    stop.set()
    queue.max_bytes = 100
    queue.send(b"end")
    thread.join()
    assert 1 <= sent <= 10


def test_it_waits_for_room(queue: MessageQueue) -> None:
    queue.max_bytes = 2
    messages = [b"%d" % number for number in range(10)]
    with support.Child(lambda: queue.send_many(messages)) as child:
        received = [queue.receive(timeout=30).data for _ in messages]
        assert child.result() == 10
    assert received == messages


def test_it_tells_how_many_went_before_the_queue_was_removed(queue: MessageQueue) -> None:
    queue.max_bytes = 3
    with support.Child(lambda: queue.send_many([b"a"] * 9)) as child:
        support.wait_blocked(child.pid)
        queue.remove()
        assert child.result() == 3


def test_it_raises_if_none_went_before_the_queue_was_removed(queue: MessageQueue) -> None:
    queue.max_bytes = 3
    queue.send(b"abc")
    with support.Child(lambda: queue.send_many([b"a"] * 9)) as child:
        support.wait_blocked(child.pid)
        queue.remove()
        with pytest.raises(ipc.RemovedError):
            child.result()


def test_a_huge_number_of_messages(queue: MessageQueue) -> None:
    assert queue.send_many([b""] * 100_000, timeout=0) == queue.max_bytes
    assert len(queue.receive_many(10**6)) == queue.max_bytes


def raise_it(*_: object) -> None:
    raise HandlerError


def interrupted_send_many(queue: MessageQueue, error: type[BaseException]) -> tuple[int, str]:
    """How many went when a handler raised, and what the next call raised."""

    def handle(*_: object) -> None:
        raise error

    with support.handler(signal.SIGUSR1, handle):
        sent = queue.send_many([b"a"] * 9)
        try:
            queue.try_send(b"")
        except BaseException as raised:
            return sent, type(raised).__name__
        return sent, "nothing"


@pytest.mark.parametrize(
    "error", [HandlerError, KeyboardInterrupt, OSError, InterruptedError, TimeoutError, SystemExit]
)
def test_what_a_handler_raises_after_the_first_comes_with_the_next_call(
    queue: MessageQueue, error: type[BaseException]
) -> None:
    queue.max_bytes = 3
    with support.Child(lambda: interrupted_send_many(queue, error)) as child:
        support.wait_blocked(child.pid)
        child.kill(signal.SIGUSR1)
        assert child.result() == (3, error.__name__)
    assert queue.qsize() == 3


NEXT_CALLS: dict[str, Callable[[MessageQueue], object]] = {
    "send": lambda queue: queue.send(b"x"),
    "try_send": lambda queue: queue.try_send(b"x"),
    "send_many": lambda queue: queue.send_many([b"x"]),
    "receive": lambda queue: queue.receive(timeout=0),
    "try_receive": lambda queue: queue.try_receive(),
    "receive_into": lambda queue: queue.receive_into(bytearray(9), timeout=0),
    "try_receive_into": lambda queue: queue.try_receive_into(bytearray(9)),
    "receive_many": lambda queue: queue.receive_many(9, timeout=0),
    "messages": lambda queue: next(queue.messages(timeout=0)),
    "another handle": lambda queue: MessageQueue.from_id(queue.id).try_receive(),
}


@pytest.mark.parametrize("call", NEXT_CALLS)
def test_it_comes_with_whatever_call_is_next_and_once(queue: MessageQueue, call: str) -> None:
    queue.max_bytes = 3
    do = NEXT_CALLS[call]
    with support.handler(signal.SIGUSR1, raise_it):

        def interrupt_when_blocked() -> None:
            support.wait_for(lambda: support.blocked(os.getpid()), "the wait")
            os.kill(os.getpid(), signal.SIGUSR1)

        thread = threading.Thread(target=interrupt_when_blocked)
        thread.start()
        assert queue.send_many([b"a"] * 9) == 3
        thread.join()
        assert queue.qsize() == 3
        with pytest.raises(HandlerError):
            do(queue)
        assert queue.qsize() == 3
    queue.max_bytes = 100
    do(queue)


def test_an_exception_that_waits_for_the_next_call_does_not_disturb_the_exit(
    queue: MessageQueue,
) -> None:
    queue.max_bytes = 3
    program = f"""
import os, signal, threading
import sysv_ipc_rs as ipc
queue = ipc.MessageQueue.from_id({queue.id})
def stop(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop)
def send():
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    print(queue.send_many([b"a"] * 9))
send()
"""
    assert support.python_prints(program) == "3\n"


def test_what_a_handler_raises_before_the_first_ends_the_call(queue: MessageQueue) -> None:
    queue.max_bytes = 3
    queue.send(b"abc")

    def send() -> int:
        with support.handler(signal.SIGUSR1, raise_it):
            return queue.send_many([b"a"] * 9)

    with support.Child(send) as child:
        support.wait_blocked(child.pid)
        child.kill(signal.SIGUSR1)
        with pytest.raises(HandlerError):
            child.result()
    assert queue.qsize() == 1


def test_a_handler_that_returns_ends_nothing(queue: MessageQueue) -> None:
    queue.max_bytes = 3
    ran: list[int] = []

    def send() -> tuple[int, bool]:
        with support.handler(signal.SIGUSR1, lambda number, _: ran.append(number)):
            return queue.send_many([b"a"] * 9), bool(ran)

    with support.Child(send) as child:
        support.wait_blocked(child.pid)
        for _ in range(20):
            child.kill(signal.SIGUSR1)
            support.wait_blocked(child.pid)
        for _ in range(9):
            queue.receive(timeout=30)
        assert child.result() == (9, True)


def test_a_handler_runs_also_while_nothing_has_to_wait(queue: MessageQueue) -> None:
    """Else Ctrl-C would come only after the last of a million messages."""
    ran: list[int] = []

    def handle(*_: object) -> None:
        ran.append(queue.qsize())

    with support.handler(signal.SIGVTALRM, handle):
        signal.setitimer(signal.ITIMER_VIRTUAL, 1e-6, 1e-3)
        try:
            for _ in range(100):
                queue.send_many([b""] * 16_000)
                queue.receive_many(16_000)
                if any(0 < seen < 16_000 for seen in ran):
                    break
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    assert any(0 < seen < 16_000 for seen in ran)


# receive_many


def test_receive_many_takes_what_is_there(queue: MessageQueue) -> None:
    queue.send_many([b"a", b"b", b"c", b"d"])
    assert [message.data for message in queue.receive_many(3)] == [b"a", b"b", b"c"]
    assert [message.data for message in queue.receive_many(limit=3)] == [b"d"]


def test_receive_many_selects(queue: MessageQueue) -> None:
    queue.send_many([(1, b"a"), (2, b"b"), (1, b"c"), (3, b"d")])
    assert [message.data for message in queue.receive_many(9, 1)] == [b"a", b"c"]
    assert [message.data for message in queue.receive_many(9, 2, exclude=True)] == [b"d"]
    queue.send_many([(5, b"5"), (4, b"4")])
    assert [message.type for message in queue.receive_many(9, -5)] == [2, 4, 5]


def test_receive_many_waits_for_the_first_only(queue: MessageQueue) -> None:
    with support.Child(lambda: queue.receive_many(5)) as child:
        support.wait_blocked(child.pid)
        queue.send(b"x")
        assert child.result() == [Message(1, b"x")]


def test_receive_many_raises_without_a_message(queue: MessageQueue) -> None:
    for timeout in (0, 0.001):
        with pytest.raises(ipc.WaitTimeoutError):
            queue.receive_many(5, timeout=timeout)


@pytest.mark.parametrize("bad", [0, -1, 2**64])
def test_the_limit_has_a_range(queue: MessageQueue, bad: int) -> None:
    queue.send(b"x")
    with pytest.raises((ValueError, OverflowError), match="limit"):
        queue.receive_many(bad)
    assert queue.qsize() == 1


@pytest.mark.parametrize("bad", [1.0, "1", None])
def test_the_limit_is_an_int(queue: MessageQueue, bad: Any) -> None:
    queue.send(b"x")
    with pytest.raises(TypeError):
        queue.receive_many(bad)
    assert queue.qsize() == 1


def test_a_huge_limit_reserves_nothing(queue: MessageQueue) -> None:
    queue.send(b"x")
    assert queue.receive_many(2**63) == [Message(1, b"x")]
