"""ipc(2), the one system call behind them all on some machines: the same queue made through it.

glibc does not declare it, and x86-64 has no such call: there `raw` goes to the separate ones.

Prints:
    ipc(MSGGET): the same id as msgget: True
    ipc(MSGSND), ipc(MSGRCV): (7, b'hello')
    ipc(MSGCTL, IPC_RMID): removed
"""

import sys

from sysv_ipc_rs.raw import IPC_CREAT, IPC_RMID, ipc, msgget

MSGSND, MSGRCV, MSGGET, MSGCTL = 11, 12, 13, 14

msqid = ipc(MSGGET, 20, IPC_CREAT | 0o600, 0, None, 0)
try:
    print("ipc(MSGGET): the same id as msgget:", msgget(20, 0) == msqid)
    ipc(MSGSND, msqid, 5, 0, (7, b"hello"), 0)
    print("ipc(MSGSND), ipc(MSGRCV):", ipc(MSGRCV, msqid, 8192, 0, None, 7))
finally:
    if "leave" not in sys.argv:
        ipc(MSGCTL, msqid, IPC_RMID, 0, None, 0)
        print("ipc(MSGCTL, IPC_RMID): removed")
