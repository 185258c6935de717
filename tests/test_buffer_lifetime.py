"""Nothing ever points to unmapped memory, whatever is detached, dropped or collected, in any order.

What could die of it runs in a child.
"""

import contextlib
import ctypes
import gc
import hashlib
import itertools
import os
import pickle
import random
import re
import socket
import struct
import threading
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import support
from sysv_ipc_rs import Attachment, SharedMemory, compat

T = TypeVar("T")

SIZE = 5000

Words = ctypes.c_uint32 * 8

WRITABLE, FORMAT, ND, STRIDES = 1, 4, 8, 0x18
C_CONTIGUOUS, F_CONTIGUOUS = 0x38, 0x58
READ, WRITE = 0x100, 0x200


class Record(ctypes.Structure):
    _fields_ = (("number", ctypes.c_uint64),)


def out_of_band(thing: Any) -> pickle.PickleBuffer:
    buffers: list[pickle.PickleBuffer] = []
    pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    return buffers[0]


def borrow_again(buffer: pickle.PickleBuffer) -> None:
    """It asks the attachment itself, each time anew."""
    with contextlib.suppress(ValueError):
        buffer.raw()[0] = 1


# What may keep using an attachment's memory: how it is made, and how it is used.
VIEWS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], object]]] = {
    "memoryview": (memoryview, lambda v: v.__setitem__(0, v[1])),
    "cast": (lambda a: memoryview(a).cast("I"), lambda v: v.__setitem__(3, v[4])),
    "cast to two dimensions": (lambda a: memoryview(a).cast("B", (50, 100)), lambda v: v.tolist()),
    "slice": (lambda a: memoryview(a)[4000:], lambda v: v.__setitem__(-1, v[0])),
    "every other": (lambda a: memoryview(a)[::-2], lambda v: v.tobytes()),
    "slice of a slice of a cast": (
        lambda a: memoryview(a).cast("H")[5:][::3],
        lambda v: v.tolist(),
    ),
    "read-only view": (lambda a: memoryview(a).toreadonly(), lambda v: v.tobytes()),
    "iterator of a view": (lambda a: itertools.cycle(iter(memoryview(a)[:3])), next),
    "numpy.ndarray": (
        lambda a: np.ndarray((SIZE,), np.uint8, buffer=a),
        lambda v: v.__setitem__(slice(None), v[::-1].copy()),
    ),
    "numpy.frombuffer": (
        lambda a: np.frombuffer(a, np.uint16),
        lambda v: v.__setitem__(0, v.sum() % 2),
    ),
    "part of an array": (lambda a: np.frombuffer(a, np.uint8)[4990:], lambda v: v.sort()),
    "reshaped array": (lambda a: np.asarray(memoryview(a)).reshape(50, 100).T, lambda v: v.sum()),
    "ctypes array": (Words.from_buffer, lambda v: v.__setitem__(7, v[0])),
    "ctypes structure": (
        lambda a: Record.from_buffer(a, 4992),
        lambda v: setattr(v, "number", v.number + 1),
    ),
    "ctypes pointer": (
        lambda a: ctypes.pointer(ctypes.c_char.from_buffer(a)),
        lambda v: v.contents.value,
    ),
    "struct.iter_unpack": (lambda a: itertools.cycle(struct.iter_unpack("I", a)), next),
    "PickleBuffer": (pickle.PickleBuffer, borrow_again),
    "view of a PickleBuffer": (lambda a: memoryview(pickle.PickleBuffer(a)), lambda v: v[0]),
    "out-of-band PickleBuffer": (lambda a: out_of_band(pickle.PickleBuffer(a)), borrow_again),
    "out-of-band array": (lambda a: out_of_band(np.frombuffer(a, np.uint8)), bytes),
    "array unpickled from a buffer": (
        lambda a: pickle.loads(
            pickle.dumps(np.frombuffer(a, np.uint8), protocol=5, buffer_callback=lambda _: None),
            buffers=[a],
        ),
        lambda v: v.sum(),
    ),
    "regular expression's scanner": (lambda a: re.finditer(rb"(?s).", a), next),
    "AtomicInteger": (lambda a: a.atomic(8, "u64"), lambda v: v.add(1)),
}

