"""After fork a child owns nothing of what its parent holds."""

import gc
import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import support
from sysv_ipc_rs import Semaphore, SemaphoreGuard


class TestInheritedGuards:
    def test_are_not_held(self, semaphore: Semaphore) -> None:
        guard = semaphore.hold()
        assert support.in_child(lambda: guard.held) is False
        assert guard.held
        guard.release()

    def test_give_nothing_back(self, semaphore: Semaphore) -> None:
        guard = semaphore.hold()

        def child() -> int:
            guard.release()
            guard.__exit__(None, None, None)
            with guard:
                pass
            return semaphore.value

        assert support.in_child(child) == 0
        assert guard.held
        guard.release()
        assert semaphore.value == 1

    def test_give_nothing_back_when_dropped(self, semaphore: Semaphore) -> None:
        holder = [semaphore.hold()]

        def child() -> int:
            holder.clear()
            gc.collect()
            return semaphore.value

        assert support.in_child(child) == 0
        holder.clear()
        gc.collect()
        assert semaphore.value == 1

    def test_give_nothing_back_at_any_generation(self, semaphore: Semaphore) -> None:
        guard = semaphore.hold()

        def child() -> tuple[bool, bool, int]:
            own = semaphore.try_hold()
            assert own is None

            def grandchild() -> tuple[bool, int]:
                guard.release()
                return guard.held, semaphore.value

            return (guard.held, *support.in_child(grandchild))

        assert support.in_child(child) == (False, False, 0)
        guard.release()

    @pytest.mark.parametrize("end", ["os._exit", "SIGKILL", "exec"])
    def test_give_nothing_back_when_the_child_ends(self, semaphore: Semaphore, end: str) -> None:
        guard = semaphore.hold()
        pid = os.fork()
        if not pid:
            try:
                if end == "exec":
                    os.execv("/bin/true", ["true"])
                if end == "SIGKILL":
                    os.kill(os.getpid(), signal.SIGKILL)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        assert semaphore.value == 0
        assert guard.held
        guard.release()
        assert semaphore.value == 1


class TestInheritedBlocks:
    def test_give_nothing_back_when_left(self, semaphore: Semaphore) -> None:
        def child() -> int:
            semaphore.__exit__(None, None, None)
            return semaphore.value

        with semaphore:
            assert support.in_child(child) == 0
            assert semaphore.value == 0
        assert semaphore.value == 1

    def test_may_be_left_around_own_blocks(self, semaphore: Semaphore) -> None:
        semaphore.value = 2

        def child() -> list[int]:
            seen = []
            with semaphore:
                seen.append(semaphore.value)
            seen.append(semaphore.value)
            semaphore.__exit__(None, None, None)
            seen.append(semaphore.value)
            with semaphore:
                seen.append(semaphore.value)
            seen.append(semaphore.value)
            return seen

        with semaphore:
            assert support.in_child(child) == [0, 1, 1, 0, 1]
            assert semaphore.value == 1
        assert semaphore.value == 2

    def test_nested_ones_too(self, semaphore: Semaphore) -> None:
        semaphore.value = 4

        def child() -> list[int]:
            seen = []
            with semaphore, semaphore:
                seen.append(semaphore.value)
            seen.append(semaphore.value)
            for _ in range(3):
                semaphore.__exit__(None, None, None)
                seen.append(semaphore.value)
            return seen

        with semaphore, semaphore:
            assert support.in_child(child) == [0, 2, 2, 2, 2]
        assert semaphore.value == 4

    def test_beside_blocks_of_other_threads(self, semaphore: Semaphore) -> None:
        semaphore.value = 5
        inside, leave = threading.Barrier(4), threading.Event()

        def hold() -> None:
            with semaphore:
                inside.wait()
                leave.wait()

        def child() -> list[int]:
            seen = []

            def own() -> None:
                with semaphore as guard:
                    assert guard.held
                    seen.append(semaphore.value)
                assert not guard.held

            for _ in range(3):
                thread = threading.Thread(target=own)
                thread.start()
                thread.join()
            own()
            semaphore.__exit__(None, None, None)
            semaphore.__exit__(None, None, None)
            seen.append(semaphore.value)
            return seen

        threads = [threading.Thread(target=hold) for _ in range(3)]
        for thread in threads:
            thread.start()
        inside.wait()
        with semaphore:
            assert support.in_child(child) == [0, 0, 0, 0, 1]
        leave.set()
        for thread in threads:
            thread.join()
        assert semaphore.value == 5

    def test_a_child_of_a_thread(self, semaphore: Semaphore) -> None:
        """The forking thread is the child's main one; the others' blocks have no thread there."""
        semaphore.value = 3
        answers: list[list[int]] = []

        def child() -> list[int]:
            seen = []
            with semaphore:
                seen.append(semaphore.value)
            semaphore.__exit__(None, None, None)
            seen.append(semaphore.value)
            return seen

        def forks() -> None:
            with semaphore:
                answers.append(support.in_child(child))

        with semaphore:
            thread = threading.Thread(target=forks)
            thread.start()
            thread.join()
        assert answers == [[0, 1]]
        assert semaphore.value == 3

    def test_left_in_another_thread_of_the_child(self, semaphore: Semaphore) -> None:
        stack = ExitStack()
        stack.enter_context(semaphore)

        def child() -> int:
            thread = threading.Thread(target=stack.close)
            thread.start()
            thread.join()
            return semaphore.value

        assert support.in_child(child) == 0
        stack.close()
        assert semaphore.value == 1


def test_children_take_for_themselves(semaphore: Semaphore) -> None:
    guard = semaphore.hold()
    semaphore.value = 1

    def child() -> tuple[bool, int]:
        with semaphore.hold() as own:
            return own.held, semaphore.value

    assert support.in_child(child) == (True, 0)
    assert semaphore.value == 1
    guard.release()


def test_a_child_that_dies_gives_back_its_own_only(semaphore: Semaphore) -> None:
    semaphore.value = 3
    guard = semaphore.hold()

    def child() -> None:
        semaphore.hold()
        mine = semaphore.hold()
        os.kill(os.getpid(), signal.SIGKILL)
        mine.release()

    with support.Child(child) as killed:
        killed.join()
    assert semaphore.value == 2
    guard.release()
    assert semaphore.value == 3


def forked_while(semaphore: Semaphore, busy: Callable[[], object]) -> None:
    """Fork again and again while another thread does something."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            busy()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(25):
            pid = os.fork()
            if not pid:
                try:
                    with semaphore:
                        pass
                finally:
                    os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


def test_forks_during_blocks_of_another_thread_hang_nothing(semaphore: Semaphore) -> None:
    semaphore.value = 9

    def block() -> None:
        with semaphore:
            pass

    forked_while(semaphore, block)
    assert semaphore.value == 9


def test_forks_while_guards_come_and_go_hang_nothing(semaphore: Semaphore) -> None:
    semaphore.value = 9
    guards: list[SemaphoreGuard] = []

    def come_and_go() -> None:
        guards.append(semaphore.hold(timeout=1))
        if len(guards) > 3:
            guards.pop().release()
            guards.clear()

    forked_while(semaphore, come_and_go)
    guards.clear()
    gc.collect()
    assert semaphore.value == 9
