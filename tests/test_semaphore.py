"""One semaphore: values, taking and giving, identity."""

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
    def test_a_new_one_has_one_unit_and_is_ours_alone(self, semaphore: Semaphore) -> None:
        assert semaphore.value == 1
        stat = semaphore.semaphore_set.stat()
        assert (stat.size, stat.mode) == (1, 0o600)
        assert (stat.uid, stat.cuid) == (os.geteuid(),) * 2
        assert (stat.gid, stat.cgid) == (os.getegid(),) * 2

    @pytest.mark.parametrize("value", [0, 1, 2, 32767])
    def test_starts_with_its_value(self, remove_later: Any, value: int) -> None:
        assert remove_later(Semaphore.create(value=value)).value == value
        assert remove_later(Semaphore.open_or_create(support.free_key(), value)).value == value

    def test_is_found_by_key(self, remove_later: Any) -> None:
        key = support.free_key()
        made = remove_later(Semaphore.create(key, 5))
        found = Semaphore.open(key)
        assert found == made
        assert (found.key, found.id, found.index, found.value) == (key, made.id, 0, 5)
        assert Semaphore.from_id(made.id) == made
        assert Semaphore.from_id(made.id).key == key

    def test_any_member_can_be_opened(self, remove_later: Any) -> None:
        key = support.free_key()
        made = remove_later(SemaphoreSet.create(key, 3, values=[4, 5, 6]))
        assert Semaphore.open(key, index=2).value == 6
        assert Semaphore.from_id(made.id, index=1).value == 5
        assert Semaphore.open(key, index=2) == made[2] == made[-1]

    def test_open_or_create_opens_what_exists_with_its_value(self, remove_later: Any) -> None:
        key = support.free_key()
        made = remove_later(Semaphore.open_or_create(key, 3, mode=0o640))
        again = Semaphore.open_or_create(key, 9, mode=0o666)
        assert again == made
        assert again.value == 3
        assert again.semaphore_set.stat().mode == 0o640

    def test_dropping_a_handle_removes_nothing(self) -> None:
        made = Semaphore.create(value=4)
        number = made.id
        del made
        gc.collect()
        found = Semaphore.from_id(number)
        assert found.value == 4
        found.remove()

    def test_is_removed_at_once_and_once(self, semaphore: Semaphore) -> None:
        semaphore.remove()
        with pytest.raises(ipc.RemovedError):
            semaphore.remove()
        with pytest.raises(ipc.RemovedError):
            Semaphore.from_id(semaphore.id)

    def test_a_member_is_not_removed_alone(self, semaphore_set: SemaphoreSet) -> None:
        with pytest.raises(ValueError, match="3 members"):
            semaphore_set[0].remove()
        assert semaphore_set.values == (1, 2, 3)


