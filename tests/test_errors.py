"""The errors: their family, what they tell, and that they survive pickling."""

import errno
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Semaphore, SemaphoreSet

FAMILY: dict[type[ipc.IPCError], tuple[type[BaseException], ...]] = {
    ipc.IPCError: (OSError,),
    ipc.ExistenceError: (ipc.IPCError,),
    ipc.AlreadyExistsError: (ipc.ExistenceError, FileExistsError),
    ipc.NotFoundError: (ipc.ExistenceError, FileNotFoundError),
    ipc.RemovedError: (ipc.ExistenceError,),
    ipc.AccessDeniedError: (ipc.IPCError, PermissionError),
    ipc.UntrustedOwnerError: (ipc.AccessDeniedError,),
    ipc.WaitTimeoutError: (ipc.IPCError, TimeoutError),
    ipc.LimitExceededError: (ipc.IPCError,),
    ipc.MessageTooBigError: (ipc.LimitExceededError,),
}


@pytest.mark.parametrize(("error", "bases"), FAMILY.items(), ids=support.name)
def test_each_has_the_bases_of_the_table(
    error: type[ipc.IPCError], bases: tuple[type[BaseException], ...]
) -> None:
    assert error.__bases__ == bases
    assert issubclass(error, OSError)
    assert error.__module__ == "sysv_ipc_rs"
    assert getattr(ipc, error.__qualname__) is error
    assert error.__doc__


@pytest.mark.parametrize("error", FAMILY, ids=support.name)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_each_survives_pickling(error: type[ipc.IPCError], protocol: int) -> None:
    told = error(errno.EPERM, "what was tried")
    assert told.call is None
    told.call = "semop"
    again = pickle.loads(pickle.dumps(told, protocol))
    assert type(again) is error
    assert (again.errno, again.strerror, again.call) == (errno.EPERM, "what was tried", "semop")
    assert str(again) == str(told)


@pytest.mark.parametrize("error", FAMILY, ids=support.name)
def test_each_may_be_subclassed_and_raised_by_programs(error: type[ipc.IPCError]) -> None:
    class Own(error):  # type: ignore[valid-type,misc]
        pass

    with pytest.raises(error, match="text"):
        raise Own(errno.EIO, "text")


def fail(key: int) -> None:
    SemaphoreSet.open(key)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_they_cross_multiprocessing(method: str) -> None:
    key = support.free_key()
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        caught = pool.submit(fail, key).exception()
    assert type(caught) is ipc.NotFoundError
    assert (caught.errno, caught.call) == (errno.ENOENT, "semget")
    assert f"{key:#010x}" in str(caught)


def removed() -> Semaphore:
    gone = Semaphore.create()
    gone.remove()
    return gone


class TestRemoved:
    """Always RemovedError with EIDRM, whatever the kernel says."""

    CALLS: tuple[Callable[[Semaphore], Any], ...] = (
        lambda s: s.remove(),
        lambda s: s.semaphore_set.remove(),
        lambda s: s.acquire(),
        lambda s: s.acquire(timeout=1),
        lambda s: s.acquire(timeout=0),
        lambda s: s.try_acquire(),
        lambda s: s.release(),
        lambda s: s.wait_zero(),
        lambda s: s.try_wait_zero(),
        lambda s: s.hold(),
        lambda s: s.try_hold(),
        lambda s: s.__enter__(),
        lambda s: s.value,
        lambda s: setattr(s, "value", 1),
        lambda s: s.last_pid,
        lambda s: s.waiting,
        lambda s: s.waiting_zero,
        lambda s: s.semaphore_set.values,
        lambda s: setattr(s.semaphore_set, "values", [1]),
        lambda s: s.semaphore_set.op((0, 1)),
        lambda s: s.semaphore_set.try_op((0, 1)),
        lambda s: s.semaphore_set.stat(),
        lambda s: s.semaphore_set.chmod(0o600),
        lambda s: s.semaphore_set.chown(0),
        lambda s: Semaphore.from_id(s.id),
        lambda s: SemaphoreSet.from_id(s.id),
        lambda s: SemaphoreSet.from_id(s.id, owner=0),
        lambda s: pickle.loads(pickle.dumps(s)),
        lambda s: pickle.loads(pickle.dumps(s.semaphore_set)),
    )

    @pytest.mark.parametrize("call", CALLS)
    def test_by_every_call(self, call: Callable[[Semaphore], Any]) -> None:
        gone = removed()
        with pytest.raises(ipc.RemovedError) as caught:
            call(gone)
        assert caught.value.errno == errno.EIDRM
        assert caught.value.call in {"semop", "semctl"}
        assert f"id {gone.id}" in str(caught.value)
        assert "removed" in str(caught.value)

    def test_also_where_the_slot_has_another_set(self, remove_later: Any) -> None:
        gone = removed()
        another = remove_later(Semaphore.create(value=5))
        with pytest.raises(ipc.RemovedError):
            gone.acquire()
        assert another.value == 5

    def test_handles_still_tell_key_id_and_length(self) -> None:
        gone = removed()
        assert (gone.key, gone.index, len(gone.semaphore_set)) == (0, 0, 1)
        assert str(gone.id) in repr(gone)
        assert str(gone.id) in repr(gone.semaphore_set)


