"""Sets of semaphores: members, values, operations that are done together."""

import copy
import gc
import os
import threading
import time
import weakref
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Semaphore, SemaphoreSet


class TestMaking:
    def test_a_new_one_has_one_semaphore_of_zero(self, remove_later: Any) -> None:
        made = remove_later(SemaphoreSet.create())
        assert made.values == (0,)
        assert made.key == 0

    @pytest.mark.parametrize("values", [0, 7, 32767])
    def test_one_value_for_all(self, remove_later: Any, values: int) -> None:
        assert remove_later(SemaphoreSet.create(size=4, values=values)).values == (values,) * 4

    @pytest.mark.parametrize("size", [499, 500, 501, 1000, 32000])
    def test_sets_above_semopm_start_with_their_values(self, remove_later: Any, size: int) -> None:
        values = [(position * 7 + 1) % 32768 for position in range(size)]
        made = remove_later(SemaphoreSet.create(size=size, values=values))
        assert made.values == tuple(values)
        assert made.stat().otime > 0

    @pytest.mark.parametrize("values", [0, 3, [0, 5], [5, 0]])
    def test_a_set_that_is_ready_has_an_operation_time(
        self, remove_later: Any, values: Any
    ) -> None:
        before = int(time.time())
        stat = remove_later(SemaphoreSet.create(size=2, values=values)).stat()
        assert before <= stat.otime <= int(time.time())

    def test_open_asks_for_so_many_at_least(self, remove_later: Any) -> None:
        key = support.free_key()
        made = remove_later(SemaphoreSet.create(key, 3))
        for size in range(4):
            found = SemaphoreSet.open(key, size=size)
            assert found == made
            assert len(found) == 3
        with pytest.raises(ipc.IPCError, match="has 3"):
            SemaphoreSet.open(key, size=4)

    def test_handles_of_c_programs_sets(self, remove_later: Any) -> None:
        made = remove_later(SemaphoreSet.from_id(support.semget(0, 5, 0o640)))
        assert made.values == (0,) * 5
        assert made.stat().mode == 0o640
        assert made.key == 0

    def test_dropping_a_handle_removes_nothing(self) -> None:
        number = SemaphoreSet.create().id
        gc.collect()
        SemaphoreSet.from_id(number).remove()

    def test_removing_wakes_and_frees_the_key(self, remove_later: Any) -> None:
        key = support.free_key()
        made = SemaphoreSet.create(key, 2)
        made.remove()
        with pytest.raises(ipc.RemovedError):
            made.remove()
        with pytest.raises(ipc.NotFoundError):
            SemaphoreSet.open(key)
        again = remove_later(SemaphoreSet.create(key))
        assert again != made


class TestMembers:
    def test_length_and_indices(self, semaphore_set: SemaphoreSet) -> None:
        assert len(semaphore_set) == 3
        assert [semaphore_set[index].index for index in range(3)] == [0, 1, 2]
        assert [semaphore_set[index].index for index in (-3, -2, -1)] == [0, 1, 2]
        assert semaphore_set[1].semaphore_set == semaphore_set
        assert (semaphore_set[1].id, semaphore_set[1].key) == (semaphore_set.id, 0)

    def test_iteration(self, semaphore_set: SemaphoreSet) -> None:
        assert [member.value for member in semaphore_set] == [1, 2, 3]
        assert semaphore_set[2] in semaphore_set
        assert Semaphore.from_id(semaphore_set.id, index=1) in semaphore_set
        first, *others = semaphore_set
        assert (first.index, len(others)) == (0, 2)

    def test_no_writing_by_index(self, semaphore_set: SemaphoreSet) -> None:
        with pytest.raises(TypeError):
            semaphore_set[0] = 1  # type: ignore[index]
        with pytest.raises(TypeError):
            del semaphore_set[0]  # type: ignore[attr-defined]


