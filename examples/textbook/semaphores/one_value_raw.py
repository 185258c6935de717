"""semctl(id, 0, SETVAL, arg) and GETVAL, by the C API.

GETVAL returns the value. Classics read it from `arg.val` afterwards, which GETVAL leaves as it
was.

Prints:
    0
    3
    semctl: Numerical result out of range
"""

import sys

from sysv_ipc_rs.raw import GETVAL, IPC_CREAT, IPC_PRIVATE, IPC_RMID, SETVAL, semctl, semget

semid = semget(IPC_PRIVATE, 1, IPC_CREAT | 0o600)
try:
    print(semctl(semid, 0, GETVAL))
    semctl(semid, 0, SETVAL, 3)
    print(semctl(semid, 0, GETVAL))
    try:
        semctl(semid, 0, SETVAL, 32768)
    except OSError as error:
        print(f"semctl: {error.strerror}")
finally:
    if "leave" not in sys.argv:
        semctl(semid, 0, IPC_RMID)
