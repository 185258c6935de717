"""`NTPSharedMemory`: samples of a clock, for ntpd, chronyd and gpsd's tools."""

import errno
import operator
import struct
import time
from types import TracebackType
from typing import Literal, NamedTuple, Never, Self, SupportsIndex, final

from .._core import AtomicInteger, Attachment, IPCError, SharedMemory

# "NTP0", and the unit is added.
_FIRST_KEY = 0x4E545030

# struct shmTime by the size of the segment, which tells how wide its writer's time_t was. The names
# are in the order of the struct; the ints at the end are unused.
_NAMES = (
    *("mode", "count", "clock_s", "clock_us", "receive_s", "receive_us"),
    *("leap", "precision", "nsamples", "valid", "clock_ns", "receive_ns"),
)
_OFFSETS = {
    96: (0, 4, 8, 16, 24, 32, 36, 40, 44, 48, 52, 56),
    80: (0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44),
}
_LARGEST_SECOND = {96: 2**63 - 1, 80: 2**31 - 1}
_OUR_SIZE = 96 if struct.calcsize("P") == 8 else 80


class NTPSample(NamedTuple):
    """What a clock said, and when."""

    clock_time_ns: int
    receive_time_ns: int
    leap: int
    precision: int


NTPSample.clock_time_ns.__doc__ = "What the clock said, in nanoseconds since the epoch."
NTPSample.receive_time_ns.__doc__ = "The system's time when it said so, in the same unit."
NTPSample.leap.__doc__ = "0: no leap second; 1: one to come; 2: one to be left out; 3: not in sync."
NTPSample.precision.__doc__ = "Of the clock, as the logarithm to base 2 of seconds."


def _in_range(value: SupportsIndex, what: str, first: int, last: int) -> int:
    number = operator.index(value)
    if not first <= number <= last:
        raise ValueError(f"{what} {number} is not in the range {first} to {last}")
    return number


