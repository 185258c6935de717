"""shmat() with an address, and with SHM_RND, by the C API.

Prints:
    shmat: the address that was asked for: True
    shmat: Invalid argument
    SHM_RND: rounded down to SHMLBA: True
"""

import sys

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    SHM_RND,
    SHMLBA,
    shmat,
    shmctl,
    shmdt,
    shmget,
)

shmid = shmget(IPC_PRIVATE, 5000, IPC_CREAT | 0o600)
try:
    free = shmat(shmid)
    shmdt(free)
    print("shmat: the address that was asked for:", shmat(shmid, free) == free)
    shmdt(free)
    try:
        shmat(shmid, free + 100)
    except OSError as error:
        print(f"shmat: {error.strerror}")
    address = shmat(shmid, free + 100, SHM_RND)
    print("SHM_RND: rounded down to SHMLBA:", address == (free + 100) // SHMLBA * SHMLBA)
    shmdt(address)
finally:
    if "leave" not in sys.argv:
        shmctl(shmid, IPC_RMID)