class TestValues:
    def test_all_are_got_and_set_at_once(self, semaphore_set: SemaphoreSet) -> None:
        assert semaphore_set.values == (1, 2, 3)
        assert type(semaphore_set.values) is tuple
        semaphore_set.values = [0, 32767, 5]
        assert semaphore_set.values == (0, 32767, 5)

    def test_setting_wakes_waiters(self, semaphore_set: SemaphoreSet) -> None:
        with support.Child(lambda: semaphore_set[0].acquire(5)) as child:
            support.wait_for(lambda: semaphore_set[0].waiting == 1)
            semaphore_set.values = (6, 0, 0)
            assert child.result() is True
        assert semaphore_set.values == (1, 0, 0)

    def test_setting_makes_processes_forget_what_to_undo(self, semaphore_set: SemaphoreSet) -> None:
        def take() -> None:
            semaphore_set.op((0, -1), (1, -1), undo=True)
            semaphore_set[0].value = 8

        support.in_child(take)
        assert semaphore_set.values == (8, 2, 3)


class TestOperations:
    def test_are_done_together(self, semaphore_set: SemaphoreSet) -> None:
        assert semaphore_set.op((0, -1), (2, 4)) is None  # type: ignore[func-returns-value]
        assert semaphore_set.values == (0, 2, 7)

    def test_are_all_or_none(self, semaphore_set: SemaphoreSet) -> None:
        assert semaphore_set.try_op((2, -1), (1, -1), (0, -2)) is False
        with pytest.raises(ipc.WaitTimeoutError):
            semaphore_set.op((2, -1), (1, -1), (0, -2), timeout=0.001)
        with pytest.raises(ipc.LimitExceededError):
            semaphore_set.op((0, 1), (1, 32767))
        assert semaphore_set.values == (1, 2, 3)

    def test_are_done_in_their_order(self, semaphore_set: SemaphoreSet) -> None:
        assert semaphore_set.try_op((0, 5), (0, -6), (0, 0), (0, 9)) is True
        assert semaphore_set.values == (9, 2, 3)
        assert semaphore_set.try_op((0, 0), (0, -9)) is False

    def test_zero_waits_for_zero(self, semaphore_set: SemaphoreSet) -> None:
        with support.Child(lambda: semaphore_set.op((0, 0), (1, 5))) as child:
            support.wait_for(lambda: semaphore_set[0].waiting_zero == 1)
            assert semaphore_set.values == (1, 2, 3)
            semaphore_set.op((0, -1))
            child.result()
        assert semaphore_set.values == (0, 7, 3)

    def test_a_blocked_one_waits_until_all_can_be_done(self, semaphore_set: SemaphoreSet) -> None:
        with support.Child(lambda: semaphore_set.op((0, -2), (1, -3))) as child:
            support.wait_for(lambda: semaphore_set[0].waiting == 1)
            semaphore_set[0].release()
            support.wait_for(lambda: semaphore_set[1].waiting == 1)
            assert semaphore_set.values == (2, 2, 3)
            semaphore_set[1].release()
            child.result()
        assert semaphore_set.values == (0, 0, 3)

    @pytest.mark.parametrize(
        ("undo", "own", "left"),
        [
            (False, (), (0, 1, 3)),
            (True, (), (1, 2, 3)),
            (True, (False,), (0, 2, 3)),
            (False, (True,), (1, 1, 3)),
        ],
    )
    def test_undo_is_for_all_or_for_each(
        self, semaphore_set: SemaphoreSet, undo: bool, own: Any, left: tuple[int, ...]
    ) -> None:
        support.in_child(lambda: semaphore_set.op((0, -1, *own), (1, -1), undo=undo))
        assert semaphore_set.values == left
        semaphore_set.values = (1, 2, 3)
        support.in_child(lambda: semaphore_set.try_op((0, -1, *own), (1, -1), undo=undo))
        assert semaphore_set.values == left

    def test_the_largest_delta(self, semaphore_set: SemaphoreSet) -> None:
        semaphore_set.values = (0, 0, 0)
        semaphore_set.op((0, 32767))
        assert semaphore_set.try_op((0, -32767), (1, 32767)) is True
        assert semaphore_set.values == (0, 32767, 0)

    def test_as_many_as_semopm(self, semaphore_set: SemaphoreSet) -> None:
        semaphore_set.op(*[(0, 1)] * 500)
        assert semaphore_set[0].value == 501
        with pytest.raises(ipc.LimitExceededError, match=r"501 operations.*SEMOPM is 500.*/sem"):
            semaphore_set.op(*[(0, 1)] * 501)
        with pytest.raises(ipc.LimitExceededError, match="SEMOPM"):
            semaphore_set.try_op(*[(0, -1)] * 100_000)
        assert semaphore_set[0].value == 501


