"""Wrong use of what is in `sync`: a clear error, and the state is as before."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import support
import sysv_ipc_rs as ipc
from support import name
from sync_support import CREATE, FUTILE, OPEN_OR_CREATE, WAITS, Wait, held, unchanged
from sysv_ipc_rs import sync

BAD_TIMEOUTS: list[tuple[Any, type[Exception]]] = [
    *[(bad, ValueError) for bad in (-1, -1e-9, -math.inf, math.nan, np.float32("nan"))],
    *[(bad, ValueError) for bad in (Decimal("NaN"), Decimal("-1e-400"), Fraction(-1, 10**400))],
    *[(bad, TypeError) for bad in ("1", b"1", 1j, [1], object())],
]
SHORT = [0, 0.0, False, 5e-324, 0.001, Decimal("0.001"), Fraction(1, 1000), np.float32(0.001)]
ENDLESS = [None, 1e300, math.inf, 10**400, Decimal("1e400"), Fraction(10**400)]

GIVES = [
    (sync.Lock, "acquire", "release"),
    (sync.RLock, "acquire", "release"),
    (sync.RWLock, "acquire_read", "release_read"),
    (sync.RWLock, "acquire_write", "release_write"),
    (sync.BoundedSemaphore, "acquire", "release"),
    (sync.Condition, "acquire", "release"),
]
gives = pytest.mark.parametrize(
    ("kind", "take", "give"), GIVES, ids=[f"{kind.__name__}.{give}" for kind, _, give in GIVES]
)
waits = pytest.mark.parametrize("wait", WAITS, ids=str)
all_waits = pytest.mark.parametrize("wait", WAITS + FUTILE, ids=str)

Make = Callable[[type], Any]


@pytest.fixture
def make(remove_later: Any) -> Make:
    return lambda kind: remove_later(CREATE[kind]())


class TestTimeouts:
    @all_waits
    @pytest.mark.parametrize(("timeout", "error"), BAD_TIMEOUTS, ids=name)
    def test_what_is_no_time_is_refused(
        self, make: Make, wait: Wait, timeout: Any, error: type[Exception]
    ) -> None:
        handle = make(wait.kind)
        with unchanged(handle), pytest.raises(error, match="timeout"):
            wait.call(handle, timeout)

    @waits
    @pytest.mark.parametrize(("timeout", "error"), BAD_TIMEOUTS, ids=name)
    def test_before_any_system_call(
        self, make: Make, wait: Wait, timeout: Any, error: type[Exception]
    ) -> None:
        handle = make(wait.kind)
        if wait.kind is not sync.Condition:
            handle.remove()
        with pytest.raises(error, match="timeout"):
            wait.call(handle, timeout)

    @waits
    def test_any_real_number_is_a_time(self, make: Make, wait: Wait) -> None:
        handle = make(wait.kind)
        with held(wait, handle), unchanged(handle):
            for timeout in SHORT:
                assert wait.call(handle, timeout) is False, timeout

    @waits
    @pytest.mark.parametrize("timeout", ENDLESS, ids=name)
    def test_the_longest_of_all_waits_on(self, make: Make, wait: Wait, timeout: Any) -> None:
        handle = make(wait.kind)
        answers: list[object] = []
        waiter = threading.Thread(target=lambda: answers.append(wait.call(handle, timeout)))
        with held(wait, handle):
            waiter.start()
            support.wait_blocked(waiter)
        if wait.free:
            wait.free(handle)
        waiter.join()
        assert answers == [True]

    @pytest.mark.parametrize("timeout", SHORT, ids=name)
    def test_a_barrier_is_broken_by_one_who_waits_no_longer(self, make: Make, timeout: Any) -> None:
        barrier = make(sync.Barrier)
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait(timeout)
        assert barrier.broken
        assert barrier.n_waiting == 0

    @pytest.mark.parametrize("timeout", [0, 5e-324, None], ids=name)
    def test_who_need_not_wait_at_a_barrier_passes_it(
        self, remove_later: Any, timeout: Any
    ) -> None:
        barrier = remove_later(sync.Barrier.create(parties=1))
        for _ in range(3):
            assert barrier.wait(timeout) == 0
        barrier.reset()
        assert barrier.wait(timeout) == 0
        assert not barrier.broken

    def test_a_predicate_that_stays_false_is_what_a_wait_for_it_gives(self, make: Make) -> None:
        condition = make(sync.Condition)
        for timeout in SHORT:
            with unchanged(condition), condition:
                assert condition.wait_for(lambda: 0, timeout) == 0
        with condition:
            assert condition.wait_for(lambda: "true", 0) == "true"


class TestGivingBack:
    """What is not held can't be given back, whoever holds it."""

    @gives
    def test_what_nobody_holds(self, make: Make, kind: type, take: str, give: str) -> None:
        handle = make(kind)
        with unchanged(handle):
            for _ in range(2):
                with pytest.raises((ValueError, RuntimeError)):
                    getattr(handle, give)()
        assert getattr(handle, take)(timeout=0)

    @gives
    def test_too_often(self, make: Make, kind: type, take: str, give: str) -> None:
        handle = make(kind)
        with unchanged(handle):
            getattr(handle, take)()
            getattr(handle, give)()
            with pytest.raises((ValueError, RuntimeError)):
                getattr(handle, give)()

    @gives
    def test_what_another_process_holds(self, make: Make, kind: type, take: str, give: str) -> None:
        handle = make(kind)
        getattr(handle, take)()

        def child() -> str:
            with pytest.raises((ValueError, RuntimeError)) as caught:
                getattr(handle, give)()
            return type(caught.value).__name__

        with unchanged(handle):
            told = support.in_child(child)
        assert told == ("ValueError" if kind is sync.BoundedSemaphore else "RuntimeError")
        getattr(handle, give)()

    @gives
    def test_a_child_that_dies_takes_nothing_with_it(
        self, make: Make, kind: type, take: str, give: str
    ) -> None:
        handle = make(kind)
        getattr(handle, take)()
        with unchanged(handle), support.Child(signal.pause) as child:
            child.kill()
            child.join()
        getattr(handle, give)()

    def test_what_another_thread_owns(self, make: Make) -> None:
        lock = make(sync.RLock)
        lock.acquire()
        errors: list[BaseException] = []

        def other() -> None:
            try:
                lock.release()
            except RuntimeError as error:
                errors.append(error)

        with unchanged(lock):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        assert "thread" in str(errors[0])
        lock.release()

    def test_reading_is_not_writing(self, make: Make) -> None:
        lock = make(sync.RWLock)
        lock.acquire_read()
        with unchanged(lock), pytest.raises((ValueError, RuntimeError)):
            lock.release_write()
        lock.release_read()
        lock.acquire_write()
        with unchanged(lock), pytest.raises((ValueError, RuntimeError)):
            lock.release_read()
        lock.release_write()

    @pytest.mark.parametrize("method", ["wait", "wait_for", "notify", "notify_all"])
    def test_a_condition_is_used_by_the_holder_of_its_lock(self, make: Make, method: str) -> None:
        condition = make(sync.Condition)
        arguments = [lambda: False] if method == "wait_for" else []

        def call() -> str:
            with pytest.raises(RuntimeError) as caught:
                getattr(condition, method)(*arguments)
            return str(caught.value)

        with unchanged(condition):
            assert call()
        with condition:
            assert support.in_child(call)