class TestTaking:
    def test_acquire_and_release(self, semaphore: Semaphore) -> None:
        assert semaphore.acquire() is True
        assert semaphore.value == 0
        assert semaphore.release() is None  # type: ignore[func-returns-value]
        assert semaphore.value == 1

    def test_several_units_at_once_or_none(self, semaphore: Semaphore) -> None:
        semaphore.release(4)
        assert semaphore.acquire(3) is True
        assert semaphore.try_acquire(3) is False
        assert semaphore.value == 2
        assert semaphore.try_acquire(2) is True
        assert semaphore.value == 0

    def test_the_largest_step(self, semaphore: Semaphore) -> None:
        semaphore.value = 0
        semaphore.release(32767)
        assert semaphore.value == 32767
        assert semaphore.acquire(32767) is True
        assert semaphore.value == 0

    def test_a_value_never_passes_the_largest(self, semaphore: Semaphore) -> None:
        semaphore.value = 32767
        with pytest.raises(ipc.LimitExceededError):
            semaphore.release()
        assert semaphore.value == 32767

    def test_try_never_waits(self, semaphore: Semaphore) -> None:
        semaphore.value = 0
        assert semaphore.try_acquire() is False
        assert semaphore.try_wait_zero() is True
        assert semaphore.try_hold() is None
        semaphore.value = 1
        assert semaphore.try_acquire() is True
        semaphore.value = 1
        assert semaphore.try_wait_zero() is False

    def test_wait_zero_takes_nothing(self, semaphore: Semaphore) -> None:
        semaphore.value = 0
        assert semaphore.wait_zero() is True
        assert semaphore.value == 0

    def test_a_blocked_one_gets_what_is_released(self, semaphore: Semaphore) -> None:
        semaphore.value = 0
        with support.Child(lambda: semaphore.acquire(3)) as child:
            support.wait_for(lambda: semaphore.waiting == 1)
            semaphore.release(2)
            assert semaphore.waiting == 1
            semaphore.release(2)
            assert child.result() is True
        assert semaphore.value == 1

    def test_a_blocked_one_sees_zero(self, semaphore: Semaphore) -> None:
        with support.Child(semaphore.wait_zero) as child:
            support.wait_for(lambda: semaphore.waiting_zero == 1)
            assert semaphore.waiting == 0
            semaphore.acquire()
            assert child.result() is True

    def test_a_blocked_one_sees_a_value_that_is_set(self, semaphore: Semaphore) -> None:
        semaphore.value = 0
        with support.Child(lambda: semaphore.acquire(7)) as child:
            support.wait_for(lambda: semaphore.waiting == 1)
            semaphore.value = 9
            assert child.result() is True
        assert semaphore.value == 2

    def test_waiters_are_served_in_their_order(self, semaphore: Semaphore) -> None:
        semaphore.value = 0
        order: list[int] = []

        def wait(number: int) -> None:
            semaphore.acquire()
            order.append(number)

        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=wait, args=(number,)))
            threads[-1].start()
            support.wait_for(lambda: semaphore.waiting == len(threads))
        for number in range(5):
            semaphore.release()
            support.wait_for(lambda: len(order) > number)  # noqa: B023
        for thread in threads:
            thread.join()
        assert order == list(range(5))

    def test_with_undo_the_kernel_gives_back(self, semaphore: Semaphore) -> None:
        assert support.in_child(lambda: semaphore.acquire(undo=True)) is True
        assert semaphore.value == 1
        assert support.in_child(lambda: semaphore.try_acquire(undo=True)) is True
        assert semaphore.value == 1

    def test_with_undo_the_kernel_takes_back(self, semaphore: Semaphore) -> None:
        support.in_child(lambda: semaphore.release(4, undo=True))
        assert semaphore.value == 1

    def test_without_undo_it_stays_taken(self, semaphore: Semaphore) -> None:
        support.in_child(semaphore.acquire)
        assert semaphore.value == 0

    def test_with_undo_a_kill_gives_back(self, semaphore: Semaphore) -> None:
        def hold() -> None:
            semaphore.acquire(undo=True)
            semaphore.release(2)
            semaphore.acquire(9)

        with support.Child(hold) as child:
            support.wait_for(lambda: semaphore.waiting == 1)
            assert semaphore.value == 2
            child.kill()
            assert child.join() == -9
        assert semaphore.value == 3
        assert semaphore.waiting == 0

    def test_a_sum_that_undo_can_not_hold_is_refused(self, semaphore: Semaphore) -> None:
        def drift() -> int:
            semaphore.value = 32767
            semaphore.acquire(32767, undo=True)
            semaphore.release(1)
            try:
                semaphore.acquire(undo=True)
            except ipc.LimitExceededError:
                return semaphore.value
            return -1

        assert support.in_child(drift) == 1


class TestWhatIsTold:
    def test_last_pid(self, semaphore: Semaphore) -> None:
        assert semaphore.last_pid == os.getpid()
        with support.Child(semaphore.release) as child:
            child.result()
            assert semaphore.last_pid == child.pid

    def test_members_that_got_no_unit_have_no_last_pid(self, remove_later: Any) -> None:
        made = remove_later(SemaphoreSet.create(size=2, values=[1, 0]))
        assert [member.last_pid for member in made] == [os.getpid(), 0]

    def test_setting_a_value_counts_as_use(self, remove_later: Any) -> None:
        made = remove_later(SemaphoreSet.create(size=2, values=[1, 0]))
        made[1].value = 0
        assert made[1].last_pid == os.getpid()

    def test_waiters_are_counted(self, semaphore: Semaphore) -> None:
        assert (semaphore.waiting, semaphore.waiting_zero) == (0, 0)
        with (
            support.Child(lambda: semaphore.acquire(5)) as taker,
            support.Child(semaphore.wait_zero) as watcher,
        ):
            support.wait_for(lambda: (semaphore.waiting, semaphore.waiting_zero) == (1, 1))
            taker.kill()
            taker.join()
            assert (semaphore.waiting, semaphore.waiting_zero) == (0, 1)
            watcher.kill()
            watcher.join()
        assert (semaphore.waiting, semaphore.waiting_zero) == (0, 0)

    def test_a_time_that_is_up_leaves_no_waiter(self, semaphore: Semaphore) -> None:
        with pytest.raises(ipc.WaitTimeoutError):
            semaphore.acquire(2, timeout=0.001)
        assert semaphore.waiting == 0


