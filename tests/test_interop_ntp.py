"""`NTPSharedMemory` alone; with chronyd, ntpshmmon and C it is in tests/interop."""

import os
import pickle
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs.interop import NTPSample, NTPSharedMemory

# Of another unit than the tests with programs, should both run at once.
UNIT = 200
KEY = 0x4E545030 + UNIT

WIDE = struct.Struct("=iiqi4xqiiiiiII32x4x")
NARROW = struct.Struct("=iiiiiiiiiiII32x")


@pytest.fixture
def memory() -> Iterator[NTPSharedMemory]:
    with NTPSharedMemory.open_or_create(UNIT) as made:
        yield made
    with suppress(ipc.RemovedError):
        made.remove()


def contents(memory: NTPSharedMemory) -> bytes:
    with memory.segment.attach(readonly=True) as attachment:
        return attachment.read()


@pytest.mark.parametrize(("unit", "mode"), [(0, 0o600), (1, 0o600), (2, 0o666), (255, 0o666)])
def test_keys_and_modes_are_ntpds(unit: int, mode: int) -> None:
    with suppress(ipc.NotFoundError):
        ipc.SharedMemory.open(0x4E545030 + unit)
        pytest.skip("the unit is in use here, and this IPC namespace is not ours alone")
    with NTPSharedMemory.open_or_create(unit) as memory:
        try:
            assert (memory.unit, memory.key) == (unit, 0x4E545030 + unit)
            assert memory.segment.stat().mode == mode
            assert memory.segment == ipc.SharedMemory.from_id(memory.id)
            assert (
                repr(memory) == f"NTPSharedMemory(unit={unit}, key={memory.key:#x}, id={memory.id})"
            )
            with NTPSharedMemory.open_or_create(unit) as again:
                assert again.id == memory.id
        finally:
            memory.remove()


def test_a_sample_is_written_and_read(memory: NTPSharedMemory) -> None:
    assert memory.read() is None
    memory.write(1_700_000_000_123_456_789, 1_700_000_000_000_000_001, leap=2, precision=-20)
    wanted = NTPSample(1_700_000_000_123_456_789, 1_700_000_000_000_000_001, 2, -20)
    assert (memory.peek(), memory.read(), memory.read()) == (wanted, wanted, None)
    clock, receive = (1_700_000_000, 123_456), (1_700_000_000, 0)
    fields = (1, 2, *clock, *receive, 2, -20, 0, 0, 123_456_789, 1)
    assert contents(memory) == WIDE.pack(*fields)


def test_the_system_s_time_is_taken_where_none_is_told(memory: NTPSharedMemory) -> None:
    before = time.time_ns()
    memory.write(0)
    sample = memory.read()
    assert sample
    assert before <= sample.receive_time_ns <= time.time_ns()
    assert (sample.clock_time_ns, sample.leap, sample.precision) == (0, 0, -1)


def test_a_sample_that_nobody_has_read_is_replaced(memory: NTPSharedMemory) -> None:
    memory.write(1, 2)
    memory.write(3, 4)
    assert memory.read() == NTPSample(3, 4, 0, -1)


@pytest.mark.parametrize("mode", [0, 1, 2, -1])
def test_a_mode_that_is_unknown_is_not_read(memory: NTPSharedMemory, mode: int) -> None:
    with memory.segment.attach() as attachment:
        attachment.write(WIDE.pack(mode, 5, 10, 20, 30, 40, 0, -1, 0, 1, 20_001, 40_002))
    sample = NTPSample(10_000_020_001, 30_000_040_002, 0, -1)
    assert memory.peek() == (sample if mode in (0, 1) else None)


@pytest.mark.parametrize("nanoseconds", [(0, 40_002), (20_001, 0), (0, 0), (999_999_999, 40_002)])
def test_nanoseconds_count_only_beside_their_microseconds(
    memory: NTPSharedMemory, nanoseconds: tuple[int, int]
) -> None:
    with memory.segment.attach() as attachment:
        attachment.write(WIDE.pack(1, 5, 10, 20, 30, 40, 0, -1, 0, 1, *nanoseconds))
    assert memory.peek() == NTPSample(10_000_020_000, 30_000_040_000, 0, -1)


def test_a_segment_of_a_32_bit_program_is_understood() -> None:
    made = ipc.SharedMemory.create(KEY, size=80)
    try:
        for memory in (NTPSharedMemory.open(UNIT), NTPSharedMemory.open_or_create(UNIT)):
            with memory:
                assert memory.id == made.id
                memory.write(2_147_483_647_999_999_999, 1_700_000_000_123_456_789, leap=1)
                fields = (2_147_483_647, 999_999, 1_700_000_000, 123_456, 1, -1, 0)
                count = struct.unpack_from("i", contents(memory), 4)[0]
                wanted = NARROW.pack(1, count, *fields, 1, 999_999_999, 123_456_789)
                assert contents(memory) == wanted
                sample = NTPSample(2_147_483_647_999_999_999, 1_700_000_000_123_456_789, 1, -1)
                assert memory.peek() == sample
                for late in ((2**31 * 10**9, 0), (0, 2**31 * 10**9)):
                    with pytest.raises(ValueError, match="range 0 to 2147483647999999999"):
                        memory.write(*late)
                assert memory.read() == sample
    finally:
        made.remove()


