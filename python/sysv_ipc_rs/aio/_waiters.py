"""What waits in an event loop: waiters, the lines they stand in, and what each loop has of them."""

import asyncio
import errno
import os
import time
import weakref
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Generator
from typing import (
    Any,
    Generic,
    Never,
    Protocol,
    Self,
    SupportsFloat,
    SupportsIndex,
    TypeAlias,
    TypeVar,
)

from .._core import WaitTimeoutError

# How many calls that needn't wait come before the loop's other tasks get a turn.
_IN_A_ROW = 64

Seconds: TypeAlias = SupportsFloat | SupportsIndex | None


def expired(call: str, place: str) -> WaitTimeoutError:
    """The error of a wait whose time was up."""
    text = f"{call} on the {place}: the time was up, and nothing was done"
    error = WaitTimeoutError(errno.ETIMEDOUT, text)
    error.call = call
    return error


class Done(Coroutine[Any, Any, None]):
    """The awaitable of a call that is done already: to await it is allowed, not needed."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()

    def send(self, _value: Any) -> Never:
        raise StopIteration

    def throw(self, *exception: Any) -> Any:
        return super().throw(*exception)

    def close(self) -> None:
        pass


class Waiter:
    """A coroutine that waits until it is roused; with `expired` when its time is up."""

    __slots__ = ("__weakref__", "_closed", "_deadline", "_future", "_loop", "_timers", "expired")

    def __init__(self, seconds: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._future = self._loop.create_future()
        self._timers: list[asyncio.TimerHandle] = []
        self._closed = False
        self.expired = False
        if seconds is not None:
            self._deadline = time.monotonic() + seconds
            self._expire()

    def _expire(self) -> None:
        # A loop's timers may be too early: uvloop's are whole milliseconds.
        left = self._deadline - time.monotonic()
        if left > 0:
            self._timers[:1] = [self._loop.call_later(left, self._expire)]
        else:
            self.expired = True
            self.rouse()

    async def roused(self) -> None:
        """Wait for `rouse`; one that came before this call counts too."""
        await self._future
        if self._closed:
            raise asyncio.CancelledError
        self._future = self._loop.create_future()

    def rouse(self) -> None:
        if not self._future.done() and not self._loop.is_closed():
            self._future.set_result(None)

    def rouse_in(self, seconds: float) -> None:
        self._timers[1:] = [self._loop.call_later(seconds, self.rouse)]

    def cancel(self) -> None:
        self._closed = True
        if not self._loop.is_closed():
            self._future.cancel()

    def end(self) -> None:
        for timer in self._timers:
            timer.cancel()


class Home:
    """The event loop that waiters live in; it may end before them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._process = os.getpid()

    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop; None if it is closed, or in a forked child, whose copy of it shares the
        selector with the parent's."""
        loop = self._loop()
        alive = loop is not None and not loop.is_closed() and os.getpid() == self._process
        return loop if alive else None

    def do(self, function: Callable[[], None]) -> None:
        """Call it where the loop runs: now, or soon if that is another thread."""
        loop = self.loop()
        if loop is not None and loop.is_running() and loop is not _running_loop():
            loop.call_soon_threadsafe(function)
        else:
            function()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Source(Protocol):
    """A descriptor with a thread behind it."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...


S = TypeVar("S", bound=Source)


class Line(Generic[S]):
    """Those who wait for one source, in the order in which they came, each with a number.

    The source is made for the first of them, and watched while there are any.
    """

    def __init__(self, home: Home, make: Callable[[], S]) -> None:
        self._home = home
        self._make = make
        self._source: S | None = None
        self.waiters: OrderedDict[Waiter, int] = OrderedDict()

    @property
    def source(self) -> S:
        if self._source is None:
            self._source = self._make()
        return self._source

    @property
    def head(self) -> Waiter | None:
        return next(iter(self.waiters), None)

    def enter(self, waiter: Waiter, number: int, readable: Callable[[], None]) -> None:
        if not self.waiters and (loop := self._home.loop()):
            loop.add_reader(self.source.fileno(), readable)
        self.waiters[waiter] = number

    def leave(self, waiter: Waiter) -> bool:
        """Whether it was the last; not if `close` has let it go before."""
        was_there = self.waiters.pop(waiter, None) is not None
        if was_there and not self.waiters:
            self._unwatch()
            return True
        return False

    def _unwatch(self) -> None:
        if loop := self._home.loop():
            loop.remove_reader(self.source.fileno())

    def close(self) -> None:
        if self.waiters:
            self._unwatch()
        while self.waiters:
            self.waiters.popitem(last=False)[0].cancel()
        if self._source is not None:
            self._source.close()


class TakingSource(Source, Protocol):
    """One whose thread takes what is wanted."""

    def want(self, n: int, /) -> None: ...
    def withdraw(self) -> None: ...


K = TypeVar("K", bound=TakingSource)
T = TypeVar("T")


class Takers(Generic[K]):
    """Those who wait to take something. A thread stands in the kernel's queue for the first of
    them; what it gets stays with it until that waiter, in the step in which it returns, collects
    it."""

    def __init__(self, home: Home, make: Callable[[], K]) -> None:
        self._line = Line(home, make)
        self.close = self._line.close

    def __bool__(self) -> bool:
        return bool(self._line.waiters)

    def _readable(self) -> None:
        if head := self._line.head:
            head.rouse()

    async def take(
        self, number: int, seconds: float | None, collect: Callable[[K], T | None]
    ) -> T | None:
        """What `collect` gives once this waiter can have it; None when its time is up."""
        line, waiter = self._line, Waiter(seconds)
        try:
            line.enter(waiter, number, self._readable)
            while True:
                if waiter is line.head:
                    line.source.want(number)
                await waiter.roused()
                if waiter is line.head and (taken := collect(line.source)):
                    return taken
                if waiter.expired:
                    return None
        finally:
            waiter.end()
            self._leave(waiter)

    def _leave(self, waiter: Waiter) -> None:
        was_first = waiter is self._line.head
        if self._line.leave(waiter):
            self._line.source.withdraw()
        elif was_first:
            self._line.source.want(next(iter(self._line.waiters.values())))


class Room(ABC):
    """What a wrapper has in one loop."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.calls = 0

    @abstractmethod
    def close(self) -> None:
        """End all waits; called where the loop runs, if it does."""


