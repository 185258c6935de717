"""Key 20 is created. Whoever knows the key opens the same queue.

Prints:
    key 0x14, id ID
    opened: id ID
"""

import sys

from sysv_ipc_rs import MessageQueue

queue = MessageQueue.create(20)
try:
    print(f"key {queue.key:#x}, id {queue.id}")
    print(f"opened: id {MessageQueue.open(20).id}")
finally:
    if "leave" not in sys.argv:
        queue.remove()