@pytest.mark.parametrize("size", [1, 79, 81, 88, 95, 97, 5000])
def test_a_segment_of_another_size_is_refused(size: int) -> None:
    made = ipc.SharedMemory.create(KEY, size=size)
    try:
        calls: list[Callable[[int], object]] = [
            NTPSharedMemory.open,
            NTPSharedMemory.open_or_create,
        ]
        for call in calls:
            with pytest.raises(ipc.IPCError, match=f"{size} bytes"):
                call(UNIT)
        assert made.stat().attached == 0
    finally:
        made.remove()


BAD: list[tuple[Callable[[], object], type[Exception]]] = [
    (lambda: NTPSharedMemory.open_or_create(-1), ValueError),
    (lambda: NTPSharedMemory.open_or_create(256), ValueError),
    (lambda: NTPSharedMemory.open_or_create(200.0), TypeError),  # type: ignore[arg-type]
    (lambda: NTPSharedMemory.open_or_create(UNIT, mode=666), ValueError),
    (lambda: NTPSharedMemory.open_or_create(UNIT, owner=os.geteuid() + 1), ipc.NotFoundError),
    (lambda: NTPSharedMemory.open("0"), TypeError),  # type: ignore[arg-type]
    (lambda: NTPSharedMemory.open(UNIT), ipc.NotFoundError),
    (NTPSharedMemory, TypeError),
    (lambda: type("Mine", (NTPSharedMemory,), {}), TypeError),
]


@pytest.mark.parametrize(("call", "error"), BAD)
def test_bad_arguments_create_nothing(call: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        call()
    with pytest.raises(ipc.NotFoundError):
        ipc.SharedMemory.open(KEY)


WRONG: list[tuple[tuple[object, ...], dict[str, object], type[Exception]]] = [
    ((-1, 0), {}, ValueError),
    ((0, -1), {}, ValueError),
    ((2**63 * 10**9, 0), {}, ValueError),
    ((1.5, 0), {}, TypeError),
    ((0, 0), {"leap": 4}, ValueError),
    ((0, 0), {"leap": -1}, ValueError),
    ((0, 0), {"precision": 128}, ValueError),
    ((0, 0), {"precision": None}, TypeError),
]


@pytest.mark.parametrize(("times", "rest", "error"), WRONG)
def test_a_sample_that_is_refused_leaves_the_last(
    memory: NTPSharedMemory,
    times: tuple[object, ...],
    rest: dict[str, object],
    error: type[Exception],
) -> None:
    memory.write(1, 2)
    before = contents(memory)
    with pytest.raises(error):
        memory.write(*times, **rest)  # type: ignore[arg-type]
    assert contents(memory) == before


def test_the_owner_is_minded(memory: NTPSharedMemory) -> None:
    us = os.geteuid()
    NTPSharedMemory.open(UNIT, owner=us).close()
    for call in (NTPSharedMemory.open, NTPSharedMemory.open_or_create):
        with pytest.raises(ipc.UntrustedOwnerError):
            call(UNIT, owner=us + 1)
    assert memory.segment.stat().attached == 1


def test_a_closed_one_is_detached(memory: NTPSharedMemory) -> None:
    memory.close()
    memory.close()
    assert memory.closed
    assert memory.segment.stat().attached == 0
    for call in (memory.read, memory.peek, memory.__enter__):
        with pytest.raises(ValueError, match="closed"):
            call()
    with pytest.raises(ValueError, match="closed"):
        memory.write(1, 2)


def test_it_belongs_to_its_process(memory: NTPSharedMemory) -> None:
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(memory)
    memory.write(1, 2)
    sample = memory.read()
    assert pickle.loads(pickle.dumps(sample)) == sample
    assert sample
    assert sample._asdict() == {
        "clock_time_ns": 1,
        "receive_time_ns": 2,
        "leap": 0,
        "precision": -1,
    }


def test_a_writer_that_died_while_it_wrote_is_not_read(memory: NTPSharedMemory) -> None:
    class Death(BaseException):
        pass

    class Dying:
        """The first of the times is written already when the second is asked for."""

        def store(self, _value: int) -> None:
            raise Death

    memory.write(1, 2)
    other = NTPSharedMemory.open(UNIT)
    words = dict(other._words)
    other._words = {**words, "receive_s": Dying()}  # type: ignore[dict-item]
    with pytest.raises(Death):
        other.write(3, 4)
    assert memory.peek() is None
    other._words = words
    other.write(5, 6)
    other.close()
    assert memory.read() == NTPSample(5, 6, 0, -1)


def test_no_half_written_sample_is_ever_read(memory: NTPSharedMemory) -> None:
    def write() -> None:
        with NTPSharedMemory.open(UNIT) as writer:
            n = 0
            while True:
                n += 1
                writer.write(n * 1_000_000_007, n * 1_000_000_007, leap=n % 4, precision=n % 100)

    seen: set[int] = set()
    with support.Child(write):
        support.wait_for(memory.peek, "the first sample")
        while len(seen) < 300:
            if sample := memory.peek():
                n, rest = divmod(sample.clock_time_ns, 1_000_000_007)
                assert rest == 0
                same = n * 1_000_000_007
                assert sample == NTPSample(same, same, n % 4, n % 100)
                seen.add(n)
