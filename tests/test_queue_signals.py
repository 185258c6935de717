"""Signals during a queue's calls: the handlers run, and nothing is lost or sent twice (PEP 475)."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Message, MessageQueue


class HandlerError(Exception):
    """What a signal handler raises."""


def leave(*_: object) -> None:
    raise HandlerError


# Each call that may wait; with one message at the end all of them are done.
RECEIVES: dict[str, Callable[[MessageQueue], object]] = {
    "receive": lambda queue: queue.receive(),
    "timed receive": lambda queue: queue.receive(timeout=60),
    "receive by type": lambda queue: queue.receive(-5),
    "receive_into": lambda queue: queue.receive_into(bytearray(9)),
    "timed receive_into": lambda queue: queue.receive_into(bytearray(9), timeout=60),
    "receive_many": lambda queue: queue.receive_many(3),
    "timed receive_many": lambda queue: queue.receive_many(3, timeout=60),
    "messages": lambda queue: next(queue.messages()),
    "timed messages": lambda queue: next(queue.messages(timeout=60)),
}
SENDS: dict[str, Callable[[MessageQueue], object]] = {
    "send": lambda queue: queue.send(b"sent"),
    "timed send": lambda queue: queue.send(b"sent", timeout=60),
    "send_many": lambda queue: queue.send_many([b"sent"]),
    "timed send_many": lambda queue: queue.send_many([b"sent"], timeout=60),
}
WAITS = {**RECEIVES, **SENDS}


@pytest.fixture(params=WAITS)
def wait(request: pytest.FixtureRequest, queue: MessageQueue) -> Callable[[], object]:
    """Each of the calls, where it has to wait."""
    if request.param in SENDS:
        queue.max_bytes = 4
        queue.send(b"full")
    return lambda: WAITS[request.param](queue)


def let_go(queue: MessageQueue) -> Message | None:
    """Make room, or send; gives the message in the way."""
    full = queue.try_receive()
    if full is None:
        queue.send(b"x")
    return full


class Told:
    """A handler that tells the parent through a pipe that it has run."""

    def __init__(self, error: type[BaseException] | None = None) -> None:
        self.reader, self.writer = os.pipe()
        self.error = error

    def __call__(self, *_: object) -> None:
        os.write(self.writer, b"!")
        if self.error:
            raise self.error

    def wait(self) -> None:
        assert os.read(self.reader, 1) == b"!"

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


def test_a_handler_that_returns_ends_nothing(
    queue: MessageQueue, wait: Callable[[], object]
) -> None:
    told = Told()

    def call() -> object:
        with support.handler(signal.SIGUSR1, told):
            return wait() is None or True

    with support.Child(call) as child:
        for _ in range(10):
            support.wait_blocked(child.pid)
            child.kill(signal.SIGUSR1)
            told.wait()
        assert queue.qsize() in (0, 1)
        let_go(queue)
        assert child.result() is True
    told.close()
    assert queue.try_receive() in (None, Message(1, b"sent"))


@pytest.mark.parametrize("error", [HandlerError, KeyboardInterrupt, SystemExit, InterruptedError])
def test_what_a_handler_raises_leaves_the_call_and_nothing_is_done(
    queue: MessageQueue, wait: Callable[[], object], error: type[BaseException]
) -> None:
    before = queue.qsize()
    told = Told(error)

    def call() -> str:
        with support.handler(signal.SIGUSR1, told):
            try:
                wait()
            except BaseException as raised:
                return type(raised).__name__
        return "nothing"

    with support.Child(call) as child:
        support.wait_blocked(child.pid)
        child.kill(signal.SIGUSR1)
        told.wait()
        assert child.result() == error.__name__
    told.close()
    assert queue.qsize() == before
    queue.max_bytes = 100
    assert let_go(queue) == (Message(1, b"full") if before else None)


@support.needs_gil
@pytest.mark.parametrize("name", RECEIVES)
def test_a_message_that_has_come_when_a_handler_raises_goes_back(
    queue: MessageQueue, name: str
) -> None:
    """The kernel has handed it over, and the signal comes before the call returns."""

    def come() -> None:
        queue.send(b"x")
        queue.send(b"later", 2)

    signalled = support.signal_when_blocked(first=come)
    with support.handler(signal.SIGUSR1, leave), signalled, pytest.raises(HandlerError):
        RECEIVES[name](queue)
    assert queue.receive_many(9) == [Message(2, b"later"), Message(1, b"x")]


@support.needs_gil
@pytest.mark.parametrize("size", [4, 9])
def test_a_message_that_was_cut_off_is_given_and_the_exception_comes_later(
    queue: MessageQueue, size: int
) -> None:
    buffer = bytearray(size)
    signalled = support.signal_when_blocked(first=lambda: queue.send(b"12345"))
    with support.handler(signal.SIGUSR1, leave), signalled:
        if size > 5:
            with pytest.raises(HandlerError):
                queue.receive_into(buffer, truncate=True)
            assert queue.qsize() == 1
        else:
            assert queue.receive_into(buffer, truncate=True) == (1, 4)
            assert buffer == b"1234"
            with pytest.raises(HandlerError):
                queue.try_receive()


@support.needs_gil
@pytest.mark.parametrize("name", SENDS)
def test_a_message_that_was_sent_when_a_handler_raises_is_told_so(
    queue: MessageQueue, name: str
) -> None:
    queue.max_bytes = 4
    queue.send(b"full")

    def make_room() -> None:
        queue.receive()
        while not queue.qsize():
            pass

    signalled = support.signal_when_blocked(first=make_room)
    with support.handler(signal.SIGUSR1, leave), signalled:
        SENDS[name](queue)
        with pytest.raises(HandlerError):
            queue.try_receive()
    assert queue.try_receive() == Message(1, b"sent")


def test_ctrl_c_ends_every_call_at_once(queue: MessageQueue, wait: Callable[[], object]) -> None:
    before = queue.qsize()
    with support.Child(wait) as child:
        support.wait_blocked(child.pid)
        started = time.monotonic()
        child.kill(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            child.result()
        assert time.monotonic() - started < 2
    assert queue.qsize() == before


def test_stop_and_continue_end_nothing(queue: MessageQueue, wait: Callable[[], object]) -> None:
    with support.Child(lambda: wait() is None or True) as child:
        for _ in range(3):
            support.wait_blocked(child.pid)
            child.kill(signal.SIGSTOP)
            support.wait_for(lambda: support.state(child.pid) == "T")
            child.kill(signal.SIGCONT)
        support.wait_blocked(child.pid)
        let_go(queue)
        assert child.result() is True


def test_a_message_sent_to_a_stopped_process_is_received_later(queue: MessageQueue) -> None:
    with support.Child(queue.receive) as child:
        support.wait_blocked(child.pid)
        child.kill(signal.SIGSTOP)
        support.wait_for(lambda: support.state(child.pid) == "T")
        queue.send(b"x")
        child.kill(signal.SIGCONT)
        assert child.result() == Message(1, b"x")


def test_a_process_stopped_beyond_its_deadline_times_out(queue: MessageQueue) -> None:
    with support.Child(lambda: queue.receive(timeout=0.2)) as child:
        support.wait_blocked(child.pid)
        child.kill(signal.SIGSTOP)
        support.wait_for(lambda: support.state(child.pid) == "T")
        time.sleep(0.3)
        child.kill(signal.SIGCONT)
        with pytest.raises(ipc.WaitTimeoutError):
            child.result()


def test_signals_do_not_lengthen_a_timed_wait(queue: MessageQueue) -> None:
    ran: list[int] = []
    with support.handler(signal.SIGALRM, lambda number, _: ran.append(number)):
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        try:
            started = time.monotonic()
            with pytest.raises(ipc.WaitTimeoutError):
                queue.receive(timeout=0.3)
            assert 0.3 <= time.monotonic() - started < 1.5
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(ran) > 5


def test_a_signal_never_ends_a_wait_in_another_thread(queue: MessageQueue) -> None:
    received: list[Message] = []
    ran: list[int | None] = []
    thread = threading.Thread(target=lambda: received.append(queue.receive(timeout=60)))

    def handle(*_: object) -> None:
        ran.append(threading.get_ident())
        raise HandlerError

    def interrupt(number: int) -> None:
        signal.pthread_kill(cast("int", thread.ident), signal.SIGUSR1)
        # The handler runs here, in the main thread, once the other has been interrupted.
        support.wait_for(lambda: len(ran) > number)

    with support.handler(signal.SIGUSR1, handle):
        thread.start()
        for number in range(10):
            support.wait_blocked(thread)
            with pytest.raises(HandlerError):
                interrupt(number)
        support.wait_blocked(thread)
        queue.send(b"x")
        thread.join()
    assert received == [Message(1, b"x")]
    assert set(ran) == {threading.main_thread().ident}


def test_a_handler_may_use_the_queue_itself(queue: MessageQueue) -> None:
    def answer(*_: object) -> None:
        queue.send(b"from the handler")

    def call() -> Message:
        with support.handler(signal.SIGUSR1, answer):
            return queue.receive()

    with support.Child(call) as child:
        support.wait_blocked(child.pid)
        child.kill(signal.SIGUSR1)
        assert child.result() == Message(1, b"from the handler")


def test_a_handler_may_remove_the_queue(queue: MessageQueue, wait: Callable[[], object]) -> None:
    def call() -> object:
        with support.handler(signal.SIGUSR1, lambda *_: queue.remove()):
            return wait()

    with support.Child(call) as child:
        support.wait_blocked(child.pid)
        child.kill(signal.SIGUSR1)
        with pytest.raises(ipc.RemovedError):
            child.result()


@pytest.mark.parametrize("timeout", [None, 0.0003, 60])
def test_an_interrupted_receive_loses_no_message(queue: MessageQueue, timeout: Any) -> None:
    """Handlers raise at any moment. What is taken is in the buffer before anything can raise."""
    total = 3000

    def receive() -> tuple[list[int], int]:
        received: list[int] = []
        buffer = bytearray(8)
        armed = False
        raised = 0

        def handle(*_: object) -> None:
            nonlocal armed, raised
            if armed:
                armed = False
                raised += 1
                raise HandlerError

        with support.handler(signal.SIGUSR1, handle):
            while len(received) < total:
                buffer[:] = bytes(8)
                with suppress(HandlerError):
                    armed = True
                    with suppress(ipc.WaitTimeoutError):
                        queue.receive_into(buffer, timeout=timeout)
                    armed = False
                if number := int.from_bytes(buffer, "little"):
                    received.append(number)
        return received, raised

    with support.Child(receive) as child:
        queue.send(bytes(8))
        support.wait_for(lambda: queue.qsize() == 0)
        for number in range(1, total + 1):
            queue.send(number.to_bytes(8, "little"))
            if number % 7 == 0:
                child.kill(signal.SIGUSR1)
                time.sleep(0.0002)
        received, raised = cast("tuple[list[int], int]", child.result())
    # One that had come just then went back, behind later ones.
    assert sorted(received) == list(range(1, total + 1))
    assert raised > 20


@pytest.mark.parametrize("timeout", [None, 60])
def test_an_interrupted_send_sends_once(queue: MessageQueue, timeout: Any) -> None:
    total = 3000
    queue.max_bytes = 64

    def send() -> int:
        ran: list[int] = []
        # To the end of the process: signals come until the last message is received.
        signal.signal(signal.SIGUSR1, lambda number, _: ran.append(number))
        for number in range(0, total, 2):
            queue.send(number.to_bytes(8, "little"), timeout=timeout)
            queue.send_many([(number + 1).to_bytes(8, "little")], timeout=timeout)
        return len(ran)

    with support.Child(send) as child:
        received: list[int] = []
        while len(received) < total:
            received.append(int.from_bytes(queue.receive(timeout=60).data, "little"))
            if len(received) % 7 == 0:
                child.kill(signal.SIGUSR1)
                time.sleep(0.0002)
        assert cast("int", child.result()) > 20
    assert received == list(range(total))
    assert queue.qsize() == 0