# What uses it only while it is called.
PASSING: dict[str, Callable[[Any], object]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "struct": lambda a: struct.unpack_from("=Q", a, 8),
    "hash": lambda a: hashlib.sha256(a).digest(),
    "crc": zlib.crc32,
    "join": lambda a: b"".join([a, a]),
    "text": lambda a: str(a, "latin-1"),
    "int": lambda a: int.from_bytes(a, "little"),
    "compare": lambda a: memoryview(a) == a,
    "copy": np.array,
}

# What never exports a buffer.
OWN: dict[str, Callable[[Any], object]] = {
    "item": lambda a: (a[0], a.__setitem__(0, 1)),
    "slice": lambda a: (a[0:9], a.__setitem__(slice(0, 2), b"ab")),
    "read": lambda a: a.read(),
    "write": lambda a: a.write(bytes(SIZE)),
    "fill": lambda a: a.fill(1),
    "iteration": list,
    "atomic": lambda a: a.atomic(0, "i32").add(1),
    "nothing": id,
}


def in_child(work: Callable[[], T]) -> T:
    """As `support.in_child`; there only new objects are garbage, so collecting is quick."""

    def frozen() -> T:
        gc.freeze()
        return work()

    return support.in_child(frozen)


def lines_of_maps() -> int:
    return Path("/proc/self/maps").read_text().count("/SYSV")


def is_mapped(address: int) -> bool:
    return f"\n{address:08x}-" in Path("/proc/self/maps").read_text()


class TestExports:
    def test_what_a_view_tells(self, memory: SharedMemory) -> None:
        attachment = memory.attach()
        view = memoryview(attachment)
        assert (view.format, view.itemsize, view.ndim) == ("B", 1, 1)
        assert (view.shape, view.strides, view.nbytes) == ((SIZE,), (1,), SIZE)
        assert view.contiguous
        assert view.obj is attachment
        assert not view.readonly
        address = ctypes.addressof(ctypes.c_char.from_buffer(attachment))
        assert address == attachment.address

    def test_of_a_read_only_attachment_they_are_read_only(self, memory: SharedMemory) -> None:
        attachment = memory.attach(readonly=True)
        with pytest.raises(BufferError), open("/dev/zero", "rb") as zeros:
            os.readv(zeros.fileno(), [attachment])
        with pytest.raises(TypeError):
            struct.pack_into("B", attachment, 0, 1)
        # A request that was refused has given no pointer away.
        attachment.detach()
        assert not attachment.mapped
        attachment = memory.attach(readonly=True)
        with pytest.raises(TypeError):
            Words.from_buffer(attachment)
        with pytest.raises(TypeError):
            memoryview(attachment)[0] = 1
        with pytest.raises(ValueError, match="read-only"):
            np.frombuffer(memoryview(attachment), np.uint8)[0] = 1
        assert memoryview(attachment).tobytes() == bytes(SIZE)

    @pytest.mark.parametrize("readonly", [False, True])
    def test_each_request_gets_what_it_asks_for(self, memory: SharedMemory, readonly: bool) -> None:
        attachment = memory.attach(readonly=readonly)
        for wanted, *flags in itertools.product(
            (0, WRITABLE), (0, FORMAT), (0, ND, STRIDES, C_CONTIGUOUS, F_CONTIGUOUS)
        ):
            request = wanted | sum(flags)
            if wanted and readonly:
                with pytest.raises(BufferError):
                    requested(attachment, request)
                continue
            view = requested(attachment, request)
            assert (view.buf, view.len) == (attachment.address, SIZE)
            assert (view.itemsize, view.ndim) == (1, 1)
            assert view.readonly == readonly
            assert view.format == (b"B" if request & FORMAT else None)
            assert view.has_shape == bool(request & ND)
            assert view.has_strides == (request & STRIDES == STRIDES)

    @pytest.mark.parametrize("flags", [READ, WRITE])
    def test_what_is_no_request_is_no_fault_of_ours(self, memory: SharedMemory, flags: int) -> None:
        """CPython makes a SystemError of it."""
        for exporter in (memory.attach(), compat.attach(memory.id)):
            # Since CPython 3.12 anybody can ask.
            ask = getattr(exporter, "__buffer__", None) or partial(requested, exporter)
            with pytest.raises(BufferError, match="no kind of buffer"):
                ask(flags)
            exporter.detach()

    def test_data_goes_through_them(self, memory: SharedMemory) -> None:
        one, two = memory.attach(), memory.attach()
        np.frombuffer(memoryview(one), np.uint32)[:] = 0x01020304
        assert two[:8] == b"\4\3\2\1" * 2
        assert struct.unpack_from("=I", two, 4) == (0x01020304,)
        Words.from_buffer(two)[0] = 7
        assert one.atomic(0, "u32").load() == 7
        here, there = socket.socketpair()
        with here, there:
            there.send(b"over a socket")
            assert here.recv_into(memoryview(one)[100:]) == 13
        assert two[100:113] == b"over a socket"


