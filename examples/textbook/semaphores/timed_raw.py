"""semtimedop(), by the C API; its struct timespec is a number of seconds here.

Prints:
    semtimedop: Resource temporarily unavailable
    the value is still 0
    semtimedop: done
"""

import os
import sys

from sysv_ipc_rs.raw import (
    GETVAL,
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    Sembuf,
    semctl,
    semget,
    semop,
    semtimedop,
)

semid = semget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)
try:
    try:
        semtimedop(semid, [Sembuf(0, -1, 0)], 0.2)
    except BlockingIOError as error:
        print(f"semtimedop: {error.strerror}")
    print(f"the value is still {semctl(semid, 0, GETVAL)}", flush=True)
    if os.fork() == 0:
        semop(semid, [Sembuf(0, 1, 0)])
        os._exit(0)
    semtimedop(semid, [Sembuf(0, -1, 0)], 10)
    print("semtimedop: done")
    os.wait()
finally:
    if "leave" not in sys.argv:
        semctl(semid, 0, IPC_RMID)
