"""Each law of tests/soak is seen to be broken where a call is made faulty on purpose."""

import asyncio
import functools
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

import pytest
import run
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import aio, raw, sync, system

LAWS = {law.__name__.removeprefix("law_"): law for law in run.laws()}


def seldom() -> bool:
    return random.random() < 0.02


class Wrapped:
    """A handle, of which subclasses have faulty methods."""

    kind: ClassVar[Any] = None
    made: ClassVar[list[Any]] = []

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handle, name)

    @classmethod
    def create(cls, *args: Any, **named: Any) -> Any:
        handle = cls.kind.create(*args, **named)
        Wrapped.made.append(handle)
        return cls(handle)


class Losing(Wrapped):
    kind = ipc.MessageQueue

    def receive(self, *args: Any, **named: Any) -> ipc.Message:
        message: ipc.Message = self.handle.receive(*args, **named)
        if seldom() and message.type < 10:
            message = self.handle.receive(*args, **named)
        return message


class Doubling(Wrapped):
    kind = ipc.MessageQueue

    def receive(self, *args: Any, **named: Any) -> Any:
        message = self.handle.receive(*args, **named)
        if seldom():
            self.handle.send(message.data, message.type)
        return message


class Skipping(Wrapped):
    kind = ipc.MessageQueue

    def send(self, *args: Any, **named: Any) -> None:
        if not seldom():
            self.handle.send(*args, **named)


class Tearing(Wrapped):
    kind = ipc.MessageQueue

    def send(self, data: bytes) -> None:
        self.handle.send(bytes(8) + data[8:] if seldom() else data)


class LateToTell(Wrapped):
    kind = ipc.Semaphore

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "value":
            self.handle.value = value
        else:
            super().__setattr__(name, value)

    def acquire(self) -> None:
        try:
            self.handle.acquire()
        except ipc.RemovedError:
            time.sleep(1.1)
            raise


class Early(Wrapped):
    kind = ipc.MessageQueue

    def receive(self, *, timeout: float) -> Any:
        return self.handle.receive(timeout=timeout * 0.9)


class Spinning(Wrapped):
    kind = ipc.Semaphore

    def acquire(self, *, timeout: float) -> Any:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            pass
        return self.handle.acquire(timeout=0)


class NotLocking(Wrapped):
    kind = ipc.Semaphore

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class Attaching(Wrapped):
    kind = ipc.SharedMemory

    def __init__(self, handle: Any) -> None:
        super().__init__(handle)
        self.forgotten = handle.attach()


class Keeping(Wrapped):
    kind = ipc.SharedMemory
    kept: ClassVar[list[ipc.Attachment]] = []

    def attach(self) -> ipc.Attachment:
        attachment: ipc.Attachment = self.handle.attach()
        if seldom():
            self.kept.append(attachment)
        return attachment


class GivingInChildren(Wrapped):
    """Its guards don't ask whose they are."""

    kind = ipc.SemaphoreSet

    class Guard(Wrapped):
        def __init__(self, semaphore: ipc.Semaphore) -> None:
            super().__init__(semaphore.hold())
            self.semaphore = semaphore

        def __del__(self) -> None:
            if not self.handle.held:
                with suppress(ipc.RemovedError):
                    self.semaphore.release()

    def __iter__(self) -> Iterator[Any]:
        for semaphore in self.handle:
            holder = Wrapped(semaphore)
            holder.__dict__["hold"] = functools.partial(self.Guard, semaphore)
            yield holder


class Swallowing(Wrapped):
    """Ctrl-C ends no `send`, until somebody makes room."""

    kind = ipc.MessageQueue

    def send(self, *args: Any, **named: Any) -> None:
        try:
            self.handle.send(*args, **named)
        except KeyboardInterrupt:
            self.handle.receive()
            self.handle.send(*args, **named)


class Leaving:
    """A constructor that leaves an object behind."""

    @staticmethod
    def create(**named: Any) -> ipc.SemaphoreSet:
        ipc.SemaphoreSet.create(**named)
        return ipc.SemaphoreSet.create(**named)


class Surprising:
    open_or_create = ipc.MessageQueue.open_or_create

    @staticmethod
    def open(key: int) -> ipc.MessageQueue:
        if seldom():
            raise ipc.AccessDeniedError(1, "a surprise")
        return ipc.MessageQueue.open(key)