R = TypeVar("R", bound=Room)


class Rooms(Generic[R]):
    """What all that wait in event loops have in common."""

    def __init__(self, make_room: Callable[[Home], R]) -> None:
        self._make_room = make_room
        # By the id of the loop, which they don't keep alive.
        self._rooms: dict[int, R] = {}
        self._closed = False

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"the {type(self).__name__} is closed")

    def _room(self) -> R:
        """What there is in the running loop."""
        self._check_open()
        loop = asyncio.get_running_loop()
        room = self._rooms.get(id(loop))
        if room is None or room.home.loop() is not loop:
            self._clear_dead()
            room = self._rooms[id(loop)] = self._make_room(Home(loop))
        return room

    async def _enter(self) -> R:
        """As `_room`; now and then the loop's other tasks get a turn first, since a row of calls
        that needn't wait would keep it for itself."""
        room = self._room()
        room.calls += 1
        if room.calls % _IN_A_ROW:
            return room
        await asyncio.sleep(0)
        return self._room()

    def _clear_dead(self) -> None:
        for key, room in self._rooms.copy().items():
            if room.home.loop() is None and self._rooms.pop(key, None):
                room.close()

    def close(self) -> Done:
        """End the waits that are pending, by `asyncio.CancelledError`, and the threads behind them.

        It is done at the call, and may be awaited. What waits in a loop of another thread ends in
        that loop's next turn. Afterwards what may wait raises ValueError; what never waits still
        works. A second call does nothing.
        """
        self._closed = True
        for key, room in self._rooms.copy().items():
            self._rooms.pop(key, None)
            room.home.do(room.close)
        return Done()


class Wrapper(Rooms[R]):
    """What `AsyncSemaphore` and `AsyncMessageQueue` have in common: `async with` closes them."""

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self.close()
