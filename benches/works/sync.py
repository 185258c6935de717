"""What is in `sync`, beside the bare calls of the same operations."""

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


class Sembuf(ctypes.Structure):
    _fields_ = (
        ("sem_num", ctypes.c_ushort),
        ("sem_op", ctypes.c_short),
        ("sem_flg", ctypes.c_short),
    )


def bare(handle: Any, take: Sequence[Operation], give: Sequence[Operation]) -> Run:
    """The same operations on the same set, by `semop` in C."""

    def row(operations: Sequence[Operation]) -> ctypes.Array[Sembuf]:
        return (Sembuf * len(operations))(*(Sembuf(*operation) for operation in operations))

    return c("semop_rows", handle.id, row(take), len(take), row(give), len(give))


def later(stack: Stack, handle: Any) -> Any:
    """Gives back what it is given, whose object is removed at the end."""
    stack.callback(handle.remove)
    return handle


@work("Lock.acquire + release", Goal(factor=1.4))
def lock(stack: Stack) -> Mapping[str, Run]:
    ours = later(stack, sync.Lock.create())
    statement = "s.acquire(); s.release()"
    return {
        OURS: python(statement, s=ours),
        C: bare(ours, [(0, -1, UNDO), (1, 0, NOWAIT), (1, 1, 0)], [(1, -1, 0), (0, 1, UNDO)]),
        "multiprocessing": python(statement, s=multiprocessing.get_context("fork").Lock()),
    }
