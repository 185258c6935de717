"""IPC_STAT, a changed `struct ipc_perm`, IPC_SET, by the C API.

IPC_SET takes uid, gid and mode; cuid and cgid are read and not written, whatever they say.

Prints:
    uid 0 gid 0 cuid 0 cgid 0 mode 600
    uid 65534 gid 65534 cuid 0 cgid 0 mode 640
"""

import sys

from sysv_ipc_rs.raw import IPC_CREAT, IPC_PRIVATE, IPC_RMID, IPC_SET, IPC_STAT, msgctl, msgget

msqid = msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
try:
    buf = msgctl(msqid, IPC_STAT)
    perm = buf.msg_perm
    print(f"uid {perm.uid} gid {perm.gid} cuid {perm.cuid} cgid {perm.cgid} mode {perm.mode:o}")

    perm = perm._replace(uid=65534, gid=65534, cuid=1, cgid=1, mode=0o640)
    msgctl(msqid, IPC_SET, buf._replace(msg_perm=perm))

    perm = msgctl(msqid, IPC_STAT).msg_perm
    print(f"uid {perm.uid} gid {perm.gid} cuid {perm.cuid} cgid {perm.cgid} mode {perm.mode:o}")
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
