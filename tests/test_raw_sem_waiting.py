"""Waiting and undoing, as `raw.semop` and `raw.semtimedop` have it from the kernel."""

import errno
import os
import signal
import threading
import time
from typing import Any

import pytest
import support
from support import (
    Child,
    MakeSet,
    fails,
    in_child,
    signal_when_blocked,
    wait_blocked,
    wait_for,
)
from sysv_ipc_rs import raw
from sysv_ipc_rs.raw import IPC_NOWAIT, SEM_UNDO, Sembuf


def values(semid: int) -> list[int]:
    return raw.semctl(semid, 0, raw.GETALL)


def waiting(semid: int, semnum: int = 0) -> int:
    return raw.semctl(semid, semnum, raw.GETNCNT)


class TestUndo:
    def killed_after(self, *ops: Sembuf, semid: int) -> None:
        def hold() -> None:
            raw.semop(semid, ops)
            os.kill(os.getpid(), signal.SIGKILL)

        with Child(hold) as child:
            assert child.join() == -signal.SIGKILL

    def test_is_done_by_the_kernel_for_the_killed(self, make_set: MakeSet) -> None:
        semid = make_set(5, 5)
        self.killed_after(Sembuf(0, -2, SEM_UNDO), Sembuf(1, -2, 0), semid=semid)
        assert values(semid) == [5, 3]

    def test_is_capped_at_semvmx_and_at_zero(self, make_set: MakeSet) -> None:
        semid = make_set(5, 5)

        def hold() -> None:
            raw.semop(semid, [(0, -5, SEM_UNDO), (1, 5, SEM_UNDO)])
            # Of another process, or the undo would be forgotten with SETVAL.
            in_child(lambda: raw.semop(semid, [(0, raw.SEMVMX, 0), (1, -9, 0)]))

        in_child(hold)
        assert values(semid) == [raw.SEMVMX, 0]

    def test_is_forgotten_with_setval_and_setall(self, make_set: MakeSet) -> None:
        semid = make_set(1, 1)

        def hold() -> None:
            raw.semop(semid, [(0, -1, SEM_UNDO), (1, -1, SEM_UNDO)])
            raw.semctl(semid, 0, raw.SETVAL, 5)

        in_child(hold)
        assert values(semid) == [5, 1]

    def test_is_not_inherited(self, make_set: MakeSet) -> None:
        semid = make_set(1)

        def hold() -> int:
            raw.semop(semid, [(0, -1, SEM_UNDO)])
            in_child(lambda: None)
            return raw.semctl(semid, 0, raw.GETVAL)

        assert in_child(hold) == 0
        assert values(semid) == [1]

    def test_beyond_its_range_is_erange(self, make_set: MakeSet) -> None:
        semid = make_set(1)

        def acquire_with_and_release_without() -> None:
            for _ in range(raw.SEMAEM):
                raw.semop(semid, [(0, -1, SEM_UNDO), (0, 1, 0)])
            with fails(errno.ERANGE):
                raw.semop(semid, [(0, -1, SEM_UNDO), (0, 1, 0)])

        in_child(acquire_with_and_release_without)
        assert values(semid) == [raw.SEMVMX]


