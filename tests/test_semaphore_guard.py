"""Guards give back exactly once, however they end."""

import copy
import gc
import os
import pickle
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Semaphore, SemaphoreGuard, SemaphoreSet


class BodyError(Exception):
    pass


def remove_and_raise(semaphore: Semaphore, error: Exception) -> None:
    semaphore.remove()
    raise error


class TestWith:
    def test_takes_one_and_gives_it_back(self, semaphore: Semaphore) -> None:
        with semaphore as guard:
            assert type(guard) is SemaphoreGuard
            assert guard.held
            assert semaphore.value == 0
        assert semaphore.value == 1
        assert not guard.held

    @pytest.mark.parametrize("error", [BodyError, KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_gives_back_when_the_body_raises(
        self, semaphore: Semaphore, error: type[BaseException]
    ) -> None:
        with pytest.raises(error), semaphore:
            raise error
        assert semaphore.value == 1

    def test_gives_back_on_return_break_and_continue(self, semaphore: Semaphore) -> None:
        def leave() -> int:
            for _ in range(3):
                with semaphore:
                    continue
            while True:
                with semaphore:
                    break
            with semaphore:
                return semaphore.value

        assert leave() == 0
        assert semaphore.value == 1

    def test_nests_on_one_handle(self, semaphore: Semaphore) -> None:
        semaphore.value = 3
        with semaphore as outer, semaphore as inner:
            assert outer is not inner
            assert semaphore.value == 1
        assert semaphore.value == 3

    def test_waits(self, semaphore: Semaphore) -> None:
        semaphore.value = 0

        def enter() -> int:
            with semaphore:
                return semaphore.value

        with support.Child(enter) as child:
            support.wait_for(lambda: semaphore.waiting == 1)
            semaphore.release()
            assert child.result() == 0
        assert semaphore.value == 1

    def test_release_inside_the_body_is_the_only_one(self, semaphore: Semaphore) -> None:
        with semaphore as guard:
            guard.release()
            assert semaphore.value == 1
            guard.release()
        assert semaphore.value == 1

    def test_setting_the_value_inside_the_body(self, semaphore: Semaphore) -> None:
        """The unit is added, and the kernel, which forgot the taking, takes it at the end."""

        def block() -> int:
            with semaphore:
                semaphore.value = 7
            return semaphore.value

        assert support.in_child(block) == 8
        assert semaphore.value == 7

    def test_leaving_raises_if_the_body_removed_the_set(self, semaphore: Semaphore) -> None:
        with pytest.raises(ipc.RemovedError), semaphore:
            semaphore.remove()

    def test_leaving_never_hides_what_the_body_raised(self, semaphore: Semaphore) -> None:
        with pytest.raises(BodyError) as caught, semaphore:
            remove_and_raise(semaphore, BodyError())
        (note,) = caught.value.__notes__
        assert "could not be given back" in note
        assert str(semaphore.id) in note

    def test_an_exception_that_takes_no_note_goes_on(
        self, semaphore: Semaphore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Stubborn(Exception):
            def add_note(self, _note: str) -> None:
                raise ZeroDivisionError

        said: list[object] = []
        monkeypatch.setattr(sys, "unraisablehook", said.append)
        with pytest.raises(Stubborn), semaphore:
            remove_and_raise(semaphore, Stubborn())
        assert len(said) == 1

    def test_a_thread_leaves_its_own_block(self, semaphore: Semaphore) -> None:
        semaphore.value = 2
        inside, leave = threading.Event(), threading.Event()
        other: list[SemaphoreGuard] = []

        def hold() -> None:
            with semaphore as guard:
                other.append(guard)
                inside.set()
                leave.wait()
                assert guard.held

        with semaphore as guard:
            thread = threading.Thread(target=hold)
            thread.start()
            inside.wait()
            assert semaphore.value == 0
        assert not guard.held
        assert other[0].held
        assert semaphore.value == 1
        leave.set()
        thread.join()
        assert semaphore.value == 2

    def test_a_block_may_be_left_in_another_thread(self, semaphore: Semaphore) -> None:
        stack = ExitStack()
        stack.enter_context(semaphore)
        thread = threading.Thread(target=stack.close)
        thread.start()
        thread.join()
        assert semaphore.value == 1

    def test_an_exit_without_entry_gives_nothing(self, semaphore: Semaphore) -> None:
        assert semaphore.__exit__(None, None, None) is False
        assert semaphore.value == 1

    def test_a_handle_dropped_inside_gives_back(self, semaphore: Semaphore) -> None:
        handle = Semaphore.from_id(semaphore.id)
        handle.__enter__()
        assert semaphore.value == 0
        del handle
        gc.collect()
        assert semaphore.value == 1

    def test_many_threads_enter_and_leave(self, semaphore: Semaphore) -> None:
        semaphore.value = 2
        inside, most = 0, 0
        lock = threading.Lock()

        def work() -> None:
            nonlocal inside, most
            for _ in range(300):
                with semaphore:
                    with lock:
                        inside += 1
                        most = max(most, inside)
                    with lock:
                        inside -= 1

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most <= 2
        assert semaphore.value == 2


class TestHold:
    def test_takes_at_the_call(self, semaphore: Semaphore) -> None:
        semaphore.value = 5
        guard = semaphore.hold(3)
        assert guard.held
        assert semaphore.value == 2
        guard.release()
        assert not guard.held
        assert semaphore.value == 5

    def test_try_hold(self, semaphore: Semaphore) -> None:
        guard = semaphore.try_hold()
        assert guard is not None
        assert semaphore.try_hold() is None
        assert semaphore.try_hold(2) is None
        guard.release()
        assert semaphore.value == 1

    def test_a_time_that_is_up_has_taken_nothing(self, semaphore: Semaphore) -> None:
        with pytest.raises(ipc.WaitTimeoutError):
            semaphore.hold(2, timeout=0.001)
        assert semaphore.value == 1

    def test_with_gives_back_at_its_end(self, semaphore: Semaphore) -> None:
        with semaphore.hold(timeout=1) as guard:
            assert guard.held
            assert semaphore.value == 0
        assert semaphore.value == 1
        with guard:
            assert not guard.held
        assert semaphore.value == 1

    def test_a_second_release_does_nothing(self, semaphore: Semaphore) -> None:
        guard = semaphore.hold()
        for _ in range(3):
            guard.release()
        assert semaphore.value == 1

    def test_a_drop_gives_back(self, semaphore: Semaphore) -> None:
        guard = semaphore.hold()
        del guard
        gc.collect()
        assert semaphore.value == 1
        semaphore.hold()
        assert semaphore.value == 1

    def test_garbage_in_another_thread_gives_back(self, semaphore: Semaphore) -> None:
        class Knot:
            def __init__(self, guard: SemaphoreGuard) -> None:
                self.guard, self.itself = guard, self

        gc.disable()
        try:
            Knot(semaphore.hold())
            assert semaphore.value == 0
            thread = threading.Thread(target=gc.collect)
            thread.start()
            thread.join()
            assert semaphore.value == 1
        finally:
            gc.enable()

    def test_the_end_of_the_thread_that_has_it_gives_back(self, semaphore: Semaphore) -> None:
        own = threading.local()

        def take() -> None:
            own.guard = semaphore.hold()

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
        gc.collect()
        assert semaphore.value == 1

    def test_one_that_a_finalizer_brings_back_is_held(self, semaphore: Semaphore) -> None:
        risen: list[object] = []

        class Phoenix:
            def __init__(self, guard: SemaphoreGuard) -> None:
                self.guard, self.itself = guard, self

            def __del__(self) -> None:
                risen.append(self.guard)

        Phoenix(semaphore.hold())
        gc.collect()
        assert semaphore.value == 0
        risen.clear()
        gc.collect()
        assert semaphore.value == 1

    def test_outlives_its_handle(self, semaphore: Semaphore) -> None:
        guard = Semaphore.from_id(semaphore.id).hold()
        gc.collect()
        assert semaphore.value == 0
        guard.release()
        assert semaphore.value == 1

    def test_threads_that_release_at_once_give_back_once(self, semaphore: Semaphore) -> None:
        for _ in range(50):
            guard = semaphore.hold()
            barrier = threading.Barrier(4)

            def release(guard: SemaphoreGuard = guard, barrier: Any = barrier) -> None:
                barrier.wait()
                guard.release()

            threads = [threading.Thread(target=release) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert semaphore.value == 1

    def test_release_of_a_removed_set_raises_once(self, semaphore: Semaphore) -> None:
        guard = semaphore.hold()
        semaphore.remove()
        with pytest.raises(ipc.RemovedError):
            guard.release()
        assert not guard.held
        guard.release()

    def test_a_drop_after_removal_is_silent(
        self, semaphore: Semaphore, capfd: pytest.CaptureFixture[str]
    ) -> None:
        guard = semaphore.hold()
        semaphore.remove()
        del guard
        gc.collect()
        assert capfd.readouterr() == ("", "")

    def test_gives_to_no_other_set_under_the_same_key(self, remove_later: Any) -> None:
        key = support.free_key()
        old = Semaphore.create(key)
        guard = old.hold()
        old.remove()
        new = remove_later(Semaphore.create(key, 5))
        with pytest.raises(ipc.RemovedError):
            guard.release()
        assert new.value == 5

    def test_setting_the_value_meanwhile(self, semaphore: Semaphore) -> None:
        """The units are added, and the kernel, which forgot the taking, takes them at the end."""

        def hold() -> int:
            guard = semaphore.hold(2)
            semaphore.value = 7
            guard.release()
            return semaphore.value

        semaphore.value = 3
        assert support.in_child(hold) == 9
        assert semaphore.value == 7

    def test_setting_the_value_meanwhile_and_dying(self, semaphore: Semaphore) -> None:
        def hold() -> None:
            semaphore.hold()
            guard = semaphore.hold()
            semaphore.value = 7
            os.kill(os.getpid(), signal.SIGKILL)
            guard.release()

        with support.Child(hold) as child:
            assert child.join() == -signal.SIGKILL
        assert semaphore.value == 7

    def test_a_value_that_would_pass_the_largest_is_told(self, semaphore: Semaphore) -> None:
        guard = semaphore.hold()
        semaphore.value = 32767
        with pytest.raises(ipc.LimitExceededError):
            guard.release()
        assert not guard.held
        assert semaphore.value == 32767


class TestIdentity:
    def test_can_not_be_pickled_or_copied(self, semaphore: Semaphore) -> None:
        guard = semaphore.hold()
        refused: list[Callable[[object], object]] = [copy.copy, copy.deepcopy]
        refused += [lambda g, p=p: pickle.dumps(g, p) for p in range(6)]  # type: ignore[misc]
        for call in refused:
            with pytest.raises(TypeError, match="pickle"):
                call(guard)
        assert guard.held

    def test_repr_tells_its_state(self, semaphore: Semaphore) -> None:
        guard = semaphore.hold()
        assert f"id={semaphore.id}" in repr(guard)
        assert "held" in repr(guard)
        guard.release()
        assert "released" in repr(guard)

    def test_each_is_itself_and_weakly_referenced(self, semaphore: Semaphore) -> None:
        semaphore.value = 2
        one, other = semaphore.hold(), semaphore.hold()
        assert one != other
        assert weakref.ref(one)() is one
        with pytest.raises(AttributeError):
            one.held = False  # type: ignore[misc]
        one.release()
        other.release()


# The code, and the exit status that it must have all the same.
ENDS = {
    "the end of the program": ("", 0),
    "an exception": ("raise ZeroDivisionError", 1),
    "sys.exit": ("import sys; sys.exit(3)", 3),
    "os._exit": ("import os; os._exit(3)", 3),
    "SIGKILL": ("import os; os.kill(os.getpid(), 9)", -9),
    "SIGTERM": ("import os; os.kill(os.getpid(), 15)", -15),
    "abort": ("import os; os.abort()", -6),
    "a crash": ("import ctypes; ctypes.string_at(0)", -11),
    "exec": ("import os; os.execv('/bin/true', ['true'])", 0),
    "a daemon thread that goes on": (
        "import threading\n"
        "threading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon=True).start()",
        0,
    ),
    "daemon threads that hold and give": (
        "import threading\n"
        "def work():\n    while True:\n        with s: s.try_hold()\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()",
        0,
    ),
    "a blocked daemon thread": (
        "import threading\n"
        "threading.Thread(target=lambda: s.acquire(99), daemon=True).start()\n"
        "while not s.waiting: pass",
        0,
    ),
    "a cycle with the module": (
        "class Knot: pass\nk = Knot(); k.k = k; k.guard = s.hold(); del k",
        0,
    ),
    "a generator inside its block": (
        "def inside():\n    with s:\n        yield\nblock = inside(); next(block)",
        0,
    ),
    "a finalizer that brings it back": (
        "class Phoenix:\n    def __del__(self):\n        global risen; risen = self\n"
        "p = Phoenix(); p.p = p; p.guard = s.hold(); del p",
        0,
    ),
    "an atexit that releases": ("import atexit; atexit.register(guard.release)", 0),
}
HOLDS = {
    "hold": "guard = s.hold(2)",
    "with": "guard = s.__enter__(); other = s.__enter__()",
}


@pytest.mark.parametrize("hold", HOLDS.values(), ids=HOLDS)
@pytest.mark.parametrize(("end", "status"), ENDS.values(), ids=ENDS)
def test_the_end_of_a_process_gives_back_once(
    semaphore: Semaphore, hold: str, end: str, status: int
) -> None:
    semaphore.value = 5
    program = f"import sysv_ipc_rs\ns = sysv_ipc_rs.Semaphore.from_id({semaphore.id})\n"
    ended = support.run_python(f"{program}{hold}\n{end}")
    assert semaphore.value == 5
    assert ended.returncode == status
    assert ("ZeroDivisionError" if status == 1 else "") in ended.stderr
    assert status == 1 or not ended.stderr


def test_a_kill_gives_the_unit_to_who_waits(semaphore: Semaphore) -> None:
    def hold() -> None:
        with semaphore:
            os.kill(os.getpid(), signal.SIGSTOP)

    with support.Child(hold) as holder:
        support.wait_for(lambda: support.state(holder.pid) == "T")
        with support.Child(semaphore.acquire) as waiter:
            support.wait_for(lambda: semaphore.waiting == 1)
            holder.kill()
            assert waiter.result() is True
    assert semaphore.value == 0


def test_guards_of_members_give_to_their_member(semaphore_set: SemaphoreSet) -> None:
    with semaphore_set[2].hold(2), semaphore_set[1]:
        assert semaphore_set.values == (1, 1, 1)
    assert semaphore_set.values == (1, 2, 3)
