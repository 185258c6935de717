"""Takes the lock and keeps it until Ctrl-C; start `unlock.py` in another terminal meanwhile.

Ctrl-C ends this process as it ends a C program: at once, without a `finally`. That the lock is
free again is the kernel's doing: SEM_UNDO, which `hold()` and `with` always use.

Prints:
    process PID has the lock: Ctrl-C ends it
"""

import os
import signal

from sysv_ipc_rs import Semaphore

signal.signal(signal.SIGINT, signal.SIG_DFL)
lock = Semaphore.open_or_create(20)
with lock:
    print(f"process {os.getpid()} has the lock: Ctrl-C ends it", flush=True)
    signal.pause()
