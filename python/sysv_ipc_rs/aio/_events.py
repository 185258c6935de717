"""`AsyncEvent` and `AsyncCondition`."""

import asyncio
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import SupportsIndex, TypeVar, final

from .._core import Condition, Event, NotificationAgent, Semaphore, checked_timeout
from ._locks import LockRoom, patience
from ._semaphore import ZeroWaiters
from ._waiters import Done, Home, Room, Rooms, Seconds, Waiter

T = TypeVar("T")


class _EventRoom(Room):
    """What there is of an event in one loop: it is set when its semaphore is 0."""

    def __init__(self, home: Home, event: Event) -> None:
        super().__init__(home)
        self.waiters = ZeroWaiters(home, Semaphore.from_id(event.id))

    def close(self) -> None:
        self.waiters.close()


@final
class AsyncEvent(Rooms[_EventRoom]):
    """A `sync.Event` in asyncio: its methods, of which `wait` has to be awaited.

    Args:
        event: The event. It is not removed by `close`.

    Raises:
        TypeError: Not an `Event`.
    """

    def __init__(self, event: Event) -> None:
        if not isinstance(event, Event):
            raise TypeError(f"an Event is required, not {type(event).__name__}")
        super().__init__(lambda home: _EventRoom(home, event))
        self._event = event

    @property
    def event(self) -> Event:
        """The event itself."""
        return self._event

    def is_set(self) -> bool:
        """Whether it is set; see `Event.is_set`."""
        return self._event.is_set()

    def set(self) -> Done:
        """Set it, and let all go who wait, at the call; see `Event.set`."""
        self._event.set()
        # Their thread may not be in the kernel yet, and miss it if it is cleared at once.
        for room in list(self._rooms.values()):
            room.home.do(room.waiters.let_go)
        return Done()

    def clear(self) -> Done:
        """Make it not set, at the call; see `Event.clear`."""
        self._event.clear()
        return Done()

    async def wait(self, timeout: Seconds = None) -> bool:
        """Wait until it is set.

        Args:
            timeout: Seconds to wait at most; None for ever.

        Returns:
            Whether it was set; False only if the time was up.

        Raises:
            asyncio.CancelledError: Cancelled, or closed.
            RemovedError: It is gone, perhaps while waiting.
            AccessDeniedError: Its mode forbids it.

        See semop(2).
        """
        seconds = checked_timeout(timeout)
        waiters = (await self._enter()).waiters
        if self._event.wait(0):
            return True
        return seconds != 0 and await waiters.wait(seconds)

    def __repr__(self) -> str:
        return f"AsyncEvent({self._event!r})"


class _ConditionRoom(LockRoom):
    """What there is of a condition in one loop: who waits for the lock, and for notifications."""

    def __init__(self, home: Home, condition: Condition) -> None:
        super().__init__(home, condition)
        self.asleep: set[Waiter] = set()
        self.closed = False

    def close(self) -> None:
        self.closed = True
        super().close()
        for waiter in self.asleep:
            waiter.cancel()