class PyBuffer(ctypes.Structure):
    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )
    has_shape = property(lambda self: self.shape is not None)
    has_strides = property(lambda self: self.strides is not None)


def requested(attachment: object, flags: int) -> Any:
    """What the buffer protocol gives for these flags; it has been released again."""
    view = PyBuffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(attachment), ctypes.byref(view), flags)
    told = PyBuffer.from_buffer_copy(view)
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))
    return told


class TestDetach:
    @pytest.mark.parametrize("use", OWN.values(), ids=OWN)
    def test_unmaps_at_once_what_was_never_exported(
        self, memory: SharedMemory, use: Callable[[Attachment], object]
    ) -> None:
        attachment = memory.attach()
        use(attachment)
        assert attachment.mapped
        assert is_mapped(attachment.address)
        attachment.detach()
        assert not attachment.mapped
        assert not is_mapped(attachment.address)
        assert memory.stat().attached == 0

    @pytest.mark.parametrize("use", PASSING.values(), ids=PASSING)
    def test_keeps_what_was_exported_until_the_attachment_is_gone(
        self, memory: SharedMemory, use: Callable[[Attachment], object]
    ) -> None:
        attachment = memory.attach()
        use(attachment)
        attachment.detach()
        assert attachment.detached
        assert attachment.mapped
        assert memory.stat().attached == 1
        del attachment
        gc.collect()
        assert memory.stat().attached == 0

    @pytest.mark.parametrize("view", VIEWS)
    def test_views_go_on_working(self, view: str) -> None:
        make, use = VIEWS[view]

        def work() -> None:
            for order in itertools.permutations(["detach", "drop", "remove"]):
                memory = SharedMemory.create(size=SIZE)
                attachments = [memory.attach()]
                made = make(attachments[0])
                for step in order:
                    match step:
                        case "detach" if attachments:
                            attachments[0].detach()
                        case "drop":
                            attachments.clear()
                        case "remove":
                            memory.remove()
                    gc.collect()
                    use(made)
                assert memory.stat().attached == 1
                del made
                gc.collect()
                assert lines_of_maps() == 0

        in_child(work)

    def test_the_last_of_many_views_unmaps(self, memory: SharedMemory) -> None:
        attachment = memory.attach()
        views = [make(attachment) for make, _ in VIEWS.values()]
        del attachment
        chance = random.Random(3)
        while views:
            assert memory.stat().attached == 1
            views.pop(chance.randrange(len(views)))
        gc.collect()
        assert memory.stat().attached == 0

    def test_a_cycle_is_collected(self, memory: SharedMemory) -> None:
        cycle: list[object] = [memoryview(memory.attach())]
        cycle.append(cycle)
        del cycle
        gc.collect()
        assert memory.stat().attached == 0


