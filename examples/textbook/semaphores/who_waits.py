"""Who waits for a semaphore, and who used it last.

Two children wait for units, one waits for zero; the parent's giving was the last operation.

Prints:
    waiting 2, waiting for zero 1, last process PID
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from sysv_ipc_rs import RemovedError, Semaphore


def start(wait: Callable[[], object]) -> None:
    if os.fork() == 0:
        with suppress(RemovedError):  # how the wait is ended below
            wait()
        os._exit(0)


semaphore = Semaphore.create(value=0)
try:
    semaphore.release()
    start(lambda: semaphore.acquire(5))
    start(lambda: semaphore.acquire(5))
    start(semaphore.wait_zero)
    while (semaphore.waiting, semaphore.waiting_zero) != (2, 1):
        time.sleep(0.01)
    print(
        f"waiting {semaphore.waiting}, waiting for zero {semaphore.waiting_zero}, "
        f"last process {semaphore.last_pid}",
        flush=True,
    )
finally:
    if "leave" not in sys.argv:
        semaphore.remove()
        for _ in range(3):
            os.wait()
