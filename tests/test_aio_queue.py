"""`AsyncMessageQueue`: who gets which message, and that none is lost."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from aio_support import Run, parameters, turns, watching
from sysv_ipc_rs.aio import AsyncMessageQueue

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_the_methods_are_those_of_queue_and_are_awaited(
    run: Run[None], queue: ipc.MessageQueue
) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            await messages.send(b"one")
            assert await messages.try_send(b"two", 2) is True
            assert await messages.send_many([b"three", (4, b"four"), ipc.Message(5, b"five")]) == 3
            assert await messages.qsize() == 5
            assert await messages.peek(1) == ipc.Message(2, b"two")
            assert (await messages.stat()).messages == 5
            assert await messages.receive(2) == ipc.Message(2, b"two")
            assert await messages.try_receive(1, exclude=True) == ipc.Message(4, b"four")
            buffer = bytearray(10)
            assert await messages.receive_into(buffer, 5) == (5, 4)
            assert buffer[:4] == b"five"
            assert await messages.try_receive_into(buffer, -1) == (1, 3)
            assert await messages.receive_many(10) == [ipc.Message(1, b"three")]
            assert await messages.try_receive() is None
            assert await messages.try_receive_into(buffer) is None
            assert await messages.peek() is None
            messages.max_bytes = 100
            assert messages.max_bytes == 100
            assert (messages.id, messages.key) == (queue.id, 0)
            assert messages.queue is queue
            assert repr(queue) in repr(messages)
            with await messages.readiness(3) as readiness:
                readiness.clear()
            await messages.chmod(0o640)
            messages.chown()
            assert (await messages.stat()).mode == 0o640
            await messages.remove()
            calls: list[Callable[[], Coroutine[Any, Any, object]]] = [
                messages.receive,
                lambda: messages.send(b""),
                lambda: messages.send_many([b""]),
                lambda: messages.receive_many(1),
                lambda: messages.messages().__anext__(),
            ]
            for call in calls:
                with pytest.raises(ipc.RemovedError):
                    await call()

    run(main())


def test_it_has_all_public_methods_of_queue() -> None:
    made = {"create", "open", "open_or_create", "from_id"}
    names = {name for name in dir(ipc.MessageQueue) if not name.startswith("_")} - made
    assert names <= set(dir(AsyncMessageQueue))
    for name in names:
        ours, theirs = getattr(AsyncMessageQueue, name), getattr(ipc.MessageQueue, name)
        assert ours.__doc__
        if callable(theirs):
            assert parameters(ours) == parameters(theirs)


def test_waiters_get_messages_in_the_order_in_which_they_came(
    run: Run[None], queue: ipc.MessageQueue
) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            tasks = [asyncio.create_task(messages.receive()) for _ in range(50)]
            await watching()
            many = [b"%d" % number for number in range(50)]
            sender = threading.Thread(target=queue.send_many, args=[many])
            sender.start()
            received = await asyncio.gather(*tasks)
            sender.join()
            assert [int(message.data) for message in received] == list(range(50))

    run(main())


def test_the_first_waiter_that_it_could_be_for_gets_it(
    run: Run[None], queue: ipc.MessageQueue
) -> None:
    """Also where they wait for different things, by watchers of their own."""
    wanted: list[tuple[int, bool]] = [(0, False), (5, False), (-7, False), (3, True), (0, False)]
    types = [5, 5, 1, 2, 3]

    async def main() -> None:
        for _ in range(20):
            async with AsyncMessageQueue(queue) as messages:
                tasks = [
                    asyncio.create_task(messages.receive(kind, exclude=exclude))
                    for kind, exclude in wanted
                ]
                await watching(4)
                for number, kind in enumerate(types):
                    queue.send(b"%d" % number, kind)
                received = await asyncio.gather(*tasks)
                assert [int(message.data) for message in received] == [0, 1, 2, 3, 4]

    run(main())


def test_a_newcomer_does_not_overtake_those_who_wait(
    run: Run[None], queue: ipc.MessageQueue
) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            first = asyncio.create_task(messages.receive())
            await watching()
            queue.send(b"1", 5)
            newcomer = asyncio.create_task(messages.receive(5))
            assert (await first).data == b"1"
            assert not newcomer.done()
            queue.send(b"2", 5)
            assert (await newcomer).data == b"2"

    run(main())


def test_all_that_wait_for_the_same_share_one_watcher(
    run: Run[None], queue: ipc.MessageQueue
) -> None:
    async def main() -> None:
        before = len(support.threads())
        async with AsyncMessageQueue(queue) as messages:
            tasks: list[asyncio.Task[object]] = []
            for _ in range(20):
                tasks.append(asyncio.create_task(messages.receive(7)))
                tasks.append(asyncio.create_task(messages.receive_many(3, 7)))
                tasks.append(asyncio.create_task(messages.receive_into(bytearray(9), 7)))
                tasks.append(asyncio.create_task(messages.receive(7, exclude=True)))
            await watching(2)
            assert len(support.threads()) == before + 2
        await asyncio.wait(tasks)

    run(main())


def test_watchers_that_nobody_needs_any_more_end(run: Run[None], queue: ipc.MessageQueue) -> None:
    async def main() -> None:
        before = len(support.threads())
        async with AsyncMessageQueue(queue) as messages:
            for kind in range(1, 50):
                task = asyncio.create_task(messages.receive(kind))
                await turns(2)
                queue.send(b"", kind)
                assert (await task).type == kind
                assert len(support.threads()) <= before + 6

    run(main())


def test_an_expired_wait_took_nothing(run: Run[None], queue: ipc.MessageQueue) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            for seconds in (0, 1e-9, 0.0004, 0.03):
                calls: list[Coroutine[Any, Any, object]] = [
                    messages.receive(timeout=seconds),
                    messages.receive_many(2, timeout=seconds),
                    messages.receive_into(bytearray(1), timeout=seconds),
                ]
                for call in calls:
                    started = time.monotonic()
                    with pytest.raises(ipc.WaitTimeoutError, match=f"id {queue.id}") as caught:
                        await call
                    assert seconds <= time.monotonic() - started < seconds + 5
                    assert caught.value.call == "msgrcv"
            queue.send(b"x")
            await asyncio.sleep(0.01)
            assert queue.qsize() == 1

    run(main())


def test_a_message_that_is_too_big_stays_for_others(
    run: Run[None], queue: ipc.MessageQueue
) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            small = asyncio.create_task(messages.receive(max_size=2))
            into = asyncio.create_task(messages.receive_into(bytearray(2)))
            cut = asyncio.create_task(messages.receive(max_size=2, truncate=True))
            fits = asyncio.create_task(messages.receive())
            await watching()
            queue.send(b"large", 3)
            queue.send(b"other", 3)
            assert await cut == ipc.Message(3, b"la")
            assert await fits == ipc.Message(3, b"other")
            for task in (small, into):
                with pytest.raises(ipc.MessageTooBigError):
                    await task

    run(main())


@pytest.mark.parametrize("others", [0, 1])
def test_a_cancelled_waiters_message_goes_to_the_next_or_stays(
    run: Run[None], others: int, queue: ipc.MessageQueue
) -> None:
    """In whichever step of the loop it is cancelled."""

    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            for steps in range(8):
                first = asyncio.create_task(messages.receive())
                await watching()
                rest = [asyncio.create_task(messages.receive()) for _ in range(others)]
                queue.send(b"%d" % steps)
                await turns(steps)
                first.cancel()
                await asyncio.wait([first])
                if not first.cancelled():
                    assert first.result().data == b"%d" % steps
                    queue.send(b"%d" % steps)
                for task in rest:
                    assert (await task).data == b"%d" % steps
                if not rest:
                    assert queue.receive(timeout=0).data == b"%d" % steps

    run(main())


def test_an_iterator_gives_messages_until_none_comes_in_time(
    run: Run[None], queue: ipc.MessageQueue
) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            many = [b"%d" % number for number in range(500)]
            sender = threading.Timer(0.02, queue.send_many, (many, 3))
            sender.start()
            received = [int(m.data) async for m in messages.messages(3, timeout=1.0)]
            assert received == list(range(500))
            sender.join()
            iterator = messages.messages(timeout=0)
            assert aiter(iterator) is iterator
            with pytest.raises(StopAsyncIteration):
                await anext(iterator)
            queue.send(b"late")
            with pytest.raises(StopAsyncIteration):
                await anext(iterator)
            queue.receive()

            shared = messages.messages(timeout=1.0)

            async def take() -> list[ipc.Message]:
                return [message async for message in shared]

            tasks = [asyncio.create_task(take()) for _ in range(3)]
            await watching()
            await messages.send_many([b"x"] * 50)
            assert sum(len(part) for part in await asyncio.gather(*tasks)) == 50

            iterator = messages.messages()
            task = asyncio.ensure_future(anext(iterator))
            await turns()
            task.cancel()
            await asyncio.wait([task])
            queue.send(b"y")
            assert (await anext(iterator)).data == b"y", "a cancelled step ends nothing"

    run(main())


BAD: list[dict[str, Any]] = [
    {"timeout": -1},
    {"timeout": float("nan")},
    {"timeout": "1"},
    {"type": "1"},
    {"type": 2**63},
    {"type": 0, "exclude": True},
]


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_arguments_are_refused_before_anything_is_done(
    bad: dict[str, Any], crowded: bool, queue: ipc.MessageQueue
) -> None:
    """Also where others wait already."""

    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            waiting = asyncio.create_task(messages.receive(9 if crowded else 8))
            if crowded:
                waiting = asyncio.create_task(messages.receive())
            await turns()
            error = (
                TypeError if any(isinstance(value, str) for value in bad.values()) else ValueError
            )
            for call in (
                messages.receive,
                partial(messages.receive_into, bytearray(1)),
                partial(messages.receive_many, 1),
            ):
                with pytest.raises(error):
                    await call(**bad)
            with pytest.raises(error):
                messages.messages(**bad)
            if "exclude" not in bad:
                with pytest.raises(error):
                    await messages.send(b"", **bad)
                with pytest.raises(error):
                    await messages.send_many([b""], **bad)
            assert queue.qsize() == 0
            waiting.cancel()

    asyncio.run(main())


def test_what_is_no_message_or_buffer_is_refused(queue: ipc.MessageQueue) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            waiting = asyncio.create_task(messages.receive())
            await turns()
            with pytest.raises(ValueError, match="limit"):
                await messages.receive_many(0)
            with pytest.raises(ValueError, match="max_size"):
                await messages.receive(max_size=-1)
            for target in (b"read only", "text", memoryview(bytearray(8))[::2]):
                with pytest.raises((TypeError, BufferError)):
                    await messages.receive_into(target)  # type: ignore[arg-type]
            for data in ("text", None, 1, memoryview(b"12345678")[::2]):
                with pytest.raises((TypeError, BufferError)):
                    await messages.send(data)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="type"):
                await messages.send(b"", 0)
            for many in ([b"", "text"], [(0, b"")], [b"", (1, b"", 2)]):
                with pytest.raises((TypeError, ValueError)):
                    await messages.send_many(many)  # type: ignore[arg-type]
            assert queue.qsize() == 0
            waiting.cancel()

    asyncio.run(main())
    with pytest.raises(TypeError, match="MessageQueue is required, not int"):
        AsyncMessageQueue(1)  # type: ignore[arg-type]


def test_a_buffer_is_free_again_after_a_cancelled_receive(queue: ipc.MessageQueue) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            buffer = bytearray(5)
            task = asyncio.create_task(messages.receive_into(buffer))
            await watching()
            with pytest.raises(BufferError):
                buffer.append(1)
            task.cancel()
            await asyncio.wait([task])
            buffer.append(1)

    asyncio.run(main())


def test_empty_messages_are_received_too(run: Run[None], queue: ipc.MessageQueue) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(queue) as messages:
            for number in range(1, 100):
                task = asyncio.create_task(messages.receive())
                if number % 2:
                    await watching()
                queue.send(b"", number)
                assert await task == ipc.Message(number, b"")
            assert queue.qsize() == 0

    run(main())
