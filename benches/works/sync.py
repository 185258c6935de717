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

GETVAL: list[Operation] = []
TAKE, GIVE = [(0, -1, UNDO), (1, 0, NOWAIT), (1, 1, 0)], [(1, -1, 0), (0, 1, UNDO)]
READ = [(0, -1, 0), (0, 1, 0), (2, 0, NOWAIT), (1, 1, UNDO)], [(1, -1, UNDO)]
WRITE = [(0, -1, UNDO), (1, 0, 0), (2, 0, 0), (2, 1, 0)], [(2, -1, 0), (0, 1, UNDO)]
TOKEN = [(0, -1, UNDO), (1, 1, UNDO)], [(1, -1, UNDO), (0, 1, UNDO)]


class Sembuf(ctypes.Structure):
    _fields_ = (("num", ctypes.c_ushort), ("op", ctypes.c_short), ("flg", ctypes.c_short))


class Row(ctypes.Structure):
    """One call; without operations it is GETVAL, and `refused` ones end in EAGAIN.

    With fewer operations than none it is sched_yield.
    """

    _fields_ = (
        ("ops", ctypes.POINTER(Sembuf)),
        ("count", ctypes.c_long),
        ("refused", ctypes.c_long),
    )

    def __init__(self, operations: Sequence[Operation], refused: bool = False) -> None:
        count = len(operations)
        self.kept = (Sembuf * count)(*(Sembuf(*operation) for operation in operations))
        super().__init__(self.kept, count, refused)


YIELD = Row([])
YIELD.count = -1

Call = Sequence[Operation] | Row


def in_c(stack: Stack, semid: int, rows: Sequence[Call]) -> Run:
    """Calls on a set, in C."""
    made = [row if isinstance(row, Row) else Row(row) for row in rows]
    calls = (Row * len(made))(*made)
    # What the calls point at has to live as long.
    stack.callback(made.clear)
    return c("semop_rows", semid, calls, len(made))


def pair(stack: Stack, handle: Any, statement: str, rows: Sequence[Call]) -> dict[str, Run]:
    """Ours and the same calls in C; the object is removed at the end."""
    stack.callback(handle.remove)
    return {OURS: python(statement, s=handle), C: in_c(stack, handle.id, rows)}


@work("Lock.acquire + release", Goal(factor=1.4))
def lock(stack: Stack) -> Mapping[str, Run]:
    statement = "s.acquire(); s.release()"
    ours = pair(stack, sync.Lock.create(), statement, [TAKE, GIVE])
    return {**ours, THEIRS: python(statement, s=FORK.Lock())}


@work("with Lock")
def with_lock(stack: Stack) -> Mapping[str, Run]:
    ours = pair(stack, sync.Lock.create(), "with s: pass", [TAKE, GIVE])
    return {**ours, THEIRS: python("with s: pass", s=FORK.Lock())}


@work("RLock.acquire + release", Goal(factor=1.5))
def rlock(stack: Stack) -> Mapping[str, Run]:
    statement = "s.acquire(); s.release()"
    ours = pair(stack, sync.RLock.create(), statement, [TAKE, GIVE])
    return {**ours, THEIRS: python(statement, s=FORK.RLock())}


@work("RWLock, one reads", Goal(factor=1.5))
def read(stack: Stack) -> Mapping[str, Run]:
    return pair(stack, sync.RWLock.create(), "s.acquire_read(); s.release_read()", READ)


@work("RWLock, one writes", Goal(factor=1.5))
def write(stack: Stack) -> Mapping[str, Run]:
    return pair(stack, sync.RWLock.create(), "s.acquire_write(); s.release_write()", WRITE)


@work("BoundedSemaphore.acquire + release", Goal(factor=1.5))
def token(stack: Stack) -> Mapping[str, Run]:
    statement = "s.acquire(); s.release()"
    ours = pair(stack, sync.BoundedSemaphore.create(value=4), statement, TOKEN)
    return {**ours, THEIRS: python(statement, s=FORK.BoundedSemaphore(4))}


@work("Event.set + clear", Goal(factor=1.5))
def event(stack: Stack) -> Mapping[str, Run]:
    rows = [(0, -1, NOWAIT)], [(0, 0, NOWAIT), (0, 1, NOWAIT)]
    ours = pair(stack, sync.Event.create(), "s.set(); s.clear()", rows)
    return {**ours, THEIRS: python("s.set(); s.clear()", s=FORK.Event())}


@work("Event.wait, set", Goal(factor=1.5))
def wait_set(stack: Stack) -> Mapping[str, Run]:
    handle, theirs = sync.Event.create(), FORK.Event()
    handle.set()
    theirs.set()
    return {**pair(stack, handle, "s.wait()", [[(0, 0, 0)]]), THEIRS: python("s.wait()", s=theirs)}


@work("Condition.notify of nobody", Goal(factor=1.5))
def notify(stack: Stack) -> Mapping[str, Run]:
    statement = "s.acquire(); s.notify(); s.release()"
    ours = pair(stack, sync.Condition.create(), statement, [TAKE, GETVAL, GIVE])
    return {**ours, THEIRS: python(statement, s=FORK.Condition())}


@work("Condition.wait(0)", Goal(factor=1.5))
def wait_not(stack: Stack) -> Mapping[str, Run]:
    """It is registered, gives the lock, finds no notification, and takes the lock again."""
    handle, theirs = sync.Condition.create(), FORK.Condition()
    handle.acquire()
    theirs.acquire()
    era = [(4, 0, NOWAIT)] * 3
    rows: list[Call] = [
        GETVAL,
        [(3, 0, NOWAIT), (2, 1, UNDO)],
        GIVE,
        Row([*era, (3, -1, UNDO | NOWAIT), (2, -1, UNDO | NOWAIT)], refused=True),
        era,
        TAKE,
        [*era, (2, -1, UNDO)],
    ]
    ours = pair(stack, handle, "s.wait(0)", rows)
    return {**ours, THEIRS: python("s.wait(0)", s=theirs)}


@work("Barrier.wait of one party", Goal(factor=1.5))
def barrier(stack: Stack) -> Mapping[str, Run]:
    handle, theirs = sync.Barrier.create(parties=1), FORK.Barrier(1)
    # From then on it finds that it has let all go, and arrives by the second step.
    handle.wait()
    arrive = [(2, -1, UNDO), (1, 1, UNDO), (4, -1, UNDO)]
    rows: list[Call] = [
        GETVAL,
        Row([(0, 0, NOWAIT), *arrive], refused=True),
        [(0, -1, NOWAIT), (0, 0, NOWAIT), (1, 0, 0), *arrive],
        [(0, 0, NOWAIT), (2, 0, NOWAIT), (3, -1, UNDO)],
        [(0, 0, 0), (0, 1, 0), (3, 1, UNDO), (2, 1, UNDO), (1, -1, UNDO), (4, 1, UNDO)],
    ]
    return {**pair(stack, handle, "s.wait()", rows), THEIRS: python("s.wait()", s=theirs)}
