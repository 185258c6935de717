"""msgctl(id, IPC_RMID), by the C API. The kernel says EINVAL of an id that is gone.

Prints:
    removed
    msgsnd: Invalid argument
    msgctl: Invalid argument
    msgget: No such file or directory
"""

from collections.abc import Callable

from sysv_ipc_rs.raw import IPC_CREAT, IPC_RMID, msgctl, msgget, msgsnd

msqid = msgget(20, IPC_CREAT | 0o600)
msgsnd(msqid, 1, b"goes with the queue")
msgctl(msqid, IPC_RMID)
print("removed")
calls: dict[str, Callable[[], object]] = {
    "msgsnd": lambda: msgsnd(msqid, 1, b"too late"),
    "msgctl": lambda: msgctl(msqid, IPC_RMID),
    "msgget": lambda: msgget(20, 0),
}
for name, call in calls.items():
    try:
        call()
    except OSError as error:
        print(f"{name}: {error.strerror}")
