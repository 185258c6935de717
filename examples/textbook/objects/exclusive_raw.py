"""msgget(20, IPC_CREAT | IPC_EXCL | 0600) twice, by the C API.

Prints:
    created
    msgget: File exists
"""

import sys

from sysv_ipc_rs.raw import IPC_CREAT, IPC_EXCL, IPC_RMID, msgctl, msgget

msqid = msgget(20, IPC_CREAT | IPC_EXCL | 0o600)
try:
    print("created")
    try:
        msgget(20, IPC_CREAT | IPC_EXCL | 0o600)
    except FileExistsError as error:
        print(f"msgget: {error.strerror}")
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
