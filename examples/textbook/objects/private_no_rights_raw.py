"""msgget(IPC_PRIVATE, IPC_CREAT) without permission bits, by the C API.

The classic stops at the id. That such a queue is of no use to anybody but root shows in the send.

Prints:
    key 0, id ID
    msgsnd: Permission denied
    after IPC_SET of 0600: sent
"""

import os
import sys

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_SET,
    MSG_STAT_ANY,
    msgctl,
    msgget,
    msgsnd,
)

if os.geteuid() == 0:
    os.setuid(65534)
msqid = msgget(IPC_PRIVATE, IPC_CREAT)
try:
    print(f"key {IPC_PRIVATE}, id {msqid}")
    try:
        msgsnd(msqid, 1, b"hello")
    except PermissionError as error:
        print(f"msgsnd: {error.strerror}")
    # IPC_STAT needs the right to read; MSG_STAT_ANY does not, and wants the index within the id.
    _, buf = msgctl(msqid % 32768, MSG_STAT_ANY)
    msgctl(msqid, IPC_SET, buf._replace(msg_perm=buf.msg_perm._replace(mode=0o600)))
    msgsnd(msqid, 1, b"hello")
    print("after IPC_SET of 0600: sent")
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