@final
class NTPSharedMemory:
    """The segment by which a program hands samples of a clock to an NTP server (its driver 28).

    A writer and a reader that follow mode 1 of the protocol: a sample that was being written while
    it was read is left out. Each word is read and written atomically, and in order. Made by
    `open_or_create` and `open`, which attach it; `close` detaches, `with` closes at the end. One
    process writes, one reads. Segments of 32-bit programs, with a 32-bit time, are understood too.

    See shmget(2), shmop(2).
    """

    __slots__ = ("__weakref__", "_attachment", "_segment", "_unit", "_words")

    _attachment: Attachment
    _segment: SharedMemory
    _unit: int
    _words: dict[str, AtomicInteger]

    def __new__(cls, *_args: Never, **_kwargs: Never) -> Self:
        raise TypeError(
            "NTPSharedMemory has no public constructor: use NTPSharedMemory.open() or "
            "NTPSharedMemory.open_or_create()"
        )

    def __init_subclass__(cls) -> None:
        raise TypeError("NTPSharedMemory can't be subclassed")

    @classmethod
    def open_or_create(
        cls,
        unit: SupportsIndex = 0,
        *,
        mode: SupportsIndex | None = None,
        owner: SupportsIndex | None = None,
    ) -> Self:
        """Open the segment of a unit, or create it, as servers and writers do.

        Args:
            unit: Which one, 0 to 255: the server's configuration says, such as chronyd's
                `refclock SHM 0`.
            mode: Who may use a new one; by default the owner alone for units 0 and 1, everybody for
                the others, as ntpd and gpsd have it.
            owner: The user id that must both own it and have created it.

        Returns:
            The segment, attached.

        Raises:
            AccessDeniedError: Its mode forbids it.
            UntrustedOwnerError: It is not that owner's alone.
            NotFoundError: There is none, and `owner` is not our effective user id.
            IPCError: The key's segment is of another size (EINVAL).

        See shmget(2).
        """
        unit = _in_range(unit, "unit", 0, 255)
        if mode is None:
            mode = 0o600 if unit < 2 else 0o666
        key = _FIRST_KEY + unit
        try:
            segment = SharedMemory.open_or_create(key, size=_OUR_SIZE, mode=mode, owner=owner)
        except IPCError as error:
            if error.errno != errno.EINVAL:
                raise
            # It is there, and smaller.
            segment = SharedMemory.open(key, owner=owner)
        return cls._attach(segment, unit)

    @classmethod
    def open(cls, unit: SupportsIndex = 0, *, owner: SupportsIndex | None = None) -> Self:
        """Open the segment of a unit, which a server or a writer has made.

        Args:
            unit: Which one, 0 to 255.
            owner: The user id that must both own it and have created it.

        Returns:
            The segment, attached.

        Raises:
            NotFoundError: There is none.
            AccessDeniedError: Its mode forbids it.
            UntrustedOwnerError: It is not that owner's alone.
            IPCError: The key's segment is of another size (EINVAL).

        See shmget(2).
        """
        unit = _in_range(unit, "unit", 0, 255)
        return cls._attach(SharedMemory.open(_FIRST_KEY + unit, owner=owner), unit)

    @classmethod
    def _attach(cls, segment: SharedMemory, unit: int) -> Self:
        if segment.size not in _OFFSETS:
            text = f"{segment!r} has {segment.size} bytes; a struct shmTime has 96 or 80"
            raise IPCError(errno.EINVAL, text)
        self = object.__new__(cls)
        self._segment, self._unit = segment, unit
        self._attachment = segment.attach()
        self._words = {
            name: self._attachment.atomic(offset, self._kind(name))
            for name, offset in zip(_NAMES, _OFFSETS[segment.size], strict=True)
        }
        return self

    def _kind(self, name: str) -> Literal["i32", "u32", "i64"]:
        if name.endswith("_s") and self._segment.size == 96:
            return "i64"
        return "u32" if name.endswith("_ns") else "i32"

    @property
    def unit(self) -> int:
        """Which unit it is."""
        return self._unit

    @property
    def key(self) -> int:
        """Its key: 0x4e545030 and the unit."""
        return self._segment.key

    @property
    def id(self) -> int:
        """The kernel's number for it."""
        return self._segment.id

    @property
    def segment(self) -> SharedMemory:
        """The segment itself."""
        return self._segment

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._words

    def _open(self) -> dict[str, AtomicInteger]:
        if not self._words:
            raise ValueError("the NTPSharedMemory is closed")
        return self._words

    def write(
        self,
        clock_time_ns: SupportsIndex,
        receive_time_ns: SupportsIndex | None = None,
        *,
        leap: SupportsIndex = 0,
        precision: SupportsIndex = -1,
    ) -> None:
        """Hand over a sample; one that nobody has read yet is replaced.

        Args:
            clock_time_ns: What the clock said, in nanoseconds since the epoch.
            receive_time_ns: The system's time when it said so (`time.time_ns`); None for now.
            leap: 0: no leap second; 1: one to come; 2: one to be left out; 3: not in sync.
            precision: Of the clock, as the logarithm to base 2 of seconds, -128 to 127.

        Raises:
            ValueError: An argument is out of range, or it is closed.

        See shmop(2).
        """
        words = self._open()
        if receive_time_ns is None:
            receive_time_ns = time.time_ns()
        last = _LARGEST_SECOND[self._segment.size] * 10**9 + 999_999_999
        clock = _in_range(clock_time_ns, "clock_time_ns", 0, last)
        receive = _in_range(receive_time_ns, "receive_time_ns", 0, last)
        told = {
            "leap": _in_range(leap, "leap", 0, 3),
            "precision": _in_range(precision, "precision", -128, 127),
            **_parts("clock", clock),
            **_parts("receive", receive),
        }
        words["mode"].store(1)
        words["valid"].store(0)
        words["count"].add(1)
        for name, value in told.items():
            words[name].store(value)
        words["count"].add(1)
        words["valid"].store(1)

    def peek(self) -> NTPSample | None:
        """The sample that waits to be read, which stays there.

        Returns:
            The sample; None if there is none.

        Raises:
            ValueError: It is closed.

        See shmop(2).
        """
        words = self._open()
        while True:
            # Before `valid`, which a writer clears before it counts: else a count that is taken
            # while it writes could be the same when all is read.
            count = words["count"].load()
            if not words["valid"].load():
                return None
            told = {name: word.load() for name, word in words.items()}
            if told["mode"] not in (0, 1):
                return None
            if told["mode"] == 0 or words["count"].load() == count:
                return _sample(told)

    def read(self) -> NTPSample | None:
        """The sample that waits to be read, which is marked as read, as an NTP server does.

        Returns:
            The sample; None if there is none.

        Raises:
            ValueError: It is closed.

        See shmop(2).
        """
        sample = self.peek()
        if sample is not None:
            self._open()["valid"].store(0)
        return sample

    def remove(self) -> None:
        """Remove the segment; who has it attached keeps it until then.

        Raises:
            RemovedError: It is gone already.
            AccessDeniedError: We are neither its owner nor its creator nor root.

        See shmctl(2), IPC_RMID.
        """
        self._segment.remove()

    def close(self) -> None:
        """Detach the segment. A second call does nothing.

        See shmop(2).
        """
        self._words = {}
        self._attachment.detach()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"NTPSharedMemory(unit={self._unit}, key={self.key:#010x}, id={self.id})"

    def __reduce__(self) -> Never:
        raise TypeError("an NTPSharedMemory can't be pickled: it belongs to its process")


def _parts(which: str, time_ns: int) -> dict[str, int]:
    seconds, rest = divmod(time_ns, 10**9)
    return {f"{which}_s": seconds, f"{which}_us": rest // 1000, f"{which}_ns": rest}


def _sample(told: dict[str, int]) -> NTPSample:
    # Writers of old leave out the nanoseconds.
    exact = all(told[f"{w}_ns"] // 1000 == told[f"{w}_us"] for w in ("clock", "receive"))

    def nanoseconds(which: str) -> int:
        rest = told[f"{which}_ns"] if exact else told[f"{which}_us"] * 1000
        return told[f"{which}_s"] * 10**9 + rest

    return NTPSample(nanoseconds("clock"), nanoseconds("receive"), told["leap"], told["precision"])
