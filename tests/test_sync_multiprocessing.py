"""CPython's own tests of multiprocessing's locks, with ours put in their place."""

from __future__ import annotations

import multiprocessing
import unittest
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest
import sysv_ipc_rs as ipc
from sysv_ipc_rs import sync

cpython: Any = pytest.importorskip(
    "test._test_multiprocessing",
    reason="needs CPython's package `test` (Debian: libpython3-testsuite)",
)

H = TypeVar("H", bound=Any)

KINDS = ["Lock", "Semaphore", "Condition", "Event", "Barrier"]
WAYS = ["fork", "forkserver"]

# Else each child of the fork server would import them; it does not know the path of this file.
PRELOAD = ["test._test_multiprocessing", "pytest", "sysv_ipc_rs.sync"]

# Those that don't apply, why, and what they end in.
UNFIT = {
    "Semaphore.test_semaphore": (
        "releases more than was there; `sync` has the bounded semaphore only, whose tokens come "
        "back by themselves, and that is ValueError",
        ValueError,
    ),
    "Event.test_repr": (
        "wants `<Event at 0x... set>`; our repr names key and id, and makes no system call",
        AssertionError,
    ),
    # These came with later versions of CPython.
    **{
        f"Lock.{test}": ("wants the owner; as that of Event", AssertionError)
        for test in ("test_repr_lock", "test_repr_rlock")
        if hasattr(cpython._TestLock, test)
    },
}

MADE: list[Any] = []


def later(handle: H) -> H:
    """Gives back what it is given, whose object is removed after the test."""
    MADE.append(handle)
    return handle


@pytest.fixture(autouse=True)
def _remove() -> Iterator[None]:
    yield
    while MADE:
        with suppress(ipc.RemovedError):
            MADE.pop().remove()


class Ours:
    """What the tests find as `self.Lock` and so on, called as multiprocessing's are."""

    @staticmethod
    def Lock() -> sync.Lock:
        return later(sync.Lock.create())

    @staticmethod
    def RLock() -> sync.RLock:
        return later(sync.RLock.create())

    @staticmethod
    def BoundedSemaphore(value: int = 1) -> sync.BoundedSemaphore:
        return later(sync.BoundedSemaphore.create(value=value))

    @staticmethod
    def Condition(lock: Any = None) -> sync.Condition:
        return later(sync.Condition.create(lock=lock))

    @staticmethod
    def Event() -> sync.Event:
        return later(sync.Event.create())

    @staticmethod
    def Barrier(
        parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> sync.Barrier:
        return later(sync.Barrier.create(parties=parties, action=action, timeout=timeout))


def check_invariant(_: object, condition: sync.Condition) -> None:
    """What theirs looks up in semaphores of its own: nobody waits, no notification is left."""
    _lock, _dirty, waiting, notices, *_others = ipc.SemaphoreSet.from_id(condition.id).values
    assert (waiting, notices) == (0, 0)


def case(kind: str, way: str) -> type[unittest.TestCase]:
    """CPython's tests of this kind, between processes that start so and threads."""
    theirs = getattr(cpython, f"_Test{kind}")
    # The fork server's children import it by this name.
    name = f"Test{kind}_{way}"
    body: dict[str, Any] = {"__module__": __name__, "__qualname__": name}
    if kind == "Semaphore":
        # Elsewhere it is a tool that counts up from nothing.
        body["Semaphore"] = staticmethod(Ours.BoundedSemaphore)
    if kind == "Condition":
        body["check_invariant"] = check_invariant
    for unfit, (reason, error) in UNFIT.items():
        which, method = unfit.split(".")
        if which == kind:
            mark = pytest.mark.xfail(reason=reason, raises=error, strict=True)
            body[method] = mark(_copy(getattr(theirs, method)))

    def set_up_class(cls: Any) -> None:
        super(made, cls).setUpClass()
        multiprocessing.set_forkserver_preload(PRELOAD)
        multiprocessing.set_start_method(way, force=True)

    def tear_down_class(cls: Any) -> None:
        multiprocessing.set_start_method(None, force=True)
        super(made, cls).tearDownClass()

    body |= {"setUpClass": classmethod(set_up_class), "tearDownClass": classmethod(tear_down_class)}
    made: type[unittest.TestCase] = type(
        name, (Ours, theirs, cpython.ProcessesMixin, unittest.TestCase), body
    )
    return made


def _copy(function: Callable[..., None]) -> Callable[..., None]:
    """Another function that does the same, for a mark of its own."""

    def copied(self: Any) -> None:
        function(self)

    return copied


for each_kind in KINDS:
    for each_way in WAYS:
        globals()[f"Test{each_kind}_{each_way}"] = case(each_kind, each_way)


def test_what_does_not_apply_is_there() -> None:
    for unfit in UNFIT:
        kind, method = unfit.split(".")
        assert kind in KINDS
        assert hasattr(getattr(cpython, f"_Test{kind}"), method), unfit
