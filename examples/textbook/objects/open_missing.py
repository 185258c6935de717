"""Key 20 is opened, and nothing has it.

Prints:
    NotFoundError, errno ENOENT: No such file or directory
"""

import errno
import os

from sysv_ipc_rs import MessageQueue, NotFoundError

try:
    MessageQueue.open(20)
except NotFoundError as error:
    name = errno.errorcode[error.errno or 0]
    print(f"{type(error).__name__}, errno {name}: {os.strerror(error.errno or 0)}")
