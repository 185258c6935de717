"""Loops that share an `AsyncSemaphore`, are closed, never run again, are busy, forked or killed."""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import support
import sysv_ipc_rs as ipc
import uvloop
from aio_support import Run, standing, turns
from sysv_ipc_rs.aio import AsyncSemaphore

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_several_loops_in_several_threads_share_it(empty: ipc.Semaphore) -> None:
    tokens = AsyncSemaphore(empty)
    taken = [0] * 4

    def thread(number: int) -> None:
        async def main() -> None:
            async def take() -> None:
                while await tokens.acquire(timeout=60):
                    taken[number] += 1
                    if sum(taken) >= 400:
                        return
                    await asyncio.sleep(0)
                    await tokens.release()

            await asyncio.wait([asyncio.create_task(take()) for _ in range(3)])

        (asyncio.run if number % 2 else uvloop.run)(main())

    workers = [threading.Thread(target=thread, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    support.wait_for(lambda: empty.waiting == 4)
    empty.release()
    support.wait_for(lambda: sum(taken) >= 400)
    empty.release(12)
    for worker in workers:
        worker.join()
    tokens.close()
    assert all(taken), "each had some"


def test_close_ends_the_waits_of_other_loops_too(empty: ipc.Semaphore) -> None:
    tokens = AsyncSemaphore(empty)
    ended: list[str] = []

    def thread() -> None:
        async def main() -> None:
            try:
                await tokens.acquire()
            except asyncio.CancelledError:
                ended.append("cancelled")

        asyncio.run(main())

    other = threading.Thread(target=thread)
    other.start()
    support.wait_for(lambda: empty.waiting)
    tokens.close()
    other.join()
    assert ended == ["cancelled"]
    assert empty.waiting == 0


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("closed", [True, False])
def test_a_loop_that_never_runs_again_keeps_no_token(
    closed: bool, new_loop: Callable[[], asyncio.AbstractEventLoop], empty: ipc.Semaphore
) -> None:
    tokens = AsyncSemaphore(empty)
    loop = new_loop()
    task = loop.create_task(tokens.acquire())
    loop.run_until_complete(standing(empty))
    if closed:
        loop.close()
    empty.release()
    assert empty.acquire(timeout=10)
    assert empty.waiting == 0, "it stands for nobody any more"
    if not closed:
        # It does run again: stands anew, and has its token.
        empty.release()
        loop.run_until_complete(asyncio.wait_for(task, 10))
        assert empty.value == 0
        loop.close()
    tokens.close()
    if closed:
        with suppress(RuntimeError):
            task.get_coro().close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_loop_that_is_collected_leaves_the_kernels_queue(empty: ipc.Semaphore) -> None:
    loop = asyncio.new_event_loop()
    tokens = AsyncSemaphore(empty)
    task = loop.create_task(tokens.acquire())
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.run_until_complete(standing(empty))
    loop.close()
    del loop, task, tokens
    gc.collect()
    support.wait_for(lambda: not empty.waiting)
    empty.release()
    assert empty.value == 1


def test_a_new_loop_takes_the_place_of_a_closed_one(empty: ipc.Semaphore) -> None:
    tokens = AsyncSemaphore(empty)
    before = len(support.threads())
    for _ in range(20):
        with pytest.raises(ipc.WaitTimeoutError):
            asyncio.run(tokens.acquire(timeout=0.001))
    assert len(support.threads()) == before + 1
    tokens.close()


def test_a_busy_loop_gets_its_token_in_the_end(empty: ipc.Semaphore) -> None:
    """Although each time it is too late to collect it within the first patience."""
    stop = threading.Event()

    def compete() -> None:
        while not stop.is_set():
            with suppress(ipc.WaitTimeoutError):
                empty.acquire(timeout=0.05)
                time.sleep(0.001)
                empty.release()

    async def main() -> int:
        async with AsyncSemaphore(empty) as tokens:
            task = asyncio.create_task(tokens.acquire())
            await standing(empty, 2)
            empty.release()
            for busy in range(30):
                time.sleep(0.25)
                await turns()
                if task.done():
                    return busy
            raise AssertionError("never")

    competitor = threading.Thread(target=compete)
    competitor.start()
    try:
        assert asyncio.run(main()) < 10
    finally:
        stop.set()
        empty.release()
        competitor.join()


def test_a_killed_process_leaves_no_token_on_the_way(semaphore: ipc.Semaphore) -> None:
    """Units that the thread has and the loop has not collected go back when the process dies."""
    semaphore.acquire()

    def child() -> None:
        async def main() -> None:
            tokens = AsyncSemaphore(semaphore)
            waiting = asyncio.create_task(tokens.acquire())
            await standing(semaphore)
            os.write(writer, b"x")
            while semaphore.waiting:
                time.sleep(0.0001)
            os.kill(os.getpid(), 9)
            await waiting

        asyncio.run(main())

    for _ in range(10):
        reader, writer = os.pipe()
        with support.Child(child) as killed:
            os.read(reader, 1)
            semaphore.release()
            assert killed.join() == -9
        os.close(reader)
        os.close(writer)
        assert semaphore.try_acquire()


def test_in_a_forked_child_the_parents_waits_are_inert(
    run: Run[None], empty: ipc.Semaphore
) -> None:
    async def main() -> None:
        async with AsyncSemaphore(empty) as tokens:
            task = asyncio.create_task(tokens.acquire())
            await standing(empty)

            def child() -> None:
                task.get_coro().close()
                tokens.close()

            support.in_child(child)
            support.in_child(gc.collect)
            assert empty.waiting == 1
            empty.release()
            assert await task
            assert empty.value == 0

    run(main())


def test_a_forked_child_can_use_it_in_its_own_loop(empty: ipc.Semaphore) -> None:
    loop = asyncio.new_event_loop()
    tokens = AsyncSemaphore(empty)
    task = loop.create_task(tokens.acquire())
    loop.run_until_complete(standing(empty))

    def child() -> bool:
        return asyncio.run(tokens.acquire(timeout=30))

    with support.Child(child) as other:
        support.wait_for(lambda: empty.waiting == 2)
        empty.release(2)
        assert other.result()
    assert loop.run_until_complete(task)
    loop.close()
    tokens.close()
    assert empty.value == 0


EXIT = """
import asyncio, sys
import sysv_ipc_rs as ipc
from sysv_ipc_rs.aio import AsyncSemaphore
semaphore = ipc.Semaphore.from_id(int(sys.argv[1]))
tokens = AsyncSemaphore(semaphore)
async def wait():
    task = asyncio.create_task(tokens.acquire())
    while not semaphore.waiting:
        await asyncio.sleep(0.001)
    return task
"""


@pytest.mark.parametrize(
    "end",
    [
        "asyncio.run(wait())",
        "asyncio.run(wait()); tokens.close()",
        "asyncio.run(wait()); sys.exit(0)",
        "asyncio.run(wait()); semaphore.release(); semaphore.acquire()",
        """
loop = asyncio.new_event_loop()
task = loop.run_until_complete(wait())
task._log_destroy_pending = False
""",
        """
loop = asyncio.new_event_loop()
task = loop.run_until_complete(wait())
task._log_destroy_pending = False
loop.close()
semaphore.release()
semaphore.acquire()
""",
    ],
)
def test_the_interpreter_ends_well_with_waits_pending(end: str, empty: ipc.Semaphore) -> None:
    assert support.python_prints(EXIT + end, empty.id) == ""
    assert (empty.value, empty.waiting) == (0, 0)
