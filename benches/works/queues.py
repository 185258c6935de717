"""Message queues, in one process."""

import contextlib
import functools
import multiprocessing
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import posix_ipc
import sysv_ipc
import sysv_ipc_rs
from _timing import Run, c, extension, python

from . import FLOOR, OURS, SYSV_IPC, C, Goal, work

Stack = contextlib.ExitStack
LIMITS = Path("/proc/sys/kernel")


def new_queue(stack: Stack) -> sysv_ipc_rs.MessageQueue:
    queue = sysv_ipc_rs.MessageQueue.create()
    stack.callback(queue.remove)
    return queue


def incumbent(stack: Stack, size: int) -> sysv_ipc.MessageQueue:
    queue = sysv_ipc.MessageQueue(None, sysv_ipc.IPC_CREX, max_message_size=size)
    stack.callback(queue.remove)
    return queue


def peers(stack: Stack, size: int) -> dict[str, Run]:
    """The other ways to bring bytes from one process to another."""
    data = b"x" * size
    # What a pipe or a socket can't hold would wait for ever in one process.
    if size > 8192:
        return {}
    reader, writer = multiprocessing.Pipe(duplex=False)
    simple: multiprocessing.SimpleQueue[bytes] = multiprocessing.get_context("fork").SimpleQueue()
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in (reader, writer, one, other, simple):
        stack.callback(end.close)
    queue = posix_ipc.MessageQueue(None, posix_ipc.O_CREX, max_messages=2, max_message_size=size)
    stack.callback(queue.close)
    queue.unlink()
    return {
        "posix_ipc": python("q.send(d); q.receive()", q=queue, d=data),
        "SimpleQueue": python("q.put(d); q.get()", q=simple, d=data),
        "Pipe": python("w.send_bytes(d); r.recv_bytes()", w=writer, r=reader, d=data),
        "Unix datagram": python(f"a.send(d); b.recv({size})", a=one, b=other, d=data),
    }


def both_ways(stack: Stack, size: int) -> Mapping[str, Run]:
    """Every contender sends a message and receives it."""
    queue, data = new_queue(stack), b"x" * size
    queue.max_bytes = max(queue.max_bytes, size)
    statement = "q.send(d); q.receive()"
    runs = {
        OURS: python(statement, q=queue, d=data),
        C: c("msg_pair", queue.id, size),
        SYSV_IPC: python(statement, q=incumbent(stack, size), d=data),
        **peers(stack, size),
    }
    if bare := extension("binding"):
        names = {"send": bare.send, "receive": bare.receive}
        runs[FLOOR] = python("send(i, d); receive(i)", i=queue.id, d=data, **names)
    return runs


def raised(stack: Stack, limit: str, least: int) -> None:
    """Raises a limit of this IPC namespace, until the end."""
    file = LIMITS / limit
    before = file.read_text()
    if int(before) < least:
        file.write_text(str(least))
        stack.callback(file.write_text, before)


OF_A_PAIR = (
    "the text is copied behind its type, and out of there into bytes, made and freed as in the "
    "floor; above it is a Message beside them, and what turns a panic into an exception"
)


@work("send + receive 64 B", Goal(calls=10), reason=OF_A_PAIR)
def small(stack: Stack) -> Mapping[str, Run]:
    return both_ways(stack, 64)


@work("send + receive 8 KiB", Goal(calls=22), reason=OF_A_PAIR)
def medium(stack: Stack) -> Mapping[str, Run]:
    return both_ways(stack, 8192)


@work(
    "send + receive 1 MiB",
    Goal(factor=1.25),
    seconds=2,
    reason="msgsnd wants the type in front of the text, so one copy in can't be spared, and the "
    "text passes through four places where C's has two, which fit into the cache",
)
def large(stack: Stack) -> Mapping[str, Run]:
    size = 1 << 20
    raised(stack, "msgmax", size)
    raised(stack, "msgmnb", 2 * size)
    runs = both_ways(stack, size)
    queue = new_queue(stack)
    queue.max_bytes = max(queue.max_bytes, size)
    return {**runs, FLOOR: c("msg_pair_copied", queue.id, size)}


