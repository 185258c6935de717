"""`PHPSemaphore` alone; with PHP on the other side it is in tests/interop."""

import copy
import gc
import os
import pickle
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs.interop import PHPSemaphore


@pytest.fixture
def key() -> Iterator[int]:
    """A free key, whose set is removed after the test."""
    free = support.free_key()
    yield free
    with suppress(ipc.NotFoundError):
        ipc.SemaphoreSet.open(free).remove()


@pytest.fixture
def php(key: int) -> PHPSemaphore:
    return PHPSemaphore.open_or_create(key, 2)


def values(semaphore: PHPSemaphore) -> tuple[int, ...]:
    return semaphore.semaphore_set.values


def test_it_is_a_set_of_three_that_everybody_may_use(key: int) -> None:
    php = PHPSemaphore.open_or_create(key, 5)
    assert values(php) == (5, 1, 0)
    assert (php.semaphore_set.stat().size, php.semaphore_set.stat().mode) == (3, 0o666)
    assert (php.value, php.users, php.held) == (5, 1, 0)
    assert (php.key, php.id, php.max_acquire, php.auto_release) == (
        key,
        ipc.SemaphoreSet.open(key).id,
        5,
        True,
    )
    assert repr(php) == f"PHPSemaphore(key={key:#010x}, id={php.id})"


def test_tokens_are_taken_and_given_back(php: PHPSemaphore) -> None:
    assert php.acquire() is True
    assert php.try_acquire() is True
    assert php.try_acquire() is False
    assert (values(php), php.held) == ((0, 1, 0), 2)
    with pytest.raises(ipc.WaitTimeoutError):
        php.acquire(timeout=0.001)
    assert php.try_hold() is None
    php.release()
    with php.hold(timeout=0) as guard:
        assert guard.held
        assert (values(php), php.held) == ((0, 1, 0), 1)
    php.release()
    assert (values(php), php.held) == ((2, 1, 0), 0)


def test_what_was_not_taken_is_not_given_back(php: PHPSemaphore) -> None:
    with php, pytest.raises(ValueError, match="no token"):
        php.release()
    assert values(php) == (2, 1, 0)


def test_each_object_is_a_user_until_it_is_dropped(php: PHPSemaphore, key: int) -> None:
    second = PHPSemaphore.open_or_create(key, 7)
    second.acquire()
    assert values(php) == (1, 2, 0)
    del second
    gc.collect()
    assert values(php) == (2, 1, 0)


def test_a_closed_one_has_left_and_does_nothing_more(php: PHPSemaphore, key: int) -> None:
    other = PHPSemaphore.open_or_create(key)
    php.acquire()
    php.close()
    php.close()
    assert (values(other), php.held) == ((2, 1, 0), 0)
    for call in (php.acquire, php.try_acquire, php.release, php.hold, php.try_hold, php.__enter__):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert php.value == 2


def test_without_auto_release_only_the_end_of_the_process_gives_back(key: int) -> None:
    ours = PHPSemaphore.open_or_create(key)

    def use() -> tuple[int, ...]:
        php = PHPSemaphore.open_or_create(key, auto_release=False)
        php.acquire()
        php.close()
        del php
        gc.collect()
        return values(ours)

    assert support.in_child(use) == (0, 2, 0)
    assert values(ours) == (1, 1, 0)


def test_a_guard_keeps_its_user(php: PHPSemaphore, key: int) -> None:
    other = PHPSemaphore.open_or_create(key)
    guard = php.hold()
    php.close()
    assert values(other) == (1, 2, 0)
    guard.release()
    guard.release()
    assert values(other) == (2, 1, 0)
    dropped = other.hold()
    assert values(other) == (1, 1, 0)
    del dropped
    assert values(other) == (2, 1, 0)


def test_with_blocks_nest_and_mind_threads(php: PHPSemaphore) -> None:
    with php as outer, php as inner:
        assert (outer.held, inner.held) == (True, True)
        assert values(php) == (0, 1, 0)
    assert values(php) == (2, 1, 0)

    def use() -> None:
        for _ in range(200):
            with php:
                assert php.value in (0, 1)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values(php) == (2, 1, 0)


def test_leaving_a_block_that_removed_the_set_says_so(php: PHPSemaphore) -> None:
    with pytest.raises(ipc.RemovedError), php:
        php.remove()
    with pytest.raises(ipc.RemovedError):
        php.remove()
    with pytest.raises(ipc.RemovedError):
        php.try_acquire()
    with pytest.raises(ipc.RemovedError):
        php.users  # noqa: B018
    php.close()


def test_a_removed_set_is_made_anew(php: PHPSemaphore, key: int) -> None:
    php.remove()
    again = PHPSemaphore.open_or_create(key, 3)
    assert again != php
    assert values(again) == (3, 1, 0)
    del php
    gc.collect()
    assert values(again) == (3, 1, 0)


BAD: list[tuple[Callable[..., object], type[Exception]]] = [
    (lambda _: PHPSemaphore.open_or_create(0), ValueError),
    (lambda _: PHPSemaphore.open_or_create(2**32), ValueError),
    (lambda _: PHPSemaphore.open_or_create("1"), TypeError),  # type: ignore[arg-type]
    (lambda key: PHPSemaphore.open_or_create(key, 0), ValueError),
    (lambda key: PHPSemaphore.open_or_create(key, 32768), ValueError),
    (lambda key: PHPSemaphore.open_or_create(key, 1.0), TypeError),  # type: ignore[arg-type]
    (lambda key: PHPSemaphore.open_or_create(key, mode=666), ValueError),
    (lambda key: PHPSemaphore.open_or_create(key, owner=-1), ValueError),
    (lambda key: PHPSemaphore.open_or_create(key, timeout=-1), ValueError),
    (PHPSemaphore, TypeError),
    (lambda _: type("Mine", (PHPSemaphore,), {}), TypeError),
]


