"""Buffers into messages, and messages into buffers."""

import ctypes
import mmap
import threading
from array import array
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory as PosixSharedMemory
from typing import Any

import numpy as np
import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Message, MessageQueue


class Structure(ctypes.Structure):
    _fields_ = (("number", ctypes.c_uint16), ("text", ctypes.c_char * 4))


class MyBytes(bytes):
    def __len__(self) -> int:
        return 100

    def __bytes__(self) -> bytes:
        return b"lies"


# Each kind of buffer, and the bytes that are in it.
BUFFERS: dict[str, tuple[Any, bytes]] = {
    "bytes": (b"abc", b"abc"),
    "no bytes": (b"", b""),
    "bytes with NUL": (b"\0a\0", b"\0a\0"),
    "subclass of bytes": (MyBytes(b"abc"), b"abc"),
    "bytearray": (bytearray(b"abc"), b"abc"),
    "empty bytearray": (bytearray(), b""),
    "memoryview": (memoryview(b"abc"), b"abc"),
    "part of a memoryview": (memoryview(b"xabcx")[1:4], b"abc"),
    "empty memoryview": (memoryview(b"abc")[3:], b""),
    "cast memoryview": (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
    "memoryview of 0 dimensions": (memoryview(ctypes.c_uint8(7)), b"\7"),
    "array of bytes": (array("B", b"abc"), b"abc"),
    "array of ints": (array("i", [1, -1]), array("i", [1, -1]).tobytes()),
    "empty array": (array("d"), b""),
    "NumPy": (np.arange(5, dtype=np.int16), np.arange(5, dtype=np.int16).tobytes()),
    "NumPy in C order": (np.arange(6, dtype=np.uint8).reshape(2, 3), b"\0\1\2\3\4\5"),
    "NumPy in Fortran order": (np.arange(6, dtype=np.uint8).reshape(2, 3).T, b"\0\1\2\3\4\5"),
    "NumPy, a scalar": (np.uint8(65), b"A"),
    "NumPy, empty": (np.empty((3, 0)), b""),
    "NumPy, a row": (np.arange(6, dtype=np.uint8).reshape(2, 3)[1], b"\3\4\5"),
    "ctypes array": ((ctypes.c_uint8 * 3)(*b"abc"), b"abc"),
    "ctypes structure": (Structure(0x4142, b"abc"), b"BAabc\0"),
    "empty ctypes array": ((ctypes.c_char * 0)(), b""),
}

SENDS: dict[str, Callable[[MessageQueue, Any], object]] = {
    "send": lambda queue, data: queue.send(data),
    "timed send": lambda queue, data: queue.send(data, timeout=5),
    "try_send": lambda queue, data: queue.try_send(data),
    "send_many": lambda queue, data: queue.send_many([data]),
    "send_many of pairs": lambda queue, data: queue.send_many([(1, data)]),
    "Message": lambda queue, data: queue.send_many([Message(1, data)]),
}


@pytest.fixture(params=SENDS)
def send(request: pytest.FixtureRequest, queue: MessageQueue) -> Callable[[Any], object]:
    """Each of the calls that take bytes."""
    return lambda data: SENDS[request.param](queue, data)


@pytest.mark.parametrize("kind", BUFFERS)
def test_every_contiguous_buffer_can_be_sent(
    queue: MessageQueue, send: Callable[[Any], object], kind: str
) -> None:
    data, expected = BUFFERS[kind]
    send(data)
    assert queue.receive() == Message(1, expected)
    assert queue.qsize() == 0


def test_mapped_memory_can_be_sent(queue: MessageQueue, send: Callable[[Any], object]) -> None:
    with mmap.mmap(-1, 4096) as memory:
        memory[:3] = b"abc"
        send(memory)
    assert queue.receive().data == b"abc" + bytes(4093)


def test_shared_memory_of_python_can_be_sent(
    queue: MessageQueue, send: Callable[[Any], object]
) -> None:
    memory = PosixSharedMemory(create=True, size=4096)
    try:
        assert memory.buf is not None
        memory.buf[:3] = b"abc"
        send(memory.buf[:5])
        assert queue.receive().data == b"abc\0\0"
    finally:
        memory.close()
        memory.unlink()


@pytest.mark.parametrize("readonly", [False, True])
def test_shared_memory_of_ours_can_be_sent(
    queue: MessageQueue, send: Callable[[Any], object], readonly: bool
) -> None:
    segment = ipc.SharedMemory.create(size=5000)
    try:
        with segment.attach() as writer, segment.attach(readonly=readonly) as memory:
            writer.write(b"abc", 4997)
            send(memory)
            assert queue.receive().data == bytes(4997) + b"abc"
            send(memoryview(memory)[4990:])
            assert queue.receive().data == bytes(7) + b"abc"
    finally:
        segment.remove()


@pytest.mark.parametrize(
    "data",
    [
        memoryview(b"abcdef")[::2],
        memoryview(b"abcdef")[::-1],
        np.arange(10)[::2],
        np.arange(27).reshape(3, 3, 3).transpose(1, 0, 2),
        np.arange(10)[::-1],
        np.arange(9).reshape(3, 3)[:, 1],
    ],
    ids=support.name,
)
def test_a_buffer_with_gaps_is_refused(
    queue: MessageQueue, send: Callable[[Any], object], data: Any
) -> None:
    with pytest.raises(BufferError, match="contiguous"):
        send(data)
    assert queue.qsize() == 0


def test_str_is_refused(queue: MessageQueue, send: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match="bytes-like object is required, not 'str'"):
        send("text")
    assert queue.qsize() == 0


@pytest.mark.parametrize("data", [None, 1, 1.5, object(), {1: 2}, iter(b"abc"), bytes, Ellipsis])
def test_what_has_no_buffer_is_refused(
    queue: MessageQueue, send: Callable[[Any], object], data: Any
) -> None:
    with pytest.raises(TypeError, match="bytes-like"):
        send(data)
    assert queue.qsize() == 0


def test_a_released_memoryview_is_refused(
    queue: MessageQueue, send: Callable[[Any], object]
) -> None:
    view = memoryview(b"abc")
    view.release()
    with pytest.raises(ValueError, match="released"):
        send(view)
    assert queue.qsize() == 0


def test_a_closed_mapping_is_refused(queue: MessageQueue, send: Callable[[Any], object]) -> None:
    memory = mmap.mmap(-1, 4096)
    memory.close()
    with pytest.raises(ValueError, match="closed"):
        send(memory)
    assert queue.qsize() == 0


def test_a_buffer_is_free_again_after_the_call(
    queue: MessageQueue, send: Callable[[Any], object]
) -> None:
    data = bytearray(b"abc")
    send(data)
    data += b"more"
    with mmap.mmap(-1, 4096) as memory:
        send(memory)
    with suppress(ipc.WaitTimeoutError):
        queue.receive(9, timeout=0.001)
    assert queue.receive().data == b"abc"


def test_a_buffer_is_free_again_after_an_error(queue: MessageQueue) -> None:
    data = bytearray(b"abc")
    queue.max_bytes = 2
    with pytest.raises(ipc.MessageTooBigError):
        queue.send(data)
    data += b"more"
    with pytest.raises(TypeError):
        queue.send_many([data, "no"])  # type: ignore[list-item]
    data += b"more"
    with pytest.raises(ipc.WaitTimeoutError):
        queue.receive_into(data, timeout=0)
    data += b"more"


# Into buffers


def writable() -> dict[str, Any]:
    return {
        "bytearray": bytearray(6),
        "memoryview": memoryview(bytearray(6)),
        "part": memoryview(bytearray(10))[2:8],
        "array": array("H", [0, 0, 0]),
        "NumPy": np.zeros(6, dtype=np.uint8),
        "NumPy in Fortran order": np.zeros((3, 2), dtype=np.uint8, order="F"),
        "ctypes array": (ctypes.c_char * 6)(),
        "ctypes structure": Structure(),
        "mmap": mmap.mmap(-1, 6),
    }


def contents(buffer: Any) -> bytes:
    return buffer.tobytes("A") if isinstance(buffer, np.ndarray) else bytes(memoryview(buffer))


INTOS: dict[str, Callable[[MessageQueue], Callable[..., tuple[int, int] | None]]] = {
    "receive_into": lambda queue: queue.receive_into,
    "timed": lambda queue: lambda *args, **kw: queue.receive_into(*args, timeout=5, **kw),
    "try_receive_into": lambda queue: queue.try_receive_into,
}


@pytest.fixture(params=INTOS)
def receive_into(
    request: pytest.FixtureRequest, queue: MessageQueue
) -> Callable[..., tuple[int, int] | None]:
    """Each of the calls that fill a buffer."""
    return INTOS[request.param](queue)


@pytest.mark.parametrize("kind", writable())
def test_every_writable_buffer_can_be_filled(
    queue: MessageQueue, receive_into: Callable[..., object], kind: str
) -> None:
    buffer = writable()[kind]
    queue.send(b"abcd", 7)
    assert receive_into(buffer) == (7, 4)
    assert contents(buffer) == b"abcd\0\0"
    queue.send(b"ABCDEF", 8)
    assert receive_into(buffer) == (8, 6)
    assert contents(buffer) == b"ABCDEF"
    queue.send(b"", 9)
    assert receive_into(buffer) == (9, 0)
    assert contents(buffer) == b"ABCDEF"


@pytest.mark.parametrize(
    "buffer",
    [b"abc", memoryview(b"abc"), memoryview(bytearray(3)).toreadonly(), np.uint8(3)],
    ids=support.name,
)
def test_a_read_only_buffer_is_refused(
    queue: MessageQueue, receive_into: Callable[..., object], buffer: Any
) -> None:
    queue.send(b"x")
    with pytest.raises(TypeError, match="read-only"):
        receive_into(buffer)
    assert queue.qsize() == 1


def test_no_writable_array_is_read_only(
    queue: MessageQueue, receive_into: Callable[..., object]
) -> None:
    queue.send(b"x")
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    with pytest.raises(TypeError, match="read-only"):
        receive_into(frozen)
    assert queue.qsize() == 1


class References(ctypes.Structure):
    _fields_ = (("number", ctypes.c_int), ("thing", ctypes.py_object))


class NamedLikeReferences(ctypes.Structure):
    _fields_ = (("O", ctypes.c_int), ("Other", ctypes.c_char * 3))


def test_references_are_never_overwritten(
    queue: MessageQueue, receive_into: Callable[..., object]
) -> None:
    queue.send(b"AAAAAAAA")
    mixed = np.zeros(2, dtype=[("number", np.int64), ("thing", object)])
    things = np.array([None, 1], dtype=object)
    for buffer in (things, mixed, things.data, References(), (ctypes.py_object * 2)()):
        with pytest.raises(TypeError, match="Python objects"):
            receive_into(buffer)
    assert queue.qsize() == 1
    named = NamedLikeReferences()
    assert receive_into(named) == (1, 8)
    assert (named.O, named.Other) == (0x41414141, b"AAA")


@pytest.mark.parametrize("buffer", ["abc", None, 3, [0], bytearray], ids=support.name)
def test_what_can_not_be_filled_is_refused(
    queue: MessageQueue, receive_into: Callable[..., object], buffer: Any
) -> None:
    queue.send(b"x")
    with pytest.raises(TypeError, match="bytes-like"):
        receive_into(buffer)
    assert queue.qsize() == 1


def test_a_buffer_with_gaps_is_not_filled(
    queue: MessageQueue, receive_into: Callable[..., object]
) -> None:
    queue.send(b"x")
    for buffer in (memoryview(bytearray(6))[::2], np.zeros(6)[::-1]):
        with pytest.raises(BufferError, match="contiguous"):
            receive_into(buffer)
    assert queue.qsize() == 1


def test_shared_memory_of_ours_can_be_filled(
    queue: MessageQueue, receive_into: Callable[..., object]
) -> None:
    segment = ipc.SharedMemory.create(size=10)
    try:
        with segment.attach() as memory, segment.attach(readonly=True) as reader:
            queue.send(b"abc", 3)
            assert receive_into(memory) == (3, 3)
            assert reader.read() == b"abc" + bytes(7)
            queue.send(b"x")
            with pytest.raises(TypeError, match="read-only"):
                receive_into(reader)
            assert queue.qsize() == 1
            memory.detach()
            with pytest.raises(ValueError, match="detached"):
                receive_into(memory)
            assert queue.qsize() == 1
    finally:
        segment.remove()


def test_memory_that_is_detached_meanwhile_is_still_filled(queue: MessageQueue) -> None:
    segment = ipc.SharedMemory.create(size=10)
    try:
        memory = segment.attach()
        thread = threading.Thread(target=queue.receive_into, args=(memory,))
        thread.start()
        support.wait_blocked(thread)
        memory.detach()
        queue.send(b"abc")
        thread.join()
        with segment.attach(readonly=True) as reader:
            assert reader.read(3) == b"abc"
        del memory
    finally:
        segment.remove()


def test_an_empty_buffer_takes_an_empty_message(
    queue: MessageQueue, receive_into: Callable[..., object]
) -> None:
    queue.send(b"", 3)
    assert receive_into(bytearray()) == (3, 0)
    queue.send(b"abc")
    with pytest.raises(ipc.MessageTooBigError):
        receive_into(bytearray())
    assert receive_into(bytearray(), truncate=True) == (1, 0)
    assert queue.qsize() == 0


def test_a_failed_call_leaves_the_buffer(queue: MessageQueue) -> None:
    buffer = bytearray(b"before")
    assert queue.try_receive_into(buffer) is None
    with pytest.raises(ipc.WaitTimeoutError):
        queue.receive_into(buffer, timeout=0.001)
    queue.send(b"too much for it")
    with pytest.raises(ipc.MessageTooBigError):
        queue.receive_into(buffer)
    assert buffer == b"before"


def test_a_buffer_can_not_change_its_size_while_it_waits_to_be_filled(queue: MessageQueue) -> None:
    buffer = bytearray(6)
    thread = threading.Thread(target=queue.receive_into, args=(buffer,))
    thread.start()
    try:
        support.wait_blocked(thread)
        with pytest.raises(BufferError):
            buffer.clear()
    finally:
        queue.send(b"abc")
        thread.join()
    buffer.clear()
