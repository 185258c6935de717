"""A private queue without permission bits: it is there, and its own maker may not use it.

IPC_PRIVATE makes a new object each time, and one without a key (0): only its id leads to it. Who
may use an object is decided by its mode, who may change and remove it by its owner. So the maker,
who may not send, may allow it to itself. Root may do everything, and is somebody else here for
that reason.

Prints:
    key 0, id ID
    send: AccessDeniedError
    after chmod(0o600): sent
"""

import os
import sys

from sysv_ipc_rs import AccessDeniedError, MessageQueue

if os.geteuid() == 0:
    os.setuid(65534)
queue = MessageQueue.create(mode=0)
try:
    print(f"key {queue.key}, id {queue.id}")
    try:
        queue.send(b"hello")
    except AccessDeniedError as error:
        print(f"send: {type(error).__name__}")
    queue.chmod(0o600)
    queue.send(b"hello")
    print("after chmod(0o600): sent")
finally:
    if "leave" not in sys.argv:
        queue.remove()