MANY = 100


@work(
    "send_many + receive_many, each",
    Goal(calls=4),
    reason="half of the instructions are CPython's own: a Message and its bytes, made and freed",
)
def many(stack: Stack) -> Mapping[str, Run]:
    queue, size = new_queue(stack), 64
    ours = python(f"q.send_many(d); q.receive_many({MANY})", q=queue, d=[b"x" * size] * MANY)
    send, receive = c("msgsnd_many", queue.id, size), c("msgrcv_many", queue.id, size)
    return {
        OURS: lambda pieces: ours(1) * pieces / MANY,
        C: lambda pieces: (send(MANY) + receive(MANY)) * pieces / MANY,
    }


# So many that what begins and ends the time, some of it Python, counts for nothing.
FILLED = 128


def filled(queue: sysv_ipc_rs.MessageQueue, size: int, receive: Run) -> Run:
    """Times only the receiving of what is sent, untimed, before."""
    send, room = c("msgsnd_many", queue.id, size), queue.max_bytes // size

    def run(pieces: int) -> float:
        spent = 0.0
        for begin in range(0, pieces, room):
            count = min(room, pieces - begin)
            send(count)
            spent += receive(count)
        return spent

    return run


def receiving(stack: Stack, size: int) -> Mapping[str, Run]:
    raised(stack, "msgmnb", FILLED * size)
    queue, buffer = new_queue(stack), bytearray(size)
    queue.max_bytes = max(queue.max_bytes, FILLED * size)
    runs = {
        OURS: filled(queue, size, python("q.receive_into(b)", q=queue, b=buffer)),
        C: filled(queue, size, c("msgrcv_many", queue.id, size)),
    }
    if bare := extension("binding"):
        barest = python("receive(i, b)", receive=bare.receive_into, i=queue.id, b=buffer)
        runs[FLOOR] = filled(queue, size, barest)
    return runs


def peeking(stack: Stack, size: int) -> Mapping[str, Run]:
    queue = new_queue(stack)
    queue.send(b"x" * size)
    runs = {OURS: python("q.peek()", q=queue), C: c("msgrcv_copy", queue.id, size)}
    if bare := extension("binding"):
        runs[FLOOR] = python("peek(i, size)", peek=bare.peek, i=queue.id, size=size)
    return runs


def at_sizes(name: str, make: Callable[..., Mapping[str, Run]], reason: str) -> None:
    for size, text in ((64, "64 B"), (1024, "1 KiB"), (8192, "8 KiB")):
        add = work(f"{name} {text}", Goal(factor=1.3), reason=reason)
        add(functools.partial(make, size=size))


at_sizes(
    "receive_into",
    receiving,
    "the kernel writes the type in front of the text, so a copy into the buffer can't be spared; "
    "the buffer is held meanwhile, and a pair is made",
)
at_sizes("peek", peeking, "a Message is made beside its bytes, and freed")


@work("queue.stat()", Goal(calls=5))
def stat(stack: Stack) -> Mapping[str, Run]:
    queue = new_queue(stack)
    return {OURS: python("q.stat()", q=queue), C: c("msgctl_stat", queue.id)}


@work("listing 32,000 queues, each", Goal(factor=1.5), seconds=2)
def listing(stack: Stack) -> Mapping[str, Run]:
    limits, usage = sysv_ipc_rs.system.limits(), sysv_ipc_rs.system.usage()
    count = limits.msgmni - usage.message_queues
    for _ in range(count):
        new_queue(stack)
    listed = python("for _ in queues(): pass", queues=sysv_ipc_rs.system.message_queues)
    walked = c("msgctl_walk")
    return {
        OURS: lambda pieces: listed(1) * pieces / count,
        C: lambda pieces: walked(1) * pieces / count,
    }
