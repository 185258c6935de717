"""Integers in a segment that processes change without a lock."""

import gc
import random
import signal
import struct
import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import pytest
import support
from support import Index, name
from sysv_ipc_rs import AtomicInteger, Attachment, SharedMemory

Kind: TypeAlias = Literal["i32", "u32", "i64", "u64"]

KINDS: dict[Kind, tuple[str, int, int]] = {
    "i32": ("=i", -(2**31), 2**31 - 1),
    "u32": ("=I", 0, 2**32 - 1),
    "i64": ("=q", -(2**63), 2**63 - 1),
    "u64": ("=Q", 0, 2**64 - 1),
}


@pytest.fixture
def attachment(memory: SharedMemory) -> Iterator[Attachment]:
    with memory.attach() as made:
        yield made


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    answer: Kind = request.param
    return answer


def wrapped(kind: Kind, number: int) -> int:
    _, first, last = KINDS[kind]
    return (number - first) % (last - first + 1) + first


class TestOperations:
    def test_each_tells_the_value_before(self, attachment: Attachment, kind: Kind) -> None:
        word = attachment.atomic(8, kind)
        assert word.load() == 0
        word.store(40)
        assert word.add(2) == 40
        assert word.sub(1) == 42
        assert word.exchange(7) == 41
        assert word.compare_exchange(8, 100) == 7
        assert word.load() == 7
        assert word.compare_exchange(7, 100) == 7
        assert word.load() == 100
        assert word.compare_exchange(expected=100, desired=1) == 100
        assert word.load() == 1

    def test_the_whole_range(self, attachment: Attachment, kind: Kind) -> None:
        code, first, last = KINDS[kind]
        word = attachment.atomic(16, kind)
        for number in (first, first + 1, -1 % 2 if first == 0 else -1, 0, last - 1, last):
            word.store(number)
            assert word.load() == number
            assert attachment.read(struct.calcsize(code), 16) == struct.pack(code, number)
            attachment.write(struct.pack(code, number), 16)
            assert word.exchange(0) == number
            assert word.compare_exchange(0, number) == 0
            assert word.compare_exchange(number, 0) == number

    def test_sums_wrap_around(self, attachment: Attachment, kind: Kind) -> None:
        _, first, last = KINDS[kind]
        word = attachment.atomic(0, kind)
        word.store(last)
        assert word.add(1) == last
        assert word.load() == first
        assert word.sub(1) == first
        assert word.load() == last
        chance, model = random.Random(1), last
        for _ in range(200):
            by = chance.choice([first, last, chance.randint(first, last), 1])
            call, sign = chance.choice([(word.add, 1), (word.sub, -1)])
            assert call(by) == model
            model = wrapped(kind, model + sign * by)
        assert word.load() == model

    def test_neighbours_are_left_alone(self, attachment: Attachment, kind: Kind) -> None:
        width = struct.calcsize(KINDS[kind][0])
        attachment.fill(0xAA)
        word = attachment.atomic(64, kind)
        word.store(0)
        word.sub(1)
        word.add(1)
        word.exchange(0)
        assert attachment.read() == b"\xaa" * 64 + bytes(width) + b"\xaa" * (5000 - 64 - width)

    @pytest.mark.parametrize("over", [1, 2**31, 2**64, 10**40])
    def test_what_does_not_fit_changes_nothing(
        self, attachment: Attachment, kind: Kind, over: int
    ) -> None:
        _, first, last = KINDS[kind]
        word = attachment.atomic(0, kind)
        word.store(5)
        for number in (last + over, first - over):
            for call in (
                word.store,
                word.add,
                word.sub,
                word.exchange,
                partial(word.compare_exchange, 5),
                lambda number: word.compare_exchange(number, 6),
            ):
                with pytest.raises(OverflowError, match=f"{first} to {last}"):
                    call(number)
        assert word.load() == 5

    @pytest.mark.parametrize("number", ["1", 1.0, None, b"1"], ids=name)
    def test_no_ints(self, attachment: Attachment, kind: Kind, number: Any) -> None:
        word = attachment.atomic(0, kind)
        for call in (word.store, word.add, word.sub, word.exchange):
            with pytest.raises(TypeError):
                call(number)
        with pytest.raises(TypeError):
            word.compare_exchange(0, number)
        with pytest.raises(TypeError):
            word.compare_exchange(number, 0)

    @pytest.mark.parametrize("number", [Index(3), True, np.uint8(3)], ids=name)
    def test_whatever_has_index(self, attachment: Attachment, kind: Kind, number: Any) -> None:
        word = attachment.atomic(0, kind)
        word.store(number)
        assert word.load() == number.__index__()
        with pytest.raises(ZeroDivisionError):
            word.store(Index(ZeroDivisionError()))


