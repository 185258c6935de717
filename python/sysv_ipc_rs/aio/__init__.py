"""Semaphores, message queues, and the locks of `sync`, in asyncio.

`AsyncSemaphore`, `AsyncMessageQueue`, `AsyncLock`, `AsyncRWLock`, `AsyncEvent` and `AsyncCondition`
have the methods of what they wrap as coroutines, wait without blocking the loop, and serve the
waiters of a loop in the order in which they came.
Cancelling at any moment loses no message and no token: what a cancelled wait would have got goes to
the next waiter, or stays in the kernel.

    async with AsyncSemaphore(semaphore) as tokens:
        async with tokens.hold(timeout=1.0):
            ...

    async with AsyncMessageQueue(queue) as messages:
        async for message in messages.messages():
            ...

    lock = AsyncLock(sync.Lock.open(key))
    async with lock:
        ...

Works in several loops in several threads, and under uvloop. In a forked child the waits of the
parent's loops are inert.
"""

from ._events import AsyncCondition, AsyncEvent
from ._locks import AsyncLock, AsyncRWLock, AsyncRWLockSide
from ._queue import AsyncMessageIterator, AsyncMessageQueue
from ._semaphore import AsyncHold, AsyncSemaphore

__all__ = [
    "AsyncCondition",
    "AsyncEvent",
    "AsyncHold",
    "AsyncLock",
    "AsyncMessageIterator",
    "AsyncMessageQueue",
    "AsyncRWLock",
    "AsyncRWLockSide",
    "AsyncSemaphore",
]
