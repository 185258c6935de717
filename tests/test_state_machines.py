"""Each kind against a model in Python: whatever the order of calls, both agree."""

import errno
import functools
import os
from contextlib import suppress

import pytest
import support
import sysv_ipc_rs as ipc
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

MAX = 32767
SETTINGS = settings(
    max_examples=int(os.environ.get("STATE_MACHINE_EXAMPLES", "60")),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

types = st.integers(1, 5)
texts = st.binary(max_size=40)
wanted = st.integers(-6, 6)
ops = st.lists(
    st.tuples(st.integers(0, 2), st.one_of(st.integers(-4, 4), st.just(MAX))),
    min_size=1,
    max_size=4,
)


class Queues(RuleBasedStateMachine):
    """A queue is a list; what is taken follows from the types."""

    @initialize()
    def create(self) -> None:
        self.key = support.free_key()
        self.queue = ipc.MessageQueue.create(self.key, max_bytes=200)
        self.model: list[tuple[int, bytes]] = []
        self.max_bytes = 200

    def never_fits(self, text: bytes) -> bool:
        """A queue takes as many messages as bytes, so an empty one needs room too."""
        return max(len(text), 1) > self.max_bytes

    def choose(self, wanted: int, exclude: bool) -> int | None:
        """The place of the message that a call takes."""
        found = [type for type, _ in self.model]
        if wanted < 0:
            low = min((type for type in found if type <= -wanted), default=None)
            return None if low is None else found.index(low)
        for place, type in enumerate(found):
            if wanted == 0 or (type == wanted) != exclude:
                return place
        return None

    @rule(type=types, text=texts)
    def send(self, type: int, text: bytes) -> None:
        held = sum(len(text) for _, text in self.model)
        if self.never_fits(text):
            with pytest.raises(ipc.MessageTooBigError):
                self.queue.try_send(text, type)
            return
        fits = held + len(text) <= self.max_bytes and len(self.model) < self.max_bytes
        assert self.queue.try_send(text, type) == fits
        if fits:
            self.model.append((type, text))

    @rule(messages=st.lists(st.tuples(types, texts), max_size=8))
    def send_many(self, messages: list[tuple[int, bytes]]) -> None:
        if any(self.never_fits(text) for _, text in messages):
            with pytest.raises(ipc.MessageTooBigError):
                self.queue.send_many(messages, timeout=0)
            return
        try:
            sent = self.queue.send_many(messages, timeout=0)
        except ipc.WaitTimeoutError:
            sent = 0
        self.model += messages[:sent]

    @rule(wanted=wanted, exclude=st.booleans(), limit=st.none() | st.integers(0, 40))
    def receive(self, wanted: int, exclude: bool, limit: int | None) -> None:
        if exclude and wanted < 1:
            with pytest.raises(ValueError, match="exclude"):
                self.queue.try_receive(wanted, exclude=True)
            return
        place = self.choose(wanted, exclude)
        if place is not None and limit is not None and len(self.model[place][1]) > limit:
            with pytest.raises(ipc.MessageTooBigError):
                self.queue.try_receive(wanted, exclude=exclude, max_size=limit)
            return
        message = self.queue.try_receive(wanted, exclude=exclude, max_size=limit)
        assert (None if place is None else self.model.pop(place)) == (message and tuple(message))

    @rule(wanted=wanted, size=st.integers(0, 40))
    def receive_cut_off(self, wanted: int, size: int) -> None:
        place = self.choose(wanted, exclude=False)
        buffer = bytearray(size)
        answer = self.queue.try_receive_into(buffer, wanted, truncate=True)
        if place is None:
            assert answer is None
            return
        type, text = self.model.pop(place)
        assert answer == (type, min(len(text), size))
        assert buffer[: len(text)] == text[:size]

    @rule(limit=st.integers(1, 5))
    def receive_many(self, limit: int) -> None:
        if not self.model:
            with pytest.raises(ipc.WaitTimeoutError):
                self.queue.receive_many(limit, timeout=0)
            return
        taken = [tuple(message) for message in self.queue.receive_many(limit, timeout=0)]
        assert taken == self.model[:limit]
        del self.model[:limit]

    @rule(place=st.integers(0, 10))
    def peek(self, place: int) -> None:
        message = self.queue.peek(place)
        assert (message and tuple(message)) == (
            self.model[place] if place < len(self.model) else None
        )

    @rule(size=st.integers(0, 300))
    def resize(self, size: int) -> None:
        self.queue.max_bytes = self.max_bytes = size

    @rule()
    def remove_and_make_anew(self) -> None:
        old = self.queue
        old.remove()
        self.queue = ipc.MessageQueue.open_or_create(self.key, max_bytes=self.max_bytes)
        self.model = []
        for call in (old.remove, old.stat, old.try_receive):
            with pytest.raises(ipc.RemovedError):
                call()

    @invariant()
    def agrees(self) -> None:
        stat = self.queue.stat()
        assert stat.messages == self.queue.qsize() == len(self.model)
        assert stat.current_bytes == sum(len(text) for _, text in self.model)
        assert stat.max_bytes == self.max_bytes

    def teardown(self) -> None:
        with suppress(AttributeError, ipc.RemovedError):
            self.queue.remove()


class Semaphores(RuleBasedStateMachine):
    """A set is a list of ints; operations are done all at once or not at all."""

    @initialize(values=st.lists(st.integers(0, 6), min_size=3, max_size=3))
    def create(self, values: list[int]) -> None:
        self.key = support.free_key()
        self.set = ipc.SemaphoreSet.create(self.key, 3, values=values)
        self.model = values

    def outcome(self, ops: list[tuple[int, int]]) -> list[int] | str:
        """The values after the operations, or why they are not done."""
        after = list(self.model)
        for index, delta in ops:
            if delta == 0 and after[index] != 0:
                return "waits"
            after[index] += delta
            if after[index] < 0:
                return "waits"
            if after[index] > MAX:
                return "too large"
        return after

    @rule(ops=ops)
    def operate(self, ops: list[tuple[int, int]]) -> None:
        outcome = self.outcome(ops)
        if outcome == "too large":
            with pytest.raises(ipc.LimitExceededError):
                self.set.try_op(*ops)
            return
        assert self.set.try_op(*ops) == (outcome != "waits")
        if outcome == "waits":
            with pytest.raises(ipc.WaitTimeoutError):
                self.set.op(*ops, timeout=0)
        if isinstance(outcome, list):
            self.model = outcome

    @rule(index=st.integers(0, 2), value=st.integers(-1, MAX + 1))
    def set_one(self, index: int, value: int) -> None:
        if 0 <= value <= MAX:
            self.set[index].value = self.model[index] = value
            return
        with pytest.raises(ValueError, match="32767"):
            self.set[index].value = value

    @rule(values=st.lists(st.integers(0, 9), max_size=4))
    def set_all(self, values: list[int]) -> None:
        if len(values) == 3:
            self.set.values = tuple(values)
            self.model = values
            return
        with pytest.raises(ValueError, match="3 semaphores"):
            self.set.values = tuple(values)

    @rule(index=st.integers(0, 2), units=st.integers(1, 3))
    def hold(self, index: int, units: int) -> None:
        semaphore = self.set[index]
        guard = semaphore.try_hold(units)
        assert (guard is not None) == (self.model[index] >= units)
        if guard is not None:
            assert guard.held
            assert semaphore.value == self.model[index] - units
            guard.release()
            guard.release()
            assert not guard.held

    @rule(ops=ops)
    @precondition(lambda self: max(self.model) < 100)
    def child_dies_with_undo(self, ops: list[tuple[int, int]]) -> None:
        """All that a child has done is undone, as far as the values allow."""
        ops = [(index, delta) for index, delta in ops if abs(delta) < 100]
        before = self.set.values
        child = support.Child(lambda: bool(ops) and self.set.try_op(*ops, undo=True))
        child.result()
        assert self.set.values == before

    @rule(index=st.integers(0, 2), units=st.integers(1, 3), value=st.integers(0, MAX))
    def set_under_a_holder(self, index: int, units: int, value: int) -> None:
        """The kernel forgets what it would undo, in every process."""
        semaphore = self.set[index]
        if self.model[index] < units:
            return
        take = functools.partial(semaphore.acquire, units, undo=True)
        with support.Holder(take, lambda: None) as holder:
            semaphore.value = self.model[index] = value
            holder.child.kill()
            holder.child.join()

    @rule(index=st.integers(0, 2), given=st.integers(1, 3), taken=st.integers(0, 6))
    def a_giver_dies_when_others_have_taken(self, index: int, given: int, taken: int) -> None:
        """It is undone as far as there is something left."""
        semaphore, before = self.set[index], self.model[index]
        if before + given > MAX:
            return
        give = functools.partial(semaphore.release, given, undo=True)
        with support.Holder(give, lambda: None) as holder:
            taken = min(taken, before + given)
            if taken:
                semaphore.acquire(taken, timeout=0)
            holder.child.kill()
            holder.child.join()
        self.model[index] = max(0, before - taken)

    @rule(size=st.integers(1, 5))
    def open(self, size: int) -> None:
        if size <= 3:
            assert ipc.SemaphoreSet.open(self.key, size=size) == self.set
            return
        with pytest.raises(ipc.IPCError) as caught:
            ipc.SemaphoreSet.open(self.key, size=size)
        assert caught.value.errno == errno.EINVAL

    @rule()
    def remove_and_make_anew(self) -> None:
        old = self.set
        old.remove()
        self.set = ipc.SemaphoreSet.open_or_create(self.key, 3, values=self.model)
        for call in (old.remove, old.stat, lambda: old.values, lambda: old.try_op((0, 1))):
            with pytest.raises(ipc.RemovedError):
                call()

    @invariant()
    def agrees(self) -> None:
        assert list(self.set.values) == self.model
        assert [semaphore.value for semaphore in self.set] == self.model

    def teardown(self) -> None:
        with suppress(AttributeError, ipc.RemovedError):
            self.set.remove()


TestQueues = Queues.TestCase
TestQueues.settings = SETTINGS
TestSemaphores = Semaphores.TestCase
TestSemaphores.settings = SETTINGS
