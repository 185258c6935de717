"""Limits that are hit are named, with value, use and file; nothing is left behind."""

import errno
from collections.abc import Callable
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Semaphore, SemaphoreSet

SEM = "/proc/sys/kernel/sem"


def hit(call: Callable[[], object], sem: str, **limits: object) -> ipc.LimitExceededError:
    """The error of a call in a namespace of its own, which leaves as many objects as before."""

    def inside() -> ipc.LimitExceededError:
        with pytest.raises(ipc.LimitExceededError) as caught:
            call()
        return caught.value

    return support.in_namespace(inside, sem=sem, **limits)


@pytest.mark.parametrize(
    "create",
    [
        SemaphoreSet.create,
        Semaphore.create,
        lambda: SemaphoreSet.open_or_create(5),
        lambda: Semaphore.open_or_create(5),
    ],
)
def test_semmni_is_named(create: Callable[[], object]) -> None:
    def call() -> None:
        for _ in range(3):
            SemaphoreSet.create(size=2)
        try:
            create()
        finally:
            assert len(support.objects()) == 3

    error = hit(call, "250 32000 32 3")
    assert (error.errno, error.call) == (errno.ENOSPC, "semget")
    assert "SEMMNI is 3, 3 used" in str(error)
    assert SEM in str(error)


@pytest.mark.parametrize("size", [3, 4, 200])
def test_semmns_is_named(size: int) -> None:
    def call() -> None:
        SemaphoreSet.create(size=5)
        SemaphoreSet.create(size=3)
        SemaphoreSet.create(size=2).remove()
        try:
            SemaphoreSet.create(size=size)
        finally:
            assert len(support.objects()) == 2

    error = hit(call, "250 10 32 100")
    assert error.errno == errno.ENOSPC
    assert f"set of {size}" in str(error)
    assert "SEMMNS is 10, 8 used" in str(error)
    assert SEM in str(error)


def test_semmsl_is_named() -> None:
    error = hit(lambda: SemaphoreSet.create(size=6), "5 32000 32 100")
    assert error.errno == errno.EINVAL
    assert "set of 6 semaphores is too large" in str(error)
    assert f"SEMMSL is 5 (see and raise it in {SEM})" in str(error)


def test_semopm_is_named() -> None:
    error = hit(lambda: SemaphoreSet.create(size=2).op(*[(0, 1)] * 4), "5 32000 3 100")
    assert (error.errno, error.call) == (errno.E2BIG, "semop")
    assert f"SEMOPM is 3 (see and raise it in {SEM})" in str(error)


def test_semvmx_is_named(semaphore: Semaphore) -> None:
    with pytest.raises(ipc.LimitExceededError, match="SEMVMX is 32767 and fixed"):
        semaphore.release(32767)


@pytest.mark.parametrize("semopm", [2, 3, 500])
@pytest.mark.parametrize("values", [0, 7, [0, 0, 0, 0, 1], [9, 0, 1, 2, 3]])
def test_a_low_semopm_hinders_no_creation(values: Any, semopm: int) -> None:
    def create() -> tuple[tuple[int, ...], bool]:
        made = SemaphoreSet.create(size=5, values=values)
        return made.values, made.stat().otime > 0

    expected = (values,) * 5 if isinstance(values, int) else tuple(values)
    answer = support.in_namespace(create, sem=f"250 32000 {semopm} 100")
    assert answer == (expected, True)


def test_a_creation_that_fails_late_leaves_nothing() -> None:
    """With SEMOPM at 0 nothing can be initialised."""

    def create() -> None:
        try:
            SemaphoreSet.create(5, 2, values=1)
        finally:
            assert not support.objects()

    error = hit(create, "250 32000 0 100")
    assert "SEMOPM is 0" in str(error)


def test_sets_go_up_to_semmsl() -> None:
    def create() -> int:
        made = SemaphoreSet.create(size=32001, values=range(32001))
        return len(made.values)

    assert support.in_namespace(create, sem="32001 1000000 500 100") == 32001


def test_processes_that_create_at_the_limit_leave_nothing() -> None:
    def work() -> int:
        refused = 0
        for _ in range(200):
            try:
                made = SemaphoreSet.create(size=3, values=[1, 2, 3])
            except ipc.LimitExceededError:
                refused += 1
            else:
                assert made.values == (1, 2, 3)
                made.remove()
        return refused

    def all_of_them() -> tuple[int, int]:
        children = [support.Child(work) for _ in range(8)]
        refused = [child.result() for child in children]
        return len(refused), len(support.objects())

    assert support.in_namespace(all_of_them, sem="250 32000 32 2") == (8, 0)
