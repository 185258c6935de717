"""`AsyncLock`, `AsyncRWLock`, `AsyncEvent`, `AsyncCondition`: waiting in an event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol, TypeAlias, TypeVar

import pytest
import support
import sysv_ipc_rs as ipc
from aio_support import Run, turns
from sysv_ipc_rs import aio, sync
from sysv_ipc_rs.aio import _events

pytestmark = pytest.mark.usefixtures("nothing_left")

T = TypeVar("T")

Waiting: TypeAlias = "asyncio.Task[bool]"


class Removable(Protocol):
    def remove(self) -> None: ...


@pytest.fixture
def lock() -> Iterator[sync.Lock]:
    yield from made(sync.Lock.create())


@pytest.fixture
def rwlock() -> Iterator[sync.RWLock]:
    yield from made(sync.RWLock.create())


@pytest.fixture
def event() -> Iterator[sync.Event]:
    yield from made(sync.Event.create())


@pytest.fixture
def condition() -> Iterator[sync.Condition]:
    yield from made(sync.Condition.create())


M = TypeVar("M", bound=Removable)


def made(thing: M) -> Iterator[M]:
    yield thing
    with suppress(ipc.RemovedError):
        thing.remove()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.001)


def queued(thing: sync.Lock | sync.RWLock | sync.Condition, index: int = 0) -> int:
    """How many stand in the kernel's queue for one of its semaphores."""
    return ipc.Semaphore.from_id(thing.id, index=index).waiting


NOTICES = 3


async def cancelled(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_tasks_take_the_lock_in_the_order_in_which_they_came(
    run: Run[None], lock: sync.Lock
) -> None:
    async def main() -> None:
        ours, order = aio.AsyncLock(lock), list[int]()

        async def take(number: int) -> None:
            async with ours:
                order.append(number)
                assert lock.locked()
                await asyncio.sleep(0)

        async with ours:
            tasks = [asyncio.create_task(take(number)) for number in range(5)]
            await turns()
            assert order == []
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3, 4]
        assert not lock.locked()
        ours.close()

    run(main())


def test_a_lock_that_another_process_holds_does_not_block_the_loop(
    run: Run[None], lock: sync.Lock
) -> None:
    async def main() -> None:
        ours = aio.AsyncLock(lock)
        with support.Holder(lock.acquire, lock.release) as holder:
            assert not await ours.acquire(False)
            assert not await ours.acquire(timeout=0.02)
            waiting = asyncio.create_task(ours.acquire())
            await until(lambda: queued(lock) == 1)
            holder.let_go()
            assert await waiting
            assert not ours.owner_died
        ours.release()
        ours.close()

    run(main())


def test_the_death_of_an_owner_is_told_to_a_task(run: Run[None], lock: sync.Lock) -> None:
    async def main() -> None:
        ours = aio.AsyncLock(lock)
        with support.Holder(lock.acquire, lock.release) as holder:
            waiting = asyncio.create_task(ours.acquire())
            await until(lambda: queued(lock) == 1)
            holder.child.kill()
            assert await waiting
            assert ours.owner_died
        await ours.release()
        async with ours:
            assert not ours.owner_died
        ours.close()

    run(main())


def test_a_cancelled_task_loses_neither_the_lock_nor_what_it_would_have_been_told(
    run: Run[None], lock: sync.Lock
) -> None:
    async def main() -> None:
        ours = aio.AsyncLock(lock)
        with support.Holder(lock.acquire, lock.release) as holder:
            waiting = asyncio.create_task(ours.acquire())
            await until(lambda: queued(lock) == 1)
            holder.child.kill()
            # The thread has it; the task has not run since.
            holder.child.join()
            support.wait_for(lock.locked, "the thread has taken it")
            await cancelled(waiting)
        await until(lambda: not lock.locked())
        ours.close()

    run(main())
    with lock:
        assert lock.owner_died


def test_a_lock_that_is_released_after_a_cancelled_wait_is_free_at_once(
    run: Run[None], lock: sync.Lock
) -> None:
    late = 0

    async def main() -> None:
        nonlocal late
        ours = aio.AsyncLock(lock)
        for _ in range(100):
            if not await ours.acquire(False):
                # Where the processors are busy the thread may take it first, and gives it back.
                late += 1
                assert await ours.acquire(timeout=20)
            waiting = asyncio.create_task(ours.acquire())
            await until(lambda: queued(lock) == 1)
            await cancelled(waiting)
            ours.release()
        ours.close()

    run(main())
    assert late < 3


def test_closing_ends_the_waits_and_the_threads(run: Run[None], lock: sync.Lock) -> None:
    async def main() -> None:
        ours = aio.AsyncLock(lock)
        lock.acquire()
        waiting = asyncio.create_task(ours.acquire())
        await until(lambda: queued(lock) == 1)
        await ours.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert queued(lock) == 0
        with pytest.raises(ValueError, match="closed"):
            await ours.acquire()
        lock.release()

    run(main())


