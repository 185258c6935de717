"""`AsyncMessageQueue` beside others, and what ends its waits."""

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from aio_support import Run, watching
from sysv_ipc_rs.aio import AsyncMessageQueue

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_removal_is_told_to_each_waiter(run: Run[None], full: ipc.MessageQueue) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(full) as messages:
            tasks: list[asyncio.Task[object]] = []
            tasks += [asyncio.create_task(messages.receive(5 + n % 3)) for n in range(20)]
            tasks += [asyncio.create_task(messages.send(b"x")) for _ in range(10)]
            await watching(3)
            full.remove()
            told = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(answer) for answer in told] == [ipc.RemovedError] * 30

    run(main())


def test_taking_the_permission_away_is_told_to_each_waiter(queue: ipc.MessageQueue) -> None:
    queue.chmod(0o666)

    def child() -> list[type]:
        async def main() -> list[type]:
            async with AsyncMessageQueue(queue) as messages:
                tasks = [asyncio.create_task(messages.receive()) for _ in range(5)]
                return [type(e) for e in await asyncio.gather(*tasks, return_exceptions=True)]

        return asyncio.run(main())

    def sleeps(pid: int) -> bool:
        tasks = os.listdir(f"/proc/{pid}/task")
        return any(support.blocked(pid, int(task)) == "msgrcv" for task in tasks)

    with support.Child(child, uid=support.NOBODY) as watcher:
        support.wait_for(lambda: sleeps(watcher.pid))
        queue.chmod(0o600)
        assert watcher.result() == [ipc.AccessDeniedError] * 5


def test_close_cancels_what_waits_and_ends_the_threads(
    run: Run[None], full: ipc.MessageQueue
) -> None:
    async def main() -> None:
        messages = AsyncMessageQueue(full)
        before = support.in_use()
        tasks: list[asyncio.Task[object]] = []
        tasks += [asyncio.create_task(messages.receive(n, timeout=100)) for n in range(2, 9)]
        tasks += [asyncio.create_task(messages.receive_many(3, 7))]
        tasks += [asyncio.create_task(messages.send(b"x", timeout=100)) for _ in range(3)]
        tasks += [asyncio.create_task(messages.send_many([b"x"]))]
        tasks += [asyncio.ensure_future(anext(messages.messages(7)))]
        await watching(7)
        await messages.close()
        support.wait_for(lambda: support.in_use() == before)
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        messages.close()
        calls: list[Callable[[], Coroutine[Any, Any, object]]] = [
            messages.receive,
            partial(messages.receive_many, 1),
            partial(messages.send, b"x"),
            partial(messages.send_many, [b"x"]),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="the AsyncMessageQueue is closed"):
                await call()
        assert full.receive(timeout=0).data == b"0123456789"

    run(main())


def test_a_row_of_receives_that_need_not_wait_lets_other_tasks_run(
    run: Run[None], queue: ipc.MessageQueue
) -> None:
    """So a process that floods the queue does not keep the loop for itself."""
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            queue.try_send(b"x")

    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:

            async def take() -> None:
                async for _ in messages.messages():
                    pass

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(take(), 0.1)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        run(main())
    finally:
        stop.set()
        flooding.join()


def test_it_works_beside_blocked_receivers_of_other_processes(
    run: Run[int], queue: ipc.MessageQueue
) -> None:
    def child() -> int:
        return sum(1 for _ in queue.messages(1, timeout=1.0))

    async def main() -> int:
        async with AsyncMessageQueue(queue) as messages:
            return len([None async for _ in messages.messages(1, timeout=1.0)])

    with support.Child(child) as one, support.Child(child) as other:
        sender = threading.Thread(target=lambda: queue.send_many([b"x"] * 3000))
        sender.start()
        ours = run(main())
        sender.join()
        assert ours + int(str(one.result())) + int(str(other.result())) == 3000


def test_loops_of_several_threads_share_it(queue: ipc.MessageQueue) -> None:
    messages = AsyncMessageQueue(queue)
    received: list[int] = []

    def thread() -> None:
        async def main() -> None:
            async def take() -> None:
                async for message in messages.messages(timeout=1.0):
                    received.append(int(message.data))

            await asyncio.gather(*(take() for _ in range(3)))

        asyncio.run(main())

    workers = [threading.Thread(target=thread) for _ in range(3)]
    for worker in workers:
        worker.start()
    queue.send_many([b"%d" % number for number in range(2000)])
    for worker in workers:
        worker.join()
    messages.close()
    assert sorted(received) == list(range(2000))


def test_a_closed_or_collected_loop_takes_no_message(queue: ipc.MessageQueue) -> None:
    for closed in (True, False):
        messages = AsyncMessageQueue(queue)
        loop = asyncio.new_event_loop()
        task = loop.create_task(messages.receive())
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.run_until_complete(watching())
        if closed:
            loop.close()
        queue.send(b"x")
        assert queue.receive(timeout=10).data == b"x"
        if not closed:
            queue.send(b"y")
            assert loop.run_until_complete(task).data == b"y"
            loop.close()
        messages.close()
        del loop, task, messages
        gc.collect()


def test_in_a_forked_child_the_parents_waits_are_inert(queue: ipc.MessageQueue) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            task = asyncio.create_task(messages.receive())
            await watching()

            def child() -> None:
                task.get_coro().close()
                messages.close()

            support.in_child(child)
            support.in_child(gc.collect)
            queue.send(b"x")
            assert (await task).data == b"x"

    asyncio.run(main())
