"""Several operations at once: all of them or none, in one step that nobody sees the middle of.

Prints:
    1 from the first and 1 from the second: False
    1 0
    after one for the second: True
    0 0
"""

import sys

from sysv_ipc_rs import SemaphoreSet

semaphores = SemaphoreSet.create(size=2, values=(1, 0))
try:
    both = (0, -1), (1, -1)
    print("1 from the first and 1 from the second:", semaphores.try_op(*both))
    print(*semaphores.values)
    semaphores[1].release()
    print("after one for the second:", semaphores.try_op(*both))
    print(*semaphores.values)
finally:
    if "leave" not in sys.argv:
        semaphores.remove()
