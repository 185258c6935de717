"""`AsyncSemaphore`: who gets the units, in which order, and that none is lost."""

import asyncio
import gc
import os
import random
import time
from contextlib import suppress
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from aio_support import Run, parameters, standing, turns
from sysv_ipc_rs.aio import AsyncSemaphore

pytestmark = pytest.mark.usefixtures("nothing_left")

ADDED: list[dict[str, Any]] = [{}, {"undo": True}]


def test_the_methods_are_those_of_semaphore_and_are_awaited(
    run: Run[None], semaphore: ipc.Semaphore
) -> None:
    async def main() -> None:
        async with AsyncSemaphore(semaphore) as tokens:
            assert await tokens.acquire() is True
            assert await tokens.try_acquire() is False
            assert await tokens.wait_zero() is True
            await tokens.release()
            assert await tokens.try_acquire(undo=True) is True
            await tokens.release(1, undo=True)
            assert await tokens.try_wait_zero() is False
            guard = await tokens.try_hold()
            assert guard is not None
            assert guard.held
            assert await tokens.try_hold() is None
            guard.release()
            assert await asyncio.create_task(tokens.acquire())
            await asyncio.create_task(tokens.release())
            async with asyncio.TaskGroup() as group:
                group.create_task(tokens.release(2))
            tokens.value = 1
            assert (tokens.value, tokens.waiting, tokens.waiting_zero) == (1, 0, 0)
            assert tokens.last_pid == os.getpid()
            assert (tokens.id, tokens.key, tokens.index) == (semaphore.id, 0, 0)
            assert tokens.semaphore is semaphore
            assert tokens.semaphore_set == semaphore.semaphore_set
            assert repr(semaphore) in repr(tokens)
            with await tokens.readiness() as readiness:
                readiness.clear()
            await tokens.remove()
            with pytest.raises(ipc.RemovedError):
                await tokens.acquire()

    run(main())


def test_it_has_all_public_methods_of_semaphore() -> None:
    made = {"create", "open", "open_or_create", "from_id"}
    names = {name for name in dir(ipc.Semaphore) if not name.startswith("_")} - made
    assert names <= set(dir(AsyncSemaphore))
    for name in names:
        ours, theirs = getattr(AsyncSemaphore, name), getattr(ipc.Semaphore, name)
        assert ours.__doc__
        if callable(theirs):
            assert parameters(ours) == parameters(theirs)


@pytest.mark.parametrize("way", ["cancelled", "expired"])
def test_a_token_that_comes_after_a_wait_that_ended_is_there_at_once(
    run: Run[None], semaphore: ipc.Semaphore, way: str
) -> None:
    late = 0

    async def main() -> None:
        nonlocal late
        async with AsyncSemaphore(semaphore) as tokens:
            assert await tokens.acquire()
            for _ in range(100):
                waiting = asyncio.create_task(
                    tokens.acquire(timeout=None if way == "cancelled" else 0.003)
                )
                if way == "cancelled":
                    await standing(semaphore)
                    waiting.cancel()
                with suppress(asyncio.CancelledError, ipc.WaitTimeoutError):
                    await waiting
                semaphore.release()
                # Where the processors are busy the thread may take it first, and gives it back.
                late += semaphore.value != 1
                support.wait_for(semaphore.try_acquire, "the token")

    run(main())
    assert late < 3


def test_what_releases_does_so_at_the_call(semaphore: ipc.Semaphore) -> None:
    tokens = AsyncSemaphore(semaphore)
    tokens.release(4)
    assert semaphore.value == 5


def test_hold_is_awaited_or_entered(run: Run[None], semaphore: ipc.Semaphore) -> None:
    async def main() -> None:
        async with AsyncSemaphore(semaphore) as tokens:
            async with tokens.hold() as guard:
                assert guard.held
                assert semaphore.value == 0
            assert semaphore.value == 1
            assert not guard.held
            with await tokens.hold() as guard:
                assert semaphore.value == 0
            guard = await asyncio.create_task(tokens.hold())
            del guard
            await turns()
            assert semaphore.value == 1
            with pytest.raises(KeyError):
                async with tokens.hold():
                    raise KeyError
            assert semaphore.value == 1
            with pytest.raises(ipc.RemovedError):
                async with tokens.hold():
                    semaphore.remove()

    run(main())


