"""Between two processes, and beside busy threads."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping

import sysv_ipc
import sysv_ipc_rs
from _timing import Run, c, python, sustained

from . import OURS, SYSV_IPC, C, Goal, work
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


def echo_ours(there: sysv_ipc_rs.MessageQueue, back: sysv_ipc_rs.MessageQueue) -> None:
    while True:
        back.send(there.receive().data)


def echo_theirs(there: sysv_ipc.MessageQueue, back: sysv_ipc.MessageQueue) -> None:
    while True:
        back.send(there.receive()[0])


@work("ping-pong 64 B on one core", Goal(factor=1.35), seconds=2)
def ping_pong(stack: Stack) -> Mapping[str, Run]:
    on_one_core(stack)
    data = b"x" * SIZE
    there, back = new_queue(stack), new_queue(stack)
    child(stack, lambda: echo_ours(there, back))
    c_there, c_back = new_queue(stack), new_queue(stack)
    echo = c("msg_echo", c_there.id, c_back.id, SIZE)
    child(stack, lambda: echo(ENDLESS))
    their_there, their_back = new_incumbent(stack), new_incumbent(stack)
    child(stack, lambda: echo_theirs(their_there, their_back))
    statement = "there.send(data); back.receive()"
    return {
        OURS: python(statement, there=there, back=back, data=data),
        C: c("msg_ping", c_there.id, c_back.id, SIZE),
        SYSV_IPC: python(statement, there=their_there, back=their_back, data=data),
    }


def drain(queue: sysv_ipc_rs.MessageQueue) -> None:
    receive = queue.receive
    while True:
        receive()


def drain_theirs(queue: sysv_ipc.MessageQueue) -> None:
    receive = queue.receive
    while True:
        receive()


@work("stream 64 B, each", Goal(factor=1.25), seconds=3)
def stream(stack: Stack) -> Mapping[str, Run]:
    """The sender's time a message, while another process receives, on one core.

    A queue holds 256 such messages, so each batch is bound by both ends.
    """
    on_one_core(stack)
    queue, c_queue, theirs = new_queue(stack), new_queue(stack), new_incumbent(stack)
    child(stack, lambda: drain(queue))
    receive = c("msgrcv_many", c_queue.id, SIZE)
    child(stack, lambda: receive(ENDLESS))
    child(stack, lambda: drain_theirs(theirs))
    data = b"x" * SIZE

    def long(run: Run) -> Run:
        """Batches of many queues full: what fits into an empty queue is not bound by the other."""
        return lambda pieces: run(20 * pieces) / 20

    return {
        OURS: long(python("q.send(d)", q=queue, d=data)),
        C: long(c("msgsnd_many", c_queue.id, SIZE)),
        SYSV_IPC: long(python("q.send(d)", q=theirs, d=data)),
    }


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
