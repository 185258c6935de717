"""Those who wait for messages, and those who wait for room."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from typing import TypeAlias, TypeVar

from .._core import MessageQueue, Readiness
from ._waiters import Home, Line, Waiter

T = TypeVar("T")

# `type` and `exclude`.
Selection: TypeAlias = tuple[int, bool]

# How many watchers that nobody waits for are kept for the next waiter.
_KEPT = 4

# A sender's first and longest pause, in seconds.
_PAUSES = (0.000_05, 0.005)


class _Lane(Line[Readiness]):
    """Those who wait for the same messages, each with the number of its arrival."""

    def __init__(self, home: Home, queue: MessageQueue, selection: Selection) -> None:
        super().__init__(home, lambda: queue.readiness(selection[0], exclude=selection[1]))
        # A message may be there, for which the first of them has to look.
        self.due = False

    def look_dry(self) -> None:
        """Somebody has looked, and there was nothing."""
        if self.due:
            self.due = False
            self.source.clear()


class Receivers:
    """Those who wait for messages. A watcher for each selection tells that one may be there; then
    the first waiter that it could be for takes it, in the very step in which it returns it."""

    def __init__(self, home: Home, queue: MessageQueue) -> None:
        self._home = home
        self._queue = queue
        self._arrivals = count()
        self._lanes: dict[Selection, _Lane] = {}
        # Those that aren't of one type alone, so that others' messages may be for them too.
        self._broad: dict[Selection, _Lane] = {}
        self._unused: OrderedDict[Selection, _Lane] = OrderedDict()

    def _overlapping(self, selection: Selection) -> Iterable[_Lane]:
        """The lanes that a message for this selection may be for."""
        if _is_broad(selection):
            return self._lanes.values()
        own = self._lanes.get(selection)
        return (*self._broad.values(), own) if own else self._broad.values()

    def waits(self, selection: Selection) -> bool:
        """Whether somebody waits who would come before a newcomer."""
        return any(lane.waiters for lane in self._overlapping(selection))

    async def take(
        self, selection: Selection, seconds: float | None, attempt: Callable[[], T | None]
    ) -> T | None:
        """What `attempt` gives once a message is there; None when the time is up."""
        lane, waiter = self._lane(selection), Waiter(seconds)
        try:
            lane.enter(waiter, next(self._arrivals), partial(self._readable, selection))
            while True:
                await waiter.roused()
                if waiter is lane.head:
                    if (taken := attempt()) is not None:
                        return taken
                    lane.look_dry()
                if waiter.expired:
                    return None
                self._rouse()
        finally:
            waiter.end()
            lane.leave(waiter)
            if not lane.waiters:
                self._keep(selection, lane)
            self._rouse()

    def _readable(self, selection: Selection) -> None:
        if not self._lanes[selection].due:
            for lane in self._overlapping(selection):
                lane.due = True
            self._rouse()

    def _rouse(self) -> None:
        """Let the first of those look for whom something may be there."""
        due = (lane.waiters for lane in self._lanes.values() if lane.due)
        heads = (next(iter(waiters.items())) for waiters in due if waiters)
        first = min(heads, key=lambda head: head[1], default=None)
        if first:
            first[0].rouse()

    def _lane(self, selection: Selection) -> _Lane:
        lane = self._lanes.get(selection)
        if lane is None:
            lane = self._lanes[selection] = _Lane(self._home, self._queue, selection)
            if _is_broad(selection):
                self._broad[selection] = lane
        self._unused.pop(selection, None)
        return lane

    def _keep(self, selection: Selection, lane: _Lane) -> None:
        lane.due = False
        self._unused[selection] = lane
        if len(self._unused) > _KEPT:
            oldest, unused = self._unused.popitem(last=False)
            del self._lanes[oldest]
            self._broad.pop(oldest, None)
            unused.close()

    def close(self) -> None:
        for lane in self._lanes.values():
            lane.close()


def _is_broad(selection: Selection) -> bool:
    kind, exclude = selection
    return kind <= 0 or exclude


class Senders:
    """Those who wait for room. The kernel tells nobody that there is some: the first of them tries
    again and again."""

    def __init__(self) -> None:
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._waiters)

    @property
    def _head(self) -> Waiter | None:
        return next(iter(self._waiters), None)

    async def send(self, seconds: float | None, attempt: Callable[[], bool]) -> bool:
        """Whether `attempt` did it in time."""
        waiter, pause = Waiter(seconds), _PAUSES[0]
        self._waiters[waiter] = None
        try:
            while True:
                if waiter is self._head:
                    waiter.rouse_in(pause)
                    pause = min(pause * 2, _PAUSES[1])
                await waiter.roused()
                if waiter is self._head and attempt():
                    return True
                if waiter.expired:
                    return False
        finally:
            waiter.end()
            self._waiters.pop(waiter, None)
            self.rouse()

    def rouse(self) -> None:
        """There may be room."""
        if head := self._head:
            head.rouse()

    def close(self) -> None:
        while self._waiters:
            self._waiters.popitem(last=False)[0].cancel()
