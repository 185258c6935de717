"""What is in `sync`, beside the bare calls that do the same operations on the same set."""

import contextlib
import ctypes
import multiprocessing
from collections.abc import Mapping, Sequence
from typing import Any

from _timing import Run, c, python
from sysv_ipc_rs import raw, sync

from . import OURS, C, Goal, work

Stack = contextlib.ExitStack
Operation = tuple[int, int, int]
UNDO, NOWAIT = raw.SEM_UNDO, raw.IPC_NOWAIT
FORK = multiprocessing.get_context("fork")
THEIRS = "multiprocessing"

LOCK = [(0, -1, UNDO), (1, 0, NOWAIT), (1, 1, 0)], [(1, -1, 0), (0, 1, UNDO)]
READ = [(0, -1, 0), (0, 1, 0), (2, 0, NOWAIT), (1, 1, UNDO)], [(1, -1, UNDO)]
WRITE = [(0, -1, UNDO), (1, 0, 0), (2, 0, 0), (2, 1, 0)], [(2, -1, 0), (0, 1, UNDO)]
TOKEN = [(0, -1, UNDO), (1, 1, UNDO)], [(1, -1, UNDO), (0, 1, UNDO)]


class Sembuf(ctypes.Structure):
    _fields_ = (("num", ctypes.c_ushort), ("op", ctypes.c_short), ("flg", ctypes.c_short))


class Row(ctypes.Structure):
    """One call; without operations it is GETVAL, and `refused` ones end in EAGAIN."""

    _fields_ = (
        ("ops", ctypes.POINTER(Sembuf)),
        ("count", ctypes.c_long),
        ("refused", ctypes.c_long),
    )

    def __init__(self, operations: Sequence[Operation], refused: bool = False) -> None:
        count = len(operations)
        self.kept = (Sembuf * count)(*(Sembuf(*operation) for operation in operations))
        super().__init__(self.kept, count, refused)


def pair(
    stack: Stack, handle: Any, statement: str, rows: Sequence[Sequence[Operation] | Row]
) -> dict[str, Run]:
    """Ours and the same calls in C; the object is removed at the end."""
    stack.callback(handle.remove)
    made = [row if isinstance(row, Row) else Row(row) for row in rows]
    calls = (Row * len(made))(*made)
    stack.callback(made.clear)
    return {
        OURS: python(statement, s=handle),
        C: c("semop_rows", handle.id, calls, len(made)),
    }


@work("Lock.acquire + release", Goal(factor=1.4))
def lock(stack: Stack) -> Mapping[str, Run]:
    statement = "s.acquire(); s.release()"
    ours = pair(stack, sync.Lock.create(), statement, LOCK)
    return {**ours, THEIRS: python(statement, s=FORK.Lock())}


@work("with Lock", Goal(factor=1.5))
def with_lock(stack: Stack) -> Mapping[str, Run]:
    statement = "with s: pass"
    ours = pair(stack, sync.Lock.create(), statement, LOCK)
    return {**ours, THEIRS: python(statement, s=FORK.Lock())}


@work("RLock.acquire + release", Goal(factor=1.5))
def rlock(stack: Stack) -> Mapping[str, Run]:
    statement = "s.acquire(); s.release()"
    ours = pair(stack, sync.RLock.create(), statement, LOCK)
    return {**ours, THEIRS: python(statement, s=FORK.RLock())}


@work("RWLock, read", Goal(factor=1.5))
def read(stack: Stack) -> Mapping[str, Run]:
    return pair(stack, sync.RWLock.create(), "s.acquire_read(); s.release_read()", READ)


@work("RWLock, write", Goal(factor=1.5))
def write(stack: Stack) -> Mapping[str, Run]:
    return pair(stack, sync.RWLock.create(), "s.acquire_write(); s.release_write()", WRITE)


@work("BoundedSemaphore.acquire + release", Goal(factor=1.5))
def token(stack: Stack) -> Mapping[str, Run]:
    statement = "s.acquire(); s.release()"
    ours = pair(stack, sync.BoundedSemaphore.create(value=4), statement, TOKEN)
    return {**ours, THEIRS: python(statement, s=FORK.BoundedSemaphore(4))}


@work("Event.set + clear", Goal(factor=1.5))
def event(stack: Stack) -> Mapping[str, Run]:
    statement = "s.set(); s.clear()"
    rows = [(0, -1, NOWAIT)], [(0, 0, NOWAIT), (0, 1, NOWAIT)]
    ours = pair(stack, sync.Event.create(), statement, rows)
    return {**ours, THEIRS: python(statement, s=FORK.Event())}


@work("Event.wait + is_set, set", Goal(factor=1.5))
def is_set(stack: Stack) -> Mapping[str, Run]:
    statement = "s.wait(); s.wait()"
    handle, theirs = sync.Event.create(), FORK.Event()
    handle.set()
    theirs.set()
    ours = pair(stack, handle, statement, ([(0, 0, 0)], [(0, 0, 0)]))
    return {**ours, THEIRS: python(statement, s=theirs)}


@work("Condition, with + notify nobody", Goal(factor=1.5))
def notify(stack: Stack) -> Mapping[str, Run]:
    statement = "\
with s: s.notify()"
    ours = pair(stack, sync.Condition.create(), statement, LOCK)
    return {**ours, THEIRS: python(statement, s=FORK.Condition())}


@work("Barrier.wait of 1", Goal(factor=1.5))
def barrier(stack: Stack) -> Mapping[str, Run]:
    statement = "s.wait()"
    ours = pair(stack, sync.Barrier.create(parties=1), statement, LOCK)
    return {**ours, THEIRS: python(statement, s=FORK.Barrier(1))}
