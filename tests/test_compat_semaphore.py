"""The drop-in's semaphores: where they are better than the incumbent's."""

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any, cast

import pytest
import support
from sysv_ipc_rs import compat


@pytest.fixture
def semaphore() -> Iterator[compat.Semaphore]:
    """A semaphore of 1."""
    made = compat.Semaphore(None, compat.IPC_CREX, initial_value=1)
    yield made
    with suppress(compat.ExistentialError):
        made.remove()


@pytest.fixture
def empty(semaphore: compat.Semaphore) -> compat.Semaphore:
    """A semaphore of 0."""
    semaphore.acquire()
    return semaphore


@pytest.mark.parametrize("timeout", [0.05, Decimal("0.05"), 1e-9, 0, 0.0])
def test_a_timeout_ends_the_wait_and_takes_nothing(empty: compat.Semaphore, timeout: Any) -> None:
    for call in (empty.acquire, empty.P):
        begin = time.monotonic()
        with pytest.raises(compat.BusyError) as caught:
            call(timeout)
        assert time.monotonic() - begin >= float(timeout)
        assert caught.value.errno == errno.EAGAIN
    assert empty.value == 0


def test_a_timeout_ends_the_wait_for_zero(semaphore: compat.Semaphore) -> None:
    begin = time.monotonic()
    with pytest.raises(compat.BusyError):
        semaphore.Z(0.05)
    assert time.monotonic() - begin >= 0.05


@pytest.mark.parametrize("timeout", [float("inf"), 10**30, 10.0, None])
def test_a_wait_within_its_timeout_ends_with_the_token(
    empty: compat.Semaphore, timeout: Any
) -> None:
    waiter = threading.Thread(target=empty.acquire, args=(timeout,))
    waiter.start()
    support.wait_blocked(waiter)
    assert empty.waiting_for_nonzero == 1
    empty.release()
    waiter.join()
    assert empty.value == 0


def test_a_signal_does_not_end_the_wait(empty: compat.Semaphore) -> None:
    def give(*_: object) -> None:
        empty.release()

    with support.handler(signal.SIGUSR1, give), support.signal_when_blocked():
        empty.acquire()
    assert empty.value == 0


def test_a_handler_that_raises_ends_the_wait_and_nothing_is_taken(empty: compat.Semaphore) -> None:
    def give_and_raise(*_: object) -> None:
        empty.release()
        raise ZeroDivisionError

    with (
        support.handler(signal.SIGUSR1, give_and_raise),
        support.signal_when_blocked(),
        pytest.raises(ZeroDivisionError),
    ):
        empty.acquire(30)
    assert empty.value == 1


def test_who_waits_is_told_that_it_is_removed(empty: compat.Semaphore) -> None:
    told: list[BaseException] = []

    def wait() -> None:
        try:
            empty.acquire()
        except compat.ExistentialError as error:
            told.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    support.wait_blocked(waiter)
    empty.remove()
    waiter.join()
    assert [str(error) for error in told] == ["The semaphore was removed"]


def test_undo_gives_back_what_a_killed_process_held(semaphore: compat.Semaphore) -> None:
    def hold() -> None:
        semaphore.undo = True
        semaphore.acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    with support.Child(hold) as child:
        child.join()
    support.wait_for(lambda: semaphore.value == 1, "what was held is back")


def test_a_constructor_that_fails_leaves_nothing() -> None:
    before = support.objects()
    for options in (
        {"initial_value": 32768},
        {"initial_value": -1},
        {"initial_value": 2**70},
        {"mode": 0o1600},
        {"mode": 644},
        {"flags": 2**31},
        {"key": 2**32},
        {"key": -(2**31) - 1},
    ):
        arguments = {"key": 0, "flags": compat.IPC_CREX, **options}
        with pytest.raises((ValueError, OverflowError)):
            compat.Semaphore(**arguments)
    assert support.objects() == before


def test_opening_by_creat_leaves_the_value_and_creating_sets_it() -> None:
    key = support.free_key()
    made = compat.Semaphore(key, compat.IPC_CREAT, initial_value=3)
    try:
        assert made.value == 3
        assert compat.Semaphore(key, compat.IPC_CREAT, initial_value=5).id == made.id
        assert made.value == 3
    finally:
        made.remove()