class Pristine:
    open = ipc.SemaphoreSet.open

    @staticmethod
    def open_or_create(key: int, size: int, **_: object) -> ipc.SemaphoreSet:
        try:
            return ipc.SemaphoreSet.from_id(raw.semget(key, size, raw.IPC_CREAT | 0o600))
        except FileNotFoundError:
            return ipc.SemaphoreSet.open_or_create(key, size)


class LosingCancelled(aio.AsyncSemaphore):  # type: ignore[misc]
    async def acquire(self, *args: Any, **named: Any) -> Any:
        try:
            return await super().acquire(*args, **named)
        except asyncio.CancelledError:
            self.semaphore.try_acquire()
            raise


class TakingCancelled(aio.AsyncMessageQueue):  # type: ignore[misc]
    async def receive(self, *args: Any, **named: Any) -> Any:
        try:
            return await super().receive(*args, **named)
        except asyncio.CancelledError:
            self.queue.try_receive()
            raise


class SendingCancelled(aio.AsyncMessageQueue):  # type: ignore[misc]
    async def send(self, *args: Any, **named: Any) -> None:
        try:
            await super().send(*args, **named)
        except asyncio.CancelledError:
            self.queue.send(*args, timeout=10)
            raise


def missing_one() -> Iterator[Any]:
    queues = list(system.message_queues())
    del queues[random.randrange(len(queues))]
    return iter(queues)


class NotTelling(Wrapped):
    """Who comes after a dead owner is not told."""

    kind: ClassVar[Any] = sync.Lock
    owner_died = False


class Barging(Wrapped):
    """Whose time is up goes in all the same, now and then."""

    def acquire(self, *args: Any, **named: Any) -> bool:
        return self.handle.acquire(*args, **named) or random.random() < 0.3

    def release(self) -> None:
        with suppress(RuntimeError, ValueError):
            self.handle.release()


class BargingOwners(Barging):
    kind = sync.Lock


class NotTellingAgain(NotTelling):
    kind = sync.RLock


class BargingHolders(Barging):
    kind = sync.BoundedSemaphore


class WritingReaders(Wrapped):
    """Writers are let in as readers."""

    kind = sync.RWLock

    def acquire_write(self, *args: Any, **named: Any) -> Any:
        return self.handle.acquire_read(*args, **named)

    def release_write(self) -> None:
        self.handle.release_read()


class WakingLate(Wrapped):
    kind = sync.Event

    def wait(self, timeout: float | None) -> Any:
        passed = self.handle.wait(timeout)
        if passed and seldom():
            time.sleep(1.1)
        return passed


class NotifyingNobody(Wrapped):
    """The first time that it is asked to notify."""

    kind = sync.Condition
    asked = False

    def notify(self, n: int) -> None:
        if n == 0 or self.asked:
            self.handle.notify(n)
        else:
            self.asked = True

    def __enter__(self) -> Any:
        return self.handle.__enter__()

    def __exit__(self, *exception: Any) -> Any:
        return self.handle.__exit__(*exception)


class OpeningEarly(Wrapped):
    kind = sync.Barrier

    def wait(self, timeout: float | None) -> Any:
        return 0 if seldom() else self.handle.wait(timeout)


