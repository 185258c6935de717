"""Python code that calls us from inside our calls, again and again, ends in `RecursionError`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import support
import sysv_ipc_rs as ipc

# What each call is given runs the same call again: one level of Python for each of ours.
ARGUMENTS = {
    "send": ("__index__", "queue.send(b'', self)"),
    "send of a buffer": ("__buffer__", "queue.send(self)"),
    "try_send": ("__index__", "queue.try_send(b'', self)"),
    "send_many": ("__iter__", "queue.send_many(self)"),
    "receive": ("__index__", "queue.receive(self, timeout=0)"),
    "try_receive": ("__index__", "queue.try_receive(self)"),
    "receive_into": ("__index__", "queue.receive_into(bytearray(9), self, timeout=0)"),
    "receive_into a buffer": ("__buffer__", "queue.receive_into(self, timeout=0)"),
    "receive_many": ("__index__", "queue.receive_many(self, timeout=0)"),
    "peek": ("__index__", "queue.peek(self)"),
    "raw.msgsnd": ("__index__", "raw.msgsnd(queue.id, self, b'', raw.IPC_NOWAIT)"),
    "raw.msgrcv": ("__index__", "raw.msgrcv(queue.id, self, 0, raw.IPC_NOWAIT)"),
    "send of compat": ("__index__", "old.send(b'', False, self)"),
    "receive of compat": ("__index__", "old.receive(False, self)"),
    "SemaphoreSet.create": ("__iter__", "ipc.SemaphoreSet.create(values=self)"),
    "op": ("__iter__", "semaphores.try_op(self)"),
    "values": ("__iter__", "setattr(semaphores, 'values', self)"),
    "Attachment.write": ("__index__", "attachment.write(b'', self)"),
}

SET_UP = """
import signal, sys, threading
import sysv_ipc_rs as ipc
from sysv_ipc_rs import compat, raw

queue = ipc.MessageQueue.from_id(int(sys.argv[1]))
full = ipc.MessageQueue.from_id(int(sys.argv[2]))
empty = ipc.Semaphore.from_id(int(sys.argv[3]))
semaphores, old = empty.semaphore_set, compat.MessageQueue(queue.key)
attachment = ipc.SharedMemory.create(size=10, auto_remove=True).attach()
"""

RECURSION = """
class Evil:
    def METHOD(self, *_):
        CALL

def run():
    try:
        Evil().METHOD()
    except RecursionError:
        print("RecursionError")

run()
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""

WAITS = {
    "receive": "queue.receive()",
    "receive in time": "queue.receive(timeout=1000)",
    "receive_many": "queue.receive_many(3)",
    "next": "next(queue.messages())",
    "send": "full.send(b'')",
    "send_many": "full.send_many([b''])",
    "acquire": "empty.acquire()",
    "hold": "empty.hold()",
    "raw.msgrcv": "raw.msgrcv(queue.id, 10)",
    "receive of compat": "old.receive()",
}

HANDLERS = """
ended = False

def handler(*_):
    # One signal may still be on its way when it is over.
    if not ended:
        CALL

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
try:
    handler()
except RecursionError:
    ended = True
    signal.setitimer(signal.ITIMER_REAL, 0)
    print("RecursionError")
"""


@pytest.fixture
def ids(semaphore: ipc.Semaphore, full: ipc.MessageQueue) -> Iterator[tuple[int, int, int]]:
    queue = ipc.MessageQueue.create(support.free_key())
    semaphore.value = 0
    full.max_bytes = 1
    yield queue.id, full.id, semaphore.id
    queue.remove()


@pytest.mark.parametrize(("method", "call"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_that_make_the_same_call(
    method: str, call: str, ids: tuple[int, int, int]
) -> None:
    if method == "__buffer__" and sys.version_info < (3, 12):
        pytest.skip("CPython asks for __buffer__ since 3.12")
    code = SET_UP + RECURSION.replace("METHOD", method).replace("CALL", call)
    assert support.python_prints(code, *ids) == "RecursionError\n" * 2


@pytest.mark.parametrize("call", WAITS.values(), ids=WAITS)
def test_signal_handlers_that_interrupt_each_others_waits(
    call: str, ids: tuple[int, int, int]
) -> None:
    code = SET_UP + HANDLERS.replace("CALL", call)
    assert support.python_prints(code, *ids) == "RecursionError\n"