class TestRemoved:
    @waits
    def test_who_waits_is_told(self, make: Make, wait: Wait) -> None:
        handle = make(wait.kind)
        errors: list[BaseException] = []

        def waiter() -> None:
            try:
                wait.call(handle, None)
            except ipc.RemovedError as error:
                errors.append(error)

        with held(wait, handle):
            thread = threading.Thread(target=waiter)
            thread.start()
            support.wait_blocked(thread)
            handle.remove()
            thread.join()
        assert len(errors) == 1

    @waits
    def test_nobody_gets_it_any_more(self, make: Make, wait: Wait) -> None:
        handle = make(wait.kind)
        handle.remove()
        for timeout in (None, 0, 1):
            with pytest.raises(ipc.RemovedError):
                wait.call(handle, timeout)

    @gives
    def test_what_is_gone_is_not_given_back(
        self, make: Make, kind: type, take: str, give: str
    ) -> None:
        handle = make(kind)
        getattr(handle, take)()
        handle.remove()
        with pytest.raises(ipc.RemovedError):
            getattr(handle, give)()

    @pytest.mark.parametrize("kind", CREATE, ids=name)
    def test_once_only(self, make: Make, kind: type) -> None:
        handle = make(kind)
        handle.remove()
        for call in (handle.remove, handle.stat):
            with pytest.raises(ipc.RemovedError):
                call()

    @pytest.mark.parametrize("kind", [sync.Lock, sync.RLock, sync.Condition], ids=name)
    def test_the_body_of_a_with_that_removes_it(self, make: Make, kind: type) -> None:
        handle = make(kind)
        with pytest.raises(ipc.RemovedError), handle:
            handle.remove()
        handle = make(kind)
        with pytest.raises(ZeroDivisionError), handle:
            handle.remove() or 1 / 0

    def test_events_and_barriers(self, make: Make) -> None:
        event, barrier = make(sync.Event), make(sync.Barrier)
        event.remove()
        barrier.remove()
        calls: list[Callable[[], object]] = [event.set, event.clear, event.is_set]
        calls += [barrier.abort, barrier.reset, barrier.wait]
        calls += [lambda: barrier.n_waiting, lambda: barrier.broken]
        for call in calls:
            with pytest.raises(ipc.RemovedError):
                call()


