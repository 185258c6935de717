"""GETNCNT, GETZCNT and GETPID, by the C API.

Prints:
    GETNCNT 2, GETZCNT 1, GETPID PID
"""

import os
import sys
import time
from contextlib import suppress

from sysv_ipc_rs.raw import (
    GETNCNT,
    GETPID,
    GETZCNT,
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    Sembuf,
    semctl,
    semget,
    semop,
)


def start(semid: int, sem_op: int) -> None:
    if os.fork() == 0:
        with suppress(OSError):  # EIDRM, when the set is removed below
            semop(semid, [Sembuf(0, sem_op, 0)])
        os._exit(0)


semid = semget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)
try:
    semop(semid, [Sembuf(0, 1, 0)])
    for sem_op in (-5, -5, 0):
        start(semid, sem_op)
    while semctl(semid, 0, GETNCNT) != 2 or semctl(semid, 0, GETZCNT) != 1:
        time.sleep(0.01)
    print(
        f"GETNCNT {semctl(semid, 0, GETNCNT)}, GETZCNT {semctl(semid, 0, GETZCNT)}, "
        f"GETPID {semctl(semid, 0, GETPID)}",
        flush=True,
    )
finally:
    if "leave" not in sys.argv:
        semctl(semid, 0, IPC_RMID)
        for _ in range(3):
            os.wait()
