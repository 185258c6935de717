"""One semaphore's value is set and read.

Prints:
    0
    3
    too much: ValueError
"""

import sys

from sysv_ipc_rs import Semaphore

semaphore = Semaphore.create(value=0)
try:
    print(semaphore.value)
    semaphore.value = 3
    print(semaphore.value)
    try:
        semaphore.value = 32768
    except ValueError as error:
        print(f"too much: {type(error).__name__}")
finally:
    if "leave" not in sys.argv:
        semaphore.remove()
