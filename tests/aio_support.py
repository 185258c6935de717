"""What the tests of `aio` need."""

import asyncio
import inspect
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

import support
import sysv_ipc_rs as ipc

T = TypeVar("T")

# As `asyncio.run`.
Run: TypeAlias = Callable[[Coroutine[Any, Any, T]], T]


async def standing(semaphore: ipc.Semaphore, count: int = 1) -> None:
    """Wait until so many stand in the kernel's queue."""
    async with asyncio.timeout(30):
        while semaphore.waiting != count:
            await asyncio.sleep(0.001)


async def watching(count: int = 1) -> None:
    """Wait until so many watchers sleep."""

    def sleeps(thread: int) -> bool:
        # It may end meanwhile.
        with suppress(OSError):
            return support.blocked(os.getpid(), thread) == "msgrcv"
        return False

    async with asyncio.timeout(30):
        while sum(map(sleeps, support.threads())) != count:
            await asyncio.sleep(0.001)


async def turns(count: int = 5) -> None:
    """Let the other tasks run."""
    for _ in range(count):
        await asyncio.sleep(0)


def parameters(function: Callable[..., object]) -> list[tuple[object, ...]]:
    """Those after `self`."""
    given = list(inspect.signature(function).parameters.values())[1:]
    return [(one.name, one.kind, one.default) for one in given]
