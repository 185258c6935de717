"""Where the system gives no more memory, what is as large as a call's arguments, or as what it
finds, is an error, and never the process's end."""

from __future__ import annotations

import ctypes
import errno
import functools
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import raw, system

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype, LIBC.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
LIBC.free.restype, LIBC.free.argtypes = None, (ctypes.c_void_p,)
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
SMALL = 16 << 10
SIZE = 32_000
VALUES = [1] * SIZE
OPS = ((0, 1),) * 100_000
RAW_OPS = ((0, 1, 0),) * 100_000

Call = Callable[[ipc.SemaphoreSet], Any]

CALLS: dict[str, Call] = {
    "create": lambda _: ipc.SemaphoreSet.create(size=SIZE),
    "create of values": lambda _: ipc.SemaphoreSet.create(size=SIZE, values=VALUES),
    "setting values": lambda made: setattr(made, "values", VALUES),
    "values": lambda made: made.values,
    "op": lambda made: made.op(*OPS),
    "try_op": lambda made: made.try_op(*OPS),
    "raw.semop": lambda made: raw.semop(made.id, RAW_OPS),
    "raw SETALL": lambda made: raw.semctl(made.id, 0, raw.SETALL, VALUES),
    "raw GETALL": lambda made: raw.semctl(made.id, 0, raw.GETALL),
    "listing": lambda _: system.semaphore_sets(),
}


def take_all_memory() -> list[int]:
    """Leaves small pieces at best. Not all CPythons get theirs from malloc, but Rust does."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    taken, size = [], 1 << 20
    resource.setrlimit(resource.RLIMIT_AS, (used, resource.RLIM_INFINITY))
    while size >= SMALL:
        if place := LIBC.malloc(size):
            taken.append(place)
        else:
            size //= 2
    return taken


def starve(call: Call, spare: int = 0) -> tuple[bool, int]:
    """Whether the call told that there is no memory but for so much; how many objects it left."""
    made = ipc.SemaphoreSet.create(size=SIZE, values=VALUES)
    others = [ipc.SemaphoreSet.create(size=1) for _ in range(2000)]
    before, told = support.objects(), False
    kept = LIBC.malloc(spare)
    taken = take_all_memory()
    LIBC.free(kept)
    try:
        answer = call(made)
        if isinstance(answer, ipc.SemaphoreSet):
            answer.remove()
    except BaseException as error:
        # A panic of PyO3, which has no memory either, is no Exception.
        told = (
            isinstance(error, MemoryError)
            or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
            or type(error).__name__ == "PanicException"
        )
        if not told:
            raise
    finally:
        for place in taken:
            LIBC.free(place)
        resource.setrlimit(resource.RLIMIT_AS, UNLIMITED)
        left = support.objects() - before
        for each in (made, *others):
            each.remove()
    return told, len(left)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_without_memory_a_call_says_so_and_leaves_nothing(call: Call) -> None:
    assert support.in_child(lambda: starve(call)) == (True, 0)


@pytest.mark.parametrize("name", ["create of values", "values", "raw GETALL"])
def test_a_call_whose_memory_ends_in_the_middle_leaves_nothing(name: str) -> None:
    for spare in range(32 << 10, 400 << 10, 32 << 10):
        assert support.in_child(functools.partial(starve, CALLS[name], spare))[1] == 0
