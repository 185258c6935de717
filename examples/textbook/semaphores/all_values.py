"""All values of a set at once.

Prints:
    0 0 0 0 0
    1 1 2 1 3
    a row of four: ValueError
    1 1 2 1 3
"""

import sys

from sysv_ipc_rs import SemaphoreSet

semaphores = SemaphoreSet.create(size=5)
try:
    print(*semaphores.values)
    semaphores.values = (1, 1, 2, 1, 3)
    print(*semaphores.values)
    try:
        semaphores.values = (9, 9, 9, 9)
    except ValueError as error:
        print(f"a row of four: {type(error).__name__}")
    print(*semaphores.values)
finally:
    if "leave" not in sys.argv:
        semaphores.remove()