class TestPlace:
    def test_the_last_word(self, attachment: Attachment, kind: Kind) -> None:
        width = struct.calcsize(KINDS[kind][0])
        offset = 5000 - width
        attachment.atomic(offset, kind).store(1)
        assert any(attachment[offset:])

    @pytest.mark.parametrize("offset", [-8, -1, 5000, 5008, 4998, 2**63, 2**64 - 8, -(2**64)])
    def test_outside(self, attachment: Attachment, kind: Kind, offset: int) -> None:
        with pytest.raises(ValueError, match="0 to 499"):
            attachment.atomic(offset, kind)

    @pytest.mark.parametrize("offset", [1, 2, 3, 5, 6, 7, 4991])
    def test_unaligned(self, attachment: Attachment, kind: Kind, offset: int) -> None:
        with pytest.raises(ValueError, match="multiple of"):
            attachment.atomic(offset, kind)

    def test_half_aligned(self, attachment: Attachment) -> None:
        attachment.atomic(4, "u32")
        with pytest.raises(ValueError, match="multiple of 8"):
            attachment.atomic(4, "u64")

    @pytest.mark.parametrize("size", [1, 3])
    def test_no_room(self, remove_later: Any, kind: Kind, size: int) -> None:
        attachment = remove_later(SharedMemory.create(size=size)).attach()
        with pytest.raises(ValueError, match=f"{size} bytes"):
            attachment.atomic(0, kind)

    @pytest.mark.parametrize("wrong", ["i8", "", "I32", "i32 ", "u128", "\0", "\udc80"])
    def test_unknown_kinds(self, attachment: Attachment, wrong: Any) -> None:
        with pytest.raises(ValueError, match="'i32', 'u32', 'i64', 'u64'"):
            attachment.atomic(0, wrong)

    @pytest.mark.parametrize("wrong", [None, 32, b"i32", int], ids=name)
    def test_no_kinds(self, attachment: Attachment, wrong: Any) -> None:
        with pytest.raises(TypeError, match="kind"):
            attachment.atomic(0, wrong)

    @pytest.mark.parametrize("wrong", [None, "0", 0.0], ids=name)
    def test_no_offsets(self, attachment: Attachment, wrong: Any) -> None:
        with pytest.raises(TypeError):
            attachment.atomic(wrong, "i32")


class TestReadOnly:
    def test_it_can_be_loaded(self, memory: SharedMemory, kind: Kind) -> None:
        last = KINDS[kind][2]
        reader = memory.attach(readonly=True).atomic(8, kind)
        assert reader.load() == 0
        memory.attach().atomic(8, kind).store(last)
        assert reader.load() == last

    def test_all_else_is_a_type_error(self, memory: SharedMemory, kind: Kind) -> None:
        word = memory.attach(readonly=True).atomic(8, kind)
        for call in (
            lambda: word.store(0),
            lambda: word.add(0),
            lambda: word.sub(2**100),
            lambda: word.exchange(0),
            lambda: word.compare_exchange(1, 2),
        ):
            with pytest.raises(TypeError, match="read-only"):
                call()


class TestLifetime:
    def test_it_outlives_the_attachment(self, memory: SharedMemory) -> None:
        attachment = memory.attach()
        one, two = attachment.atomic(0, "i32"), attachment.atomic(0, "i32")
        attachment.detach()
        assert attachment.mapped
        one.add(3)
        assert two.load() == 3
        del one
        assert two.exchange(1) == 3
        assert memory.stat().attached == 1
        del two
        assert not attachment.mapped
        assert memory.stat().attached == 0

    def test_one_word_keeps_the_memory_of_a_detached_attachment(self, memory: SharedMemory) -> None:
        attachment = memory.attach()
        word = attachment.atomic(0, "i32")
        attachment.detach()
        assert attachment.mapped
        del word
        assert not attachment.mapped

    def test_it_outlives_the_attachments_object(self, memory: SharedMemory) -> None:
        word = memory.attach().atomic(0, "u64")
        gc.collect()
        assert word.sub(1) == 0
        memory.remove()
        assert word.load() == 2**64 - 1
        assert weakref.ref(word)() is word

    def test_repr_tells_what_and_where(self, attachment: Attachment) -> None:
        text = repr(attachment.atomic(16, "u32"))
        assert "u32" in text
        assert "16" in text


def test_processes_lose_no_count(memory: SharedMemory, kind: Kind) -> None:
    def count() -> None:
        mine = memory.attach().atomic(0, kind)
        for _ in range(20_000):
            mine.add(3)
            mine.sub(2)

    children = [support.Child(count) for _ in range(4)]
    for child in children:
        child.result()
    assert memory.attach().atomic(0, kind).load() == 80_000


def test_threads_lose_no_count(attachment: Attachment, kind: Kind) -> None:
    word = attachment.atomic(0, kind)

    def count() -> None:
        for _ in range(5_000):
            while (seen := word.load()) != word.compare_exchange(seen, seen + 1):
                pass

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert word.load() == 20_000


def test_a_spin_lock_of_atomics_guards_plain_bytes(memory: SharedMemory) -> None:
    """What is written before a store is seen after the load that sees it."""

    def work() -> None:
        with memory.attach() as mine:
            lock = mine.atomic(0, "i32")
            for _ in range(300):
                while lock.compare_exchange(0, 1) != 0:
                    time.sleep(0)
                (number,) = struct.unpack("=q", mine.read(8, 64))
                mine.write(struct.pack("=q", number + 1), 64)
                lock.store(0)

    children = [support.Child(work) for _ in range(4)]
    for child in children:
        child.result()
    assert memory.attach().atomic(64, "i64").load() == 1200


def test_a_killed_process_tears_no_word(memory: SharedMemory) -> None:
    patterns = {0, 0x1111111111111111, 0x7777777777777777}

    def flip() -> None:
        mine = memory.attach().atomic(8, "u64")
        while True:
            for pattern in patterns:
                mine.store(pattern)

    word: AtomicInteger = memory.attach(readonly=True).atomic(8, "u64")
    for _ in range(10):
        with support.Child(flip) as child:
            support.wait_for(word.load)
            for _ in range(1000):
                assert word.load() in patterns
            child.kill(signal.SIGKILL)
            child.join()
        assert word.load() in patterns
