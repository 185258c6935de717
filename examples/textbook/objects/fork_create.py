"""Two processes create the same key: one creates, the other opens, both have the same id.

Prints:
    two ids: ID and ID
"""

import os
import sys

from sysv_ipc_rs import MessageQueue

reader, writer = os.pipe()
child = os.fork()
queue = MessageQueue.open_or_create(20, mode=0o600)
if child == 0:
    os.write(writer, b"%d" % queue.id)
    os._exit(0)
try:
    os.waitpid(child, 0)
    print(f"two ids: {queue.id} and {int(os.read(reader, 20))}")
finally:
    if "leave" not in sys.argv:
        queue.remove()
