"""A segment's memory as Python sees it: what can be read and written, and what is refused."""

import array
import mmap
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support import Index, name
from sysv_ipc_rs import Attachment, SharedMemory

SIZE = 5000
PAGE = mmap.PAGESIZE
RANGE = (ValueError, OverflowError)


@pytest.fixture
def attachment(memory: SharedMemory) -> Iterator[Attachment]:
    made = memory.attach()
    made.write(bytes(i % 251 for i in range(SIZE)))
    yield made
    made.detach()


def content(attachment: Attachment) -> bytes:
    return attachment.segment.attach(readonly=True).read()


class TestItems:
    def test_as_of_a_sequence_of_ints(self, attachment: Attachment) -> None:
        whole = content(attachment)
        assert len(attachment) == SIZE
        assert list(attachment) == list(whole)
        assert list(reversed(attachment)) == list(reversed(whole))
        assert [attachment[0], attachment[-1], attachment[-SIZE]] == [whole[0], whole[-1], whole[0]]
        assert 250 in attachment
        assert 251 not in attachment
        assert list(zip(attachment, range(3), strict=False)) == [(0, 0), (1, 1), (2, 2)]

    @pytest.mark.parametrize("index", [SIZE, -SIZE - 1, 2**63, -(2**63), 10**40, Index(SIZE)])
    def test_outside(self, attachment: Attachment, index: Any) -> None:
        with pytest.raises(IndexError, match="-5000 to 4999"):
            attachment[index]
        with pytest.raises(IndexError, match="-5000 to 4999"):
            attachment[index] = 1

    @pytest.mark.parametrize("index", ["1", 1.0, None, b"", (1, 2), ...], ids=name)
    def test_no_index(self, attachment: Attachment, index: Any) -> None:
        with pytest.raises(TypeError):
            attachment[index]
        with pytest.raises(TypeError):
            attachment[index] = 1

    @pytest.mark.parametrize("index", [Index(7), True, np.int16(3), Index(-1)], ids=name)
    def test_whatever_has_index(self, attachment: Attachment, index: Any) -> None:
        attachment[index] = Index(9)
        assert attachment[index] == content(attachment)[index] == 9

    @pytest.mark.parametrize("byte", [256, -1, 2**64, -(2**64)])
    def test_no_byte(self, attachment: Attachment, byte: int) -> None:
        before = content(attachment)
        with pytest.raises(RANGE, match="0 to 255"):
            attachment[0] = byte
        with pytest.raises(RANGE, match="0 to 255"):
            attachment.fill(byte)
        assert content(attachment) == before

    @pytest.mark.parametrize("byte", ["a", b"a", 1.0, None], ids=name)
    def test_no_int(self, attachment: Attachment, byte: Any) -> None:
        with pytest.raises(TypeError):
            attachment[0] = byte
        with pytest.raises(TypeError):
            attachment.fill(byte)

    def test_deletion(self, attachment: Attachment) -> None:
        with pytest.raises(TypeError):
            del attachment[0]  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            del attachment[0:2]  # type: ignore[arg-type]


SLICES = [
    slice(None),
    slice(10, 20),
    slice(-10, None),
    slice(20, 10),
    slice(4990, 6000),
    slice(-(10**40), 10**40),
    slice(3, 4, 1),
    slice(Index(3), Index(9), True),
    slice(SIZE, None),
]


