"""Cancelling at any moment in asyncio loses no token and no message."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import sysv_ipc_rs as ipc
from run import Law
from support import Child
from sysv_ipc_rs.aio import AsyncMessageQueue, AsyncSemaphore

WORKERS = 20
END = b"end"


async def cancelled_at_random(
    chance: random.Random, times: int, call: Callable[[], Awaitable[None]]
) -> int:
    """Start `call` so many times, and cancel it after a while; how often that came in time."""

    async def worker(share: int) -> int:
        cancelled = 0
        for _ in range(share):
            task = asyncio.ensure_future(call())
            if chance.random() < 0.5:
                await asyncio.sleep(chance.random() * 0.002)
            else:
                for _ in range(chance.randrange(8)):
                    await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            cancelled += task.cancelled()
            if not task.cancelled() and (error := task.exception()):
                raise error
        return cancelled

    return sum(await asyncio.gather(*(worker(times // WORKERS) for _ in range(WORKERS))))


def law_cancelled_acquires_lose_no_token(scale: float) -> Law:
    times = max(WORKERS, int(10_000 * scale)) // WORKERS * WORKERS
    semaphore = ipc.Semaphore.create(value=0)
    chance = random.Random(times)
    account = dict.fromkeys(["posted", "taken", "left", "held and given back", "cancelled"], 0)

    def compete() -> None:
        try:
            while True:
                semaphore.hold().release()
        except ipc.RemovedError:
            pass

    async def main() -> None:
        async def call() -> None:
            account["posted"] += 1
            semaphore.release()
            way = chance.randrange(4)
            try:
                if way == 0:
                    async with tokens.hold(timeout=0.001):
                        account["held and given back"] += 1
                elif way == 1:
                    await tokens.acquire(2, undo=True)
                    account["taken"] += 2
                else:
                    await tokens.acquire(timeout=chance.choice([None, 0.001]))
                    account["taken"] += 1
            except ipc.WaitTimeoutError:
                pass

        async with AsyncSemaphore(semaphore) as tokens:
            account["cancelled"] = await cancelled_at_random(chance, times, call)

    try:
        with Child(compete) as competitor:
            asyncio.run(main())
            # What it holds goes back.
            competitor.kill()
            competitor.join()
            account["left"] = semaphore.value
    finally:
        semaphore.remove()
    return Law(
        "tokens posted = taken + left, whatever is cancelled, beside a process that competes",
        f"{times} acquires cancelled at random by {WORKERS} tasks",
        dict(account),
        account["posted"] == account["taken"] + account["left"],
    )


def law_cancelled_receives_lose_no_message(scale: float) -> Law:
    times = max(WORKERS, int(10_000 * scale)) // WORKERS * WORKERS
    queue = ipc.MessageQueue.create()
    chance = random.Random(times)
    received: list[int] = []
    cancelled = 0

    def send() -> int:
        for number in range(times):
            queue.send(b"%d" % number, 1 + number % 3)
        return times

    async def main() -> None:
        nonlocal cancelled

        async def call() -> None:
            way = chance.randrange(4)
            try:
                if way == 0:
                    async for message in messages.messages(timeout=0.002):
                        received.append(int(message.data))
                elif way == 1:
                    many = await messages.receive_many(3, chance.randrange(1, 4))
                    received.extend(int(message.data) for message in many)
                elif way == 2:
                    buffer = bytearray(20)
                    _, size = await messages.receive_into(buffer, 2, exclude=True, timeout=0.001)
                    received.append(int(buffer[:size]))
                else:
                    received.append(int((await messages.receive(-3)).data))
            except ipc.WaitTimeoutError:
                pass

        async with AsyncMessageQueue(queue) as messages:
            cancelled = await cancelled_at_random(chance, times, call)
            async for message in messages.messages(timeout=1.0):
                received.append(int(message.data))

    try:
        with Child(send) as sender:
            asyncio.run(main())
            sent = sender.result()
    finally:
        queue.remove()
    twice = len(received) - len(set(received))
    in_order = all(
        part == sorted(part)
        for part in ([n for n in received if n % 3 == kind] for kind in range(3))
    )
    return Law(
        "each message sent is received once and in order, whatever is cancelled",
        f"{times} receives cancelled at random by {WORKERS} tasks, a process that sends",
        {
            "sent": sent,
            "received": len(received),
            "twice": twice,
            "cancelled": cancelled,
            "in order": in_order,
        },
        set(received) == set(range(times)) and not twice and in_order,
    )


def law_cancelled_sends_send_nothing(scale: float) -> Law:
    times = max(WORKERS, int(10_000 * scale)) // WORKERS * WORKERS
    queue = ipc.MessageQueue.create(max_bytes=60)
    chance = random.Random(times)
    sent: list[int] = []
    numbers = iter(range(10 * times))
    cancelled = 0

    def receive() -> list[int]:
        received = []
        while (data := queue.receive().data) != END:
            received.append(int(data))
        return received

    async def main() -> None:
        nonlocal cancelled

        async def call() -> None:
            number = next(numbers)
            if chance.random() < 0.3:
                batch = [number, next(numbers), next(numbers)]
                count = 0
                try:
                    count = await messages.send_many(b"%d" % each for each in batch)
                except asyncio.CancelledError as error:
                    count = getattr(error, "sent", 0)
                    raise
                finally:
                    sent.extend(batch[:count])
            else:
                await messages.send(b"%d" % number, timeout=chance.choice([None, 10]))
                sent.append(number)

        async with AsyncMessageQueue(queue) as messages:
            cancelled = await cancelled_at_random(chance, times, call)

    try:
        with Child(receive) as receiver:
            asyncio.run(main())
            queue.send(END)
            received = receiver.result()
    finally:
        queue.remove()
    assert isinstance(received, list)
    return Law(
        "what is received is what was sent: a cancelled send sends nothing",
        f"{times} sends cancelled at random by {WORKERS} tasks, on a queue that is mostly full",
        {
            "sent": len(sent),
            "received": len(received),
            "cancelled": cancelled,
            "same order": sent == received,
        },
        sorted(sent) == sorted(received),
    )
