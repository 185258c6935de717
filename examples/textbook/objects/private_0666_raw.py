"""msgget(IPC_PRIVATE, IPC_CREAT | 0666), by the C API.

A status call wants a buffer in C, which `raw` brings itself: the struct comes back.

Prints:
    umask 077, key 0, id ID, mode 666
"""

import os
import sys

from sysv_ipc_rs.raw import IPC_CREAT, IPC_PRIVATE, IPC_RMID, IPC_STAT, msgctl, msgget

os.umask(0o077)
msqid = msgget(IPC_PRIVATE, IPC_CREAT | 0o666)
try:
    perm = msgctl(msqid, IPC_STAT).msg_perm
    print(f"umask 077, key {perm.key}, id {msqid}, mode {perm.mode:o}")
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
