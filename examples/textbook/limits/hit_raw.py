"""Every limit is hit on purpose, by the C API: the errno alone does not tell which it was.

Prints:
    SEMMSL: EINVAL
    SEMMNS: ENOSPC
    SEMOPM: E2BIG
    SEMMNI: ENOSPC
    MSGMNI: ENOSPC
    MSGMAX: EINVAL
    MSGMNB: EAGAIN
    SHMMAX: EINVAL
    SHMMIN: EINVAL
    SHMALL: ENOSPC
    SHMMNI: ENOSPC
"""

import ctypes
import errno
import mmap
import sys
from collections.abc import Callable
from pathlib import Path

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_NOWAIT,
    IPC_PRIVATE,
    msgget,
    msgsnd,
    semget,
    semop,
    shmget,
)

CLONE_NEWIPC = 0x08000000
NEW = IPC_CREAT | 0o600


def hit(name: str, call: Callable[[], object]) -> None:
    try:
        call()
        print(f"{name}: nothing was hit")
    except OSError as error:
        print(f"{name}: {errno.errorcode[error.errno or 0]}")


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

hit("SEMMSL", lambda: semget(IPC_PRIVATE, 11, NEW))
semget(IPC_PRIVATE, 10, NEW)
semid = semget(IPC_PRIVATE, 10, NEW)
hit("SEMMNS", lambda: semget(IPC_PRIVATE, 6, NEW))
hit("SEMOPM", lambda: semop(semid, [(0, 1, 0)] * 5))
semget(IPC_PRIVATE, 1, NEW)
hit("SEMMNI", lambda: semget(IPC_PRIVATE, 1, NEW))

msqid = msgget(IPC_PRIVATE, NEW)
hit("MSGMNI", lambda: msgget(IPC_PRIVATE, NEW))
hit("MSGMAX", lambda: msgsnd(msqid, 1, bytes(101)))
msgsnd(msqid, 1, bytes(100))
hit("MSGMNB", lambda: msgsnd(msqid, 1, bytes(100), IPC_NOWAIT))

hit("SHMMAX", lambda: shmget(IPC_PRIVATE, 65537, NEW))
hit("SHMMIN", lambda: shmget(IPC_PRIVATE, 0, NEW))
shmget(IPC_PRIVATE, 10 * pages, NEW)
hit("SHMALL", lambda: shmget(IPC_PRIVATE, 11 * pages, NEW))
shmget(IPC_PRIVATE, 1, NEW)
hit("SHMMNI", lambda: shmget(IPC_PRIVATE, 1, NEW))
# All of it goes with the namespace, when this process ends.
