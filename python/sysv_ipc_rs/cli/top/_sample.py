"""What there is at a moment, and what has changed since the moment before."""

import os
import time
from collections import defaultdict
from typing import NamedTuple

from ... import (
    IPCError,
    MessageQueueStat,
    SemaphoreSet,
    SemaphoreSetStat,
    SharedMemoryStat,
    system,
)
from .. import limits
from .._format import user_name
from .._fullness import fullness
from .._objects import KINDS, QUEUE, SEGMENT, SET, Kind, Stat

Identity = tuple[str, int]
"""The kind's name, and the id."""

PAGE = os.sysconf("SC_PAGESIZE")
UNITS = {QUEUE: "msg", SEGMENT: "B", SET: "sem"}
"""Of an object's amount."""
COUNTED = 20_000
"""The waiters of so many semaphores are asked of the kernel; of more, /proc has to tell."""


class Row(NamedTuple):
    """An object at a moment."""

    kind: Kind
    stat: Stat
    full: float
    """How much of its limit it uses: a queue of its own, a segment of shmall, a set of semmns."""
    amount: int
    """Messages, bytes or semaphores."""
    waiting: int
    attached: int
    pids: tuple[int, ...]
    """Who waits on it or has it attached, as far as that can be seen."""
    used: int
    """When it was last used; 0 is never."""
    change: str = ""
    """Since the sample before."""

    @property
    def identity(self) -> Identity:
        """What tells it from others."""
        return self.kind.name, self.stat.id

    @property
    def owner(self) -> str:
        """The name of who owns it."""
        return user_name(self.stat.uid)


class Sample(NamedTuple):
    """All that there is at a moment."""

    time: float
    rows: list[Row]
    limits: dict[str, tuple[int, int]]
    """By name: what is used, and how much there may be."""
    usage: system.Usage


class Sampler:
    """Takes samples, and remembers the one before."""

    def __init__(self) -> None:
        self._before: dict[Identity, Row] | None = None

    def take(self) -> Sample:
        """Look at everything; it may take a while where there are many processes."""
        now = time.time()
        counted = {
            str(row["name"]): (row["used"], row["value"])
            for row in limits.rows()
            if isinstance(row["used"], int) and isinstance(row["value"], int)
        }
        pids = _pids()
        looks = _Looks(counted)
        rows = [
            self._compared(looks.row(kind, stat, pids.get((kind.name, stat.id), ())))
            for kind in KINDS
            for stat in kind.stats()
        ]
        self._before = {row.identity: row for row in rows}
        return Sample(now, rows, counted, system.usage())

    def _compared(self, row: Row) -> Row:
        if self._before is None:
            return row
        before = self._before.get(row.identity)
        if before is None:
            return row._replace(change="new")
        if before.stat == row.stat and before.waiting == row.waiting:
            return row
        return row._replace(change=_change(before, row))


def _pids() -> dict[Identity, tuple[int, ...]]:
    found = defaultdict(list)
    for use in system.uses():
        found[use.kind, use.id].append(use.pid)
    return {identity: tuple(pids) for identity, pids in found.items()}


def _change(before: Row, row: Row) -> str:
    """What is more or less; else, that it was used."""
    parts = [
        f"{more:+} {unit}"
        for more, unit in (
            (row.amount - before.amount, UNITS[row.kind]),
            (row.waiting - before.waiting, "wait"),
            (row.attached - before.attached, "att"),
        )
        if more
    ]
    return " ".join(parts) or ("used" if row.used != before.used else "set")


class _Looks:
    """Makes rows of one sample."""

    def __init__(self, limits: dict[str, tuple[int, int]]) -> None:
        self._pages = limits["shmall"][1] or 1
        self._semaphores = limits["semmns"][1] or 1
        self._left = COUNTED

    def row(self, kind: Kind, stat: Stat, pids: tuple[int, ...]) -> Row:
        if isinstance(stat, MessageQueueStat):
            used = max(stat.stime, stat.rtime)
            return Row(kind, stat, fullness(stat), stat.messages, len(pids), 0, pids, used)
        if isinstance(stat, SharedMemoryStat):
            full = -(-stat.size // PAGE) / self._pages
            used = max(stat.atime, stat.dtime)
            return Row(kind, stat, full, stat.size, 0, stat.attached, pids, used)
        full = stat.size / self._semaphores
        waiting = max(self._waiting(stat), len(pids))
        return Row(kind, stat, full, stat.size, waiting, 0, pids, stat.otime)

    def _waiting(self, stat: SemaphoreSetStat) -> int:
        """How many threads wait; the kernel tells it of those that /proc hides, too."""
        if stat.size > self._left:
            return 0
        self._left -= stat.size
        try:
            return sum(one.waiting + one.waiting_zero for one in SemaphoreSet.from_id(stat.id))
        except IPCError:
            # Gone meanwhile, or not to be read.
            return 0
