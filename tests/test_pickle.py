"""What is pickled is the same object in another process."""

import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Semaphore, SemaphoreSet

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("key", [0, 5, 0xDEADBEEF])
def test_handles_are_equal_afterwards(remove_later: Any, key: int, protocol: int) -> None:
    made = remove_later(SemaphoreSet.create(key, 3, values=[1, 2, 3]))
    again = pickle.loads(pickle.dumps(made, protocol))
    assert again == made
    assert (again.key, again.id, again.values) == (made.key, made.id, (1, 2, 3))
    member = pickle.loads(pickle.dumps(made[2], protocol))
    assert member == made[2]
    assert (member.key, member.index, member.value) == (made.key, 2, 3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_stats_are_equal_afterwards(semaphore_set: SemaphoreSet, protocol: int) -> None:
    stat = semaphore_set.stat()
    again = pickle.loads(pickle.dumps(stat, protocol))
    assert again == stat
    assert type(again) is ipc.SemaphoreSetStat


def use(semaphore: Semaphore, whole: SemaphoreSet) -> tuple[int, ...]:
    with semaphore:
        return whole.values


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_handles_go_to_other_processes(semaphore_set: SemaphoreSet, method: str) -> None:
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(use, semaphore_set[1], semaphore_set).result() == (1, 1, 3)
        assert pool.submit(semaphore_set[1].acquire).result() is True
        assert pool.submit(semaphore_set.stat).result() == semaphore_set.stat()
    assert semaphore_set.values == (1, 1, 3)


def test_only_kind_id_key_and_index_are_pickled(semaphore_set: SemaphoreSet) -> None:
    for handle in (semaphore_set, semaphore_set[1]):
        function, arguments = handle.__reduce__()
        assert function.__module__ in {"sysv_ipc_rs", "sysv_ipc_rs._core"}
        assert arguments[:2] == (semaphore_set.id, semaphore_set.key)


def which(whole: SemaphoreSet) -> tuple[bytes, bytes]:
    return pickle.dumps(whole), pickle.dumps(whole[0])


def test_what_is_gone_is_not_opened(remove_later: Any) -> None:
    made = SemaphoreSet.create(support.free_key(), 2)
    told = which(made)
    made.remove()
    for pickled in told:
        with pytest.raises(ipc.RemovedError):
            pickle.loads(pickled)
    remove_later(SemaphoreSet.create(made.key, 2))
    for pickled in told:
        with pytest.raises(ipc.RemovedError):
            pickle.loads(pickled)


def test_what_has_another_key_is_not_opened(semaphore_set: SemaphoreSet) -> None:
    reopen: list[tuple[Callable[..., object], tuple[int, ...]]] = [
        semaphore_set.__reduce__(),
        semaphore_set[0].__reduce__(),
    ]
    for function, (number, key, *rest) in reopen:
        with pytest.raises(ipc.RemovedError, match=r"0x0000002a"):
            function(number, key + 42, *rest)


def test_a_member_that_is_not_there_is_not_opened(semaphore_set: SemaphoreSet) -> None:
    function, (number, key, _) = semaphore_set[0].__reduce__()
    for index in (3, 65535, 65536, 2**62):
        with pytest.raises(ipc.RemovedError):
            function(number, key, index)


def test_unreadable_sets_go_to_other_users(remove_later: Any) -> None:
    made = remove_later(SemaphoreSet.create(mode=0o622, size=2))
    told = pickle.dumps(made)
    assert support.in_child(lambda: pickle.loads(told).id, uid=support.NOBODY) == made.id
