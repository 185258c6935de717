"""shmctl() with SHM_LOCK and SHM_UNLOCK, by the C API: a bit of the mode tells.

Prints:
    mode 0600
    mode 02600
    mode 0600
"""

import sys

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_STAT,
    SHM_LOCK,
    SHM_UNLOCK,
    shmctl,
    shmget,
)

shmid = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0o600)
try:
    print(f"mode 0{shmctl(shmid, IPC_STAT).shm_perm.mode:o}")
    shmctl(shmid, SHM_LOCK)
    print(f"mode 0{shmctl(shmid, IPC_STAT).shm_perm.mode:o}")
    shmctl(shmid, SHM_UNLOCK)
    print(f"mode 0{shmctl(shmid, IPC_STAT).shm_perm.mode:o}")
finally:
    if "leave" not in sys.argv:
        shmctl(shmid, IPC_RMID)
