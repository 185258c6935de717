"""shmat() with SHM_REMAP, by the C API: one segment takes another's place at its address.

Linux only, and whatever was mapped there is gone without a word: the classes don't offer it.

Prints:
    before: b'first'
    over it, without SHM_REMAP: Invalid argument
    after: b'second'
    attached: first 0, second 1
"""

import ctypes
import sys

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_STAT,
    SHM_REMAP,
    shmat,
    shmctl,
    shmdt,
    shmget,
)

first, second = (shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0o600) for _ in range(2))
try:
    address = shmat(second)
    ctypes.memmove(address, b"second", 6)
    shmdt(address)

    address = shmat(first)
    ctypes.memmove(address, b"first", 5)
    print("before:", ctypes.string_at(address))
    try:
        shmat(second, address)
    except OSError as error:
        print(f"over it, without SHM_REMAP: {error.strerror}")
    shmat(second, address, SHM_REMAP)
    print("after:", ctypes.string_at(address))
    attached = [shmctl(shmid, IPC_STAT).shm_nattch for shmid in (first, second)]
    print(f"attached: first {attached[0]}, second {attached[1]}")
    shmdt(address)
finally:
    if "leave" not in sys.argv:
        shmctl(first, IPC_RMID)
        shmctl(second, IPC_RMID)