@pytest.mark.parametrize(("call", "error"), BAD)
def test_bad_arguments_create_nothing(
    key: int, call: Callable[..., object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        call(key)
    with pytest.raises(ipc.NotFoundError):
        ipc.SemaphoreSet.open(key)


def test_a_set_that_is_no_php_semaphore_is_refused(key: int) -> None:
    ipc.SemaphoreSet.create(key, 2)
    with pytest.raises(ipc.IPCError, match="asked for a set of 3"):
        PHPSemaphore.open_or_create(key)


def test_the_owner_is_minded(php: PHPSemaphore, key: int) -> None:
    us = os.geteuid()
    assert PHPSemaphore.open_or_create(key, owner=us) == php
    with pytest.raises(ipc.UntrustedOwnerError):
        PHPSemaphore.open_or_create(key, owner=us + 1)
    assert values(php) == (2, 1, 0)
    php.remove()
    with pytest.raises(ipc.NotFoundError):
        PHPSemaphore.open_or_create(key, owner=us + 1)


@support.needs_other_users
def test_a_mode_keeps_others_out(key: int) -> None:
    php = PHPSemaphore.open_or_create(key, mode=0o644)

    def open_it() -> None:
        with pytest.raises(ipc.AccessDeniedError):
            PHPSemaphore.open_or_create(key)

    support.in_child(open_it, support.NOBODY)
    assert values(php) == (1, 1, 0)
    # May come in, but not see how many users there are.
    php.semaphore_set.chmod(0o622)
    support.in_child(open_it, support.NOBODY)
    assert values(php) == (1, 1, 0)


def test_too_many_users_are_refused(php: PHPSemaphore, key: int) -> None:
    php.semaphore_set[1].value = 32767
    with pytest.raises(ipc.LimitExceededError):
        PHPSemaphore.open_or_create(key)
    assert values(php) == (2, 32767, 0)


def test_handles_are_equal_by_id_and_pickled_as_users_of_their_own(php: PHPSemaphore) -> None:
    other = pickle.loads(pickle.dumps(php))
    assert (other, hash(other)) == (php, hash(php))
    assert other is not php
    assert (other.max_acquire, other.auto_release, other.key) == (2, True, php.key)
    assert values(php) == (2, 2, 0)
    assert {php, copy.copy(php)} == {php}
    assert weakref.ref(php)() is php
    pickled = pickle.dumps(other)
    php.remove()
    with pytest.raises(ipc.RemovedError):
        pickle.loads(pickled)


def test_in_a_forked_child_it_is_inert(php: PHPSemaphore, key: int) -> None:
    php.acquire()
    guard = php.hold()

    def use() -> tuple[int, ...]:
        for call in (php.acquire, php.try_acquire, php.release, php.hold, php.try_hold):
            with pytest.raises(RuntimeError, match="belongs to the process"):
                call()
        assert not guard.held
        guard.release()
        php.close()
        again = PHPSemaphore.open_or_create(key)
        assert values(again) == (0, 2, 0)
        return values(again)

    support.in_child(use)
    assert values(php) == (0, 1, 0)
    assert guard.held


class Interruption(Exception):
    """What the signal handler raises."""


def interrupt(*_: object) -> None:
    raise Interruption


@pytest.mark.parametrize("call", ["acquire", "hold", "__enter__"])
def test_an_interrupted_wait_takes_nothing(php: PHPSemaphore, key: int, call: str) -> None:
    other = PHPSemaphore.open_or_create(key)
    other.acquire()
    other.acquire()
    with (
        support.handler(signal.SIGUSR1, interrupt),
        support.signal_when_blocked(),
        pytest.raises(Interruption),
    ):
        getattr(php, call)()
    other.release()
    assert (values(php), php.held) == ((1, 2, 0), 0)


def test_an_interrupted_entry_is_none(key: int) -> None:
    entered = ipc.SemaphoreSet.create(key, 3, values=[1, 1, 1])
    with (
        support.handler(signal.SIGUSR1, interrupt),
        support.signal_when_blocked(),
        pytest.raises(Interruption),
    ):
        PHPSemaphore.open_or_create(key)
    assert entered.values == (1, 1, 1)
    with support.handler(signal.SIGUSR1, lambda *_: entered[2].acquire()):
        with support.signal_when_blocked():
            php = PHPSemaphore.open_or_create(key)
        assert values(php) == (1, 2, 0)


def test_a_handler_that_raises_at_any_moment_loses_no_token(php: PHPSemaphore) -> None:
    armed, interrupted = False, 0

    def handle(*_: object) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise Interruption

    with support.handler(signal.SIGALRM, handle):
        for step in range(2000):
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + step % 50 * 1e-6)
                with php:
                    php.acquire()
                    php.release()
                armed = False
            except Interruption:
                interrupted += 1
            while php.held:
                php.release()
            assert values(php) == (2, 1, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert interrupted > 100


def test_removal_ends_an_entry_that_waits_which_starts_anew(key: int) -> None:
    entered = ipc.SemaphoreSet.create(key, 3, values=[1, 1, 1])

    def enter() -> tuple[int, ...]:
        return values(PHPSemaphore.open_or_create(key, 4))

    with support.Child(enter) as child:
        support.wait_blocked(child.pid)
        entered.remove()
        assert child.result() == (4, 1, 0)
