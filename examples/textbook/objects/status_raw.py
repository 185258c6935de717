"""msgctl(id, IPC_STAT, &buf), by the C API. The struct msqid_ds is what comes back.

Prints:
    msg_qnum 2
    msg_qbytes N
    msg_cbytes 8
    msg_lspid PID, msg_lrpid CHILD
"""

import os
import sys

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_STAT,
    msgctl,
    msgget,
    msgrcv,
    msgsnd,
)

msqid = msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
try:
    for text in (b"one", b"two", b"three"):
        msgsnd(msqid, 1, text)
    if os.fork() == 0:
        msgrcv(msqid, 8192)
        os._exit(0)
    os.wait()
    buf = msgctl(msqid, IPC_STAT)
    print(f"msg_qnum {buf.msg_qnum}")
    print(f"msg_qbytes {buf.msg_qbytes}")
    print(f"msg_cbytes {buf.msg_cbytes}")
    print(f"msg_lspid {buf.msg_lspid}, msg_lrpid {buf.msg_lrpid}")
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
