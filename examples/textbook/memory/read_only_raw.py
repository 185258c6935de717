"""shmat(id, NULL, SHM_RDONLY), by the C API. The CPU refuses the write: it ends a child here.

Prints:
    read: b'hello'
    write: SIGSEGV
"""

import ctypes
import os
import resource
import signal
import sys

from sysv_ipc_rs.raw import IPC_CREAT, IPC_PRIVATE, IPC_RMID, SHM_RDONLY, shmat, shmctl, shmget

shmid = shmget(IPC_PRIVATE, 100, IPC_CREAT | 0o600)
try:
    ctypes.memmove(shmat(shmid), b"hello", 5)
    theirs = shmat(shmid, 0, SHM_RDONLY)
    print("read:", ctypes.string_at(theirs, 5), flush=True)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.memmove(theirs, b"no", 2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print("write:", signal.Signals(os.WTERMSIG(status)).name)
finally:
    if "leave" not in sys.argv:
        shmctl(shmid, IPC_RMID)
