"""semop() with SEM_UNDO, by the C API; start `unlock_raw.py` in another terminal meanwhile.

The classics create the set, then SETVAL it to 1, and a second program that comes in between finds
0, or has its own lock taken away by the SETVAL. Here the first semop, +1, makes it usable, and
whoever finds the set waits until that was (`sem_otime`, which is 0 until then).

Prints:
    process PID has the lock: Ctrl-C ends it
"""

import os
import signal
import time

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_EXCL,
    IPC_STAT,
    SEM_UNDO,
    Sembuf,
    semctl,
    semget,
    semop,
)

signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    semid = semget(20, 1, IPC_CREAT | IPC_EXCL | 0o600)
    semop(semid, [Sembuf(0, 1, 0)])
except FileExistsError:
    semid = semget(20, 1, 0)
    while semctl(semid, 0, IPC_STAT).sem_otime == 0:
        time.sleep(0.01)
semop(semid, [Sembuf(0, -1, SEM_UNDO)])
print(f"process {os.getpid()} has the lock: Ctrl-C ends it", flush=True)
signal.pause()
