"""`AsyncSemaphore`."""

from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, SupportsIndex, TypeVar, final

from .._core import (
    IPCError,
    Readiness,
    Semaphore,
    SemaphoreGuard,
    SemaphoreSet,
    Taker,
    checked_timeout,
    checked_units,
)
from ._waiters import Done, Home, Line, Room, Seconds, Takers, Waiter, Wrapper, expired

T = TypeVar("T")


class ZeroWaiters:
    """Those who wait for the value 0, which lets all of them go at once."""

    def __init__(self, home: Home, semaphore: Semaphore) -> None:
        self._line = Line(home, lambda: Taker(semaphore))
        self._semaphore = semaphore
        self._let_go: set[Waiter] = set()
        self.close = self._line.close

    def _readable(self) -> None:
        # What is wrong each of them finds by itself.
        with suppress(IPCError):
            if self._line.source.was_zero():
                self.let_go()
            return
        for waiter in self._line.waiters:
            waiter.rouse()

    def let_go(self) -> None:
        """All who wait now: it is known that the value was 0."""
        self._let_go.update(self._line.waiters)
        for waiter in self._line.waiters:
            waiter.rouse()

    async def wait(self, seconds: float | None) -> bool:
        """Whether the value was 0 in time."""
        line, waiter = self._line, Waiter(seconds)
        # What came before this waiter is not for it.
        self._readable()
        try:
            line.enter(waiter, 0, self._readable)
            while True:
                line.source.want(0)
                await waiter.roused()
                if waiter in self._let_go or self._semaphore.try_wait_zero():
                    return True
                if waiter.expired:
                    return False
        finally:
            waiter.end()
            self._let_go.discard(waiter)
            if line.leave(waiter):
                line.source.withdraw()


class _Room(Room):
    """What an AsyncSemaphore has in one loop."""

    def __init__(self, home: Home, semaphore: Semaphore) -> None:
        super().__init__(home)
        self.takers = Takers(home, lambda: Taker(semaphore))
        self.zero_waiters = ZeroWaiters(home, semaphore)

    def close(self) -> None:
        self.takers.close()
        self.zero_waiters.close()


@final
class AsyncHold(Coroutine[Any, Any, SemaphoreGuard]):
    """Units that are about to be held: `async with` it, or await it for the guard."""

    def __init__(self, taking: Coroutine[Any, Any, SemaphoreGuard]) -> None:
        self._taking = taking

    def __await__(self) -> Generator[Any, Any, SemaphoreGuard]:
        return self._taking.__await__()

    def send(self, value: Any) -> Any:
        return self._taking.send(value)

    def throw(self, *exception: Any) -> Any:
        return self._taking.throw(*exception)

    def close(self) -> None:
        self._taking.close()

    async def __aenter__(self) -> SemaphoreGuard:
        self._guard = await self._taking
        return self._guard

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        return self._guard.__exit__(exc_type, exc_value, traceback)