class TestStat:
    def test_tells_what_the_kernel_tells(self, remove_later: Any) -> None:
        before = int(time.time())
        key = support.free_key()
        made = remove_later(SemaphoreSet.create(key, 3, mode=0o644))
        stat = made.stat()
        assert (stat.key, stat.id, stat.size, stat.mode) == (key, made.id, 3, 0o644)
        assert (stat.uid, stat.cuid) == (os.geteuid(), os.geteuid())
        assert (stat.gid, stat.cgid) == (os.getegid(), os.getegid())
        assert before <= stat.ctime <= int(time.time())
        assert stat.seq == made.id >> 15
        for name, value in stat._asdict().items():
            assert type(value) is int
            assert getattr(stat, name) == value

    def test_zero_is_never(self, remove_later: Any) -> None:
        assert remove_later(SemaphoreSet.from_id(support.semget(0, 1, 0o600))).stat().otime == 0

    def test_is_frozen_equal_and_hashable(self, semaphore_set: SemaphoreSet) -> None:
        stat = semaphore_set.stat()
        with pytest.raises(AttributeError):
            stat.uid = 5  # type: ignore[misc]
        assert stat == ipc.SemaphoreSetStat(**stat._asdict())
        assert stat != stat._replace(uid=5)
        assert hash(stat) == hash(copy.copy(stat))
        assert "mode=0o600" in repr(stat)
        match stat:
            case ipc.SemaphoreSetStat(key=0, size=size):
                assert size == 3

    @support.needs_other_users
    def test_chmod_and_chown(self, semaphore_set: SemaphoreSet) -> None:
        semaphore_set.chmod(0o640)
        semaphore_set.chown(gid=7)
        semaphore_set.chown(8)
        semaphore_set.chown()
        stat = semaphore_set.stat()
        assert (stat.mode, stat.uid, stat.gid) == (0o640, 8, 7)
        assert (stat.cuid, stat.cgid) == (os.geteuid(), os.getegid())
        semaphore_set.chown(uid=-1, gid=2**32 - 2)
        assert semaphore_set.stat().gid == 2**32 - 2


class TestIdentity:
    def test_equal_by_kind_and_id(self, semaphore_set: SemaphoreSet) -> None:
        again = SemaphoreSet.from_id(semaphore_set.id)
        assert again == semaphore_set
        assert hash(again) == hash(semaphore_set)
        assert semaphore_set != semaphore_set[0]
        queue = ipc.MessageQueue.create()
        try:
            assert semaphore_set != queue
        finally:
            queue.remove()

    def test_always_true(self, semaphore_set: SemaphoreSet) -> None:
        semaphore_set.remove()
        assert semaphore_set

    def test_repr_shows_key_and_id_and_asks_nobody(self, remove_later: Any) -> None:
        made = remove_later(SemaphoreSet.create(0x80000001))
        made.remove()
        assert repr(made) == f"SemaphoreSet(key=0x80000001, id={made.id})"

    def test_weakly_referenced(self, semaphore_set: SemaphoreSet) -> None:
        assert weakref.ref(semaphore_set)() is semaphore_set


def test_threads_share_a_handle(semaphore_set: SemaphoreSet) -> None:
    def work() -> None:
        for _ in range(1000):
            semaphore_set.op((0, -1), (1, 1))
            semaphore_set.op((0, 1), (1, -1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert semaphore_set.values == (1, 2, 3)
