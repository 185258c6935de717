"""msgget(20, IPC_CREAT | 0666), by the C API: creates the queue, or opens the one that is there.

Prints:
    key 0x14, id ID
    opened: id ID
"""

import sys

from sysv_ipc_rs.raw import IPC_CREAT, IPC_RMID, msgctl, msgget

msqid = msgget(20, IPC_CREAT | 0o666)
try:
    print(f"key {20:#x}, id {msqid}")
    print(f"opened: id {msgget(20, 0)}")
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
