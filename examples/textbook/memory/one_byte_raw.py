"""shmget(key, 1, ...), shmat(), 1000 letters, shmdt(), shmctl(IPC_RMID), by the C API.

It works, and is wrong: size counts bytes, not pages, and the letters lie in the rest of the page,
which the next kernel or a smaller page may not give. 5000 letters would have been a SIGSEGV, or
somebody else's memory. `raw` hands out the bare address as C does, and what is written there is up
to the caller.

Prints:
    shm_segsz 1
    1000 letters: 1000 came back
    detached
    destroyed
"""

import ctypes
import sys

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_STAT,
    shmat,
    shmctl,
    shmdt,
    shmget,
)

shmid = shmget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)
print(f"shm_segsz {shmctl(shmid, IPC_STAT).shm_segsz}")
address = shmat(shmid)
ctypes.memset(address, ord("a"), 1000)
print("1000 letters:", ctypes.string_at(address, 1000).count(b"a"), "came back")
shmdt(address)
print("detached")
if "leave" not in sys.argv:
    shmctl(shmid, IPC_RMID)
    print("destroyed")
