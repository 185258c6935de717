"""Waiting on semaphores: time limits, signals, threads, removal."""

import errno
import itertools
import os
import resource
import signal
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Semaphore, SemaphoreSet

WAITS: dict[str, Callable[[Semaphore, float | None], object]] = {
    "acquire": lambda s, timeout: s.acquire(2, timeout=timeout),
    "acquire undo": lambda s, timeout: s.acquire(2, timeout=timeout, undo=True),
    "wait_zero": lambda s, timeout: s.wait_zero(timeout=timeout),
    "hold": lambda s, timeout: s.hold(2, timeout=timeout),
    "op": lambda s, timeout: s.semaphore_set.op((0, -2), timeout=timeout),
}
every_wait = pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
Wait = Callable[[Semaphore, float | None], object]


class Interrupted(Exception):
    pass


def waiting(semaphore: Semaphore) -> int:
    return semaphore.waiting + semaphore.waiting_zero


def once_waiting(semaphore: Semaphore, do: Callable[[], object]) -> threading.Thread:
    """Do something from another thread, once this one waits."""

    def watch() -> None:
        support.wait_for(lambda: waiting(semaphore))
        do()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


class TestTime:
    @every_wait
    def test_is_up_with_nothing_changed(self, semaphore: Semaphore, wait: Wait) -> None:
        start = time.monotonic()
        with pytest.raises(ipc.WaitTimeoutError) as caught:
            wait(semaphore, 0.05)
        assert time.monotonic() - start >= 0.05
        assert caught.value.errno == errno.ETIMEDOUT
        assert isinstance(caught.value, TimeoutError)
        assert semaphore.value == 1
        assert waiting(semaphore) == 0

    @every_wait
    def test_zero_tries_once(self, semaphore: Semaphore, wait: Wait) -> None:
        with pytest.raises(ipc.WaitTimeoutError):
            wait(semaphore, 0)
        semaphore.value = 0 if wait is WAITS["wait_zero"] else 2
        wait(semaphore, 0)
        assert semaphore.value in (0, 2)

    def test_is_never_up_early_and_seldom_late(self, semaphore: Semaphore) -> None:
        late = []
        for milliseconds in (1, 2, 5) * 7:
            start = time.monotonic()
            with pytest.raises(ipc.WaitTimeoutError):
                semaphore.acquire(2, timeout=milliseconds / 1000)
            late.append(time.monotonic() - start - milliseconds / 1000)
        assert min(late) >= 0
        assert statistics.median(late) < 0.01

    def test_passes_without_work(self, semaphore: Semaphore) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF)
        with pytest.raises(ipc.WaitTimeoutError):
            semaphore.acquire(2, timeout=0.5)
        after = resource.getrusage(resource.RUSAGE_SELF)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert used < 0.05

    def test_limits_lose_and_double_no_token(self, semaphore: Semaphore) -> None:
        """Tokens given = taken + left, under limits of 1 to 100 microseconds."""
        semaphore.value = 0
        taken: list[int] = []
        given = 3000
        stop = threading.Event()

        def take() -> None:
            count = 0
            for microseconds in itertools.cycle(range(1, 100)):
                try:
                    semaphore.acquire(timeout=microseconds / 1e6)
                except ipc.WaitTimeoutError:
                    if stop.is_set():
                        break
                else:
                    count += 1
            taken.append(count)

        threads = [threading.Thread(target=take) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(given):
            semaphore.release()
        stop.set()
        for thread in threads:
            thread.join()
        assert sum(taken) + semaphore.value == given


class TestSignals:
    @every_wait
    @pytest.mark.parametrize("timeout", [None, 60])
    def test_a_handler_that_raises_ends_it_with_nothing_taken(
        self, semaphore: Semaphore, wait: Wait, timeout: float | None
    ) -> None:
        def leave(*_: object) -> None:
            raise Interrupted

        with support.handler(signal.SIGUSR1, leave):
            thread = once_waiting(semaphore, lambda: os.kill(os.getpid(), signal.SIGUSR1))
            with pytest.raises(Interrupted):
                wait(semaphore, timeout)
            thread.join()
        assert semaphore.value == 1
        assert waiting(semaphore) == 0

    @every_wait
    def test_ctrl_c_ends_it(self, semaphore: Semaphore, wait: Wait) -> None:
        sent = []

        def press() -> None:
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        thread = once_waiting(semaphore, press)
        with pytest.raises(KeyboardInterrupt):
            wait(semaphore, None)
        ended = time.monotonic()
        thread.join()
        assert ended - sent[0] < 1
        assert semaphore.value == 1

    @support.needs_gil
    @every_wait
    @pytest.mark.parametrize("timeout", [None, 60])
    def test_what_a_handler_raises_when_the_units_are_taken_gives_them_back(
        self, semaphore: Semaphore, wait: Wait, timeout: float | None
    ) -> None:
        """The signal comes before the call returns: to whom it raises it has done nothing."""

        def leave(*_: object) -> None:
            raise Interrupted

        enough = 0 if wait is WAITS["wait_zero"] else 3

        def end() -> None:
            semaphore.value = enough

        signalled = support.signal_when_blocked(first=end)
        with support.handler(signal.SIGUSR1, leave), signalled, pytest.raises(Interrupted):
            wait(semaphore, timeout)
        assert semaphore.value == enough
        assert support.in_child(lambda: semaphore.value) == enough

    @support.needs_gil
    def test_what_can_not_be_given_back_is_done_and_the_exception_comes_later(
        self, semaphore_set: SemaphoreSet
    ) -> None:
        def leave(*_: object) -> None:
            raise Interrupted

        semaphore_set.values = (0, 0, 0)

        def end() -> None:
            # Who waits gives two; one is gone before it could take them back.
            semaphore_set[0].release()
            semaphore_set[1].acquire()

        signalled = support.signal_when_blocked(first=end)
        with support.handler(signal.SIGUSR1, leave), signalled:
            semaphore_set.op((0, -1), (1, 2))
            with pytest.raises(Interrupted):
                semaphore_set.op((2, -1))
        assert semaphore_set.values == (0, 1, 0)

    @every_wait
    @pytest.mark.parametrize("timeout", [None, 60])
    def test_a_handler_that_returns_does_not_end_it(
        self, semaphore: Semaphore, wait: Wait, timeout: float | None
    ) -> None:
        handled = []

        def note(*_: object) -> None:
            handled.append(semaphore.value)

        def signal_often_then_end() -> None:
            for count in range(1, 6):
                support.wait_for(lambda: waiting(semaphore))
                os.kill(os.getpid(), signal.SIGUSR1)
                support.wait_for(lambda: len(handled) >= count)  # noqa: B023
            support.wait_for(lambda: waiting(semaphore))
            semaphore.value = 0 if wait is WAITS["wait_zero"] else 2

        with support.handler(signal.SIGUSR1, note):
            thread = once_waiting(semaphore, signal_often_then_end)
            assert wait(semaphore, timeout) is not False
            thread.join()
        assert handled == [1] * 5

    @every_wait
    def test_the_time_that_is_left_goes_on(self, semaphore: Semaphore, wait: Wait) -> None:
        handled = []
        with support.handler(signal.SIGALRM, lambda *_: handled.append(1)):
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            try:
                start = time.monotonic()
                with pytest.raises(ipc.WaitTimeoutError):
                    wait(semaphore, 0.3)
                passed = time.monotonic() - start
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        assert len(handled) > 2
        assert 0.3 <= passed < 5

    def test_a_handler_may_use_the_semaphore(self, semaphore: Semaphore) -> None:
        semaphore.value = 0
        with support.handler(signal.SIGUSR1, lambda *_: semaphore.release()):
            thread = once_waiting(semaphore, lambda: os.kill(os.getpid(), signal.SIGUSR1))
            assert semaphore.acquire() is True
            thread.join()
        assert semaphore.value == 0

    def test_a_handler_may_remove_the_set(self, semaphore: Semaphore) -> None:
        with support.handler(signal.SIGUSR1, lambda *_: semaphore.remove()):
            thread = once_waiting(semaphore, lambda: os.kill(os.getpid(), signal.SIGUSR1))
            with pytest.raises(ipc.RemovedError):
                semaphore.acquire(2)
            thread.join()

    def test_one_that_came_before_is_handled_first(self, semaphore: Semaphore) -> None:
        """A signal that waits for the interpreter ends a call that would wait."""

        def leave(*_: object) -> None:
            raise Interrupted

        with support.handler(signal.SIGUSR1, leave):
            for _ in range(200):
                with pytest.raises(Interrupted):
                    signal.raise_signal(signal.SIGUSR1) or semaphore.acquire(2)  # type: ignore[func-returns-value]
        assert semaphore.value == 1

    @every_wait
    @pytest.mark.parametrize("timeout", [None, 60])
    def test_stop_and_continue_end_nothing(
        self, semaphore: Semaphore, wait: Wait, timeout: float | None
    ) -> None:
        with support.Child(lambda: wait(semaphore, timeout) and None) as child:
            for _ in range(3):
                support.wait_for(lambda: waiting(semaphore) == 1)
                child.kill(signal.SIGSTOP)
                support.wait_for(lambda: support.state(child.pid) == "T")
                child.kill(signal.SIGCONT)
            support.wait_for(lambda: waiting(semaphore) == 1)
            semaphore.value = 0 if wait is WAITS["wait_zero"] else 2
            child.result()

    def test_no_token_is_lost_under_signals(self, semaphore: Semaphore) -> None:
        semaphore.value = 0
        given = 2000
        handled = []

        def give() -> None:
            for _ in range(given):
                semaphore.release()

        with support.handler(signal.SIGALRM, lambda *_: handled.append(1)):
            thread = threading.Thread(target=give)
            signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
            try:
                thread.start()
                for _ in range(given):
                    assert semaphore.acquire(timeout=60) is True
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                thread.join()
        assert handled
        assert semaphore.value == 0

    @pytest.mark.parametrize("timeout", [None, 60])
    def test_in_another_thread_they_never_end_it(
        self, semaphore: Semaphore, timeout: float | None
    ) -> None:
        answers: list[object] = []

        def leave(*_: object) -> None:
            raise Interrupted

        thread = threading.Thread(
            target=lambda: answers.append(semaphore.acquire(2, timeout=timeout))
        )

        def interrupt() -> None:
            assert thread.ident is not None
            signal.pthread_kill(thread.ident, signal.SIGUSR1)
            support.wait_for(lambda: False)

        with support.handler(signal.SIGUSR1, leave):
            thread.start()
            support.wait_for(lambda: semaphore.waiting == 1)
            for _ in range(5):
                with pytest.raises(Interrupted):
                    interrupt()
            support.wait_for(lambda: semaphore.waiting == 1)
            assert not answers
            semaphore.release()
            thread.join()
        assert answers == [True]

    def test_open_or_create_is_ended_by_a_handler_that_raises(self, remove_later: Any) -> None:
        key = support.free_key()
        remove_later(SemaphoreSet.from_id(support.semget(key, 1, 0o1600)))

        def leave(*_: object) -> None:
            raise Interrupted

        with support.handler(signal.SIGALRM, leave):
            for timeout in (None, 60):
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                with pytest.raises(Interrupted):
                    SemaphoreSet.open_or_create(key, timeout=timeout)

    def test_open_or_create_goes_on_after_a_handler_that_returns(self, remove_later: Any) -> None:
        key = support.free_key()
        made = remove_later(SemaphoreSet.from_id(support.semget(key, 1, 0o1600)))
        handled = []

        def note(*_: object) -> None:
            handled.append(1)
            if len(handled) == 10:
                made[0].release()

        with support.handler(signal.SIGALRM, note):
            signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
            try:
                assert SemaphoreSet.open_or_create(key, timeout=60) == made
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        assert len(handled) >= 10


class TestRemoval:
    @every_wait
    @pytest.mark.parametrize("timeout", [None, 60])
    def test_ends_it(self, semaphore: Semaphore, wait: Wait, timeout: float | None) -> None:
        thread = once_waiting(semaphore, semaphore.remove)
        with pytest.raises(ipc.RemovedError) as caught:
            wait(semaphore, timeout)
        thread.join()
        assert (caught.value.errno, caught.value.call) == (errno.EIDRM, "semop")
        assert str(semaphore.id) in str(caught.value)

    def test_is_told_to_everybody_once(self, semaphore: Semaphore) -> None:
        told: list[int | None] = []

        def wait(timeout: float | None = None) -> int | None:
            with pytest.raises(ipc.RemovedError) as caught:
                semaphore.acquire(2, timeout=timeout)
            return caught.value.errno

        threads = [
            threading.Thread(target=lambda timeout=timeout: told.append(wait(timeout)))
            for timeout in (None, 60) * 10
        ]
        children = [support.Child(wait) for _ in range(20)]
        for thread in threads:
            thread.start()
        support.wait_for(lambda: semaphore.waiting == 40)
        semaphore.remove()
        for thread in threads:
            thread.join()
        assert told == [errno.EIDRM] * 20
        assert [child.result() for child in children] == [errno.EIDRM] * 20
