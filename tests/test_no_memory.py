"""Where Python has no memory for what a call gives, the call has done nothing."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import compat, interop, raw, sync

allocations = pytest.importorskip("_testcapi", reason="CPython has no tests of its own here")

# CPython tells of what it can't raise while it has no memory.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in")

Call = Callable[[], Any]

ALLOCATIONS = 12

CREATED: dict[str, Call] = {
    "Semaphore": ipc.Semaphore.create,
    "SemaphoreSet": lambda: ipc.SemaphoreSet.create(size=3),
    "MessageQueue": ipc.MessageQueue.create,
    "SharedMemory": lambda: ipc.SharedMemory.create(size=1),
    "SharedMemory, which removes itself": lambda: ipc.SharedMemory.create(size=1, auto_remove=True),
    "Lock": sync.Lock.create,
    "RLock": sync.RLock.create,
    "RWLock": sync.RWLock.create,
    "BoundedSemaphore": sync.BoundedSemaphore.create,
    "Event": sync.Event.create,
    "Barrier": lambda: sync.Barrier.create(parties=2),
    "Condition": sync.Condition.create,
    "Semaphore of compat": lambda: compat.Semaphore(None, compat.IPC_CREX),
    "MessageQueue of compat": lambda: compat.MessageQueue(None, compat.IPC_CREX),
    "SharedMemory of compat": lambda: compat.SharedMemory(None, compat.IPC_CREX, size=1),
}


def failing(number: int, call: Call) -> tuple[Any, BaseException | None]:
    """Its answer, or what it raises, where one allocation fails."""
    answer = raised = None
    allocations.set_nomemory(number, number + 1)
    try:
        answer = call()
    except BaseException as error:  # a panic of PyO3, which has no memory either, is no Exception
        raised = error
    allocations.remove_mem_hooks()
    assert raised is None or isinstance(raised, MemoryError) or "Panic" in type(raised).__name__
    return answer, raised


@pytest.mark.parametrize("create", CREATED.values(), ids=CREATED)
def test_a_constructor_that_fails_leaves_no_object(create: Call) -> None:
    # Those of compat have a list of free ones, which may not help here.
    others = [create() for _ in range(16)]
    for other in others:
        with suppress(ipc.RemovedError):
            other.remove()
    before, failed = support.objects(), 0
    for number in range(ALLOCATIONS):
        made, raised = failing(number, create)
        left = support.objects() - before
        if raised is None:
            with suppress(ipc.RemovedError):
                made.remove()
        else:
            assert not left, f"allocation {number} failed, and an object is left"
            failed += 1
        del made, raised
        gc.collect()
    assert failed


BUFFER = bytearray(200)
TAKEN: dict[str, Callable[[ipc.MessageQueue], Any]] = {
    "receive": lambda queue: queue.receive(timeout=0),
    "try_receive": lambda queue: queue.try_receive(),
    "receive_into": lambda queue: queue.receive_into(BUFFER, timeout=0),
    "receive_many": lambda queue: queue.receive_many(1, timeout=0),
    "next": lambda queue: next(queue.messages(timeout=0)),
    "raw.msgrcv": lambda queue: raw.msgrcv(queue.id, 100, 0, raw.IPC_NOWAIT),
    "raw.ipc": lambda queue: raw.ipc(12, queue.id, 100, raw.IPC_NOWAIT, None, 0),
    "compat": lambda queue: compat.MessageQueue(queue.key).receive(False),
}


@pytest.mark.parametrize("take", TAKEN.values(), ids=TAKEN)
def test_a_call_that_fails_takes_no_message(
    take: Callable[[ipc.MessageQueue], Any], remove_later: Callable[[Any], Any]
) -> None:
    queue = remove_later(ipc.MessageQueue.create(support.free_key()))
    failed = 0
    for number in range(ALLOCATIONS):
        queue.send(bytes(100))
        raised = failing(number, lambda: take(queue))[1]
        assert queue.qsize() == (raised is not None)
        for _ in queue.messages(timeout=0):
            failed += 1
    assert failed


HELD: dict[str, Callable[[ipc.Semaphore], Any]] = {
    "hold": lambda semaphore: semaphore.hold(),
    "try_hold": lambda semaphore: semaphore.try_hold(),
    "with": lambda semaphore: semaphore.__enter__(),
}


@pytest.mark.parametrize("hold", HELD.values(), ids=HELD)
def test_a_call_that_fails_holds_no_unit(
    semaphore: ipc.Semaphore, hold: Callable[[ipc.Semaphore], Any]
) -> None:
    failed = 0
    for number in range(ALLOCATIONS):
        guard, raised = failing(number, lambda: hold(semaphore))
        assert semaphore.value == (raised is not None)
        failed += raised is not None
        if guard is not None:
            guard.release()
    assert failed


def test_a_user_of_a_php_semaphore_that_fails_is_none() -> None:
    first = interop.PHPSemaphore.open_or_create(support.free_key(), 3)
    for number in range(ALLOCATIONS):
        answer, raised = failing(number, lambda: interop.PHPSemaphore.open_or_create(first.key, 3))
        assert first.users == (1 if raised else 2)
        del answer, raised
        held, raised = failing(number, first.try_hold)
        assert first.value == (3 if raised else 2)
        if held:
            held.release()
    first.remove()


def test_an_attachment_that_fails_is_none(memory: ipc.SharedMemory) -> None:
    for number in range(ALLOCATIONS):
        attachment, raised = failing(number, memory.attach)
        assert memory.stat().attached == (raised is None)
        del attachment, raised
