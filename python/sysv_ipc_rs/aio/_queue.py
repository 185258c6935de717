"""`AsyncMessageQueue`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, final

from .._core import (
    IPCError,
    Message,
    MessageQueue,
    MessageQueueStat,
    Readiness,
    WaitTimeoutError,
    check_target,
    checked_messages,
    checked_selection,
    checked_timeout,
)
from ._transfer import Receivers, Selection, Senders
from ._waiters import Done, Home, Room, Seconds, Wrapper, expired

if TYPE_CHECKING:
    from typing_extensions import Buffer

T = TypeVar("T")

# How many messages are tried to be sent at once.
_BATCH = 256


class _Room(Room):
    """What an AsyncMessageQueue has in one loop."""

    def __init__(self, home: Home, queue: MessageQueue) -> None:
        super().__init__(home)
        self.receivers = Receivers(home, queue)
        self.senders = Senders()

    def close(self) -> None:
        self.receivers.close()
        self.senders.close()


@final
class AsyncMessageIterator(AsyncIterator[Message]):
    """Takes one message after the other, and ends when none comes in time; tasks may share it."""

    def __init__(self, receive: Callable[[], Any]) -> None:
        self._receive = receive
        self._ended = False

    async def __anext__(self) -> Message:
        if not self._ended:
            try:
                message: Message = await self._receive()
            except WaitTimeoutError:
                self._ended = True
            else:
                return message
        raise StopAsyncIteration


@final
class AsyncMessageQueue(Wrapper[_Room]):
    """A message queue in asyncio: the methods of `MessageQueue`, to be awaited.

    The waiters of a loop get messages in the order in which they came. All that wait for the same
    `type` and `exclude` share one watcher (see `Readiness` and its limits). A coroutine takes its
    message in the step in which it returns it, so cancelling loses none; it sends in such a step
    too, so what is cancelled has not been sent.

    The kernel doesn't tell when a full queue has room again: who waits to send tries with short,
    growing pauses of at most 5 ms, and has no place among processes that block in msgsnd.

    `remove`, `chmod` and `chown` do their work at the call; awaiting them is allowed, not needed.
    `async with` on it closes it at the end.

    Args:
        queue: The queue. It is not removed by `close`.

    Raises:
        TypeError: Not a `MessageQueue`.
    """

    def __init__(self, queue: MessageQueue) -> None:
        if not isinstance(queue, MessageQueue):
            raise TypeError(f"a MessageQueue is required, not {type(queue).__name__}")
        super().__init__(lambda home: _Room(home, queue))
        self._queue = queue

    @property
    def queue(self) -> MessageQueue:
        """The queue itself."""
        return self._queue

    @property
    def key(self) -> int:
        """The key by which it was found or made; 0 = IPC_PRIVATE."""
        return self._queue.key

    @property
    def id(self) -> int:
        """The kernel's number for it."""
        return self._queue.id

    @property
    def max_bytes(self) -> int:
        """How many bytes the queue may hold; see `MessageQueue.max_bytes`."""
        return self._queue.max_bytes

    @max_bytes.setter
    def max_bytes(self, max_bytes: SupportsIndex) -> None:
        self._queue.max_bytes = max_bytes

    def _expired(self, call: str) -> WaitTimeoutError:
        return expired(call, f"message queue with id {self.id}")

    async def send(
        self, data: "Buffer", type: SupportsIndex = 1, *, timeout: Seconds = None
    ) -> None:
        """Send a message; wait while the queue is full.

        Args:
            data: The bytes, as they are at the first try: any contiguous buffer.
            type: The type, above 0.
            timeout: Seconds to wait at most; None for ever, 0 not at all.

        Raises:
            WaitTimeoutError: The time was up; nothing was sent.
            asyncio.CancelledError: Cancelled, or closed; nothing was sent.
            MessageTooBigError: It can never fit: MSGMAX or the queue's `max_bytes`.
            RemovedError: The queue is gone, perhaps while waiting.
            AccessDeniedError: Its mode forbids it.
            ValueError: The type is not above 0.

        See msgop(2), msgsnd.
        """
        seconds = checked_timeout(timeout)
        senders = (await self._enter()).senders
        if not (senders and seconds != 0) and self._queue.try_send(data, type):
            return
        message = Message(type, data)
        attempt = partial(self._queue.try_send, message.data, message.type)
        if seconds == 0 or not await senders.send(seconds, attempt):
            raise self._expired("msgsnd")

    async def try_send(self, data: "Buffer", type: SupportsIndex = 1) -> bool:
        """Send a message, if that is possible without waiting; whether it was.

        See `MessageQueue.try_send`.
        """
        return self._queue.try_send(data, type)

    async def send_many(
        self,
        messages: "Iterable[Buffer | tuple[SupportsIndex, Buffer] | list[Any] | Message]",
        type: SupportsIndex = 1,
        *,
        timeout: Seconds = None,
    ) -> int:
        """Send several messages, in order; wait while the queue is full.

        Args:
            messages: Buffers, or pairs of type and buffer; all are checked first, and sent as they
                are then.
            type: The type of those that say none, above 0.
            timeout: Seconds to wait at most, for all together; None for ever, 0 not at all.

        Returns:
            How many were sent: fewer than all if the time was up or an error came after the first.

        Raises:
            As `send`, if none was sent; but asyncio.CancelledError also after that: its attribute
            `sent` tells how many were.

        See msgop(2), msgsnd.
        """
        seconds = checked_timeout(timeout)
        senders = (await self._enter()).senders
        rest = checked_messages(self._queue, messages, type)
        total = len(rest)

        def attempt() -> bool:
            try:
                while rest:
                    del rest[: self._queue.send_many(rest[:_BATCH], timeout=0)]
            except WaitTimeoutError:
                return False
            return True

        try:
            done = attempt() if seconds == 0 or not senders else not rest
            if not done and seconds != 0:
                await senders.send(seconds, attempt)
        except asyncio.CancelledError as error:
            error.sent = total - len(rest)  # type: ignore[attr-defined]
            raise
        except IPCError:
            if len(rest) == total:
                raise
        if rest and len(rest) == total:
            raise self._expired("msgsnd")
        return total - len(rest)

    async def _receive(
        self, selection: Selection, timeout: Seconds, attempt: Callable[[], T | None]
    ) -> T:
        seconds = checked_timeout(timeout)
        room = await self._enter()
        received = None
        if seconds == 0 or not room.receivers.waits(selection):
            received = attempt()
        if received is None and seconds != 0:
            received = await room.receivers.take(selection, seconds, attempt)
        if received is None:
            raise self._expired("msgrcv")
        room.senders.rouse()
        return received

    async def receive(
        self,
        type: SupportsIndex = 0,
        *,
        exclude: object = False,
        max_size: SupportsIndex | None = None,
        truncate: object = False,
        timeout: Seconds = None,
    ) -> Message:
        """Take a message; wait while there is none.

        Args:
            type: Which: 0 the first, above 0 the first of that type, below 0 the first of the
                lowest type up to its absolute value.
            exclude: Take the first of any other type than `type`, which must be above 0.
            max_size: The most bytes it may have; None for any.
            truncate: Take a larger message too, and cut it off; else it stays in the queue.
            timeout: Seconds to wait at most; None for ever, 0 not at all.

        Returns:
            The message.

        Raises:
            WaitTimeoutError: The time was up; nothing was taken.
            asyncio.CancelledError: Cancelled, or closed; nothing was taken.
            MessageTooBigError: It is larger than `max_size`, and stays in the queue.
            RemovedError: The queue is gone, perhaps while waiting.
            AccessDeniedError: Its mode forbids it, perhaps only since then.
            OSError: No descriptor or no thread is to be had for the wait.

        See msgop(2), msgrcv.
        """
        kind, other, most, _ = checked_selection(type, exclude, max_size)
        cut = bool(truncate)
        attempt = partial(self._queue.try_receive, kind, exclude=other, max_size=most, truncate=cut)
        return await self._receive((kind, other), timeout, attempt)

    async def try_receive(
        self,
        type: SupportsIndex = 0,
        *,
        exclude: object = False,
        max_size: SupportsIndex | None = None,
        truncate: object = False,
    ) -> Message | None:
        """Take a message, if there is one.

        See `MessageQueue.try_receive`.
        """
        return self._queue.try_receive(type, exclude=exclude, max_size=max_size, truncate=truncate)

    async def receive_into(
        self,
        buffer: "Buffer",
        type: SupportsIndex = 0,
        *,
        exclude: object = False,
        truncate: object = False,
        timeout: Seconds = None,
    ) -> tuple[int, int]:
        """Take a message into a buffer; wait while there is none.

        Args:
            buffer: A writable contiguous buffer. It can be used, but not resized, meanwhile.
            type: As of `receive`.
            exclude: As of `receive`.
            truncate: Take a message larger than the buffer too, and cut it off; else it stays in
                the queue.
            timeout: Seconds to wait at most; None for ever, 0 not at all.

        Returns:
            `(type, nbytes)`: the message's type, and how many bytes were written.

        Raises:
            As `receive`.
            TypeError: The buffer is read-only.

        See msgop(2), msgrcv.
        """
        kind, other, _, _ = checked_selection(type, exclude)
        check_target(buffer)
        with memoryview(buffer) as target:
            cut = bool(truncate)
            attempt = partial(
                self._queue.try_receive_into, target, kind, exclude=other, truncate=cut
            )
            return await self._receive((kind, other), timeout, attempt)

    async def try_receive_into(
        self,
        buffer: "Buffer",
        type: SupportsIndex = 0,
        *,
        exclude: object = False,
        truncate: object = False,
    ) -> tuple[int, int] | None:
        """Take a message into a buffer, if there is one.

        See `MessageQueue.try_receive_into`.
        """
        return self._queue.try_receive_into(buffer, type, exclude=exclude, truncate=truncate)

    async def receive_many(
        self,
        limit: SupportsIndex,
        type: SupportsIndex = 0,
        *,
        exclude: object = False,
        timeout: Seconds = None,
    ) -> list[Message]:
        """Take several messages: wait for the first, then take those that are there already.

        Args:
            limit: How many at most, at least 1.
            type: As of `receive`.
            exclude: As of `receive`.
            timeout: Seconds to wait for the first at most; None for ever, 0 not at all.

        Returns:
            A list of at least one message.

        Raises:
            As `receive`.

        See msgop(2), msgrcv.
        """
        kind, other, _, most = checked_selection(type, exclude, None, limit)

        def attempt() -> list[Message] | None:
            try:
                return self._queue.receive_many(most, kind, exclude=other, timeout=0)
            except WaitTimeoutError:
                return None

        return await self._receive((kind, other), timeout, attempt)

    def messages(
        self, type: SupportsIndex = 0, *, exclude: object = False, timeout: Seconds = None
    ) -> AsyncMessageIterator:
        """An iterator for `async for` that takes one message after the other.

        It ends when none comes in time, and stays ended. Tasks may share it.

        Args:
            type: As of `receive`.
            exclude: As of `receive`.
            timeout: Seconds to wait for each message at most; None for ever.

        Returns:
            An asynchronous iterator of messages; its steps raise as `receive` does.

        Raises:
            ValueError: An argument is out of range.

        See msgop(2), msgrcv.
        """
        kind, other, _, _ = checked_selection(type, exclude)
        seconds = checked_timeout(timeout)
        return AsyncMessageIterator(partial(self.receive, kind, exclude=other, timeout=seconds))

    async def peek(self, index: SupportsIndex = 0) -> Message | None:
        """A copy of a message, which stays in the queue.

        See `MessageQueue.peek`.
        """
        return self._queue.peek(index)

    async def qsize(self) -> int:
        """How many messages are in the queue.

        See `MessageQueue.qsize`.
        """
        return self._queue.qsize()

    async def stat(self) -> MessageQueueStat:
        """Owner, mode, times, and what is in the queue, at one moment.

        See `MessageQueue.stat`.
        """
        return self._queue.stat()

    async def readiness(self, type: SupportsIndex = 0, *, exclude: object = False) -> Readiness:
        """A descriptor that is readable while a matching message waits.

        See `MessageQueue.readiness`.
        """
        return self._queue.readiness(type, exclude=exclude)

    def chmod(self, mode: SupportsIndex) -> Done:
        """Change who may use the queue; at the call.

        See `MessageQueue.chmod`.
        """
        self._queue.chmod(mode)
        return Done()

    def chown(self, uid: SupportsIndex = -1, gid: SupportsIndex = -1) -> Done:
        """Give the queue to another user or group; at the call.

        See `MessageQueue.chown`.
        """
        self._queue.chown(uid, gid)
        return Done()

    def remove(self) -> Done:
        """Remove the queue and all messages in it; at the call.

        See `MessageQueue.remove`.
        """
        self._queue.remove()
        return Done()

    def __repr__(self) -> str:
        return f"AsyncMessageQueue({self._queue!r})"
