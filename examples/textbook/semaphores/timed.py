"""A wait that ends by itself, and has changed nothing then.

Prints:
    not within 0.2 s: WaitTimeoutError
    the value is still 0
    within 10 s, from a child: True
"""

import os
import sys

from sysv_ipc_rs import Semaphore, WaitTimeoutError

semaphore = Semaphore.create(value=0)
try:
    try:
        semaphore.acquire(timeout=0.2)
    except WaitTimeoutError as error:
        print(f"not within 0.2 s: {type(error).__name__}")
    print(f"the value is still {semaphore.value}", flush=True)
    if os.fork() == 0:
        semaphore.release()
        os._exit(0)
    print("within 10 s, from a child:", semaphore.acquire(timeout=10))
    os.wait()
finally:
    if "leave" not in sys.argv:
        semaphore.remove()