def test_hold_that_has_to_wait_gives_a_guard(run: Run[None], empty: ipc.Semaphore) -> None:
    async def main() -> None:
        async with AsyncSemaphore(empty) as tokens:
            task = asyncio.create_task(tokens.hold(2))
            await standing(empty)
            empty.release(3)
            guard = await task
            assert empty.value == 1
            guard.release()
            assert empty.value == 3

    run(main())


@pytest.mark.parametrize("undo", [False, True])
def test_units_that_were_waited_for_are_undone_only_if_asked(
    run: Run[None], undo: bool, empty: ipc.Semaphore
) -> None:
    def take() -> None:
        async def main() -> None:
            async with AsyncSemaphore(empty) as tokens:
                await tokens.acquire(2, undo=undo)

        run(main())

    with support.Child(take) as taker:
        support.wait_for(lambda: empty.waiting)
        empty.release(2)
        taker.result()
    assert empty.value == (2 if undo else 0)


def test_waiters_are_served_in_the_order_in_which_they_came(
    run: Run[None], empty: ipc.Semaphore
) -> None:
    order: list[int] = []

    async def main() -> None:
        async def wait(number: int) -> None:
            chance = random.Random(number)
            units = chance.randint(1, 3)
            if chance.random() < 0.5:
                await tokens.acquire(units, undo=chance.random() < 0.5)
            else:
                guards.append(await tokens.hold(units, timeout=chance.choice([None, 100])))
            order.append(number)

        guards: list[ipc.SemaphoreGuard] = []
        async with AsyncSemaphore(empty) as tokens, asyncio.TaskGroup() as group:
            for number in range(60):
                group.create_task(wait(number))
                await asyncio.sleep(0)
            while len(order) < 60:
                await tokens.release()
                await asyncio.sleep(0.0005)

    run(main())
    assert order == list(range(60))


def test_a_newcomer_does_not_overtake_those_who_wait(run: Run[None], empty: ipc.Semaphore) -> None:
    async def main() -> None:
        order = []
        async with AsyncSemaphore(empty) as tokens:

            async def wait(name: str, units: int) -> None:
                await tokens.acquire(units)
                order.append(name)

            first = asyncio.create_task(wait("first", 3))
            await standing(empty)
            empty.release(2)
            second = asyncio.create_task(wait("second", 1))
            await asyncio.sleep(0.05)
            assert (order, empty.value) == ([], 2)
            # What never waits takes what there is, as in the kernel.
            assert await tokens.try_acquire()
            assert await tokens.acquire(timeout=0)
            empty.release(4)
            await asyncio.gather(first, second)
            assert (order, empty.value) == (["first", "second"], 0)

    run(main())


def test_one_thread_stands_for_all_waiters_of_a_loop(run: Run[None], empty: ipc.Semaphore) -> None:
    async def main() -> None:
        async with AsyncSemaphore(empty) as tokens:
            before = len(support.threads())
            tasks = [asyncio.create_task(tokens.acquire(1 + number % 3)) for number in range(50)]
            zero = [asyncio.create_task(tokens.wait_zero()) for _ in range(5)]
            await standing(empty)
            assert len(support.threads()) == before + 1
            await asyncio.gather(*zero)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await standing(empty, 0)

    run(main())


