"""What a signal handler raises when a batch has begun: the call gives what was done, and the
exception comes with the thread's next call that sends or receives, or waits."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc


class StopError(Exception):
    pass


@pytest.fixture
def queue_with_late_exception() -> Iterator[ipc.MessageQueue]:
    def stop(*_: object) -> None:
        raise StopError

    queue = ipc.MessageQueue.create(max_bytes=20)
    before = signal.signal(signal.SIGALRM, stop)
    try:
        # Two fit, and the third waits until the signal comes.
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        assert queue.send_many([b"0123456789"] * 5) == 2
        signal.setitimer(signal.ITIMER_REAL, 0)
        yield queue
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        queue.remove()


CALLS: dict[str, Callable[[ipc.MessageQueue], Any]] = {
    "receive": lambda queue: queue.receive(timeout=0),
    "try_receive": lambda queue: queue.try_receive(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_next_call_raises_it_once(
    queue_with_late_exception: ipc.MessageQueue, call: Callable[[ipc.MessageQueue], Any]
) -> None:
    with pytest.raises(StopError):
        call(queue_with_late_exception)
    assert call(queue_with_late_exception)


def test_a_forked_child_does_not_raise_what_is_its_parents(
    queue_with_late_exception: ipc.MessageQueue,
) -> None:
    queue = queue_with_late_exception
    assert support.in_child(queue.try_receive)
    assert queue.qsize() == 1
    with pytest.raises(StopError):
        queue.try_receive()
    assert queue.qsize() == 1