def test_readers_share_and_writers_do_not(run: Run[None], rwlock: sync.RWLock) -> None:
    async def main() -> None:
        ours = aio.AsyncRWLock(rwlock)
        async with ours.reader(), ours.reader():
            assert not await ours.acquire_write(timeout=0.02)
            waiting = asyncio.create_task(ours.acquire_write())
            await until(lambda: queued(rwlock, 1) or ipc.Semaphore.from_id(rwlock.id).value == 0)
            with pytest.raises(ipc.WaitTimeoutError):
                async with ours.reader(timeout=0):
                    pytest.fail("a writer is the next")
        assert await waiting
        assert not await ours.acquire_read(False)
        ours.release_write()
        async with ours.writer() as it:
            assert it is ours
        ours.close()

    run(main())


def test_a_cancelled_writer_opens_the_gate(run: Run[None], rwlock: sync.RWLock) -> None:
    async def main() -> None:
        ours = aio.AsyncRWLock(rwlock)
        async with ours.reader():
            waiting = asyncio.create_task(ours.acquire_write())
            await until(lambda: ipc.Semaphore.from_id(rwlock.id).value == 0)
            await cancelled(waiting)
            async with ours.reader(timeout=20):
                pass
        ours.close()

    run(main())


def test_the_death_of_a_writer_is_told_to_a_task(run: Run[None], rwlock: sync.RWLock) -> None:
    async def main() -> None:
        ours = aio.AsyncRWLock(rwlock)
        with support.Holder(rwlock.acquire_write, rwlock.release_write) as holder:
            waiting = asyncio.create_task(ours.acquire_read())
            await until(lambda: queued(rwlock) == 1)
            holder.child.kill()
            assert await waiting
            assert ours.owner_died
        ours.release_read()
        ours.close()

    run(main())


def test_an_event_lets_all_tasks_go(run: Run[None], event: sync.Event) -> None:
    async def main() -> None:
        ours = aio.AsyncEvent(event)
        assert not await ours.wait(0)
        assert not await ours.wait(0.02)
        tasks = [asyncio.create_task(ours.wait()) for _ in range(3)]
        await turns()
        ours.set()
        ours.clear()
        assert await asyncio.gather(*tasks) == [True] * 3
        assert not ours.is_set()
        ours.close()

    run(main())


def test_another_process_sets_the_event(run: Run[None], event: sync.Event) -> None:
    def set_and_clear() -> None:
        event.set()
        event.clear()

    async def main() -> None:
        ours = aio.AsyncEvent(event)
        waiting = asyncio.create_task(ours.wait())
        await until(lambda: ipc.Semaphore.from_id(event.id).waiting_zero)
        support.in_child(set_and_clear)
        assert await waiting
        ours.close()

    run(main())


def test_tasks_are_notified_in_the_order_in_which_they_waited(
    run: Run[None], condition: sync.Condition
) -> None:
    async def main() -> None:
        ours, order = aio.AsyncCondition(condition), list[int]()

        async def wait(number: int) -> None:
            async with ours:
                assert await ours.wait()
                order.append(number)

        tasks = []
        for number in range(3):
            tasks.append(asyncio.create_task(wait(number)))
            await until(lambda: queued(condition, NOTICES) == number + 1)  # noqa: B023
        for number in range(3):
            async with ours:
                ours.notify()
            await tasks[number]
        assert order == [0, 1, 2]
        ours.close()

    run(main())


def test_another_process_notifies(run: Run[None], condition: sync.Condition) -> None:
    def notify() -> None:
        with condition:
            condition.notify_all()

    async def main() -> None:
        ours = aio.AsyncCondition(condition)
        async with ours:
            waiting = asyncio.get_running_loop().run_in_executor(None, support.in_child, notify)
            assert await ours.wait(timeout=20)
            assert not await ours.wait(timeout=0.02)
            assert await ours.wait_for(lambda: 7) == 7
            assert await ours.wait_for(lambda: 0, timeout=0.02) == 0
        await waiting
        with pytest.raises(RuntimeError):
            await ours.wait()
        ours.close()

    run(main())


def test_a_task_excludes_another_from_a_conditions_lock(
    run: Run[None], condition: sync.Condition
) -> None:
    async def main() -> None:
        ours = aio.AsyncCondition(condition)
        async with ours:
            other = asyncio.create_task(ours.acquire(timeout=0.05))
            assert not await other
            stranger = asyncio.create_task(call(ours.release))
            with pytest.raises(RuntimeError):
                await stranger
        ours.close()

    run(main())


async def call(function: Callable[[], Awaitable[T]]) -> T:
    return await function()


