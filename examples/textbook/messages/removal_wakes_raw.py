"""msgctl(id, IPC_RMID) while three processes are in msgrcv(), by the C API: each gets EIDRM.

Prints:
    3 processes wait
    msgrcv: Identifier removed
    msgrcv: Identifier removed
    msgrcv: Identifier removed
"""

import os
import time

from sysv_ipc_rs import MessageQueue
from sysv_ipc_rs.raw import IPC_CREAT, IPC_PRIVATE, IPC_RMID, msgctl, msgget, msgrcv
from sysv_ipc_rs.system import waiting_processes

msqid = msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
for _ in range(3):
    if os.fork() == 0:
        try:
            msgrcv(msqid, 8192)
        except OSError as error:
            os._exit(error.errno or 0)
        os._exit(0)
# The kernel does not count who waits for messages, as GETNCNT does: /proc tells that they sleep.
while len(waiting_processes(MessageQueue.from_id(msqid))) < 3:
    time.sleep(0.01)
print("3 processes wait")
msgctl(msqid, IPC_RMID)
for _ in range(3):
    print("msgrcv:", os.strerror(os.waitstatus_to_exitcode(os.wait()[1])))
