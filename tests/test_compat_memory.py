"""The drop-in's shared memory: no crash, whatever is done with a view."""

import errno
import gc
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import support
from sysv_ipc_rs import RemovedError, SharedMemory, compat

SIZE = 5000


@pytest.fixture
def key() -> Iterator[int]:
    """The key of a segment of SIZE times "x"."""
    made = SharedMemory.create(support.free_key(), size=SIZE)
    with made.attach() as attachment:
        attachment.fill(ord("x"))
    yield made.key
    with suppress(RemovedError):
        made.remove()


def mapped(address: int) -> bool:
    """Whether memory of this process begins there."""
    return f"\n{address:x}-" in "\n" + Path("/proc/self/maps").read_text()


def test_views_go_on_working_after_detach(key: int) -> None:
    memory = compat.SharedMemory(key)
    view = memoryview(memory)
    array = np.ndarray(SIZE, np.uint8, buffer=cast("Any", memory))
    address = memory.address
    memory.detach()
    assert not memory.attached
    assert mapped(address)
    view[0] = 7
    assert array[0] == 7
    array[1] = 8
    assert view[1] == 8
    del view, array
    memory.attach()
    assert memory.read(3) == b"\x07\x08x"


def test_views_of_each_attachment_stay_apart(key: int) -> None:
    memory = compat.SharedMemory(key)
    first = memoryview(memory)
    memory.detach()
    memory.attach()
    second = memoryview(memory)
    memory.detach()
    memory.attach(None, compat.SHM_RDONLY)
    third = memoryview(memory)
    first[0], second[1] = 1, 2
    assert bytes(third[:2]) == b"\1\2"
    assert [view.readonly for view in (first, second, third)] == [False, False, True]


def test_to_attach_look_and_detach_in_a_loop_maps_it_no_more_often(key: int) -> None:
    memory = compat.SharedMemory(key)
    for flags in (0, compat.SHM_RDONLY) * 20:
        memory.attach(None, flags)
        assert bytes(memoryview(memory)[:1]) == b"x"
        memory.detach()
    assert memory.number_attached == 2, "one to write to, one to read only"
    memory.attach()
    view = memoryview(memory)
    memory.write(b"new")
    assert bytes(view[:3]) == b"new"


def test_memory_that_was_never_exported_is_unmapped_at_once(key: int) -> None:
    memory = compat.SharedMemory(key)
    address = memory.address
    memory.write(b"abc")
    assert memory.read(3) == b"abc"
    memory.detach()
    assert not mapped(address)
    assert memory.number_attached == 0


def test_del_detaches(key: int) -> None:
    memory = compat.SharedMemory(key)
    other = compat.attach(memory.id)
    view = memoryview(other)
    assert memory.number_attached == 2
    del other
    assert view[0] == ord("x")
    assert memory.number_attached == 2
    del view
    gc.collect()
    assert memory.number_attached == 1


def test_to_attach_again_lets_the_former_go(key: int) -> None:
    memory = compat.SharedMemory(key)
    for _ in range(10):
        memory.attach()
    assert memory.number_attached == 1
    view = memoryview(memory)
    memory.attach(None, compat.SHM_RDONLY)
    assert view[0] == ord("x")
    assert memory.number_attached == 2


def test_after_detach_every_access_is_not_attached_error(key: int) -> None:
    memory = compat.SharedMemory(key)
    memory.detach()
    for call in (
        memory.read,
        lambda: memory.write(b"x"),
        memory.detach,
        lambda: memoryview(memory),
        lambda: bytes(memory),
    ):
        with pytest.raises(compat.NotAttachedError) as caught:
            call()
        assert isinstance(caught.value, OSError)
    assert memory.address == 0


