"""Two processes count in one segment, by the C API: shmat, and semop round the addition, or not.

Prints:
    with a semaphore: 40000 of 40000
    without: updates were lost
"""

import ctypes
import os
import sys

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    SEM_UNDO,
    SETVAL,
    Sembuf,
    semctl,
    semget,
    semop,
    shmat,
    shmctl,
    shmget,
)

TIMES = 20_000
TAKE = [Sembuf(0, -1, SEM_UNDO)]
GIVE = [Sembuf(0, 1, SEM_UNDO)]


def both(take: list[Sembuf], give: list[Sembuf]) -> int:
    """What two processes count to."""
    counter.value = 0
    semctl(semid, 1, SETVAL, 2)
    child = os.fork()
    semop(semid, [Sembuf(1, -1, 0)])
    semop(semid, [Sembuf(1, 0, 0)])  # both are here
    for _ in range(TIMES):
        if take:
            semop(semid, take)
        number = counter.value
        os.sched_yield()
        counter.value = number + 1
        if give:
            semop(semid, give)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return counter.value


semid = semget(IPC_PRIVATE, 2, IPC_CREAT | 0o600)
shmid = shmget(IPC_PRIVATE, ctypes.sizeof(ctypes.c_long), IPC_CREAT | 0o600)
try:
    semctl(semid, 0, SETVAL, 1)
    counter = ctypes.c_long.from_address(shmat(shmid))
    print(f"with a semaphore: {both(TAKE, GIVE)} of {2 * TIMES}", flush=True)
    print("without:", "updates were lost" if both([], []) < 2 * TIMES else "nothing was lost")
finally:
    if "leave" not in sys.argv:
        shmctl(shmid, IPC_RMID)
        semctl(semid, 0, IPC_RMID)