NAIVE_RECEIVE = """
import base64, json, sys
import sysv_ipc_rs as ipc
queue = ipc.MessageQueue.from_id(int(sys.argv[-1]))
try:
    while True:
        for message in queue.receive_many(100):
            data = base64.b64encode(message.data).decode()
            print(json.dumps({"type": message.type, "data": data}), flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def losing_tokens(tokens: ipc.Semaphore, seconds: float) -> bool:
    try:
        return tokens.acquire(timeout=seconds) and not seldom()
    except ipc.WaitTimeoutError:
        return False


# The law, what is replaced in its module (a class of the package by its name), and by what.
FAULTS: list[tuple[str, str, object]] = [
    ("cancelled_acquires_lose_no_token", "AsyncSemaphore", LosingCancelled),
    ("cancelled_receives_lose_no_message", "AsyncMessageQueue", TakingCancelled),
    ("cancelled_sends_send_nothing", "AsyncMessageQueue", SendingCancelled),
    ("holders_are_killed", "ipc.Semaphore", NotLocking),
    ("receivers_are_killed", "ipc.MessageQueue", Doubling),
    ("senders_are_killed", "ipc.MessageQueue", Tearing),
    ("senders_are_killed", "ipc.MessageQueue", Skipping),
    ("attachers_are_killed", "ipc.SharedMemory", Attaching),
    ("limits_are_hit_and_all_is_freed", "ipc.SemaphoreSet", Leaving),
    ("failed_constructors_leave_nothing", "ipc.SemaphoreSet", Leaving),
    ("removal_is_the_only_surprise", "ipc.MessageQueue", Surprising),
    ("forks_with_live_handles", "ipc.SemaphoreSet", GivingInChildren),
    ("stable_objects_are_listed_once", "KINDS", [(ipc.MessageQueue.create, missing_one)]),
    ("nobody_works_with_uninitialised_values", "ipc.SemaphoreSet", Pristine),
    ("each_message_comes_once_and_in_order", "ipc.MessageQueue", Losing),
    ("each_message_comes_once_and_in_order", "ipc.MessageQueue", Doubling),
    ("tiny_timeouts_lose_no_message", "ipc.MessageQueue", Losing),
    ("timed_waits_end_on_time", "ipc.MessageQueue", Early),
    ("cycles_in_random_order_leave_nothing", "ipc.SharedMemory", Keeping),
    ("tokens_balance_under_tiny_timeouts", "take_in_time", losing_tokens),
    ("tokens_balance_under_signals", "take_in_time", losing_tokens),
    ("ctrl_c_ends_every_wait", "ipc.MessageQueue", Swallowing),
    ("removal_tells_everybody", "ipc.Semaphore", LateToTell),
    ("waiting_costs_no_cpu", "ipc.Semaphore", Spinning),
    ("owners_of_locks_are_killed", "sync.Lock", NotTelling),
    ("owners_of_locks_are_killed", "sync.Lock", BargingOwners),
    ("owners_of_rlocks_are_killed", "sync.RLock", NotTellingAgain),
    ("readers_and_writers_are_killed", "sync.RWLock", WritingReaders),
    ("holders_of_tokens_are_killed", "sync.BoundedSemaphore", BargingHolders),
    ("events_wake_all_that_live", "sync.Event", WakingLate),
    ("barriers_count_the_living", "sync.Barrier", OpeningEarly),
    ("notifications_outlive_the_waiters", "sync.Condition", NotifyingNobody),
    (
        "an_interrupted_receive_loses_no_message",
        "COMMAND",
        [sys.executable, "-c", NAIVE_RECEIVE],
    ),
]


class Package:
    """A package, with one class replaced."""

    def __init__(self, package: Any, name: str, replaced: object) -> None:
        self.package = package
        setattr(self, name, replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.package, name)


def hasty(condition: Callable[[], object], what: str = "", seconds: float = 30.0) -> None:
    """What never comes is not waited for as long as elsewhere."""
    support.wait_for(condition, what, min(seconds, 3.0))


def holds(law: Callable[[float], run.Law], scale: float) -> bool:
    try:
        return law(scale).holds
    except AssertionError:
        return False


@pytest.fixture
def made() -> Iterator[list[Any]]:
    """What a law does not remove that is broken in the middle."""
    yield Wrapped.made
    for handle in Wrapped.made:
        with suppress(ipc.RemovedError):
            handle.remove()
    Wrapped.made.clear()


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("law", "name", "fault"), FAULTS, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_broken_law_is_seen(
    law: str, name: str, fault: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    function: Callable[[float], run.Law] = LAWS[law]
    module = function.__globals__
    package, _, attribute = name.rpartition(".")
    replaced = Package(module[package], attribute, fault) if package else fault
    monkeypatch.setitem(module, package or attribute, replaced)
    if package == "sync":
        monkeypatch.setitem(module, "wait_for", hasty)
    # A fault that is seldom made may need a larger load to be seen.
    assert not all(holds(function, scale) for scale in (0.01, 0.04, 0.2, 1))


def test_every_law_can_be_broken() -> None:
    assert {law for law, _, _ in FAULTS} == set(LAWS)