class TestWaiting:
    def test_runs_other_threads(self, make_set: MakeSet) -> None:
        semid = make_set(0)
        thread = threading.Thread(target=raw.semop, args=(semid, [(0, -1, 0)]))
        thread.start()
        wait_for(lambda: waiting(semid) == 1)
        raw.semop(semid, [(0, 1, 0)])
        thread.join()
        assert values(semid) == [0]

    def test_is_what_the_first_operation_that_cannot_proceed_says(self, make_set: MakeSet) -> None:
        semid = make_set(0, 0)
        with fails(errno.EAGAIN):
            raw.semtimedop(semid, [(0, -1, IPC_NOWAIT), (1, -1, 0)], 3600)
        thread = threading.Thread(
            target=raw.semop, args=(semid, [(0, -1, 0), (1, -1, IPC_NOWAIT)]), daemon=True
        )
        thread.start()
        wait_for(lambda: waiting(semid) == 1)
        raw.semop(semid, [(0, 1, 0), (1, 1, 0)])
        thread.join()
        assert values(semid) == [0, 0]

    def test_counts_those_for_more_and_those_for_zero(self, make_set: MakeSet) -> None:
        semid = make_set(1)
        threads = [
            threading.Thread(target=raw.semop, args=(semid, [(0, op, 0)])) for op in (-2, 0, 0)
        ]
        for thread in threads:
            thread.start()
        wait_for(lambda: raw.semctl(semid, 0, raw.GETZCNT) == 2)
        wait_for(lambda: waiting(semid) == 1)
        raw.semop(semid, [(0, -1, 0)])
        raw.semop(semid, [(0, 2, 0)])
        for thread in threads:
            thread.join()
        assert (values(semid), waiting(semid), raw.semctl(semid, 0, raw.GETZCNT)) == ([0], 0, 0)

    @pytest.mark.parametrize("by", ["SETVAL", "SETALL", "undo"])
    def test_ends_with_any_change_of_the_value(self, make_set: MakeSet, by: str) -> None:
        semid = make_set(0)
        with Child(lambda: raw.semop(semid, [(0, -3, 0)])) as child:
            wait_blocked(child.pid)
            if by == "undo":
                in_child(lambda: raw.semop(semid, [(0, 3, 0), (0, -3, SEM_UNDO)]))
            elif by == "SETVAL":
                raw.semctl(semid, 0, raw.SETVAL, 3)
            else:
                raw.semctl(semid, 0, raw.SETALL, [3])
            assert child.result() is None
        assert values(semid) == [0]

    @pytest.mark.parametrize("timeout", [None, 3600])
    def test_ends_with_the_set(self, make_set: MakeSet, timeout: float | None) -> None:
        semid = make_set(0, 1)
        ops = [[(0, -1, 0)], [(1, 0, 0)], [(0, -1, SEM_UNDO)], [(1, -1, 0), (0, -1, 0)]]

        def wait(op: list[tuple[int, int, int]]) -> int | None:
            try:
                raw.semtimedop(semid, op, timeout)
            except OSError as error:
                return error.errno
            return None

        children = [Child(lambda op=op: wait(op)) for op in ops]  # type: ignore[misc]
        for child in children:
            wait_blocked(child.pid)
        raw.semctl(semid, 0, raw.IPC_RMID)
        assert [child.result() for child in children] == [errno.EIDRM] * len(ops)
        with fails(errno.EINVAL):
            raw.semop(semid, [(0, 1, 0)])

    @pytest.mark.parametrize("restart", [False, True])
    @pytest.mark.parametrize("timeout", [None, 3600])
    def test_is_interrupted_once_the_handlers_have_run(
        self, make_set: MakeSet, restart: bool, timeout: float | None
    ) -> None:
        semid = make_set(0)
        ran: list[int] = []
        with support.handler(signal.SIGUSR1, lambda number, _: ran.append(number)):
            signal.siginterrupt(signal.SIGUSR1, not restart)
            with signal_when_blocked(), fails(errno.EINTR):
                raw.semtimedop(semid, [(0, -1, 0)], timeout)
        assert ran == [signal.SIGUSR1]
        assert (values(semid), waiting(semid)) == ([0], 0)

    def test_raises_what_a_handler_raises(self, make_set: MakeSet) -> None:
        semid = make_set(0)

        def refuse(*_: object) -> None:
            raise ZeroDivisionError

        with (
            support.handler(signal.SIGUSR1, refuse),
            signal_when_blocked(),
            pytest.raises(ZeroDivisionError),
        ):
            raw.semop(semid, [(0, -1, 0)])

    def test_is_interrupted_in_any_thread(self, make_set: MakeSet) -> None:
        semid = make_set(0)
        seen: list[BaseException] = []

        def wait() -> None:
            try:
                raw.semop(semid, [(0, -1, 0)])
            except OSError as error:
                seen.append(error)

        with support.handler(signal.SIGUSR1, lambda *_: None):
            thread = threading.Thread(target=wait)
            thread.start()
            wait_blocked(thread)
            assert thread.ident
            signal.pthread_kill(thread.ident, signal.SIGUSR1)
            thread.join()
        assert [type(error) for error in seen] == [InterruptedError]

    def test_is_interrupted_by_a_stop_without_handlers(self, make_set: MakeSet) -> None:
        semid = make_set(0)
        with Child(lambda: raw.semop(semid, [(0, -1, 0)])) as child:
            wait_blocked(child.pid)
            child.kill(signal.SIGSTOP)
            wait_for(lambda: support.state(child.pid) == "T")
            child.kill(signal.SIGCONT)
            with fails(errno.EINTR):
                child.result()


class TestTimeouts:
    def test_of_zero_try_once(self, make_set: MakeSet) -> None:
        semid = make_set(1)
        raw.semtimedop(semid, [(0, -1, 0)], 0)
        with fails(errno.EAGAIN):
            raw.semtimedop(semid, [(0, -1, 0)], 0)

    @pytest.mark.parametrize("op", [-1, 0])
    def test_end_the_wait(self, make_set: MakeSet, op: int) -> None:
        semid = make_set(0 if op else 1)
        start = time.monotonic()
        with fails(errno.EAGAIN):
            raw.semtimedop(semid, [(0, op, 0)], 0.2)
        assert 0.2 <= time.monotonic() - start < 10
        assert (waiting(semid), raw.semctl(semid, 0, raw.GETZCNT)) == (0, 0)

    @pytest.mark.parametrize(
        ("timeout", "error"),
        [
            (-1, ValueError),
            (-1e-9, ValueError),
            (float("nan"), ValueError),
            (float("-inf"), ValueError),
            ("1", TypeError),
            (1j, TypeError),
        ],
    )
    def test_that_are_none_are_refused_also_where_nothing_would_wait(
        self, make_set: MakeSet, timeout: Any, error: type[Exception]
    ) -> None:
        semid = make_set(5)
        with pytest.raises(error):
            raw.semtimedop(semid, [(0, -1, 0)], timeout)
        assert values(semid) == [5]

    @pytest.mark.parametrize(
        "timeout", [None, 1e18, 1e300, 2**63, 10**400, float("inf")], ids=support.name
    )
    def test_that_are_huge_wait(self, make_set: MakeSet, timeout: float | None) -> None:
        semid = make_set(1)
        raw.semtimedop(semid, [(0, -1, 0)], timeout)
        thread = threading.Thread(target=raw.semtimedop, args=(semid, [(0, -1, 0)], timeout))
        thread.start()
        wait_blocked(thread)
        raw.semop(semid, [(0, 1, 0)])
        thread.join()
