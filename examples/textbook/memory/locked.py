"""A segment that is kept in memory and never swapped; keys and passwords are a use.

The right to it is CAP_IPC_LOCK, or RLIMIT_MEMLOCK (`ulimit -l`) for so many bytes of one's own.

Prints:
    locked: False
    locked: True
    locked: False
"""

import sys

from sysv_ipc_rs import SharedMemory

memory = SharedMemory.create(size=4096)
try:
    print("locked:", memory.stat().locked)
    memory.lock_memory()
    print("locked:", memory.stat().locked)
    memory.unlock_memory()
    print("locked:", memory.stat().locked)
finally:
    if "leave" not in sys.argv:
        memory.remove()
