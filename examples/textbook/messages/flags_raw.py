"""IPC_NOWAIT, MSG_EXCEPT and MSG_NOERROR, by the C API. The last two belong to receiving.

Prints:
    IPC_NOWAIT: No message of desired type
    MSG_EXCEPT of 1: (2, b'hello world')
    5 bytes of room: Argument list too long
    MSG_NOERROR: (2, b'hello')
    IPC_NOWAIT of a send: Resource temporarily unavailable
"""

import sys
from collections.abc import Callable

from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_NOWAIT,
    IPC_PRIVATE,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MSG_EXCEPT,
    MSG_NOERROR,
    msgctl,
    msgget,
    msgrcv,
    msgsnd,
)


def perror(name: str, call: Callable[[], object]) -> None:
    try:
        call()
    except OSError as error:
        print(f"{name}: {error.strerror}")


msqid = msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
try:
    msgctl(msqid, IPC_SET, msgctl(msqid, IPC_STAT)._replace(msg_qbytes=16))
    perror("IPC_NOWAIT", lambda: msgrcv(msqid, 16, 0, IPC_NOWAIT))
    msgsnd(msqid, 1, b"a")
    msgsnd(msqid, 2, b"hello world")
    print("MSG_EXCEPT of 1:", msgrcv(msqid, 16, 1, MSG_EXCEPT))
    msgrcv(msqid, 16)

    msgsnd(msqid, 2, b"hello world")
    perror("5 bytes of room", lambda: msgrcv(msqid, 5))
    print("MSG_NOERROR:", msgrcv(msqid, 5, 0, MSG_NOERROR))

    msgsnd(msqid, 1, b"hello world")
    perror("IPC_NOWAIT of a send", lambda: msgsnd(msqid, 1, b"hello world", IPC_NOWAIT))
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
