"""Not waiting, all types but one, and messages that are too long.

Prints:
    nothing there: None
    all but type 1: Message(type=2, data=b'hello world')
    5 bytes of room: MessageTooBigError, and the message is still there: 1
    5 bytes of room, truncated: Message(type=2, data=b'hello')
    the rest of it is lost: 0
    no room for another: False
"""

import sys

from sysv_ipc_rs import MessageQueue, MessageTooBigError

queue = MessageQueue.create(max_bytes=16)
try:
    print("nothing there:", queue.try_receive())
    queue.send(b"a", 1)
    queue.send(b"hello world", 2)
    print("all but type 1:", queue.receive(1, exclude=True))
    queue.receive()

    queue.send(b"hello world", 2)
    try:
        queue.receive(max_size=5)
    except MessageTooBigError as error:
        print(f"5 bytes of room: {type(error).__name__}, and", end=" ")
        print("the message is still there:", queue.qsize())
    print("5 bytes of room, truncated:", queue.receive(max_size=5, truncate=True))
    print("the rest of it is lost:", queue.qsize())

    queue.send(b"hello world")
    print("no room for another:", queue.try_send(b"hello world"))
finally:
    if "leave" not in sys.argv:
        queue.remove()