class TestMaking:
    @pytest.fixture(autouse=True)
    def nothing_created(self) -> Iterator[None]:
        before = support.objects()
        yield
        assert support.objects() == before

    @pytest.mark.parametrize("create", [*CREATE.values(), *OPEN_OR_CREATE.values()], ids=name)
    def test_keys_and_modes_are_checked(self, create: Callable[..., Any]) -> None:
        for bad, error in (
            (None, TypeError),
            ("1", TypeError),
            (2**32, (ValueError, OverflowError)),
        ):
            with pytest.raises(error, match="key"):
                create(bad)
        for mode in (0o1000, -1):
            with pytest.raises((ValueError, OverflowError), match="mode"):
                create(support.free_key(), mode=mode)

    def test_a_barrier_needs_parties(self) -> None:
        for parties in (0, -1, 10**9, 2**64):
            with pytest.raises((ValueError, OverflowError, ipc.LimitExceededError)):
                sync.Barrier.create(parties=parties)
        with pytest.raises(TypeError):
            sync.Barrier.create(parties=1.5)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            sync.Barrier.create(parties=2, action=1)  # type: ignore[arg-type]

    def test_a_semaphore_needs_a_value(self) -> None:
        for value in (-1, 32768, 2**64):
            with pytest.raises((ValueError, OverflowError)):
                sync.BoundedSemaphore.create(value=value)
        with pytest.raises(TypeError):
            sync.BoundedSemaphore.create(value="2")  # type: ignore[arg-type]

    def test_a_condition_needs_a_lock(self) -> None:
        for lock in (1, threading.Lock(), "lock"):
            with pytest.raises(TypeError):
                sync.Condition.create(lock=lock)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", CREATE, ids=name)
def test_the_set_of_another_kind_is_refused(remove_later: Any, kind: Any) -> None:
    other = remove_later(ipc.SemaphoreSet.create(support.free_key(), size=9, values=1))
    if kind is sync.Barrier:
        other = remove_later(ipc.SemaphoreSet.create(support.free_key(), size=4, values=1))
    calls: list[Callable[[], object]] = [
        lambda: kind.open(other.key),
        lambda: kind.from_id(other.id),
        lambda: OPEN_OR_CREATE[kind](other.key),
    ]
    for call in calls:
        with pytest.raises(ipc.IPCError, match="semaphores"):
            call()
    assert set(other.values) == {1}
