"""The full example: two processes, each a second in the critical section, one after the other.

Prints:
    process ONE is in
    process ONE goes out
    process TWO is in
    process TWO goes out
    never both: at least 2 seconds
"""

import os
import sys
import time

from sysv_ipc_rs import Semaphore

lock = Semaphore.create()
try:
    started = time.monotonic()
    child = os.fork()
    with lock:
        print(f"process {os.getpid()} is in", flush=True)
        time.sleep(1)
        print(f"process {os.getpid()} goes out", flush=True)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    if time.monotonic() - started >= 2:
        print("never both: at least 2 seconds")
finally:
    if "leave" not in sys.argv:
        lock.remove()