class TestIdentity:
    def test_equal_by_id_and_index(self, semaphore_set: SemaphoreSet) -> None:
        first = semaphore_set[0]
        assert first == semaphore_set[0] == Semaphore.from_id(semaphore_set.id)
        assert first != semaphore_set[1]
        assert first != semaphore_set
        assert first != first.id
        assert first != None  # noqa: E711
        assert hash(first) == hash(semaphore_set[0])
        assert len({*semaphore_set, *semaphore_set}) == 3

    def test_not_ordered(self, semaphore_set: SemaphoreSet) -> None:
        with pytest.raises(TypeError):
            _ = semaphore_set[0] < semaphore_set[1]  # type: ignore[operator]

    def test_always_true(self, semaphore: Semaphore) -> None:
        semaphore.value = 0
        assert semaphore
        semaphore.remove()
        assert semaphore

    def test_repr_shows_key_and_id_and_asks_nobody(self, remove_later: Any) -> None:
        made = remove_later(Semaphore.create(0xDEADBEEF))
        assert repr(made) == f"Semaphore(key=0xdeadbeef, id={made.id}, index=0)"
        made.remove()
        assert repr(made) == f"Semaphore(key=0xdeadbeef, id={made.id}, index=0)"

    def test_weakly_referenced(self, semaphore_set: SemaphoreSet) -> None:
        member = semaphore_set[1]
        reference = weakref.ref(member)
        assert reference() is member
        del member
        gc.collect()
        assert reference() is None

    def test_copies_are_the_same_semaphore(self, semaphore: Semaphore) -> None:
        assert copy.copy(semaphore) == copy.deepcopy(semaphore) == semaphore

    @pytest.mark.parametrize("kind", [Semaphore, SemaphoreSet, ipc.SemaphoreGuard])
    def test_has_no_public_constructor(self, kind: Any) -> None:
        for arguments in ((), (1,), (1, 2, 3)):
            with pytest.raises(TypeError, match=r"create.*open"):
                kind(*arguments)
            with pytest.raises(TypeError, match=r"create.*open"):
                kind.__new__(kind, *arguments)
        with pytest.raises(TypeError, match=r"create.*open"):
            kind(key=1)
        with pytest.raises(TypeError):
            object.__new__(kind)

    @pytest.mark.parametrize("kind", [Semaphore, SemaphoreSet, ipc.SemaphoreGuard])
    def test_can_not_be_subclassed(self, kind: Any) -> None:
        with pytest.raises(TypeError):
            type("Sub", (kind,), {})

    def test_can_not_change_its_class(self, semaphore_set: SemaphoreSet) -> None:
        class Other:
            __slots__ = ("a", "b", "c")

        member = semaphore_set[0]
        for thing, kind in [
            (member, SemaphoreSet),
            (semaphore_set, Semaphore),
            (member, Other),
            (semaphore_set, Other),
            (semaphore_set, object),
            (Other(), SemaphoreSet),
        ]:
            with pytest.raises(TypeError):
                thing.__class__ = kind


class TestInterpreter:
    def test_a_blocked_one_stops_no_other_thread(self, semaphore: Semaphore) -> None:
        semaphore.value = 0
        thread = threading.Thread(target=semaphore.acquire)
        thread.start()
        support.wait_for(lambda: semaphore.waiting == 1)
        counted = 0
        while counted < 100_000:
            counted += 1
        semaphore.release()
        thread.join()

    def test_one_that_need_not_wait_keeps_the_interpreter(self, semaphore: Semaphore) -> None:
        """Beside a busy thread a released GIL comes back after 5 ms, a kept one costs nothing."""
        stop = False

        def busy() -> None:
            while not stop:
                pass

        thread = threading.Thread(target=busy)
        thread.start()
        try:
            samples = []
            for _ in range(20):
                start = time.perf_counter()
                for _ in range(20):
                    semaphore.acquire(timeout=1, undo=True)
                    semaphore.release(undo=True)
                samples.append(time.perf_counter() - start)
        finally:
            stop = True
            thread.join()
        # 40 hand-overs would take 200 ms.
        assert min(samples) < 0.02