def test_many_may_open_or_create_at_once() -> None:
    key = support.free_key()
    made: list[compat.Semaphore] = []
    start = threading.Barrier(8)

    def open_or_create() -> None:
        start.wait()
        made.append(compat.Semaphore(key, compat.IPC_CREAT, initial_value=2))

    threads = [threading.Thread(target=open_or_create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len(made) == 8
        assert len({one.id for one in made}) == 1
    finally:
        made[0].remove()


def test_random_keys_go_on_when_all_of_the_usual_ones_are_in_use() -> None:
    def inside() -> int:
        for key in range(1, 2**15):
            compat.MessageQueue(key, compat.IPC_CREX)
        return compat.MessageQueue(None, compat.IPC_CREX).key

    assert support.in_namespace(inside, msgmni=32768) >= 2**15


def test_errors_are_of_the_family_and_are_os_errors_with_errno(semaphore: compat.Semaphore) -> None:
    wrong: dict[type[compat.Error], tuple[int, Callable[[], object]]] = {
        compat.ExistentialError: (errno.ENOENT, lambda: compat.Semaphore(support.free_key())),
        compat.BusyError: (errno.EAGAIN, lambda: semaphore.acquire(0, 2)),
    }
    for kind, (number, call) in wrong.items():
        with pytest.raises(kind) as caught:
            call()
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == number
        assert str(caught.value) == caught.value.strerror
    with pytest.raises(compat.ExistentialError) as caught:
        compat.Semaphore(semaphore.key, compat.IPC_CREX)
    assert caught.value.errno == errno.EEXIST
    semaphore.remove()
    with pytest.raises(compat.ExistentialError) as caught:
        semaphore.release()
    assert caught.value.errno == errno.EIDRM


@pytest.mark.parametrize("cls", [compat.PermissionsError, compat.BusyError, compat.Error])
def test_a_program_may_raise_the_errors_itself(cls: type[compat.Error]) -> None:
    assert str(cls("text")) == "text"
    assert str(cls()) == ""
    assert str(cls(errno.EACCES, "text")) == "text"


def test_another_user_gets_permissions_error(semaphore: compat.Semaphore) -> None:
    if not support.may_become(support.NOBODY):
        pytest.skip("needs to be root")

    def stranger() -> list[tuple[str, int]]:
        told = []
        calls: tuple[Callable[[], object], ...] = (
            semaphore.acquire,
            semaphore.remove,
            lambda: compat.Semaphore(semaphore.key),
        )
        for call in calls:
            with pytest.raises(compat.PermissionsError) as caught:
                call()
            assert isinstance(caught.value, PermissionError)
            told.append((str(caught.value), cast("int", caught.value.errno)))
        return told

    denied = ("Permission denied", errno.EACCES)
    forbidden = ("Permission denied", errno.EPERM)
    assert support.in_child(stranger, support.NOBODY) == [denied, forbidden, denied]


def test_one_whose_constructor_has_not_run_is_no_object() -> None:
    class Lazy(compat.Semaphore):
        def __init__(self) -> None:
            self.later = True

    lazy = Lazy()
    calls: tuple[Callable[[], object], ...] = (lazy.acquire, lazy.remove, lambda: lazy.value)
    for call in calls:
        with pytest.raises(compat.ExistentialError):
            call()


@pytest.mark.parametrize("delta", [32768, -32768, 2**40, -(2**70)])
def test_deltas_are_never_truncated(semaphore: compat.Semaphore, delta: int) -> None:
    with pytest.raises(OverflowError):
        semaphore.acquire(0, delta)
    with pytest.raises(OverflowError):
        semaphore.release(delta)
    assert semaphore.value == 1


@pytest.mark.parametrize("value", [2**32 + 5, -1, 2**70, 32768])
def test_values_are_never_truncated(semaphore: compat.Semaphore, value: int) -> None:
    with pytest.raises(ValueError, match="must remain between 0 and SEMVMX"):
        semaphore.value = value
    assert semaphore.value == 1


@pytest.mark.parametrize("name", ["uid", "gid", "mode"])
def test_owners_and_modes_are_never_truncated(semaphore: compat.Semaphore, name: str) -> None:
    before = getattr(semaphore, name)
    for value in (2**32, 2**32 - 1, -1, 2**70):
        with pytest.raises(ValueError, match="is not in the range"):
            setattr(semaphore, name, value)
    assert getattr(semaphore, name) == before


@pytest.mark.parametrize("name", ["value", "block", "undo", "mode", "uid", "gid", "id", "key"])
def test_attributes_cannot_be_deleted(semaphore: compat.Semaphore, name: str) -> None:
    with pytest.raises(AttributeError):
        delattr(semaphore, name)


def test_a_second_init_is_another_semaphore(semaphore: compat.Semaphore) -> None:
    other = compat.Semaphore(None, compat.IPC_CREX)
    try:
        handle = compat.Semaphore(semaphore.key)
        assert (handle.id, handle.key) == (semaphore.id, semaphore.key)
        handle.__init__(other.key)  # type: ignore[misc]
        assert (handle.id, handle.key) == (other.id, other.key)
    finally:
        other.remove()


@pytest.mark.parametrize("kind", [compat.Semaphore, compat.MessageQueue, compat.SharedMemory])
def test_a_constructor_says_what_is_wrong_with_its_arguments(kind: Any) -> None:
    name = kind.__name__
    with pytest.raises(
        TypeError, match=f"{name}.*.. missing 1 required positional argument: 'key'"
    ):
        kind()
    with pytest.raises(TypeError, match=f"{name}.*.. takes from 1 to . positional arguments but 9"):
        kind(*range(1, 10))
    with pytest.raises(TypeError, match="multiple values for argument 'key'"):
        kind(1, key=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        kind(1, nothing=1)
    with pytest.raises(TypeError, match="str") as caught:
        kind(1, "0")
    assert "while processing 'flags'" in str(caught.value.__notes__)


@pytest.mark.parametrize("kind", [compat.Semaphore, compat.MessageQueue])
@pytest.mark.parametrize("name", ["flags", "mode", "third"])
def test_a_constructor_converts_each_argument_once(kind: Any, name: str) -> None:
    class Number:
        converted = 0

        def __index__(self) -> int:
            self.converted += 1
            raise KeyboardInterrupt

    third = "initial_value" if kind is compat.Semaphore else "max_message_size"
    number, before = Number(), support.objects()
    with pytest.raises(KeyboardInterrupt):
        kind(None, **{"flags": compat.IPC_CREX, third if name == "third" else name: number})
    assert number.converted == 1
    assert support.objects() == before


def test_a_subclass_may_take_other_arguments(semaphore: compat.Semaphore) -> None:
    class Named(compat.Semaphore):
        def __init__(self, name: str, *, key: int) -> None:
            super().__init__(key, mode=0o600)
            self.name = name

    named = Named("n", key=semaphore.key)
    assert (named.id, named.name) == (semaphore.id, "n")
