"""A private queue that everybody may read and write.

The mode is the one that was given: the umask, which takes bits from the modes of files, plays no
part in System V IPC. Say 0o600 unless strangers are welcome.

Prints:
    umask 077, key 0, id ID, mode 666
"""

import os
import sys

from sysv_ipc_rs import MessageQueue

os.umask(0o077)
queue = MessageQueue.create(mode=0o666)
try:
    print(f"umask 077, key {queue.key}, id {queue.id}, mode {queue.stat().mode:o}")
finally:
    if "leave" not in sys.argv:
        queue.remove()
