"""Who may do what, tried as another user, by the C API: EACCES is the mode's, EPERM the owner's no.

Prints:
    0600: IPC_STAT EACCES, msgsnd EACCES, msgrcv EACCES, IPC_RMID EPERM
    0604: IPC_STAT ok, msgsnd EACCES, msgrcv ok, IPC_RMID EPERM
    0602: IPC_STAT EACCES, msgsnd ok, msgrcv EACCES, IPC_RMID EPERM
    0606: IPC_STAT ok, msgsnd ok, msgrcv ok, IPC_RMID EPERM
"""

import errno
import os
import sys
from collections.abc import Callable

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_NOWAIT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_STAT,
    msgctl,
    msgget,
    msgrcv,
    msgsnd,
)


def tried(msqid: int) -> str:
    calls: dict[str, Callable[[], object]] = {
        "IPC_STAT": lambda: msgctl(msqid, IPC_STAT),
        "msgsnd": lambda: msgsnd(msqid, 1, b"from a stranger"),
        "msgrcv": lambda: msgrcv(msqid, 8192, 0, IPC_NOWAIT),
        "IPC_RMID": lambda: msgctl(msqid, IPC_RMID),
    }
    answers = []
    for name, call in calls.items():
        try:
            call()
            answers.append(f"{name} ok")
        except OSError as error:
            answers.append(f"{name} {errno.errorcode[error.errno or 0]}")
    return ", ".join(answers)


if os.geteuid() != 0:
    sys.exit("needs root, who becomes another user")
for mode in (0o600, 0o604, 0o602, 0o606):
    msqid = msgget(IPC_PRIVATE, IPC_CREAT | mode)
    try:
        msgsnd(msqid, 1, b"from the owner")
        if os.fork() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            print(f"0{mode:o}: {tried(msqid)}", flush=True)
            os._exit(0)
        os.wait()
    finally:
        if "leave" not in sys.argv:
            msgctl(msqid, IPC_RMID)
