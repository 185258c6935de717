"""The full example by the C API: semget, SETVAL, fork, and semop round the critical section.

Prints:
    process ONE is in
    process ONE goes out
    process TWO is in
    process TWO goes out
    never both: at least 2 seconds
"""

import os
import sys
import time

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    SEM_UNDO,
    SETVAL,
    Sembuf,
    semctl,
    semget,
    semop,
)

semid = semget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)
try:
    semctl(semid, 0, SETVAL, 1)
    started = time.monotonic()
    child = os.fork()
    semop(semid, [Sembuf(0, -1, SEM_UNDO)])
    print(f"process {os.getpid()} is in", flush=True)
    time.sleep(1)
    print(f"process {os.getpid()} goes out", flush=True)
    semop(semid, [Sembuf(0, 1, SEM_UNDO)])
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    if time.monotonic() - started >= 2:
        print("never both: at least 2 seconds")
finally:
    if "leave" not in sys.argv:
        semctl(semid, 0, IPC_RMID)