@final
class AsyncCondition(Rooms[_ConditionRoom]):
    """A `sync.Condition` in asyncio: its methods, to be awaited; `async with` holds its lock.

    The lock is held by a task, which can't take it again, also if it is an RLock. Each task that
    waits for a notification has a thread that stands in the kernel's queue, so they are woken in
    the order in which they began to wait, beside other processes too. A notification of which a
    cancelled task can make no use goes to the next.

    Args:
        condition: The condition. It is not removed by `close`.

    Raises:
        TypeError: Not a `Condition`.
    """

    def __init__(self, condition: Condition) -> None:
        if not isinstance(condition, Condition):
            raise TypeError(f"a Condition is required, not {type(condition).__name__}")
        super().__init__(lambda home: _ConditionRoom(home, condition))
        self._condition = condition
        self._holder: asyncio.Task[object] | None = None

    @property
    def condition(self) -> Condition:
        """The condition itself."""
        return self._condition

    @property
    def owner_died(self) -> bool:
        """Whether this process holds the lock, and the process before died holding it."""
        return self._condition.owner_died

    def _check_held(self) -> None:
        if self._holder is None or self._holder is not asyncio.current_task():
            raise RuntimeError("the task must hold the AsyncCondition's lock for that")

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
        taken = await (await self._enter()).take(0, seconds)
        if taken:
            self._holder = asyncio.current_task()
        return taken

    def release(self) -> Done:
        """Give the lock back, at the call.

        Raises:
            RuntimeError: The task does not hold it.
            RemovedError: It is gone.
        """
        self._check_held()
        self._holder = None
        self._condition.release()
        return Done()

    async def wait(self, timeout: Seconds = None) -> bool:
        """Give the lock, wait for a notification, and take the lock again, also when cancelled.

        Args:
            timeout: Seconds to wait at most for the notification; None for ever.

        Returns:
            Whether it was notified; False only if the time was up.

        Raises:
            RuntimeError: The task does not hold the lock.
            asyncio.CancelledError: Cancelled; the lock is held again. Or closed; it is not.
            RemovedError: It is gone, perhaps while waiting.
            AccessDeniedError: Its mode forbids it.

        See semop(2).
        """
        seconds = checked_timeout(timeout)
        self._check_held()
        room = self._room()
        agent = NotificationAgent(self._condition)
        task, self._holder = self._holder, None
        try:
            await self._notified(room, agent, seconds)
        finally:
            agent.close()
            try:
                cancelled = await self._take_again(room)
                self._holder = task
            finally:
                notified = agent.leave()
        if cancelled:
            raise cancelled
        return notified

    async def _notified(
        self, room: _ConditionRoom, agent: NotificationAgent, seconds: float | None
    ) -> None:
        """Wait until the agent has a notification, or the time is up."""
        loop, waiter = asyncio.get_running_loop(), Waiter(seconds)
        loop.add_reader(agent.fileno(), waiter.rouse)
        room.asleep.add(waiter)
        try:
            while not (agent.is_over() or waiter.expired):
                await waiter.roused()
        finally:
            room.asleep.discard(waiter)
            waiter.end()
            if room.home.loop():
                loop.remove_reader(agent.fileno())

    async def _take_again(self, room: _ConditionRoom) -> asyncio.CancelledError | None:
        """Take the lock whatever happens, but the end of all; the last cancelling meanwhile."""
        cancelled = None
        while True:
            try:
                await room.take(0, None)
            except asyncio.CancelledError as error:
                if room.closed:
                    raise
                cancelled = error
            else:
                return cancelled

    async def wait_for(self, predicate: Callable[[], T], timeout: Seconds = None) -> T:
        """Wait until a function's answer is true, looking again after each notification.

        Args:
            predicate: Called with the lock held.
            timeout: Seconds to wait at most; None for ever.

        Returns:
            What the function answered last.

        Raises:
            As `wait`.

        See semop(2).
        """
        seconds = checked_timeout(timeout)
        deadline = None if seconds is None else time.monotonic() + seconds
        while not (answer := predicate()):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            await self.wait(left)
        return answer

    def notify(self, n: SupportsIndex = 1) -> Done:
        """Wake so many of those who wait, at the call; see `Condition.notify`.

        Raises:
            RuntimeError: The task does not hold the lock.
        """
        self._check_held()
        self._condition.notify(n)
        return Done()

    def notify_all(self) -> Done:
        """Wake all who wait, at the call; see `Condition.notify_all`."""
        return self.notify(sys.maxsize)

    async def __aenter__(self) -> bool:
        return await self.acquire()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._holder = None
        self._condition.__exit__(exc_type, exc_value, traceback)

    def __repr__(self) -> str:
        return f"AsyncCondition({self._condition!r})"
