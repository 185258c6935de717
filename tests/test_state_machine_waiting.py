"""Those who wait, against a model in Python: who goes on, in which order, and with what."""

import functools
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
        self.key = support.free_key()
        self.semaphore = ipc.Semaphore.create(self.key, value)
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

    @precondition(lambda self: self.value > 0)
    @rule(units=st.integers(1, 3))
    def holder_dies(self, units: int) -> None:
        """What it took comes back, to those who wait for it; nobody else saw it missing."""
        taken = min(units, self.value)
        take = functools.partial(self.semaphore.acquire, taken, undo=True)
        with support.Holder(take, lambda: None) as holder:
            # Who waits for zero goes on when the holder has taken the last one.
            self.change(self.value - taken)
            holder.child.kill()
            holder.child.join()
        self.change(self.value + taken)

    @rule(value=st.integers(0, 2))
    def remove_and_make_anew(self, value: int) -> None:
        """All who wait are told, and none of them waits on what has the key by now."""
        self.semaphore.remove()
        self.semaphore = ipc.Semaphore.create(self.key, value)
        self.value = value
        assert {one.waiter.told() for one in self.line} <= {ipc.RemovedError}
        self.line = []

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
        self.key = support.free_key()
        self.queue = ipc.MessageQueue.create(self.key)
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

    @rule()
    def remove_and_make_anew(self) -> None:
        self.queue.remove()
        self.queue = ipc.MessageQueue.create(self.key)
        self.model = []
        assert {one.waiter.told() for one in self.line} <= {ipc.RemovedError}
        self.line = []

    @invariant()
    def agrees(self) -> None:
        assert self.queue.qsize() == len(self.model)
        assert all(one.waiter.answer is None for one in self.line)

    def teardown(self) -> None:
        with suppress(AttributeError):
            self.queue.remove()
            assert {one.waiter.told() for one in self.line} <= {ipc.RemovedError}


class WaitingForRoom(RuleBasedStateMachine):
    """A queue is full or not; who sends waits for room, and every message is sent once."""

    @initialize(room=st.integers(1, 3))
    def create(self, room: int) -> None:
        self.key = support.free_key()
        self.queue = ipc.MessageQueue.create(self.key, max_bytes=room)
        self.room = room
        self.model: list[bytes] = []
        self.line: dict[bytes, Waiter] = {}
        self.count = 0

    def settle(self) -> None:
        """As many as there is room for have gone on; the kernel promises no order."""
        fit = min(len(self.line), max(0, self.room - len(self.model)))
        support.wait_for(lambda: self.queue.qsize() == len(self.model) + fit)
        for place in range(len(self.model), len(self.model) + fit):
            message = self.queue.peek(place)
            assert message is not None
            assert self.line.pop(message.data).told() is True
            self.model.append(message.data)

    @precondition(lambda self: len(self.line) < MOST)
    @rule(timed=st.booleans())
    def send(self, timed: bool) -> None:
        text = b"%c" % (self.count % 256)
        self.count += 1
        if len(self.model) < self.room:
            self.queue.send(text)
            self.model.append(text)
            return

        def wait() -> object:
            self.queue.send(text, timeout=60 if timed else None)
            return True

        self.line[text] = Waiter(wait)

    @rule()
    def receive(self) -> None:
        message = self.queue.try_receive()
        assert (message and message.data) == (self.model.pop(0) if self.model else None)
        self.settle()

    @rule(room=st.integers(1, 5))
    def resize(self, room: int) -> None:
        self.queue.max_bytes = self.room = room
        self.settle()

    @rule()
    def expire(self) -> None:
        if len(self.model) >= self.room:
            with pytest.raises(ipc.WaitTimeoutError):
                self.queue.send(b"x", timeout=0.0001)

    @rule()
    def remove_and_make_anew(self) -> None:
        self.queue.remove()
        self.queue = ipc.MessageQueue.create(self.key, max_bytes=self.room)
        self.model = []
        assert {waiter.told() for waiter in self.line.values()} <= {ipc.RemovedError}
        self.line = {}

    @invariant()
    def agrees(self) -> None:
        assert self.queue.qsize() == len(self.model)
        assert all(waiter.answer is None for waiter in self.line.values())

    def teardown(self) -> None:
        with suppress(AttributeError):
            self.queue.remove()
            assert {waiter.told() for waiter in self.line.values()} <= {ipc.RemovedError}


several = st.lists(st.tuples(st.integers(0, 1), st.integers(-2, 1)), min_size=2, max_size=3).filter(
    lambda ops: any(delta for _, delta in ops)
)


class WaitingForSeveral(RuleBasedStateMachine):
    """Operations on several semaphores: all at once or not at all, in the order of arrival."""

    @initialize(values=st.lists(st.integers(0, 2), min_size=2, max_size=2))
    def create(self, values: list[int]) -> None:
        self.set = ipc.SemaphoreSet.create(size=2, values=values)
        self.values = values
        self.line: list[tuple[Waiter, list[tuple[int, int]]]] = []

    def after(self, ops: list[tuple[int, int]]) -> list[int] | None:
        """The values when all is done; None if it has to wait."""
        values = list(self.values)
        for index, delta in ops:
            values[index] += delta
            if values[index] < 0 or (delta == 0 and values[index] != 0):
                return None
        return values

    def change(self, values: list[int]) -> None:
        self.values = values
        while gone := next((one for one in self.line if self.after(one[1])), None):
            self.line.remove(gone)
            self.values = self.after(gone[1]) or []
            gone[0].told()

    @precondition(lambda self: len(self.line) < MOST)
    @rule(ops=several, timed=st.booleans(), undo=st.booleans())
    def operate(self, ops: list[tuple[int, int]], timed: bool, undo: bool) -> None:
        if after := self.after(ops):
            self.set.op(*ops, timeout=0)
            self.change(after)
            return
        timeout = 60 if timed else None
        self.line.append((Waiter(lambda: self.set.op(*ops, undo=undo, timeout=timeout)), ops))

    @rule(values=st.lists(st.integers(0, 3), min_size=2, max_size=2))
    def set_all(self, values: list[int]) -> None:
        self.set.values = values
        self.change(values)

    @rule(index=st.integers(0, 1), value=st.integers(0, 3))
    def set_one(self, index: int, value: int) -> None:
        self.set[index].value = value
        self.change([value if place == index else old for place, old in enumerate(self.values)])

    @invariant()
    def agrees(self) -> None:
        assert list(self.set.values) == self.values
        assert all(waiter.thread.is_alive() for waiter, _ in self.line)

    def teardown(self) -> None:
        with suppress(AttributeError):
            self.set.remove()
            assert {waiter.told() for waiter, _ in self.line} <= {ipc.RemovedError}


SHORTER = settings(SETTINGS, stateful_step_count=30)

TestWaitingForUnits = WaitingForUnits.TestCase
TestWaitingForUnits.settings = SHORTER
TestWaitingForMessages = WaitingForMessages.TestCase
TestWaitingForMessages.settings = SHORTER
TestWaitingForRoom = WaitingForRoom.TestCase
TestWaitingForRoom.settings = SHORTER
TestWaitingForSeveral = WaitingForSeveral.TestCase
TestWaitingForSeveral.settings = SHORTER
