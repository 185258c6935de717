"""Waits for the lock that `lock_raw.py` holds, by the C API.

Prints:
    process PID waits
    process PID has the lock, and gives it back
"""

import os
import sys

from sysv_ipc_rs.raw import IPC_RMID, SEM_UNDO, Sembuf, semctl, semget, semop

semid = semget(20, 1, 0)
try:
    print(f"process {os.getpid()} waits", flush=True)
    semop(semid, [Sembuf(0, -1, SEM_UNDO)])
    print(f"process {os.getpid()} has the lock, and gives it back")
    semop(semid, [Sembuf(0, 1, SEM_UNDO)])
finally:
    if "leave" not in sys.argv:
        semctl(semid, 0, IPC_RMID)
