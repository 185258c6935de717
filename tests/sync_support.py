"""What the tests of `sync` share: how each kind is made, and everything that waits."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import sync

CREATE: dict[type, Callable[..., Any]] = {
    sync.Lock: sync.Lock.create,
    sync.RLock: sync.RLock.create,
    sync.RWLock: sync.RWLock.create,
    sync.BoundedSemaphore: partial(sync.BoundedSemaphore.create, value=2),
    sync.Event: sync.Event.create,
    sync.Barrier: partial(sync.Barrier.create, parties=2),
    sync.Condition: sync.Condition.create,
}
OPEN_OR_CREATE: dict[type, Callable[..., Any]] = {
    sync.Lock: sync.Lock.open_or_create,
    sync.RLock: sync.RLock.open_or_create,
    sync.RWLock: sync.RWLock.open_or_create,
    sync.BoundedSemaphore: partial(sync.BoundedSemaphore.open_or_create, value=2),
    sync.Event: sync.Event.open_or_create,
    sync.Barrier: partial(sync.Barrier.open_or_create, parties=2),
    sync.Condition: sync.Condition.open_or_create,
}


def values(handle: Any) -> tuple[int, ...]:
    """All that the kernel knows of it."""
    return ipc.SemaphoreSet.from_id(handle.id).values


class Wait(NamedTuple):
    """A call that may wait, what another process does so that it has to, and what ends that."""

    kind: type
    name: str
    call: Callable[[Any, Any], object]
    hold: Callable[[Any], object] | None = None
    free: Callable[[Any], object] | None = None

    def __str__(self) -> str:
        return f"{self.kind.__name__}.{self.name}"


def take(kind: type, name: str, release: str, hold: Callable[[Any], object]) -> Wait:
    """What is given back at once, if it was taken."""

    def call(handle: Any, timeout: Any) -> object:
        taken = getattr(handle, name)(timeout=timeout)
        if taken:
            getattr(handle, release)()
        return taken

    return Wait(kind, name, call, hold)


def enter(name: str) -> Wait:
    """The same by `with`."""

    def call(handle: Any, timeout: Any) -> bool:
        try:
            with getattr(handle, name)(timeout):
                return True
        except ipc.WaitTimeoutError:
            return False

    return Wait(sync.RWLock, name, call, lambda lock: lock.acquire_write())


def sleep(name: str, *arguments: Callable[[], bool]) -> Wait:
    """A condition's wait, by the holder of its lock."""

    def call(condition: Any, timeout: Any) -> object:
        with condition:
            return getattr(condition, name)(*arguments, timeout=timeout)

    def free(condition: Any) -> None:
        with condition:
            condition.notify()

    return Wait(sync.Condition, name, call, free=free)


def take_both(semaphore: Any) -> None:
    semaphore.acquire()
    semaphore.acquire()


WAITS = [
    take(sync.Lock, "acquire", "release", lambda lock: lock.acquire()),
    take(sync.RLock, "acquire", "release", lambda lock: lock.acquire()),
    take(sync.RWLock, "acquire_read", "release_read", lambda lock: lock.acquire_write()),
    take(sync.RWLock, "acquire_write", "release_write", lambda lock: lock.acquire_read()),
    enter("reader"),
    enter("writer"),
    take(sync.BoundedSemaphore, "acquire", "release", take_both),
    Wait(sync.Event, "wait", lambda event, timeout: event.wait(timeout), free=lambda e: e.set()),
    take(sync.Condition, "acquire", "release", lambda condition: condition.acquire()),
    sleep("wait"),
]
# These never give True: nothing ever comes true, or nobody else comes.
FUTILE = [
    sleep("wait_for", lambda: False),
    Wait(sync.Barrier, "wait", lambda barrier, timeout: barrier.wait(timeout)),
]


@contextmanager
def unchanged(handle: Any) -> Iterator[None]:
    """All is as before in the end."""
    before = values(handle)
    yield
    assert values(handle) == before


@contextmanager
def held(wait: Wait, handle: Any) -> Iterator[support.Child | None]:
    """Another process has it, if there is something to have."""
    if wait.hold is None:
        yield None
        return
    hold, before = wait.hold, values(handle)

    def child() -> None:
        hold(handle)
        signal.pause()

    with support.Child(child) as holder:
        support.wait_for(lambda: values(handle) != before and support.state(holder.pid) == "S")
        yield holder
        holder.kill()
        holder.join()
