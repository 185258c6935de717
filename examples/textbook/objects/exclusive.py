"""`create` refuses a key that is taken, so its caller is sure to have made the object.

Prints:
    created
    again: AlreadyExistsError, errno EEXIST: File exists
"""

import errno
import os
import sys

from sysv_ipc_rs import AlreadyExistsError, MessageQueue

queue = MessageQueue.create(20)
try:
    print("created")
    try:
        MessageQueue.create(20)
    except AlreadyExistsError as error:
        name = errno.errorcode[error.errno or 0]
        print(f"again: {type(error).__name__}, errno {name}: {os.strerror(error.errno or 0)}")
finally:
    if "leave" not in sys.argv:
        queue.remove()
