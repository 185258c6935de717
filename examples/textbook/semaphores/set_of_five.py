"""A set of five semaphores under one id, and its removal, which takes all five.

Prints:
    id ID, 5 semaphores: 0 0 0 0 0
    removed
"""

import sys

from sysv_ipc_rs import SemaphoreSet

semaphores = SemaphoreSet.create(size=5)
values = " ".join(map(str, semaphores.values))
print(f"id {semaphores.id}, {len(semaphores)} semaphores: {values}")
if "leave" not in sys.argv:
    semaphores.remove()
    print("removed")
