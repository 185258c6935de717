"""Those who wait, against a model in Python: who goes on, in which order, and with what."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import pytest
import support
import sysv_ipc_rs as ipc
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_state_machines import SETTINGS

MOST = 6


class Waiter:
    """A thread in a call that waits."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.answer: object = None
        self.thread = threading.Thread(target=self.wait, args=(call,), daemon=True)
        self.thread.start()
        support.wait_blocked(self.thread)

    def wait(self, call: Callable[[], object]) -> None:
        try:
            self.answer = call()
        except ipc.IPCError as error:
            self.answer = type(error)

    def told(self) -> object:
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.answer


class Wanting(NamedTuple):
    waiter: Waiter
    # Units of a semaphore; 0 waits for zero. Or the type and exclude of a receiver.
    what: int
    exclude: bool = False


class WaitingForUnits(RuleBasedStateMachine):
    """Who can go on does, in the order of arrival; zero lets all go who wait for it."""

    @initialize(value=st.integers(0, 2))
    def create(self, value: int) -> None:
        self.semaphore = ipc.Semaphore.create(value=value)
        self.value = value
        self.line: list[Wanting] = []

    def change(self, value: int) -> None:
        """The value has changed: those who can go on have gone."""
        self.value = value
        while gone := next((one for one in self.line if self.can(one.what)), None):
            self.line.remove(gone)
            self.value -= gone.what
            assert gone.waiter.told() is True

    def can(self, units: int) -> bool:
        return self.value == 0 if units == 0 else self.value >= units

    @precondition(lambda self: len(self.line) < MOST)
    @rule(units=st.integers(0, 3), timed=st.booleans(), undo=st.booleans())
    def wait(self, units: int, timed: bool, undo: bool) -> None:
        if self.can(units):
            if units:
                assert self.semaphore.try_acquire(units)
                self.change(self.value - units)
            else:
                assert self.semaphore.try_wait_zero()
            return
        timeout = 60 if timed else None

        def acquire() -> object:
            return self.semaphore.acquire(units, timeout=timeout, undo=undo)

        def wait_zero() -> object:
            return self.semaphore.wait_zero(timeout=timeout)

        self.line.append(Wanting(Waiter(acquire if units else wait_zero), units))

    @rule(units=st.integers(1, 4))
    def release(self, units: int) -> None:
        self.semaphore.release(units)
        self.change(self.value + units)

    @rule(value=st.integers(0, 4))
    def set_value(self, value: int) -> None:
        self.semaphore.value = value
        self.change(value)

    @rule(units=st.integers(1, 3))
    def expire(self, units: int) -> None:
        if not self.can(units):
            with pytest.raises(ipc.WaitTimeoutError):
                self.semaphore.acquire(units, timeout=0.0001)

    @invariant()
    def agrees(self) -> None:
        assert self.semaphore.value == self.value
        assert self.semaphore.waiting == sum(one.what > 0 for one in self.line)
        assert self.semaphore.waiting_zero == sum(one.what == 0 for one in self.line)

    def teardown(self) -> None:
        with suppress(AttributeError):
            self.semaphore.remove()
            assert {one.waiter.told() for one in self.line} <= {ipc.RemovedError}


class WaitingForMessages(RuleBasedStateMachine):
    """A message goes to the first who waits for such a one, else into the queue."""

    @initialize()
    def create(self) -> None:
        self.queue = ipc.MessageQueue.create()
        self.model: list[tuple[int, bytes]] = []
        self.line: list[Wanting] = []
        self.count = 0

    @staticmethod
    def suits(wanted: int, exclude: bool, type: int) -> bool:
        if wanted < 0:
            return type <= -wanted
        return wanted == 0 or (type == wanted) != exclude

    @precondition(lambda self: len(self.line) < MOST)
    @rule(wanted=st.integers(-3, 3), exclude=st.booleans(), timed=st.booleans())
    def receive(self, wanted: int, exclude: bool, timed: bool) -> None:
        exclude = exclude and wanted > 0
        there = [one for one in self.model if self.suits(wanted, exclude, one[0])]
        if there:
            first = min(there, key=lambda one: one[0]) if wanted < 0 else there[0]
            message = self.queue.receive(wanted, exclude=exclude, timeout=60)
            assert tuple(message) == first
            self.model.remove(first)
            return
        timeout = 60 if timed else None

        def wait() -> object:
            return self.queue.receive(wanted, exclude=exclude, timeout=timeout)

        self.line.append(Wanting(Waiter(wait), wanted, exclude))

    @rule(type=st.integers(1, 4))
    def send(self, type: int) -> None:
        text = b"%d" % self.count
        self.count += 1
        self.queue.send(text, type)
        suited = (one for one in self.line if self.suits(one.what, one.exclude, type))
        if taker := next(suited, None):
            self.line.remove(taker)
            assert taker.waiter.told() == ipc.Message(type, text)
        else:
            self.model.append((type, text))

    @invariant()
    def agrees(self) -> None:
        assert self.queue.qsize() == len(self.model)
        assert all(one.waiter.answer is None for one in self.line)

    def teardown(self) -> None:
        with suppress(AttributeError):
            self.queue.remove()
            assert {one.waiter.told() for one in self.line} <= {ipc.RemovedError}


SHORTER = settings(SETTINGS, stateful_step_count=30)

TestWaitingForUnits = WaitingForUnits.TestCase
TestWaitingForUnits.settings = SHORTER
TestWaitingForMessages = WaitingForMessages.TestCase
TestWaitingForMessages.settings = SHORTER