@final
class AsyncSemaphore(Wrapper[_Room]):
    """A semaphore in asyncio: the methods of `Semaphore`, to be awaited.

    While somebody waits, one thread for each loop stands in the kernel's queue for the first of
    them, so that a loop has its share beside other processes. The waiters of a loop are served in
    the order in which they came, whatever number of units they want.

    Cancelling loses no token: what a cancelled waiter would have got goes to the next, or back. A
    loop that is busy for longer than 0.1 s when a token comes gives it back and stands anew, with
    twice the patience; so does one that never runs again, once.

    `release` and `remove` do their work at the call; awaiting them is allowed, not needed. `async
    with` on it closes it at the end; `async with semaphore.hold()` holds a unit.

    Args:
        semaphore: The semaphore. It is not removed by `close`.

    Raises:
        TypeError: Not a `Semaphore`.
    """

    def __init__(self, semaphore: Semaphore) -> None:
        if not isinstance(semaphore, Semaphore):
            raise TypeError(f"a Semaphore is required, not {type(semaphore).__name__}")
        super().__init__(lambda home: _Room(home, semaphore))
        self._semaphore = semaphore

    @property
    def semaphore(self) -> Semaphore:
        """The semaphore itself."""
        return self._semaphore

    @property
    def semaphore_set(self) -> SemaphoreSet:
        """The set that it is a member of."""
        return self._semaphore.semaphore_set

    @property
    def index(self) -> int:
        """Which member of its set it is."""
        return self._semaphore.index

    @property
    def key(self) -> int:
        """The set's key; 0 = IPC_PRIVATE."""
        return self._semaphore.key

    @property
    def id(self) -> int:
        """The set's id."""
        return self._semaphore.id

    @property
    def value(self) -> int:
        """Its value; see `Semaphore.value`."""
        return self._semaphore.value

    @value.setter
    def value(self, value: SupportsIndex) -> None:
        self._semaphore.value = value

    @property
    def last_pid(self) -> int:
        """The process that changed it last; 0 = none."""
        return self._semaphore.last_pid

    @property
    def waiting(self) -> int:
        """How many wait for the value to grow. The waiters of a loop count as one."""
        return self._semaphore.waiting

    @property
    def waiting_zero(self) -> int:
        """How many wait for the value to become 0. The waiters of a loop count as one."""
        return self._semaphore.waiting_zero

    async def _take(
        self,
        units: int,
        timeout: Seconds,
        attempt: Callable[[], T | None],
        collect: Callable[[Taker], T | None],
    ) -> T:
        seconds = checked_timeout(timeout)
        takers = (await self._enter()).takers
        taken = attempt() if seconds == 0 or not takers else None
        if not taken and seconds != 0:
            taken = await takers.take(units, seconds, collect)
        if not taken:
            raise expired("semop", f"semaphore set with id {self.id}")
        return taken

    async def acquire(
        self, n: SupportsIndex = 1, *, timeout: Seconds = None, undo: object = False
    ) -> Literal[True]:
        """Subtract `n` from the value; wait while that is not possible.

        Args:
            n: How many units to take, 1 to 32767.
            timeout: Seconds to wait at most; None for ever, 0 not at all.
            undo: Whether the kernel gives them back when the process ends (SEM_UNDO).

        Returns:
            True.

        Raises:
            WaitTimeoutError: The time was up; nothing was taken.
            asyncio.CancelledError: Cancelled, or closed; nothing was taken.
            RemovedError: The set is gone, perhaps while waiting.
            AccessDeniedError: Its mode forbids it.
            LimitExceededError: The kernel would have to undo more than 32767; what has to be waited
                for is taken with SEM_UNDO first.

        See semop(2).
        """
        units, keep = checked_units(n), bool(undo)
        return await self._take(
            units,
            timeout,
            lambda: self._semaphore.try_acquire(units, undo=keep) or None,
            lambda taker: taker.take(keep) or None,
        )

    async def try_acquire(self, n: SupportsIndex = 1, *, undo: object = False) -> bool:
        """Subtract `n` from the value, if that is possible without waiting; whether it was.

        See `Semaphore.try_acquire`.
        """
        return self._semaphore.try_acquire(n, undo=undo)

    def hold(self, n: SupportsIndex = 1, *, timeout: Seconds = None) -> AsyncHold:
        """Take `n` units with SEM_UNDO, to be given back exactly once.

        Args:
            n: How many units to take, 1 to 32767.
            timeout: Seconds to wait at most; None for ever, 0 not at all.

        Returns:
            What takes them when it is entered by `async with`, or awaited: it gives a
            `SemaphoreGuard`.

        Raises:
            As `acquire`, when it takes them.

        See semop(2), SEM_UNDO.
        """
        return AsyncHold(self._hold(n, timeout))

    async def _hold(self, n: SupportsIndex, timeout: Seconds) -> SemaphoreGuard:
        units = checked_units(n)
        return await self._take(units, timeout, lambda: self._semaphore.try_hold(units), Taker.hold)

    async def try_hold(self, n: SupportsIndex = 1) -> SemaphoreGuard | None:
        """Take `n` units as `hold` does, if that is possible without waiting.

        See `Semaphore.try_hold`.
        """
        return self._semaphore.try_hold(n)

    def release(self, n: SupportsIndex = 1, *, undo: object = False) -> Done:
        """Add `n` to the value, and wake who waits for it; at the call.

        See `Semaphore.release`.
        """
        self._semaphore.release(n, undo=undo)
        return Done()

    async def wait_zero(self, *, timeout: Seconds = None) -> Literal[True]:
        """Wait until the value is 0.

        Args:
            timeout: Seconds to wait at most; None for ever, 0 not at all.

        Returns:
            True.

        Raises:
            WaitTimeoutError: The time was up.
            asyncio.CancelledError: Cancelled, or closed.
            RemovedError: The set is gone, perhaps while waiting.
            AccessDeniedError: Its mode forbids it.

        See semop(2).
        """
        seconds = checked_timeout(timeout)
        waiters = (await self._enter()).zero_waiters
        if self._semaphore.try_wait_zero() or (seconds != 0 and await waiters.wait(seconds)):
            return True
        raise expired("semop", f"semaphore set with id {self.id}")

    async def try_wait_zero(self) -> bool:
        """Whether the value is 0, as `wait_zero` without waiting.

        See `Semaphore.try_wait_zero`.
        """
        return self._semaphore.try_wait_zero()

    async def readiness(self, n: SupportsIndex = 1) -> Readiness:
        """A descriptor that is readable while `n` units can be taken.

        See `Semaphore.readiness`.
        """
        return self._semaphore.readiness(n)

    def remove(self) -> Done:
        """Remove the set, of which it must be the only member; at the call.

        See `Semaphore.remove`.
        """
        self._semaphore.remove()
        return Done()

    def __repr__(self) -> str:
        return f"AsyncSemaphore({self._semaphore!r})"
