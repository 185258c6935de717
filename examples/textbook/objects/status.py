"""What the kernel tells of a queue.

Prints:
    messages in the queue: 2
    bytes allowed: N
    bytes in it: 8
    last sender: PID, last receiver: CHILD
"""

import os
import sys

from sysv_ipc_rs import MessageQueue

queue = MessageQueue.create()
try:
    for text in (b"one", b"two", b"three"):
        queue.send(text)
    if os.fork() == 0:
        queue.receive()
        os._exit(0)
    os.wait()
    stat = queue.stat()
    print(f"messages in the queue: {stat.messages}")
    print(f"bytes allowed: {stat.max_bytes}")
    print(f"bytes in it: {stat.current_bytes}")
    print(f"last sender: {stat.last_send_pid}, last receiver: {stat.last_receive_pid}")
finally:
    if "leave" not in sys.argv:
        queue.remove()