@pytest.mark.parametrize("added", ADDED)
def test_an_expired_wait_took_nothing(
    run: Run[None], added: dict[str, Any], empty: ipc.Semaphore
) -> None:
    async def main() -> None:
        async with AsyncSemaphore(empty) as tokens:
            for seconds in (0, 1e-9, 0.0004, 0.03):
                started = time.monotonic()
                with pytest.raises(ipc.WaitTimeoutError) as caught:
                    await tokens.acquire(timeout=seconds, **added)
                assert seconds <= time.monotonic() - started < seconds + 5
                assert caught.value.call == "semop"
                with pytest.raises(ipc.WaitTimeoutError, match=f"id {empty.id}"):
                    await tokens.hold(timeout=seconds)
            await standing(empty, 0)
            empty.release()
            await turns()
            assert empty.value == 1
            with pytest.raises(ipc.WaitTimeoutError):
                await tokens.wait_zero(timeout=0.001)

    run(main())


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError), (1j, TypeError)],
)
def test_bad_arguments_are_refused_before_anything_is_done(
    timeout: Any, error: type[Exception], semaphore: ipc.Semaphore
) -> None:
    async def main() -> None:
        async with AsyncSemaphore(semaphore) as tokens:
            for call in (tokens.acquire, tokens.hold, tokens.wait_zero):
                with pytest.raises(error):
                    await call(timeout=timeout)
            for units in (0, -1, 32768):
                with pytest.raises(ValueError, match="1 to 32767"):
                    await tokens.acquire(units)
                with pytest.raises(ValueError, match="1 to 32767"):
                    await tokens.hold(units)
            assert semaphore.value == 1
            assert await tokens.acquire(timeout=1e300)

    asyncio.run(main())
    with pytest.raises(TypeError, match="Semaphore is required, not str"):
        AsyncSemaphore("x")  # type: ignore[arg-type]


def test_a_cancelled_waiter_leaves_the_kernels_queue(run: Run[None], empty: ipc.Semaphore) -> None:
    async def main() -> None:
        async with AsyncSemaphore(empty) as tokens:
            for _ in range(20):
                task = asyncio.create_task(tokens.acquire())
                await standing(empty)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await standing(empty, 0)
            empty.release()
            await turns()
            assert empty.value == 1

    run(main())


@pytest.mark.parametrize("others", [0, 1])
def test_a_token_of_a_cancelled_waiter_goes_to_the_next_or_back(
    run: Run[None], others: int, empty: ipc.Semaphore
) -> None:
    async def main() -> None:
        async with AsyncSemaphore(empty) as tokens:
            first = asyncio.create_task(tokens.acquire())
            await standing(empty)
            second = [asyncio.create_task(tokens.acquire()) for _ in range(others)]
            await turns()
            empty.release()
            # The thread has the token; the loop has not heard of it yet.
            while empty.value or empty.waiting:
                time.sleep(0.0001)
            first.cancel()
            await asyncio.wait([first])
            assert first.cancelled()
            await asyncio.gather(*second)
        assert (empty.value, empty.waiting) == (1 - others, 0)

    run(main())


def test_timeouts_of_asyncio_lose_no_token(run: Run[None], empty: ipc.Semaphore) -> None:
    async def main() -> None:
        taken = expired = 0

        async def take(seconds: float, own: float | None) -> None:
            nonlocal taken, expired
            try:
                async with asyncio.timeout(seconds):
                    await tokens.acquire(timeout=own)
                    taken += 1
            except TimeoutError:
                expired += 1

        async with AsyncSemaphore(empty) as tokens:
            chance, posted = random.Random(7), 0
            async with asyncio.TaskGroup() as group:
                for _ in range(300):
                    own = chance.choice([None, chance.random() / 500])
                    group.create_task(take(chance.random() / 500, own))
                    if chance.random() < 0.5:
                        empty.release()
                        posted += 1
                    await asyncio.sleep(chance.choice([0, 0.0005]))
        assert taken + expired == 300
        assert taken + empty.value == posted

    run(main())


def test_wait_zero_lets_all_go_when_the_value_is_zero(
    run: Run[None], semaphore: ipc.Semaphore
) -> None:
    async def main() -> None:
        async with AsyncSemaphore(semaphore) as tokens:
            for _ in range(20):
                waiters = [asyncio.create_task(tokens.wait_zero()) for _ in range(5)]
                while not semaphore.waiting_zero:
                    await asyncio.sleep(0)
                await turns()
                assert not any(waiter.done() for waiter in waiters)
                # Not zero any more when the loop looks.
                semaphore.acquire()
                semaphore.release()
                assert await asyncio.gather(*waiters) == [True] * 5
            waiter = asyncio.create_task(tokens.wait_zero())
            while not semaphore.waiting_zero:
                await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.wait([waiter])
            while semaphore.waiting_zero:
                await asyncio.sleep(0)

    run(main())


