"""What lives in a process when it forks, spawns, executes, ends: the parent stays intact."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc

# Each thing sets up something that lives in the process, and tells how to see that it is intact.
THINGS = {
    "guard held": """
guard = semaphore.hold()
def intact():
    assert guard.held and semaphore.value == 0
    guard.release()
    assert semaphore.value == 1
""",
    "with block open": """
block = contextlib.ExitStack()
block.enter_context(semaphore)
def intact():
    assert semaphore.value == 0
    block.close()
    assert semaphore.value == 1
""",
    "attached": """
attachment = memory.attach()
attachment.write(b"mine")
def intact():
    assert attachment.read(4) == b"mine" and memory.stat().attached == 1
    attachment.detach()
    assert memory.stat().attached == 0
""",
    "exported buffer": """
view = memoryview(memory.attach())
view[:4] = b"mine"
def intact():
    assert bytes(view[:4]) == b"mine" and memory.stat().attached == 1
""",
    "readiness open": """
readiness = queue.readiness(5)
def readable(seconds):
    return bool(select.select([readiness], [], [], seconds)[0])
def intact():
    assert not readable(0)
    queue.send(b"x", 5)
    assert readable(10)
    queue.receive(5)
    readiness.clear()
    assert not readable(0)
    readiness.close()
""",
    "thread blocked": """
got = []
thread = threading.Thread(target=lambda: got.append(queue.receive(7).data))
thread.start()
wait_until_blocked(os.getpid(), threads=2)
def intact():
    assert thread.is_alive()
    queue.send(b"for the thread", 7)
    thread.join(10)
    assert got == [b"for the thread"]
""",
    "thread blocked for units": """
guard = semaphore.hold()
thread = threading.Thread(target=lambda: semaphore.acquire(undo=True))
thread.start()
wait_until_blocked(os.getpid(), threads=2)
def intact():
    assert semaphore.waiting == 1 and semaphore.value == 0
    guard.release()
    thread.join(10)
    assert not thread.is_alive() and semaphore.value == 0
""",
    "thread blocked for room, in time": """
queue.max_bytes = 1
queue.send(b"x")
thread = threading.Thread(target=lambda: queue.send(b"y", timeout=100))
thread.start()
wait_until_blocked(os.getpid(), threads=2)
def intact():
    assert thread.is_alive() and queue.receive().data == b"x"
    thread.join(10)
    assert queue.receive().data == b"y"
""",
    "lock of sync held, condition waited for": """
lock, condition = sync.Lock.create(), sync.Condition.create()
lock.acquire()
def wait():
    with condition:
        condition.wait()
thread = threading.Thread(target=wait)
thread.start()
wait_until_blocked(os.getpid(), threads=2)
def intact():
    assert lock.locked() and not lock.owner_died and not lock.acquire(block=False)
    lock.release()
    assert lock.acquire(block=False) and not lock.owner_died
    with condition:
        condition.notify()
    thread.join(10)
    assert not thread.is_alive()
    lock.remove()
    condition.remove()
""",
}

ENDS = {
    "os._exit": ("os._exit(7)", 7),
    "sys.exit": ("sys.exit(7)", 7),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    "exec": ("os.execv('/bin/sh', ['sh', '-c', 'exit 7'])", 7),
    "exception": ("sys.excepthook = lambda *_: None; raise ZeroDivisionError", 1),
}

SCRIPT = """
import contextlib, gc, multiprocessing, os, select, signal, sys, threading
import sysv_ipc_rs as ipc
from sysv_ipc_rs import sync

# The calls that wait, by their numbers on x86_64 and on aarch64.
WAITS = {"65", "220", "69", "70", "193", "192", "189", "188"}

def wait_until_blocked(pid, threads):
    waiting = 0
    while waiting < threads - 1:
        waiting = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/syscall") as file:
                waiting += file.read().split()[0] in WAITS

def nothing():
    pass

def main():
    semaphore = ipc.Semaphore.create()
    queue = ipc.MessageQueue.create()
    memory = ipc.SharedMemory.create(size=5000)
    parent = os.getpid()
    try:
BODY
    finally:
        if os.getpid() == parent:
            for thing in (semaphore, queue, memory):
                thing.remove()

if __name__ == "__main__":
    main()
"""

FORK = """
pid = os.fork()
if not pid:
    gc.collect()
    {end}
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert status == {status}, status
"""

START = """
process = multiprocessing.get_context("{way}").Process(target=nothing)
process.start()
process.join()
assert process.exitcode == 0, process.exitcode
"""


def run(thing: str, child: str, tmp_path: Path) -> tuple[str, str, int]:
    body = f"{THINGS[thing]}\n{child}\nintact()\nprint('intact')"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("BODY", textwrap.indent(body, " " * 8)))
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.stdout, ended.stderr, ended.returncode


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("end", ENDS)
def test_a_forked_childs_end_leaves_the_parent_intact(thing: str, end: str, tmp_path: Path) -> None:
    code, status = ENDS[end]
    child = FORK.format(end=code, status=status)
    assert run(thing, child, tmp_path) == ("intact\n", "", 0)


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("way", ["spawn", "forkserver"])
def test_a_started_process_leaves_the_parent_intact(thing: str, way: str, tmp_path: Path) -> None:
    assert run(thing, START.format(way=way), tmp_path) == ("intact\n", "", 0)


EXIT = """
import gc, os, sys, threading
import sysv_ipc_rs as ipc

semaphore = ipc.Semaphore.create()
queue = ipc.MessageQueue.create()
memory = ipc.SharedMemory.create(size=5000)

class Cycle:
    def __init__(self, *things):
        self.things = things
        self.me = self

def until_removed(call):
    try:
        call()
    except ipc.RemovedError:
        pass

full = ipc.MessageQueue.create(max_bytes=1)
full.send(b"x")
for call in (queue.receive, lambda: queue.receive(timeout=100), lambda: full.send(b"x"),
             lambda: semaphore.wait_zero(), lambda: ipc.Semaphore.from_id(semaphore.id).acquire(9),
             lambda: list(queue.messages())):
    threading.Thread(target=until_removed, args=(call,), daemon=True).start()
guard = semaphore.hold()
attachment = memory.attach()
view = memoryview(attachment)[10:]
word = memory.attach().atomic(0, "u64")
readiness = queue.readiness()
Cycle(semaphore.try_hold(), attachment, view, memoryview(memory.attach()), semaphore.readiness())
module_cycle = Cycle(guard, word, readiness, sys.modules[__name__])
if REMOVED:
    for thing in (memory, queue, full, semaphore):
        thing.remove()
"""


HANDLES: dict[str, Any] = {
    "sem": ipc.SemaphoreSet,
    "msg": ipc.MessageQueue,
    "shm": ipc.SharedMemory,
}


@pytest.mark.parametrize("removed", [False, True])
def test_interpreters_exit_is_clean_whatever_lives(removed: bool) -> None:
    script = EXIT.replace("REMOVED", str(removed))
    for _ in range(int(os.environ.get("INTERPRETER_EXITS", "5"))):
        before = support.objects()
        ended = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", script],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        left = support.objects() - before
        for kind, number in left:
            HANDLES[kind].from_id(number).remove()
        assert (ended.stderr, ended.returncode) == ("", 0)
        assert bool(left) == (not removed)
