"""What is in `sync`, between two processes on one core: each piece is a wait for the other one."""

import contextlib
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from _timing import Run, python
from sysv_ipc_rs import sync

from . import OURS, C, work
from .processes import ENDLESS, child, on_one_core
from .semaphores import new_set
from .sync import FORK, GIVE, NOWAIT, TAKE, THEIRS, YIELD, Call, in_c

Stack = contextlib.ExitStack

# A set of two events: there and back.
SET_THERE, SET_BACK = [(0, -1, NOWAIT)], [(1, -1, NOWAIT)]
WAIT_THERE = [(0, 0, 0)], [(0, 0, NOWAIT), (0, 1, NOWAIT)]
WAIT_BACK = [(1, 0, 0)], [(1, 0, NOWAIT), (1, 1, NOWAIT)]


def both_in_python(stack: Stack, mine: str, theirs: str, **names: Any) -> Run:
    """Our share of the work; a child does the other one's."""
    child(stack, functools.partial(python(theirs, **names), ENDLESS))
    return python(mine, **names)


def both_in_c(stack: Stack, semid: int, mine: Sequence[Call], theirs: Sequence[Call]) -> Run:
    child(stack, functools.partial(in_c(stack, semid, theirs), ENDLESS))
    return in_c(stack, semid, mine)


def new(stack: Stack, kind: type[sync.Lock] | type[sync.Event]) -> Any:
    made = kind.create()
    stack.callback(made.remove)
    return made


@work("Lock from process to process", seconds=2)
def lock(stack: Stack) -> Mapping[str, Run]:
    """Who has it lets the other one run, who so waits for it: a piece is there and back."""
    on_one_core(stack)
    statement = "s.acquire(); y(); s.release()"
    handle, bare = new(stack, sync.Lock), new(stack, sync.Lock)
    calls: list[Call] = [TAKE, YIELD, GIVE]
    return {
        OURS: both_in_python(stack, statement, statement, s=handle, y=os.sched_yield),
        C: both_in_c(stack, bare.id, calls, calls),
        THEIRS: both_in_python(stack, statement, statement, s=FORK.Lock(), y=os.sched_yield),
    }


@work("Event there and back", seconds=2)
def event(stack: Stack) -> Mapping[str, Run]:
    """Each wakes the other one, and waits for it."""
    on_one_core(stack)
    mine = "there.set(); back.wait(); back.clear()"
    theirs = "there.wait(); there.clear(); back.set()"
    ours = {"there": new(stack, sync.Event), "back": new(stack, sync.Event)}
    peers = {"there": FORK.Event(), "back": FORK.Event()}
    both = new_set(stack, 2)
    return {
        OURS: both_in_python(stack, mine, theirs, **ours),
        C: both_in_c(stack, both.id, [SET_THERE, *WAIT_BACK], [*WAIT_THERE, SET_BACK]),
        THEIRS: both_in_python(stack, mine, theirs, **peers),
    }
