"""Shared memory, in one process."""

import contextlib
import ctypes
import multiprocessing
from collections.abc import Mapping
from multiprocessing import shared_memory

import sysv_ipc
import sysv_ipc_rs
from _timing import Run, c, extension, python

from . import FLOOR, OURS, SYSV_IPC, C, Goal, work

Stack = contextlib.ExitStack
SIZE = 1 << 21
MEBIBYTE = 1 << 20
STDLIB = "multiprocessing"


def new_segment(stack: Stack) -> sysv_ipc_rs.SharedMemory:
    segment = sysv_ipc_rs.SharedMemory.create(size=SIZE)
    stack.callback(segment.remove)
    return segment


def attached(stack: Stack) -> sysv_ipc_rs.Attachment:
    return stack.enter_context(new_segment(stack).attach())


def incumbent(stack: Stack) -> sysv_ipc.SharedMemory:
    memory = sysv_ipc.SharedMemory(None, sysv_ipc.IPC_CREX, size=SIZE)
    stack.callback(memory.remove)
    stack.callback(memory.detach)
    return memory


def stdlib(stack: Stack) -> shared_memory.SharedMemory:
    memory = shared_memory.SharedMemory(create=True, size=SIZE)
    stack.callback(memory.unlink)
    stack.callback(memory.close)
    return memory


NOTHING_LEFT = (
    "the goal is what the floor costs, a C extension that does nothing but to look at the same "
    "arguments and to copy (benches/floor.c); above it are PyO3's trampoline, which counts its "
    "thread's attachments in thread-local memory, and the check that the memory is still there"
)


def floor(statement: str, **names: object) -> Mapping[str, Run]:
    """The same by the least extension that there can be."""
    module = extension("floor")
    return {FLOOR: python(statement, m=module.Memory(), **names)} if module else {}


@work(
    "attach + detach",
    Goal(factor=1.15),
    reason="the floor asks for the size (IPC_STAT) between shmat and shmdt, as ours has to: an "
    "id can come back as a smaller segment's, and of a size known from before, the rest would "
    "be foreign memory. Above it are two calls of methods and two objects, made and freed",
)
def attach(stack: Stack) -> Mapping[str, Run]:
    segment = new_segment(stack)
    other = incumbent(stack)
    other.detach()
    stack.callback(other.attach)
    return {
        OURS: python("s.attach().detach()", s=segment),
        C: c("shmat_shmdt", segment.id),
        FLOOR: c("shmat_stat_shmdt", segment.id),
        SYSV_IPC: python("s.attach(); s.detach()", s=other),
    }


@work("segment.stat()", Goal(calls=5))
def stat(stack: Stack) -> Mapping[str, Run]:
    segment = new_segment(stack)
    return {OURS: python("s.stat()", s=segment), C: c("shmctl_stat", segment.id)}


@work("read 64 B", Goal(SYSV_IPC, 0.1), reason=NOTHING_LEFT)
def read_small(stack: Stack) -> Mapping[str, Run]:
    return {
        OURS: python("a.read(64)", a=attached(stack)),
        SYSV_IPC: python("a.read(64)", a=incumbent(stack)),
        STDLIB: python("bytes(b[:64])", b=stdlib(stack).buf),
        **floor("m.read(64)"),
    }


@work("write 64 B", Goal(SYSV_IPC, 0.1), reason=NOTHING_LEFT)
def write_small(stack: Stack) -> Mapping[str, Run]:
    data = b"x" * 64
    return {
        OURS: python("a.write(d)", a=attached(stack), d=data),
        SYSV_IPC: python("a.write(d)", a=incumbent(stack), d=data),
        STDLIB: python("b[:64] = d", b=stdlib(stack).buf, d=data),
        **floor("m.write(d)", d=data),
    }


@work("slice a[:64]", Goal("memoryview"))
def slice_small(stack: Stack) -> Mapping[str, Run]:
    attachment = attached(stack)
    return {
        OURS: python("a[:64]", a=attachment),
        "memoryview": python("bytes(v[:64])", v=memoryview(attached(stack))),
    }


@work(
    "slice a[:64] = data",
    Goal("memoryview"),
    reason="both are calls of a slot of a type, with a slice made for each; ours comes through "
    "PyO3's trampoline, which counts its thread's attachments in thread-local memory",
)
def assign_small(stack: Stack) -> Mapping[str, Run]:
    data = b"x" * 64
    return {
        OURS: python("a[:64] = d", a=attached(stack), d=data),
        "memoryview": python("v[:64] = d", v=memoryview(attached(stack)), d=data),
    }


def copies(stack: Stack, attachment: sysv_ipc_rs.Attachment, write: bool) -> Run:
    """memcpy between the segment and private memory."""
    private = ctypes.create_string_buffer(MEBIBYTE)
    shared, memory = ctypes.c_void_p(attachment.address), ctypes.addressof(private)
    stack.callback(lambda: private)
    to, source = (shared, ctypes.c_void_p(memory))[:: 1 if write else -1]
    return c("copy", to, source, MEBIBYTE)


# "memcpy speed" has no number of its own; 1.25 is ours.
@work("read 1 MiB", Goal(factor=1.25))
def read_large(stack: Stack) -> Mapping[str, Run]:
    attachment = attached(stack)
    attachment.fill(1)
    view = memoryview(attached(stack))
    return {
        OURS: python(f"a.read({MEBIBYTE})", a=attachment),
        C: copies(stack, attachment, write=False),
        SYSV_IPC: python(f"a.read({MEBIBYTE})", a=incumbent(stack)),
        "memoryview": python(f"bytes(v[:{MEBIBYTE}])", v=view),
    }


@work("write 1 MiB", Goal(factor=1.25))
def write_large(stack: Stack) -> Mapping[str, Run]:
    attachment, data = attached(stack), b"x" * MEBIBYTE
    return {
        OURS: python("a.write(d)", a=attachment, d=data),
        C: copies(stack, attachment, write=True),
        SYSV_IPC: python("a.write(d)", a=incumbent(stack), d=data),
        "memoryview": python(f"v[:{MEBIBYTE}] = d", v=memoryview(attached(stack)), d=data),
    }


@work("atomic add", Goal(STDLIB, 0.1))
def add(stack: Stack) -> Mapping[str, Run]:
    value = multiprocessing.get_context("fork").Value("q", 0)
    return {
        OURS: python("w.add(1)", w=attached(stack).atomic(0, "i64")),
        STDLIB: python("with v.get_lock(): v.value += 1", v=value),
    }
