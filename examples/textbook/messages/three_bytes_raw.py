"""msgsnd(id, &msg, 3, 0) and msgrcv(id, &msg, 3, 0, 0), by the C API.

In C the 3 counts the text only, not the long of the type before it.

Prints:
    ipcs: 0 bytes, 0 messages
    ipcs: 3 bytes, 1 messages
    received: abc
    ipcs: 0 bytes, 0 messages
"""

import subprocess
import sys

from sysv_ipc_rs.raw import IPC_CREAT, IPC_PRIVATE, IPC_RMID, msgctl, msgget, msgrcv, msgsnd


def ipcs(msqid: int) -> None:
    shown = subprocess.run(["ipcs", "-q"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in shown.splitlines() if line.startswith("0x")]
    (row,) = [row for row in rows if row[1] == str(msqid)]
    print(f"ipcs: {row[4]} bytes, {row[5]} messages")


msqid = msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
try:
    ipcs(msqid)
    msgsnd(msqid, 1, b"abcdefghi"[:3])
    ipcs(msqid)
    mtype, mtext = msgrcv(msqid, 3)
    print("received:", mtext.decode())
    ipcs(msqid)
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