class TestSlices:
    @pytest.mark.parametrize("part", SLICES, ids=name)
    def test_are_bytes(self, attachment: Attachment, part: slice) -> None:
        assert type(attachment[part]) is bytes
        assert attachment[part] == content(attachment)[part]

    @pytest.mark.parametrize("part", SLICES, ids=name)
    def test_take_as_many(self, attachment: Attachment, part: slice) -> None:
        model = bytearray(content(attachment))
        new = random.randbytes(len(model[part]))
        attachment[part] = new
        model[part] = new
        assert content(attachment) == model

    @pytest.mark.parametrize("excess", [-1, 1, SIZE])
    def test_take_not_more_or_less(self, attachment: Attachment, excess: int) -> None:
        before = content(attachment)
        with pytest.raises(ValueError, match="10"):
            attachment[5:15] = bytes(10 + excess)
        assert content(attachment) == before

    @pytest.mark.parametrize("step", [2, -1, 10**40, Index(3)])
    def test_with_steps_name_the_other_way(self, attachment: Attachment, step: Any) -> None:
        with pytest.raises(ValueError, match=r"memoryview\(a\)\[i:j:k\]"):
            attachment[::step]
        with pytest.raises(ValueError, match=r"memoryview\(a\)\[i:j:k\]"):
            attachment[0:4:step] = b"ab"
        with pytest.raises(ValueError, match="zero"):
            attachment[::0]

    def test_of_what_is_no_index(self, attachment: Attachment) -> None:
        with pytest.raises(TypeError):
            attachment["a":]
        with pytest.raises(ZeroDivisionError):
            attachment[Index(ZeroDivisionError()) :]


class TestRead:
    def test_parts(self, attachment: Attachment) -> None:
        whole = content(attachment)
        assert attachment.read() == whole
        assert attachment.read(None, 4000) == whole[4000:]
        assert attachment.read(10) == whole[:10]
        assert attachment.read(10, 20) == whole[20:30]
        assert attachment.read(size=1, offset=SIZE - 1) == whole[-1:]
        assert attachment.read(0) == attachment.read(offset=SIZE) == attachment.read(0, SIZE) == b""

    @pytest.mark.parametrize(
        ("size", "offset", "allowed"),
        [
            (SIZE + 1, 0, "size .*0 to 5000"),
            (11, SIZE - 10, "size .*0 to 10"),
            (1, SIZE, "size .*0 to 0"),
            (-1, 0, "size .*0 to 5000"),
            (0, SIZE + 1, "offset .*0 to 5000"),
            (None, -1, "offset .*0 to 5000"),
            (2**64, 0, "size"),
            (2**63 - 1, 2**63 - 1, "offset"),
            (1, 2**64 - 1, "offset"),
            (1, -(2**64), "offset"),
        ],
    )
    def test_outside(self, attachment: Attachment, size: Any, offset: int, allowed: str) -> None:
        with pytest.raises(ValueError, match=allowed):
            attachment.read(size, offset)
        with pytest.raises(ValueError, match=allowed):
            attachment.fill(1, offset, size)
        assert content(attachment)[1] == 1
        assert content(attachment)[2] == 2

    @pytest.mark.parametrize("wrong", ["1", 1.0, b"1"], ids=name)
    def test_no_ints(self, attachment: Attachment, wrong: Any) -> None:
        for call in (
            lambda: attachment.read(wrong),
            lambda: attachment.read(1, wrong),
            lambda: attachment.write(b"", wrong),
            lambda: attachment.fill(0, wrong),
            lambda: attachment.fill(0, 0, wrong),
            lambda: attachment.read(1, None),  # type: ignore[arg-type]
        ):
            with pytest.raises(TypeError):
                call()


DATA: list[Any] = [
    b"hello",
    bytearray(b"hello"),
    memoryview(b"xxhelloxx")[2:7],
    array.array("I", range(9)),
    np.arange(12.0).reshape(3, 4),
    np.asfortranarray(np.arange(12).reshape(3, 4)),
    b"",
    np.zeros(0),
    bytes(SIZE),
]


