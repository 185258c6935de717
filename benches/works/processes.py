"""Between two processes, and beside busy threads."""

import contextlib
import functools
import multiprocessing
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from typing import Any

import posix_ipc
import sysv_ipc
from _timing import Run, c, extension, python, sustained

from . import FLOOR, OURS, SYSV_IPC, C, Goal, work
from .queues import new_queue
from .semaphores import incumbent as incumbent_semaphore
from .semaphores import new_set

Stack = contextlib.ExitStack
SIZE = 64
ENDLESS = 1 << 60


def child(stack: Stack, body: Callable[[], object]) -> None:
    """Runs `body` in a forked process until the end."""
    pid = os.fork()
    if pid == 0:
        try:
            body()
        finally:
            os._exit(0)

    def end() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    stack.callback(end)


def on_one_core(stack: Stack) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    stack.callback(os.sched_setaffinity, 0, before)


def new_incumbent(stack: Stack) -> sysv_ipc.MessageQueue:
    queue = sysv_ipc.MessageQueue(None, sysv_ipc.IPC_CREX)
    stack.callback(queue.remove)
    return queue


def new_pipe(stack: Stack) -> tuple[Connection, Connection]:
    reader, writer = multiprocessing.Pipe(duplex=False)
    stack.callback(reader.close)
    stack.callback(writer.close)
    return reader, writer


def new_simple(stack: Stack) -> "SimpleQueue[bytes]":
    queue: SimpleQueue[bytes] = multiprocessing.get_context("fork").SimpleQueue()
    stack.callback(queue.close)
    return queue


def new_posix(stack: Stack) -> posix_ipc.MessageQueue:
    queue = posix_ipc.MessageQueue(None, posix_ipc.O_CREX, max_message_size=SIZE)
    stack.callback(queue.close)
    queue.unlink()
    return queue


def new_sockets(stack: Stack) -> tuple[socket.socket, socket.socket]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    stack.callback(one.close)
    stack.callback(other.close)
    return one, other


# How to send `data` and how to receive something, and what makes a channel, which is `q`.
CHANNELS: dict[str, tuple[str, str, Callable[[Stack], Any]]] = {
    OURS: ("q.send(data)", "q.receive()", new_queue),
    SYSV_IPC: ("q.send(data)", "q.receive()", new_incumbent),
    "posix_ipc": ("q.send(data)", "q.receive()", new_posix),
    "SimpleQueue": ("q.put(data)", "q.get()", new_simple),
    "Pipe": ("q[1].send_bytes(data)", "q[0].recv_bytes()", new_pipe),
    "Unix datagram": ("q[1].send(data)", f"q[0].recv({SIZE})", new_sockets),
}


def renamed(statement: str, name: str) -> str:
    """The statement about another channel."""
    return re.sub(r"\bq\b", name, statement)


def channels() -> dict[str, tuple[str, str, Callable[[Stack], Any]]]:
    """What there is to compare, with the barest binding."""
    bare = extension("binding")
    if bare is None:
        return CHANNELS

    def bound(stack: Stack) -> tuple[int, Any]:
        return new_queue(stack).id, bare

    return {**CHANNELS, FLOOR: ("q[1].send(q[0], data)", "q[1].receive(q[0])", bound)}


@work(
    "ping-pong 64 B on one core",
    Goal(factor=1.35),
    seconds=2,
    reason="each side makes one try that can't wait, before it lets other threads run: beside a "
    "busy Python thread that is worth milliseconds; and after each switch of processes the "
    "interpreter's code is cold",
)
def ping_pong(stack: Stack) -> Mapping[str, Run]:
    on_one_core(stack)
    data, runs = b"x" * SIZE, {}
    for name, (send, receive, make) in channels().items():
        there, back = make(stack), make(stack)
        names = {"there": there, "back": back, "data": data}
        echo = python(f"{renamed(receive, 'there')}; {renamed(send, 'back')}", **names)
        child(stack, functools.partial(echo, ENDLESS))
        runs[name] = python(f"{renamed(send, 'there')}; {renamed(receive, 'back')}", **names)
    c_there, c_back = new_queue(stack), new_queue(stack)
    echo = c("msg_echo", c_there.id, c_back.id, SIZE)
    child(stack, lambda: echo(ENDLESS))
    return {**runs, C: c("msg_ping", c_there.id, c_back.id, SIZE)}


def streaming(stack: Stack, receivers: int) -> Mapping[str, Run]:
    """The sender's time a message, while other processes receive, on one core.

    A queue holds 256 such messages, so each batch is bound by both ends.
    """
    on_one_core(stack)
    data, runs = b"x" * SIZE, {}
    for name, (send, receive, make) in channels().items():
        # Only one process at a time may read what comes through a pipe of messages.
        if receivers > 1 and name == "Pipe":
            continue
        channel = make(stack)
        drain = python(receive, q=channel)
        for _ in range(receivers):
            child(stack, functools.partial(drain, ENDLESS))
        runs[name] = long(python(send, q=channel, data=data))
    queue = new_queue(stack)
    drain = c("msgrcv_many", queue.id, SIZE)
    for _ in range(receivers):
        child(stack, functools.partial(drain, ENDLESS))
    return {**runs, C: long(c("msgsnd_many", queue.id, SIZE))}


def long(run: Run) -> Run:
    """Batches of many queues full: what fits into an empty queue is not bound by the other."""
    return lambda pieces: run(20 * pieces) / 20


for number in (1, 2, 4):
    work(
        "stream 64 B, each" if number == 1 else f"stream 64 B to {number} receivers, each",
        *((Goal(factor=1.25),) if number == 1 else ()),
        seconds=3 if number == 1 else 1,
        reason="arguments, and a Message made and freed; who is woken when, the scheduler decides",
    )(functools.partial(streaming, receivers=number))


@contextlib.contextmanager
def busy(threads: int) -> Iterator[None]:
    """So many Python threads that compute."""
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sum(range(100))

    running = [threading.Thread(target=compute, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in running:
            thread.join()


def beside_busy(threads: int) -> None:
    """The same pair of calls quiet and beside busy threads."""

    @work(
        f"acquire + release beside {threads} busy",
        *((Goal("quiet", 3), Goal(SYSV_IPC, 0.02)) if threads == 1 else ()),
        seconds=2,
    )
    def make(stack: Stack) -> Mapping[str, Run]:
        semaphore, theirs = new_set(stack)[0], incumbent_semaphore(stack)
        statement = "s.acquire(); s.release()"
        quiet = python(statement, s=semaphore)

        def beside(run: Run, pieces: int) -> float:
            with busy(threads):
                return run(pieces)

        ours, incumbents = sustained(quiet), sustained(python(statement, s=theirs))
        return {
            OURS: lambda pieces: beside(ours, pieces),
            "quiet": ours,
            C: c("semop_pair", semaphore.id, 0),
            SYSV_IPC: lambda pieces: beside(incumbents, pieces),
        }


for number in (1, 4):
    beside_busy(number)