def test_a_cancelled_task_passes_its_notification_on(
    run: Run[None], condition: sync.Condition
) -> None:
    async def main() -> None:
        ours = aio.AsyncCondition(condition)
        first, second = await asleep(condition, ours, ours)
        async with ours:
            ours.notify()
            support.wait_for(lambda: queued(condition, NOTICES) == 1, "the first has it")
            first.cancel()
        assert await second
        with pytest.raises(asyncio.CancelledError):
            await first
        assert ipc.SemaphoreSet.from_id(condition.id).values == (1, 0, 0, 0, 0, 0)
        ours.close()

    run(main())


async def wait(condition: aio.AsyncCondition) -> bool:
    async with condition:
        return await condition.wait()


async def asleep(condition: sync.Condition, *conditions: aio.AsyncCondition) -> list[Waiting]:
    """Tasks that wait for notifications, one after the other."""
    tasks = []
    for number, each in enumerate(conditions):
        tasks.append(asyncio.create_task(wait(each)))
        await until(lambda: queued(condition, NOTICES) == number + 1)  # noqa: B023
    return tasks


def test_a_task_that_is_cancelled_while_it_waits_for_the_lock_passes_its_notification_on(
    run: Run[None], condition: sync.Condition
) -> None:
    async def main() -> None:
        ours = aio.AsyncCondition(condition)
        first, second = await asleep(condition, ours, ours)
        async with ours:
            ours.notify()
            await until(lambda: queued(condition) == 1)
            first.cancel()
        async with asyncio.timeout(20):
            assert await second
        with pytest.raises(asyncio.CancelledError):
            await first
        assert ipc.SemaphoreSet.from_id(condition.id).values == (1, 0, 0, 0, 0, 0)
        ours.close()

    run(main())


def test_all_tasks_that_are_notified_at_once_go_on_in_the_order_in_which_they_waited(
    run: Run[None], condition: sync.Condition, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long the threads of a busy machine need to tell.
    monkeypatch.setattr(_events, "_SLOWER", 20)

    async def main() -> None:
        ours = aio.AsyncCondition(condition)
        for _ in range(15):
            order = list[Waiting]()
            tasks = await asleep(condition, *[ours] * 5)
            for task in tasks:
                task.add_done_callback(order.append)
            async with ours:
                ours.notify_all()
            await asyncio.gather(*tasks)
            assert order == tasks
        ours.close()

    run(main())


def test_closing_ends_the_wait_of_a_task_whose_lock_another_holds(
    run: Run[None], condition: sync.Condition
) -> None:
    async def main() -> None:
        ours, others = aio.AsyncCondition(condition), aio.AsyncCondition(condition)
        first, second = await asleep(condition, ours, others)
        async with others:
            threads = len(support.threads())
            await ours.close()
            with pytest.raises(asyncio.CancelledError):
                async with asyncio.timeout(20):
                    await first
            assert len(support.threads()) == threads - 1
            # The lock is still held.
            assert ipc.SemaphoreSet.from_id(condition.id)[0].value == 0
            others.notify()
        assert await second
        others.close()

    run(main())


def test_closing_passes_a_notification_on(run: Run[None], condition: sync.Condition) -> None:
    async def main() -> None:
        ours, others = aio.AsyncCondition(condition), aio.AsyncCondition(condition)
        first, second = await asleep(condition, ours, others)
        async with others:
            others.notify()
            await until(lambda: queued(condition) == 1)
            await ours.close()
            with pytest.raises(asyncio.CancelledError):
                await first
        async with asyncio.timeout(20):
            assert await second
        assert ipc.SemaphoreSet.from_id(condition.id).values[1:4] == (0, 0, 0)
        others.close()

    run(main())


def test_a_task_that_is_cancelled_holds_the_lock_again(
    run: Run[None], condition: sync.Condition
) -> None:
    async def main() -> None:
        ours, held = aio.AsyncCondition(condition), list[bool]()

        async def wait() -> None:
            async with ours:
                try:
                    await ours.wait()
                finally:
                    ours.notify()
                    held.append(True)

        waiting = asyncio.create_task(wait())
        await until(lambda: queued(condition, NOTICES) == 1)
        await cancelled(waiting)
        assert held == [True]
        assert ipc.SemaphoreSet.from_id(condition.id).values == (1, 0, 0, 0, 0, 0)
        ours.close()

    run(main())


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (aio.AsyncLock, "event"),
        (aio.AsyncRWLock, "lock"),
        (aio.AsyncEvent, "lock"),
        (aio.AsyncCondition, "lock"),
    ],
)
def test_each_wants_its_own_kind(
    make: Callable[[Any], object], wrong: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(TypeError):
        make(request.getfixturevalue(wrong))


def test_a_removed_lock_is_told_to_who_waits(run: Run[None], lock: sync.Lock) -> None:
    async def main() -> None:
        ours = aio.AsyncLock(lock)
        lock.acquire()
        waiting = asyncio.create_task(ours.acquire())
        await until(lambda: queued(lock) == 1)
        lock.remove()
        with pytest.raises(ipc.RemovedError):
            await waiting
        ours.close()

    run(main())
