"""Semaphores and message queues in asyncio.

`AsyncSemaphore` and `AsyncMessageQueue` have the methods of what they wrap as coroutines, wait
without blocking the loop, and serve the waiters of a loop in the order in which they came.
Cancelling at any moment loses no message and no token: what a cancelled wait would have got goes to
the next waiter, or stays in the kernel.

    async with AsyncSemaphore(semaphore) as tokens:
        async with tokens.hold(timeout=1.0):
            ...

    async with AsyncMessageQueue(queue) as messages:
        async for message in messages.messages():
            ...

Works in several loops in several threads, and under uvloop. In a forked child the waits of the
parent's loops are inert.
"""

from ._queue import AsyncMessageIterator, AsyncMessageQueue
from ._semaphore import AsyncHold, AsyncSemaphore

__all__ = ["AsyncHold", "AsyncMessageIterator", "AsyncMessageQueue", "AsyncSemaphore"]
