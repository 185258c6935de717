"""semop(id, sops, 2), by the C API: an array of two struct sembuf.

Prints:
    semop: Resource temporarily unavailable
    1 0
    semop: done
    0 0
"""

import sys

from sysv_ipc_rs.raw import (
    GETALL,
    IPC_CREAT,
    IPC_NOWAIT,
    IPC_PRIVATE,
    IPC_RMID,
    SETALL,
    Sembuf,
    semctl,
    semget,
    semop,
)

semid = semget(IPC_PRIVATE, 2, IPC_CREAT | 0o600)
try:
    semctl(semid, 0, SETALL, [1, 0])
    sops = [Sembuf(0, -1, IPC_NOWAIT), Sembuf(1, -1, IPC_NOWAIT)]
    try:
        semop(semid, sops)
    except BlockingIOError as error:
        print(f"semop: {error.strerror}")
    print(*semctl(semid, 0, GETALL))
    semop(semid, [Sembuf(1, 1, 0)])
    semop(semid, sops)
    print("semop: done")
    print(*semctl(semid, 0, GETALL))
finally:
    if "leave" not in sys.argv:
        semctl(semid, 0, IPC_RMID)
