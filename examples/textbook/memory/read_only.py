"""A segment attached twice, once to write and once read-only.

Prints:
    read: b'hello'
    write: TypeError
"""

import sys

from sysv_ipc_rs import SharedMemory

memory = SharedMemory.create(size=100)
try:
    with memory.attach() as ours, memory.attach(readonly=True) as theirs:
        ours.write(b"hello")
        print("read:", theirs.read(5))
        try:
            theirs.write(b"no")
        except TypeError as error:
            print(f"write: {type(error).__name__}")
finally:
    if "leave" not in sys.argv:
        memory.remove()