def test_a_read_only_attachment_exports_read_only_views(key: int) -> None:
    memory = compat.SharedMemory(key)
    memory.attach(None, compat.SHM_RDONLY)
    view = memoryview(memory)
    assert view.readonly
    with pytest.raises(TypeError):
        view[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        np.frombuffer(cast("Any", memory), np.uint8).setflags(write=True)
    with pytest.raises(compat.PermissionsError) as caught:
        memory.write(b"x")
    assert str(caught.value) == "Write attempt on read-only memory segment"
    assert caught.value.errno == errno.EACCES
    memory.attach()
    memory.write(b"y")


def test_a_mode_without_write_permission_attaches_read_only() -> None:
    made = compat.SharedMemory(None, compat.IPC_CREX, 0o400, 10)
    try:
        assert memoryview(made).readonly
        assert made.read() == bytes(10)
    finally:
        made.remove()


def test_threads_may_detach_what_others_use(key: int) -> None:
    memory = compat.SharedMemory(key)
    stop = threading.Event()
    failed: list[BaseException] = []

    def use() -> None:
        while not stop.is_set():
            try:
                with suppress(compat.NotAttachedError):
                    memory.read()
                    memory.write(b"abc", 10)
                    memoryview(memory)[5]
            except BaseException as error:
                failed.append(error)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(2000):
        with suppress(compat.NotAttachedError):
            memory.detach()
        memory.attach()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_constructor_that_fails_leaves_nothing() -> None:
    before = support.objects()
    for options in (
        {"size": 2**64},
        {"size": -1},
        {"size": 2**62},
        {"mode": 0o1600},
        {"init_character": b""},
        {"init_character": "x"},
        {"flags": compat.IPC_CREX | compat.SHM_HUGETLB | compat.SHM_NORESERVE},
    ):
        arguments = {"key": 0, "flags": compat.IPC_CREX, **options}
        with pytest.raises((ValueError, MemoryError, TypeError)):
            compat.SharedMemory(**arguments)  # type: ignore[arg-type]
    assert support.objects() == before


def test_a_segment_that_cannot_be_attached_is_removed_again() -> None:
    if not support.may_become(support.NOBODY):
        pytest.skip("needs to be root")

    def stranger() -> str:
        # Reading is not in the mode, and attaching wants it.
        with pytest.raises(compat.PermissionsError) as caught:
            compat.SharedMemory(None, compat.IPC_CREX, 0o200)
        return str(caught.value)

    before = support.objects()
    assert support.in_child(stranger, support.NOBODY) == "No permission to attach"
    assert support.objects() == before


def test_one_that_exists_is_not_removed_when_it_cannot_be_attached() -> None:
    if not support.may_become(support.NOBODY):
        pytest.skip("needs to be root")
    key = support.free_key()
    made = compat.SharedMemory(key, compat.IPC_CREX, 0o622)

    def stranger() -> None:
        with pytest.raises(compat.PermissionsError):
            compat.SharedMemory(key, compat.IPC_CREAT, 0o200)

    try:
        support.in_child(stranger, support.NOBODY)
        assert made.number_attached == 1
    finally:
        made.remove()


@pytest.mark.parametrize("offset", [2**64, 2**64 + 1, -(2**63), -(2**64)])
def test_offsets_are_never_truncated(key: int, offset: int) -> None:
    memory = compat.SharedMemory(key)
    with pytest.raises(ValueError, match="offset must be less"):
        memory.read(1, offset)
    with pytest.raises(ValueError, match="past end"):
        memory.write(b"x", offset)


@pytest.mark.parametrize("count", [2**63 - 1, 2**63, 2**70])
def test_a_huge_byte_count_reads_to_the_end(key: int, count: int) -> None:
    memory = compat.SharedMemory(key)
    assert memory.read(count, SIZE - 3) == b"xxx"


def test_long_copies_are_whole() -> None:
    size = 3 << 20
    made = compat.SharedMemory(None, compat.IPC_CREX, size=size, init_character=b"\xa5")
    try:
        assert made.read() == b"\xa5" * size
        text = bytes(range(256)) * (size // 256)
        made.write(text)
        assert made.read() == text
    finally:
        made.remove()


def test_it_can_be_written_from_itself(key: int) -> None:
    memory = compat.SharedMemory(key)
    memory.write(bytes(range(100)))
    memory.write(memoryview(memory)[:100], 3)
    assert memory.read(103) == bytes(range(3)) + bytes(range(100))


def test_a_buffer_that_detaches_while_it_is_taken_does_no_harm(key: int) -> None:
    memory = compat.SharedMemory(key)

    class Index:
        def __index__(self) -> int:
            memory.detach()
            return 0

    with pytest.raises(compat.NotAttachedError):
        memory.read(Index())
    memory.attach()
    with pytest.raises(compat.NotAttachedError):
        memory.write(b"x", Index())


def test_remapping_is_left_to_raw(key: int) -> None:
    memory = compat.SharedMemory(key)
    address = memory.address
    with pytest.raises(ValueError, match=r"raw\.shmat"):
        memory.attach(address, compat.SHM_REMAP)
    assert memory.address == address


def test_attach_at_an_address_that_is_free(key: int) -> None:
    memory = compat.SharedMemory(key)
    other = compat.SharedMemory(None, compat.IPC_CREX, size=1 << 20)
    address = other.address
    other.detach()
    other.remove()
    assert memory.address != address
    memory.attach(address + 5, compat.SHM_RND)
    assert memory.address == address
    with pytest.raises(ValueError, match="Invalid id, address, or flags"):
        memory.attach(address)


def test_attach_by_id_knows_the_key(key: int) -> None:
    memory = compat.SharedMemory(key)
    other = compat.attach(memory.id)
    assert (other.key, other.id, other.attached) == (memory.key, memory.id, True)


def test_the_mode_can_be_set_to_itself_when_marked_for_removal(key: int) -> None:
    memory = compat.SharedMemory(key)
    memory.remove()
    assert memory.mode == 0o600
    memory.mode = memory.mode


def test_a_forked_child_has_the_memory(key: int) -> None:
    memory = compat.SharedMemory(key)

    def child() -> bytes:
        memory.write(b"child")
        memory.detach()
        memory.attach()
        return memory.read(5)

    assert support.in_child(child) == b"child"
    assert memory.read(6) == b"childx"
