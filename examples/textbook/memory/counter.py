"""Two processes count in one segment: with a semaphore, without, and by an atomic addition.

Adding is reading, adding and writing. Without a semaphore both read the same number, and one of
the two additions is lost.

Prints:
    with a semaphore: 40000 of 40000
    without: updates were lost
    atomic: 40000 of 40000
"""

import os
import sys
from collections.abc import Callable

from sysv_ipc_rs import SemaphoreSet, SharedMemory

TIMES = 20_000


def both(count: Callable[[], None]) -> int:
    """What two processes count to."""
    counter.store(0)
    gate.value = 2
    child = os.fork()
    gate.acquire()
    gate.wait_zero()  # both are here
    for _ in range(TIMES):
        count()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return counter.load()


def without() -> None:
    number = counter.load()
    os.sched_yield()
    counter.store(number + 1)


def with_semaphore() -> None:
    with lock:
        without()


def atomically() -> None:
    counter.add(1)


memory = SharedMemory.create(size=8)
semaphores = SemaphoreSet.create(size=2, values=(1, 0))
lock, gate = semaphores
try:
    with memory.attach() as attachment:
        counter = attachment.atomic(0, "i64")
        print(f"with a semaphore: {both(with_semaphore)} of {2 * TIMES}", flush=True)
        lost = both(without) < 2 * TIMES
        print("without:", "updates were lost" if lost else "nothing was lost", flush=True)
        print(f"atomic: {both(atomically)} of {2 * TIMES}")
finally:
    if "leave" not in sys.argv:
        memory.remove()
        semaphores.remove()
