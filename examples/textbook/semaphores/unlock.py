"""Waits for the lock that `lock.py` holds, and gets it when Ctrl-C has ended that.

Prints:
    process PID waits
    process PID has the lock, and gives it back
"""

import os
import sys

from sysv_ipc_rs import Semaphore

lock = Semaphore.open_or_create(20)
try:
    print(f"process {os.getpid()} waits", flush=True)
    with lock:
        print(f"process {os.getpid()} has the lock, and gives it back")
finally:
    if "leave" not in sys.argv:
        lock.remove()
