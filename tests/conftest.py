"""Fixtures of all tests."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol, TypeVar

import pytest
import support
import sysv_ipc_rs as ipc


class Removable(Protocol):
    def remove(self) -> None: ...


H = TypeVar("H", bound=Removable)

REMOVE = {"sem": ("semctl", (0, 0)), "msg": ("msgctl", (0, None)), "shm": ("shmctl", (0, None))}


@pytest.fixture(autouse=True)
def leftovers() -> Iterator[None]:
    """No object is left by a test; what a failed one left is removed."""
    before = support.objects()
    yield
    left = support.objects() - before
    libc = ctypes.CDLL(None)
    for kind, number in left:
        call, arguments = REMOVE[kind]
        getattr(libc, call)(number, *arguments)
    assert not left


@pytest.fixture
def remove_later() -> Iterator[Callable[[H], H]]:
    """Gives back the handle it is given, whose object is removed after the test."""
    handles: list[Removable] = []

    def later(handle: H) -> H:
        handles.append(handle)
        return handle

    yield later
    for handle in handles:
        with suppress(ipc.RemovedError):
            handle.remove()


@pytest.fixture
def semaphore() -> Iterator[ipc.Semaphore]:
    """A private semaphore of 1."""
    made = ipc.Semaphore.create()
    yield made
    with suppress(ipc.RemovedError):
        made.remove()


@pytest.fixture
def semaphore_set() -> Iterator[ipc.SemaphoreSet]:
    """A private set of the values 1, 2, 3."""
    made = ipc.SemaphoreSet.create(size=3, values=[1, 2, 3])
    yield made
    with suppress(ipc.RemovedError):
        made.remove()
