"""fork(), then msgget(20, IPC_CREAT | 0600) in both processes, by the C API.

Prints:
    two ids: ID and ID
"""

import os
import sys

from sysv_ipc_rs.raw import IPC_CREAT, IPC_RMID, msgctl, msgget

reader, writer = os.pipe()
child = os.fork()
msqid = msgget(20, IPC_CREAT | 0o600)
if child == 0:
    os.write(writer, b"%d" % msqid)
    os._exit(0)
try:
    os.waitpid(child, 0)
    print(f"two ids: {msqid} and {int(os.read(reader, 20))}")
finally:
    if "leave" not in sys.argv:
        msgctl(msqid, IPC_RMID)
