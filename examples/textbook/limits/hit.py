"""Every limit is hit on purpose, in an IPC namespace of our own where they were lowered before.

Each error names the limit, its value and its file. Needs root, for the namespace.

Prints:
    SEMMSL: LimitExceededError, the limit SEMMSL is 10
    SEMMNS: LimitExceededError, the limit SEMMNS is 25
    SEMOPM: LimitExceededError, the limit SEMOPM is 4
    SEMMNI: LimitExceededError, the limit SEMMNI is 3
    MSGMNI: LimitExceededError, the limit MSGMNI is 1
    MSGMAX: MessageTooBigError, the limit MSGMAX is 100
    MSGMNB: WaitTimeoutError
    SHMMAX: LimitExceededError, the limit SHMMAX is 65536
    SHMMIN: ValueError
    SHMALL: LimitExceededError, the limit SHMALL is 20
    SHMMNI: LimitExceededError, the limit SHMMNI is 2
"""

import ctypes
import mmap
import re
import sys
from collections.abc import Callable
from pathlib import Path

from sysv_ipc_rs import MessageQueue, SemaphoreSet, SharedMemory

CLONE_NEWIPC = 0x08000000


def hit(name: str, call: Callable[[], object]) -> None:
    try:
        call()
        print(f"{name}: nothing was hit")
    except (OSError, ValueError) as error:
        named = re.findall(r"the limit \w+ is \d+", str(error))
        print(", ".join([f"{name}: {type(error).__name__}", *named]))


if ctypes.CDLL(None).unshare(CLONE_NEWIPC) != 0:
    sys.exit("needs root, for an IPC namespace of its own")
kernel = Path("/proc/sys/kernel")
(kernel / "sem").write_text("10 25 4 3")  # SEMMSL SEMMNS SEMOPM SEMMNI
for name, value in {
    "msgmni": 1,
    "msgmax": 100,
    "msgmnb": 150,
    "shmall": 20,
    "shmmax": 65536,
    "shmmni": 2,
}.items():
    (kernel / name).write_text(str(value))
pages = mmap.PAGESIZE

hit("SEMMSL", lambda: SemaphoreSet.create(size=11))
SemaphoreSet.create(size=10)
semaphores = SemaphoreSet.create(size=10)
hit("SEMMNS", lambda: SemaphoreSet.create(size=6))
hit("SEMOPM", lambda: semaphores.op(*[(0, 1)] * 5))
SemaphoreSet.create(size=1)
hit("SEMMNI", SemaphoreSet.create)

queue = MessageQueue.create()
hit("MSGMNI", MessageQueue.create)
hit("MSGMAX", lambda: queue.send(bytes(101)))
queue.send(bytes(100))
hit("MSGMNB", lambda: queue.send(bytes(100), timeout=0))

hit("SHMMAX", lambda: SharedMemory.create(size=65537))
hit("SHMMIN", lambda: SharedMemory.create(size=0))
SharedMemory.create(size=10 * pages)
hit("SHMALL", lambda: SharedMemory.create(size=11 * pages))
SharedMemory.create(size=1)
hit("SHMMNI", lambda: SharedMemory.create(size=1))
# All of it goes with the namespace, when this process ends.
