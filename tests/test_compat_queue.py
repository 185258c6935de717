"""The drop-in's message queues: where they are better than the incumbent's."""

import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import support
from sysv_ipc_rs import MessageQueue, compat


@pytest.fixture
def queue() -> Iterator[compat.MessageQueue]:
    made = compat.MessageQueue(None, compat.IPC_CREX)
    yield made
    with suppress(compat.ExistentialError):
        made.remove()


def test_a_signal_does_not_end_the_wait_for_a_message(queue: compat.MessageQueue) -> None:
    def send(*_: object) -> None:
        queue.send(b"from the handler", type=7)

    with support.handler(signal.SIGUSR1, send), support.signal_when_blocked():
        assert queue.receive() == (b"from the handler", 7)


def test_a_signal_does_not_end_the_wait_for_room(queue: compat.MessageQueue) -> None:
    queue.max_size = 5
    queue.send(b"first")

    def receive(*_: object) -> None:
        assert queue.receive() == (b"first", 1)

    with support.handler(signal.SIGUSR1, receive), support.signal_when_blocked():
        queue.send(b"again")
    assert queue.receive() == (b"again", 1)


def test_a_handler_that_raises_loses_no_message(queue: compat.MessageQueue) -> None:
    def send_and_raise(*_: object) -> None:
        queue.send(b"stays")
        raise ZeroDivisionError

    with (
        support.handler(signal.SIGUSR1, send_and_raise),
        support.signal_when_blocked(),
        pytest.raises(ZeroDivisionError),
    ):
        queue.receive()
    assert queue.receive(False) == (b"stays", 1)


def test_other_threads_run_while_one_waits(queue: compat.MessageQueue) -> None:
    got = []
    waiter = threading.Thread(target=lambda: got.append(queue.receive(type=2)))
    waiter.start()
    support.wait_blocked(waiter)
    queue.send(b"", type=1)
    queue.send(b"here", type=2)
    waiter.join()
    assert got == [(b"here", 2)]


def test_a_message_that_never_fits_is_refused_before_the_wait(queue: compat.MessageQueue) -> None:
    queue.max_size = 10
    with pytest.raises(ValueError, match=r"exceeds queue's max_size \(10\)"):
        queue.send(b"x" * 11)
    with pytest.raises(compat.BusyError):
        queue.send(b"x" * 11, False)
    assert queue.current_messages == 0


@pytest.mark.parametrize("kind", [2**31, 2**40, 2**63 - 1])
def test_types_beyond_an_int_are_types(queue: compat.MessageQueue, kind: int) -> None:
    queue.send(b"far", type=kind)
    assert queue.receive(type=kind) == (b"far", kind)
    queue.send(b"far", type=kind)
    assert queue.receive(type=-kind) == (b"far", kind)


@pytest.mark.parametrize("kind", [2**63, -(2**63) - 1, 2**70])
def test_types_beyond_a_long_are_refused(queue: compat.MessageQueue, kind: int) -> None:
    with pytest.raises(OverflowError):
        queue.send(b"", type=kind)
    with pytest.raises(OverflowError):
        queue.receive(False, kind)
    assert queue.current_messages == 0


def test_a_long_message_goes_through_whole() -> None:
    def inside() -> bool:
        queue = compat.MessageQueue(None, compat.IPC_CREX, max_message_size=2**62)
        text = bytes(range(256)) * 2000
        queue.send(text)
        return queue.receive() == (text, 1)

    assert support.in_namespace(inside, msgmax=10**6, msgmnb=10**6)


def test_a_message_that_is_too_long_to_receive_stays(queue: compat.MessageQueue) -> None:
    queue.send(b"x" * 11)
    short = compat.MessageQueue(queue.key, max_message_size=10)
    with support.fails(errno.E2BIG):
        short.receive()
    assert queue.receive() == (b"x" * 11, 1)


@pytest.mark.parametrize("size", [2**31, 2**32 + 100, -1, 2**70])
def test_sizes_are_never_truncated(queue: compat.MessageQueue, size: int) -> None:
    before = queue.max_size
    with pytest.raises(ValueError, match="is not in the range"):
        queue.max_size = size
    assert queue.max_size == before
    for bad in (2**64 + 10, -1):
        with pytest.raises(ValueError, match="message length must be <="):
            compat.MessageQueue(queue.key, max_message_size=bad)


def test_what_is_no_message_is_a_type_error(queue: compat.MessageQueue) -> None:
    for wrong in (42, None, [1], 1.5):
        with pytest.raises(TypeError):
            queue.send(wrong)  # type: ignore[arg-type]
    with pytest.raises(UnicodeEncodeError):
        queue.send("\ud800")
    with pytest.raises(BufferError):
        queue.send(memoryview(b"abcd")[::2])
    assert queue.current_messages == 0


def test_a_removed_queue_is_existential_whatever_is_called(queue: compat.MessageQueue) -> None:
    queue.remove()
    for call in (
        lambda: queue.send(b""),
        lambda: queue.send(b"", False),
        queue.receive,
        lambda: queue.max_size,
        queue.remove,
    ):
        with pytest.raises(compat.ExistentialError, match="The queue no longer exists") as caught:
            call()
        assert caught.value.errno == errno.EIDRM


def test_who_waits_is_told_that_it_is_removed(queue: compat.MessageQueue) -> None:
    told: list[str] = []

    def wait() -> None:
        try:
            queue.receive()
        except compat.ExistentialError as error:
            told.append(str(error))

    waiter = threading.Thread(target=wait)
    waiter.start()
    support.wait_blocked(waiter)
    queue.remove()
    waiter.join()
    assert told == ["The queue no longer exists"]


def test_no_room_for_another_queue_is_an_error_with_errno() -> None:
    def inside() -> tuple[str, int | None, bool]:
        compat.MessageQueue(None, compat.IPC_CREX)
        try:
            compat.MessageQueue(None, compat.IPC_CREX)
        except OSError as error:
            return str(error), error.errno, isinstance(error, compat.Error)
        raise AssertionError

    text = "The system limit for message queues has been reached"
    assert support.in_namespace(inside, msgmni=1) == (text, errno.ENOSPC, True)


def test_it_is_the_same_queue_as_the_native_class_has(queue: compat.MessageQueue) -> None:
    native = MessageQueue.open(queue.key)
    native.send(b"x", 5)
    assert queue.receive() == (b"x", 5)
    queue.send(b"y", True, 6)
    assert tuple(native.receive()) == (6, b"y")
