"""semctl(id, 0, SETALL, arg) and GETALL, by the C API.

GETALL fills an array of as many `unsigned short` as the set has semaphores, however many the
caller has room for; classics mix it up with GETVAL, which gives one value. `raw` asks for the size
first.

Prints:
    0 0 0 0 0
    1 1 2 1 3
    GETVAL of the third: 2
"""

import sys

from sysv_ipc_rs.raw import (
    GETALL,
    GETVAL,
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    SETALL,
    semctl,
    semget,
)

semid = semget(IPC_PRIVATE, 5, IPC_CREAT | 0o600)
try:
    print(*semctl(semid, 0, GETALL))
    semctl(semid, 0, SETALL, [1, 1, 2, 1, 3])
    print(*semctl(semid, 0, GETALL))
    print("GETVAL of the third:", semctl(semid, 2, GETVAL))
finally:
    if "leave" not in sys.argv:
        semctl(semid, 0, IPC_RMID)
