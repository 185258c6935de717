"""semget(IPC_PRIVATE, 5, IPC_CREAT | 0600) and semctl(id, 0, IPC_RMID), by the C API.

The semaphore number means nothing to IPC_RMID: not the first, but the whole set is removed. Linux
sets new semaphores to 0; POSIX promises nothing, so portable programs use SETALL before anything
else.

Prints:
    id ID, 5 semaphores: 0 0 0 0 0
    removed
"""

import sys

from sysv_ipc_rs.raw import GETALL, IPC_CREAT, IPC_PRIVATE, IPC_RMID, IPC_STAT, semctl, semget

semid = semget(IPC_PRIVATE, 5, IPC_CREAT | 0o600)
sem_nsems = semctl(semid, 0, IPC_STAT).sem_nsems
print(f"id {semid}, {sem_nsems} semaphores:", *semctl(semid, 0, GETALL))
if "leave" not in sys.argv:
    semctl(semid, 0, IPC_RMID)
    print("removed")