@pytest.mark.parametrize("blocked_in", ["readv", "recv_into"])
def test_a_call_that_waits_to_write_there_keeps_it(memory: SharedMemory, blocked_in: str) -> None:
    def work() -> bytes:
        holder, attachments = memory.attach(), [memory.attach()]
        here, there = socket.socketpair()

        def receive() -> None:
            if blocked_in == "readv":
                os.readv(here.fileno(), [attachments.pop()])
            else:
                here.recv_into(attachments.pop())

        attachment = attachments[0]
        thread = threading.Thread(target=receive)
        thread.start()
        support.wait_for(lambda: not attachments and waits_in_a_call(thread))
        attachment.detach()
        del attachment
        gc.collect()
        assert memory.stat().attached == 2
        there.send(b"late")
        thread.join()
        assert memory.stat().attached == 1
        return holder.read(4)

    assert in_child(work) == b"late"


def waits_in_a_call(thread: threading.Thread) -> bool:
    number = Path(f"/proc/self/task/{thread.native_id}/syscall").read_text().split()[0]
    # read, readv, recvfrom
    return number in {"0", "19", "45", "63", "65", "207"}


class Chaos:
    """Attaches, exports, detaches and drops in random order, and uses whatever is left."""

    def __init__(self, memory: SharedMemory, seed: int) -> None:
        self.memory = memory
        self.chance = random.Random(seed)
        self.attachments: list[Attachment] = []
        self.views: list[tuple[str, Any]] = []

    def step(self) -> None:
        chance = self.chance
        match chance.randrange(8):
            case 0 | 1 if len(self.attachments) < 20:
                self.attachments.append(self.memory.attach())
            case 2 | 3 if self.attachments and len(self.views) < 60:
                attachment, name = chance.choice(self.attachments), chance.choice(list(VIEWS))
                try:
                    self.views.append((name, VIEWS[name][0](attachment)))
                except (ValueError, TypeError):
                    assert attachment.detached
            case 4 if self.attachments:
                attachment = chance.choice(self.attachments)
                attachment.detach()
            case 5 if self.attachments:
                del self.attachments[chance.randrange(len(self.attachments))]
            case 6 if self.views:
                del self.views[chance.randrange(len(self.views))]
            case 7 if self.views:
                name, view = chance.choice(self.views)
                try:
                    VIEWS[name][1](view)
                except StopIteration:
                    assert name == "regular expression's scanner"


def resources() -> tuple[int, int, int]:
    tasks, descriptors = os.listdir("/proc/self/task"), os.listdir("/proc/self/fd")
    return lines_of_maps(), len(tasks), len(descriptors)


def test_whatever_is_done_in_whatever_order_all_is_given_back(memory: SharedMemory) -> None:
    def work() -> None:
        before = resources()
        for seed in range(10):
            chaos = Chaos(memory, seed)
            for _ in range(2000):
                chaos.step()
            del chaos
            gc.collect()
            assert memory.stat().attached == 0
        assert resources() == before

    in_child(work)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    "cycle",
    [
        lambda memory: memory.attach().detach(),
        lambda memory: memory.attach(),
        lambda memory: memoryview(memory.attach()),
        lambda memory: memory.attach().atomic(0, "u32").add(1),
        lambda memory: list(memory.attach()[:3]),
    ],
)
def test_nothing_grows(memory: SharedMemory, cycle: Callable[[SharedMemory], object]) -> None:
    def work() -> int:
        for _ in range(2000):
            cycle(memory)
        before = resident()
        for _ in range(20_000):
            cycle(memory)
        return resident() - before

    assert in_child(work) < 1 << 20