def test_existing_key_is_named() -> None:
    key = support.free_key()
    made = SemaphoreSet.create(key, 3)
    try:
        for create in (SemaphoreSet.create, Semaphore.create):
            with pytest.raises(ipc.AlreadyExistsError, match=f"{key:#010x}.*exists") as caught:
                create(key)
            assert (caught.value.errno, caught.value.call) == (errno.EEXIST, "semget")
    finally:
        made.remove()


def test_missing_key_is_named() -> None:
    key = support.free_key()
    for open_ in (SemaphoreSet.open, Semaphore.open):
        with pytest.raises(ipc.NotFoundError, match=f"{key:#010x}") as caught:
            open_(key)
        assert (caught.value.errno, caught.value.call) == (errno.ENOENT, "semget")


def test_negative_keys_are_named_in_hex() -> None:
    with pytest.raises(ipc.NotFoundError, match="0xdeadbeef"):
        SemaphoreSet.open(0xDEADBEEF)


@pytest.mark.parametrize("size", [4, 32000, 32001, 2**31, 2**40])
def test_a_set_that_is_too_small_is_told_with_both_sizes(size: int) -> None:
    key = support.free_key()
    made = SemaphoreSet.create(key, 3)
    try:
        with pytest.raises(ipc.IPCError, match=rf"{size}\b.* has 3") as caught:
            SemaphoreSet.open(key, size=size)
        assert type(caught.value) is ipc.IPCError
        assert caught.value.errno == errno.EINVAL
        assert SemaphoreSet.open(key, size=3) == SemaphoreSet.open(key, size=2) == made
    finally:
        made.remove()


def test_open_or_create_tells_both_sizes_too() -> None:
    key = support.free_key()
    made = SemaphoreSet.create(key, 3)
    try:
        with pytest.raises(ipc.IPCError, match=r"4 .* has 3"):
            SemaphoreSet.open_or_create(key, 4)
    finally:
        made.remove()


def test_time_that_is_up_is_etimedout(semaphore: Semaphore) -> None:
    for timeout in (0, 0.001):
        with pytest.raises(ipc.WaitTimeoutError) as caught:
            semaphore.acquire(2, timeout=timeout)
        assert caught.value.errno == errno.ETIMEDOUT
        assert caught.value.call == "semop"
        assert str(semaphore.id) in str(caught.value)


def test_a_value_that_would_pass_the_largest_is_erange(semaphore: Semaphore) -> None:
    with pytest.raises(ipc.LimitExceededError, match="SEMVMX is 32767") as caught:
        semaphore.release(32767)
    assert caught.value.errno == errno.ERANGE
    assert semaphore.value == 1


def test_interrupts_of_python_are_not_errors_of_ours() -> None:
    """EINTR never leaves the package: there is no class for it."""
    assert not any(issubclass(error, InterruptedError) for error in FAMILY)


def test_what_the_kernel_lacks_is_said() -> None:
    def call() -> None:
        support.refuse_system_calls(errno.ENOSYS, "semget", "semop", "semtimedop", "semctl")
        SemaphoreSet.create()

    with pytest.raises(ipc.IPCError, match=r"semget.*CONFIG_SYSVIPC") as caught:
        support.in_child(call)
    assert caught.value.errno == errno.ENOSYS


def test_call_is_part_of_what_is_shown() -> None:
    key = support.free_key()
    with pytest.raises(ipc.NotFoundError) as caught:
        SemaphoreSet.open(key)
    told = str(caught.value)
    assert told.startswith(f"[Errno {errno.ENOENT}] semget of the semaphore set with key 0x")
    assert caught.value.strerror
    assert caught.value.args == (errno.ENOENT, caught.value.strerror)
