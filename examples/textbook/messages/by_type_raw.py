"""The msgtyp of msgrcv(): 0, positive, negative, by the C API.

Prints:
    sent: 4 2 3 1 2
    msgtyp 2: 2
    msgtyp -3: 1
    msgtyp 0: 4
    msgtyp -3: 2
    msgtyp -3: 3
    msgtyp -3: No message of desired type
"""

import sys

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_NOWAIT,
    IPC_PRIVATE,
    IPC_RMID,
    msgctl,
    msgget,
    msgrcv,
    msgsnd,
)

msqid = msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
try:
    for mtype in (4, 2, 3, 1, 2):
        msgsnd(msqid, mtype, b"")
    print("sent: 4 2 3 1 2")
    for msgtyp in (2, -3, 0, -3, -3, -3):
        try:
            mtype, _ = msgrcv(msqid, 0, msgtyp, IPC_NOWAIT)
            print(f"msgtyp {msgtyp}: {mtype}")
        except OSError as error:
            print(f"msgtyp {msgtyp}: {error.strerror}")
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
