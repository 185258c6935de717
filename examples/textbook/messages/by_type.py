"""Receiving by type: 0 takes the first, n > 0 the first of type n, n < 0 the lowest type up to -n.

Prints:
    sent: 4 2 3 1 2
    type 2: 2 (the first of them)
    type -3: 1 (the lowest type of 1 to 3)
    type 0: 4 (the first of all)
    type -3: 2 (the lowest that is left)
    type -3: 3
    type -3: None (nothing is left)
"""

import sys

from sysv_ipc_rs import MessageQueue


def receive(type: int) -> int | None:
    message = queue.try_receive(type)
    return message.type if message else None


queue = MessageQueue.create()
try:
    for type in (4, 2, 3, 1, 2):
        queue.send(b"", type)
    print("sent: 4 2 3 1 2")
    print("type 2:", receive(2), "(the first of them)")
    print("type -3:", receive(-3), "(the lowest type of 1 to 3)")
    print("type 0:", receive(0), "(the first of all)")
    print("type -3:", receive(-3), "(the lowest that is left)")
    print("type -3:", receive(-3))
    print("type -3:", receive(-3), "(nothing is left)")
finally:
    if "leave" not in sys.argv:
        queue.remove()
