"""Attachments: where they are, what is refused of read-only and of detached ones."""

import copy
import errno
import gc
import mmap
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support
import sysv_ipc_rs as ipc
from support import Index, name
from sysv_ipc_rs import Attachment, SharedMemory

SIZE = 5000
PAGE = mmap.PAGESIZE
RANGE = (ValueError, OverflowError)


class TestReadOnly:
    WRITES: tuple[Callable[[Attachment], object], ...] = (
        lambda a: a.__setitem__(0, 1),
        lambda a: a.__setitem__(slice(0, 1), b"x"),
        lambda a: a.__setitem__(slice(0, 0), b""),
        lambda a: a.__setitem__(SIZE, 1),
        lambda a: a.write(b"x"),
        lambda a: a.write(b"x", SIZE),
        lambda a: a.write(b""),
        lambda a: a.fill(0),
        lambda a: a.fill(0, 0, 0),
        lambda a: a.fill(0, SIZE + 1),
    )

    @pytest.mark.parametrize("write", WRITES)
    def test_writing_is_a_type_error(
        self, memory: SharedMemory, write: Callable[[Attachment], object]
    ) -> None:
        attachment = memory.attach(readonly=True)
        with pytest.raises(TypeError, match="read-only"):
            write(attachment)
        assert attachment.read() == bytes(SIZE)

    def test_reading_works(self, memory: SharedMemory) -> None:
        with memory.attach() as writer, memory.attach(readonly=True) as reader:
            writer.write(b"hello", 100)
            assert (reader.readonly, writer.readonly) == (True, False)
            assert reader[100:105] == reader.read(5, 100) == b"hello"
            assert reader[100] == ord("h")


ACCESSES: list[Callable[[Any], object]] = [
    lambda a: a[0],
    lambda a: a[SIZE],
    lambda a: a["x"],
    lambda a: a[:1],
    lambda a: a[::2],
    lambda a: a.__setitem__(0, 1),
    lambda a: a.__setitem__(0, 256),
    lambda a: a.__setitem__(slice(0, 1), b"x"),
    lambda a: a.__setitem__(slice(0, 1), "x"),
    lambda a: a.read(),
    lambda a: a.read(0),
    lambda a: a.read(SIZE + 1),
    lambda a: a.write(b"x"),
    lambda a: a.write(b""),
    lambda a: a.write("x"),
    lambda a: a.fill(0),
    lambda a: a.fill(0, 0, 0),
    lambda a: a.atomic(0, "i32"),
    lambda a: a.atomic(3, "i32"),
    memoryview,
    bytes,
    lambda a: np.frombuffer(a, np.uint8),
    len,
    list,
    iter,
    lambda a: a.__enter__(),
]


class TestDetached:
    @pytest.mark.parametrize("exported", [False, True])
    @pytest.mark.parametrize("readonly", [False, True])
    @pytest.mark.parametrize("access", ACCESSES)
    def test_every_new_access_is_a_value_error(
        self,
        memory: SharedMemory,
        access: Callable[[Attachment], object],
        readonly: bool,
        exported: bool,
    ) -> None:
        attachment = memory.attach(readonly=readonly)
        view = memoryview(attachment) if exported else None
        attachment.detach()
        with pytest.raises(ValueError, match="detached"):
            access(attachment)
        assert view is None or view[0] == 0

    def test_an_iterator_ends_with_it(self, memory: SharedMemory) -> None:
        attachment = memory.attach()
        bytes_of_it = iter(attachment)
        assert next(bytes_of_it) == 0
        attachment.detach()
        with pytest.raises(ValueError, match="detached"):
            next(bytes_of_it)

    def test_the_rest_can_be_asked(self, memory: SharedMemory) -> None:
        attachment = memory.attach(readonly=True)
        address = attachment.address
        attachment.detach()
        attachment.detach()
        assert attachment.detached
        assert not attachment.mapped
        assert attachment.readonly
        assert (attachment.address, attachment.segment) == (address, memory)
        assert "detached" in repr(attachment)

    def test_the_end_of_a_block_detaches(self, memory: SharedMemory) -> None:
        with memory.attach() as attachment:
            assert not attachment.detached
            attachment.detach()
        with pytest.raises(ZeroDivisionError), memory.attach() as attachment:
            raise ZeroDivisionError
        assert attachment.detached
        assert memory.stat().attached == 0

    @pytest.mark.parametrize("size", [8, 200_000])
    def test_an_index_that_detaches(self, remove_later: Any, size: int) -> None:
        memory = remove_later(SharedMemory.create(size=size))

        def evil(attachment: Any) -> Any:
            return Index(lambda: attachment.detach() or 5)

        accesses: tuple[Callable[[Any], object], ...] = (
            lambda a: a[evil(a)],
            lambda a: a[: evil(a)],
            lambda a: a.__setitem__(evil(a), 1),
            lambda a: a.__setitem__(0, evil(a)),
            lambda a: a.__setitem__(slice(0, evil(a)), b"12345"),
            lambda a: a.read(evil(a)),
            lambda a: a.read(None, evil(a)),
            lambda a: a.write(b"123", evil(a)),
            lambda a: a.fill(evil(a)),
            lambda a: a.fill(0, evil(a)),
            lambda a: a.fill(0, 0, evil(a)),
            lambda a: a.atomic(Index(lambda: a.detach() or 0), "i32"),
        )
        for access in accesses:
            attachment = memory.attach()
            with pytest.raises(ValueError, match="detached"):
                access(attachment)
            assert not attachment.mapped


