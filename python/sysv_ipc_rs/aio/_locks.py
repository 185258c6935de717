"""`AsyncLock` and `AsyncRWLock`."""

from types import TracebackType
from typing import final

from .._core import Condition, Lock, LockAgent, RWLock, checked_timeout
from ._waiters import Done, Home, Room, Rooms, Seconds, Takers, expired

READ, WRITE = 0, 1


class LockRoom(Room):
    """What there is of a lock in one loop."""

    def __init__(self, home: Home, lock: Lock | RWLock | Condition) -> None:
        super().__init__(home)
        self._lock = lock
        self.takers = Takers(home, lambda: LockAgent(lock))

    async def take(self, number: int, seconds: float | None) -> bool:
        """Whether it was taken in time."""
        write = bool(number)
        if (seconds == 0 or not self.takers) and LockAgent.try_take(self._lock, write):
            return True
        if seconds == 0:
            return False
        return bool(
            await self.takers.take(number, seconds, lambda agent: agent.take(write) or None)
        )

    def close(self) -> None:
        self.takers.close()


def patience(block: object, timeout: Seconds) -> float | None:
    """The seconds of `block` and `timeout`; None for ever."""
    seconds = checked_timeout(timeout)
    return seconds if block else 0.0


@final
class AsyncLock(Rooms[LockRoom]):
    """A `sync.Lock` in asyncio: its methods, to be awaited; `async with` holds it.

    The lock belongs to the process, so tasks and threads exclude one another too. While somebody
    waits, one thread for each loop stands in the kernel's queue for the first of them; they are
    served in the order in which they came. Cancelling loses nothing: a lock that nobody wants any
    more goes to the next, and so does what it was told of a dead owner.

    Args:
        lock: The lock. It is not removed by `close`.

    Raises:
        TypeError: Not a `Lock`.
    """

    def __init__(self, lock: Lock) -> None:
        if not isinstance(lock, Lock):
            raise TypeError(f"a Lock is required, not {type(lock).__name__}")
        super().__init__(lambda home: LockRoom(home, lock))
        self._lock = lock

    @property
    def lock(self) -> Lock:
        """The lock itself."""
        return self._lock

    @property
    def owner_died(self) -> bool:
        """Whether this process holds it, and the process before died holding it."""
        return self._lock.owner_died

    def locked(self) -> bool:
        """Whether anybody holds it; see `Lock.locked`."""
        return self._lock.locked()

    async def acquire(self, block: object = True, timeout: Seconds = None) -> bool:
        """Take the lock; wait while another holds it.

        Args:
            block: Whether to wait at all.
            timeout: Seconds to wait at most; None for ever.

        Returns:
            Whether it was taken; False only if the time was up.

        Raises:
            asyncio.CancelledError: Cancelled, or closed; nothing was taken.
            RemovedError: It is gone, perhaps while waiting.
            AccessDeniedError: Its mode forbids it.

        See semop(2).
        """
        seconds = patience(block, timeout)
        return await (await self._enter()).take(0, seconds)

    def release(self) -> Done:
        """Give the lock back, at the call; see `Lock.release`."""
        self._lock.release()
        return Done()

    async def __aenter__(self) -> bool:
        return await self.acquire()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.__exit__(exc_type, exc_value, traceback)

    def __repr__(self) -> str:
        return f"AsyncLock({self._lock!r})"


@final
class AsyncRWLockSide:
    """One side of an `AsyncRWLock`: `async with` holds it. Made by `reader` and `writer`."""

    def __init__(self, lock: "AsyncRWLock", number: int, timeout: Seconds) -> None:
        self._lock = lock
        self._number = number
        self._seconds = checked_timeout(timeout)

    async def __aenter__(self) -> "AsyncRWLock":
        if not await self._lock._take(self._number, self._seconds):
            raise expired("semop", f"semaphore set with id {self._lock.lock.id}")
        return self._lock

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lock = self._lock.lock
        side = lock.writer() if self._number == WRITE else lock.reader()
        side.__exit__(exc_type, exc_value, traceback)


@final
class AsyncRWLock(Rooms[LockRoom]):
    """A `sync.RWLock` in asyncio: its methods, to be awaited.

    While somebody waits, one thread for each loop stands in the kernel's queue for the first of
    them; readers and writers are served in the order in which they came. Cancelling loses nothing:
    what nobody wants any more goes to the next, and so does what was told of a dead writer.

    Args:
        lock: The lock. It is not removed by `close`.

    Raises:
        TypeError: Not an `RWLock`.
    """

    def __init__(self, lock: RWLock) -> None:
        if not isinstance(lock, RWLock):
            raise TypeError(f"an RWLock is required, not {type(lock).__name__}")
        super().__init__(lambda home: LockRoom(home, lock))
        self._lock = lock

    @property
    def lock(self) -> RWLock:
        """The lock itself."""
        return self._lock

    @property
    def owner_died(self) -> bool:
        """Whether this process holds it, and was told that a writer before it died writing."""
        return self._lock.owner_died

    async def _take(self, number: int, seconds: float | None) -> bool:
        return await (await self._enter()).take(number, seconds)

    async def acquire_read(self, block: object = True, timeout: Seconds = None) -> bool:
        """Take it to read; see `RWLock.acquire_read`.

        Args:
            block: Whether to wait at all.
            timeout: Seconds to wait at most; None for ever.

        Returns:
            Whether it was taken; False only if the time was up.

        Raises:
            asyncio.CancelledError: Cancelled, or closed; nothing was taken.
            RemovedError: It is gone, perhaps while waiting.
            AccessDeniedError: Its mode forbids it.
            LimitExceededError: There are 32,767 readers.

        See semop(2).
        """
        return await self._take(READ, patience(block, timeout))

    async def acquire_write(self, block: object = True, timeout: Seconds = None) -> bool:
        """Take it to write; see `RWLock.acquire_write`.

        Args:
            block: Whether to wait at all.
            timeout: Seconds to wait at most; None for ever.

        Returns:
            Whether it was taken; False only if the time was up.

        Raises:
            asyncio.CancelledError: Cancelled, or closed; nothing was taken.
            RemovedError: It is gone, perhaps while waiting.
            AccessDeniedError: Its mode forbids it.

        See semop(2).
        """
        return await self._take(WRITE, patience(block, timeout))

    def release_read(self) -> Done:
        """Give back what was taken to read, at the call; see `RWLock.release_read`."""
        self._lock.release_read()
        return Done()

    def release_write(self) -> Done:
        """Give back what was taken to write, at the call; see `RWLock.release_write`."""
        self._lock.release_write()
        return Done()

    def reader(self, timeout: Seconds = None) -> AsyncRWLockSide:
        """What holds it to read in an `async with` block, and gives the AsyncRWLock."""
        return AsyncRWLockSide(self, READ, timeout)

    def writer(self, timeout: Seconds = None) -> AsyncRWLockSide:
        """What holds it to write in an `async with` block, and gives the AsyncRWLock."""
        return AsyncRWLockSide(self, WRITE, timeout)

    def __repr__(self) -> str:
        return f"AsyncRWLock({self._lock!r})"