def test_removal_is_told_to_each_waiter(run: Run[None], empty: ipc.Semaphore) -> None:
    async def main() -> None:
        empty.release()
        async with AsyncSemaphore(empty) as tokens:
            tasks: list[asyncio.Task[object]] = []
            tasks += [asyncio.create_task(tokens.acquire(2 + n % 2)) for n in range(20)]
            tasks += [asyncio.create_task(tokens.hold(2)) for _ in range(5)]
            tasks += [asyncio.create_task(tokens.wait_zero()) for _ in range(5)]
            await standing(empty)
            empty.remove()
            told = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(answer) for answer in told] == [ipc.RemovedError] * 30

    run(main())


def test_close_cancels_what_waits_and_ends_the_threads(
    run: Run[None], semaphore: ipc.Semaphore
) -> None:
    async def main() -> None:
        tokens = AsyncSemaphore(semaphore)
        before = support.in_use()
        tasks: list[asyncio.Task[object]] = []
        tasks += [asyncio.create_task(tokens.acquire(2, timeout=1000)) for _ in range(3)]
        tasks += [asyncio.create_task(tokens.hold()), asyncio.create_task(tokens.wait_zero())]
        await standing(semaphore)
        while not semaphore.waiting_zero:
            await asyncio.sleep(0)
        await tokens.close()
        support.wait_for(lambda: support.in_use() == before)
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        assert (semaphore.value, semaphore.waiting, semaphore.waiting_zero) == (1, 0, 0)
        tokens.close()
        for call in (tokens.acquire, tokens.hold, tokens.wait_zero):
            with pytest.raises(ValueError, match="the AsyncSemaphore is closed"):
                await call()
        with pytest.raises(ValueError, match="closed"):
            await tokens.__aenter__()
        await tokens.release()

    run(main())


def test_tokens_that_were_on_the_way_at_close_go_back(run: Run[None], empty: ipc.Semaphore) -> None:
    async def main() -> None:
        for _ in range(50):
            async with AsyncSemaphore(empty) as tokens:
                task = asyncio.create_task(tokens.acquire())
                await standing(empty)
                empty.release()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert empty.try_acquire()

    run(main())


def test_it_ends_when_nobody_has_it_any_more(run: Run[None], empty: ipc.Semaphore) -> None:
    async def main() -> None:
        before = support.in_use()
        tokens = AsyncSemaphore(empty)
        with suppress(ipc.WaitTimeoutError):
            await tokens.acquire(timeout=0.01)
        assert support.in_use() != before
        gc.disable()
        try:
            del tokens
            support.wait_for(lambda: support.in_use() == before)
        finally:
            gc.enable()

    run(main())


def test_a_row_of_calls_that_need_not_wait_lets_other_tasks_run(
    run: Run[None], semaphore: ipc.Semaphore
) -> None:
    async def main() -> None:
        async def take() -> None:
            async with AsyncSemaphore(semaphore) as tokens:
                while True:
                    async with tokens.hold():
                        pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(take(), 0.05)
        assert semaphore.value == 1

    run(main())


def test_it_has_its_third_beside_two_processes(
    run: Run[None], semaphore: ipc.Semaphore, semaphore_set: ipc.SemaphoreSet
) -> None:
    """A mere watcher had nothing. On a busy machine the processes' own shares differ."""
    rounds = 200
    semaphore_set.values = [0, 0, 0]

    def process(index: int) -> None:
        with suppress(ipc.RemovedError):
            while True:
                semaphore.acquire()
                semaphore_set[index].release()
                time.sleep(0.001)
                semaphore.release()

    async def main() -> None:
        async with AsyncSemaphore(semaphore) as tokens:
            support.wait_for(lambda: semaphore.waiting)
            for _ in range(rounds):
                await tokens.acquire()
                await asyncio.sleep(0.001)
                tokens.release()

    with support.Child(lambda: process(0)) as one, support.Child(lambda: process(1)) as other:
        run(main())
        semaphore.remove()
        one.result()
        other.result()
    first, second, _ = semaphore_set.values
    assert rounds > 0.6 * min(first, second), (rounds, first, second)