class TestWrite:
    @pytest.mark.parametrize("data", DATA, ids=lambda data: type(data).__name__)
    def test_any_contiguous_buffer(self, attachment: Attachment, data: Any) -> None:
        raw = memoryview(data).tobytes("A")
        offset = SIZE - len(raw)
        attachment.write(data, offset)
        assert content(attachment)[offset:] == raw
        attachment[: len(raw)] = data
        assert content(attachment)[: len(raw)] == raw

    @pytest.mark.parametrize("data", ["text", 5, None, [1, 2], object()], ids=name)
    def test_no_buffer(self, attachment: Attachment, data: Any) -> None:
        with pytest.raises(TypeError):
            attachment.write(data)
        with pytest.raises(TypeError):
            attachment[:2] = data

    @pytest.mark.parametrize("data", [memoryview(bytes(10))[::2], np.zeros((4, 4))[:, 1]])
    def test_scattered_buffers(self, attachment: Attachment, data: Any) -> None:
        with pytest.raises(BufferError):
            attachment.write(data)

    @pytest.mark.parametrize(
        ("length", "offset"),
        [
            (SIZE + 1, 0),
            (2, SIZE - 1),
            (1, SIZE),
            (0, SIZE + 1),
            (1, -1),
            (1, 2**64),
            (1, -(2**70)),
        ],
    )
    def test_what_does_not_fit_is_not_written(
        self, attachment: Attachment, length: int, offset: int
    ) -> None:
        before = content(attachment)
        with pytest.raises(ValueError, match="0 to"):
            attachment.write(b"\xff" * length, offset)
        assert content(attachment) == before

    @pytest.mark.parametrize("size", [100, 200_000])
    @pytest.mark.parametrize(("source", "target"), [(0, 1), (1, 0), (0, 0), (7, 50), (50, 7)])
    def test_overlapping_parts_of_itself(
        self, remove_later: Any, size: int, source: int, target: int
    ) -> None:
        attachment = remove_later(SharedMemory.create(size=size)).attach()
        model = bytearray(random.randbytes(size))
        attachment.write(model)
        length = size - max(source, target)
        attachment.write(memoryview(attachment)[source : source + length], target)
        model[target : target + length] = model[source : source + length]
        assert attachment.read() == model
        attachment[:] = attachment
        attachment.write(attachment)
        assert attachment.read() == model

    def test_between_two_attachments_of_one_segment(self, remove_later: Any) -> None:
        memory = remove_later(SharedMemory.create(size=200_000))
        one, two = memory.attach(), memory.attach()
        model = bytearray(random.randbytes(200_000))
        one.write(model)
        two.write(memoryview(one)[:100_000], 100_000)
        model[100_000:] = model[:100_000]
        assert one.read() == two.read() == model


class TestFill:
    def test_parts(self, attachment: Attachment) -> None:
        model = bytearray(content(attachment))
        attachment.fill(1, 10, 5)
        model[10:15] = b"\1" * 5
        attachment.fill(255, SIZE - 2)
        model[-2:] = b"\xff\xff"
        attachment.fill(3, 0, 0)
        attachment.fill(3, SIZE)
        attachment.fill(byte=9, offset=100, size=None)
        model[100:] = b"\t" * (SIZE - 100)
        assert content(attachment) == model
        attachment.fill(0)
        assert content(attachment) == bytes(SIZE)


def test_any_row_of_calls_does_what_it_does_to_a_bytearray(remove_later: Any) -> None:
    size = 300_000
    memory = remove_later(SharedMemory.create(size=size))
    one, two, model = memory.attach(), memory.attach(), bytearray(size)
    chance = random.Random(5)
    for _ in range(300):
        attachment = chance.choice([one, two])
        begin, end = sorted(chance.choices(range(size + 1), k=2))
        if chance.random() < 0.7:
            end = min(end, begin + 100)
        new = chance.randbytes(end - begin)
        match chance.randrange(6):
            case 0:
                attachment.write(new, begin)
                model[begin:end] = new
            case 1:
                attachment[begin:end] = new
                model[begin:end] = new
            case 2:
                byte = chance.randrange(256)
                attachment.fill(byte, begin, end - begin)
                model[begin:end] = bytes([byte]) * (end - begin)
            case 3:
                assert attachment[begin:end] == model[begin:end]
            case 4:
                assert attachment.read(end - begin, begin) == model[begin:end]
            case 5 if begin < size:
                attachment[begin] = model[begin] = chance.randrange(256)
                assert two[begin] == model[begin]
    assert bytes(one) == bytes(two) == model
