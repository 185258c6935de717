"""Signal handlers run during a wait; one that raises leaves it, and nothing is consumed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
import support
from sync_support import CREATE, WAITS, Wait, held, unchanged
from sysv_ipc_rs import sync

waits = pytest.mark.parametrize("wait", WAITS, ids=str)

Make = Callable[[type], Any]


class Stop(Exception):
    """What a handler raises."""


def stop(*_: object) -> None:
    raise Stop


@pytest.fixture
def make(remove_later: Any) -> Make:
    return lambda kind: remove_later(CREATE[kind]())


@waits
def test_one_that_raises_leaves_and_nothing_is_consumed(make: Make, wait: Wait) -> None:
    handle = make(wait.kind)
    with held(wait, handle), unchanged(handle), support.handler(signal.SIGUSR1, stop):
        for timeout in (None, 30):
            with support.signal_when_blocked(), pytest.raises(Stop):
                wait.call(handle, timeout)


@waits
def test_one_that_returns_changes_nothing(make: Make, wait: Wait) -> None:
    handle = make(wait.kind)
    handled = threading.Event()

    def free() -> None:
        handled.wait()
        if holder:
            holder.kill()
        elif wait.free:
            wait.free(handle)

    with held(wait, handle) as holder, support.handler(signal.SIGUSR1, lambda *_: handled.set()):
        freer = threading.Thread(target=free)
        freer.start()
        with support.signal_when_blocked():
            assert wait.call(handle, None) is True
        freer.join()


def test_a_party_that_is_interrupted_is_no_longer_counted(make: Make) -> None:
    barrier = make(sync.Barrier)
    with support.handler(signal.SIGUSR1, stop), unchanged(barrier):
        with support.signal_when_blocked(), pytest.raises(Stop):
            barrier.wait()
        assert (barrier.n_waiting, barrier.broken) == (0, False)


class TestNotifications:
    """One that finds a waiter which raises goes on to the next."""

    @pytest.fixture
    def condition(self, make: Make) -> Any:
        return make(sync.Condition)

    @staticmethod
    def interrupted(condition: Any) -> object:
        signal.signal(signal.SIGUSR1, stop)
        try:
            with condition:
                return condition.wait(10)
        except Stop:
            return "stopped"

    @staticmethod
    def patient(condition: Any) -> object:
        with condition:
            return condition.wait(10)

    @pytest.mark.parametrize("woken", [False, True])
    def test_goes_on(self, condition: Any, woken: bool) -> None:
        with support.Child(lambda: self.interrupted(condition)) as first:
            support.wait_blocked(first.pid)
            with support.Child(lambda: self.patient(condition)) as second:
                support.wait_blocked(second.pid)
                with condition:
                    if woken:
                        condition.notify()
                    first.kill(signal.SIGUSR1)
                    # It waits for the lock, which we have.
                    support.wait_for(lambda: not pending(first.pid))
                    support.wait_blocked(first.pid)
                    if not woken:
                        condition.notify()
                assert first.result() == "stopped"
                assert second.result() is True


def pending(pid: int) -> bool:
    """Whether a signal waits to be handled by the process."""
    with open(f"/proc/{pid}/status") as file:
        return any(
            int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd"))
        )