class TestPlace:
    def test_where_it_was_asked_to_be(self, memory: SharedMemory) -> None:
        with memory.attach() as attachment:
            address = attachment.address
            assert address % PAGE == 0
        for offset in (0, 1, PAGE - 1):
            with memory.attach(address=address + offset, round_address=True) as attachment:
                assert attachment.address == address
        with memory.attach(address=address, readonly=True) as attachment:
            assert attachment.address == address
            assert attachment.read() == bytes(SIZE)

    @pytest.mark.parametrize("offset", [0, 1])
    def test_where_something_is(self, memory: SharedMemory, offset: int) -> None:
        attachment = memory.attach()
        attachment[0] = 5
        with pytest.raises(ipc.IPCError, match="free") as caught:
            memory.attach(address=attachment.address + offset)
        assert (type(caught.value), caught.value.errno) == (ipc.IPCError, errno.EINVAL)
        assert caught.value.call == "shmat"
        assert attachment[0] == 5
        assert memory.stat().attached == 1

    @pytest.mark.parametrize("address", [0, 1, PAGE - 1, -1, 2**63, 2**64, -PAGE, 10**40])
    @pytest.mark.parametrize("round_address", [False, True])
    def test_nowhere(self, memory: SharedMemory, address: int, round_address: bool) -> None:
        with pytest.raises(RANGE, match="address"):
            memory.attach(address=address, round_address=round_address)
        assert memory.stat().attached == 0

    @pytest.mark.parametrize("address", ["0", 1e6, b""], ids=name)
    def test_no_address(self, memory: SharedMemory, address: Any) -> None:
        with pytest.raises(TypeError):
            memory.attach(address=address)

    def test_beyond_all_address_space(self, memory: SharedMemory) -> None:
        with pytest.raises(ipc.IPCError):
            memory.attach(address=2**62)

    def test_executable_memory(self, remove_later: Any) -> None:
        memory = remove_later(SharedMemory.create(size=10, mode=0o700))
        with memory.attach(executable=True) as attachment:
            lines = Path("/proc/self/maps").read_text().splitlines()
            line = next(line for line in lines if line.startswith(f"{attachment.address:08x}-"))
        assert line.split()[1] == "rwxs"


class TestObject:
    def test_equal_to_itself_alone(self, memory: SharedMemory) -> None:
        one, two = memory.attach(), memory.attach()
        assert one == one  # noqa: PLR0124
        assert one != two
        assert len({one, two, one}) == 2
        assert one.segment == memory
        assert weakref.ref(one)() is one

    def test_no_pickle_no_copy_no_constructor_no_subclass(self, memory: SharedMemory) -> None:
        attachment = memory.attach()
        for thing in (attachment, attachment.atomic(0, "i32")):
            for call in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError, match="pickle"):
                    call(thing)
            with pytest.raises(TypeError, match="create"):
                type(thing)()
            with pytest.raises(TypeError):
                type("Sub", (type(thing),), {})
            with pytest.raises(AttributeError):
                thing.new = 1  # type: ignore[union-attr]
        with pytest.raises(AttributeError):
            attachment.readonly = True  # type: ignore[misc]

    def test_repr_tells_place_and_state(self, memory: SharedMemory) -> None:
        attachment = memory.attach(readonly=True)
        text = repr(attachment)
        for part in ("5000", hex(attachment.address), "read-only", f"id={memory.id}"):
            assert part in text

    def test_dropping_it_detaches(self, memory: SharedMemory) -> None:
        attachment = memory.attach()
        del attachment
        gc.collect()
        assert memory.stat().attached == 0


def test_more_than_there_is_memory_for_is_a_memory_error(remove_later: Any) -> None:
    memory = remove_later(SharedMemory.create(size=1 << 45, reserve=False))

    def read() -> list[str]:
        import resource  # noqa: PLC0415

        attachment = memory.attach()
        resource.setrlimit(resource.RLIMIT_AS, (1 << 46, 1 << 46))
        told = []
        for call in (attachment.read, lambda: attachment[:], lambda: bytes(attachment)):
            try:
                call()
            except MemoryError as error:
                told.append(type(error).__name__)
        attachment[-1] = 7
        return [*told, str(attachment[(1 << 45) - 1])]

    assert support.in_child(read) == ["MemoryError"] * 3 + ["7"]
