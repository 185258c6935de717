"""A segment of 1 byte, and 1000 letters for it: refused, before any is written.

In C they would fit, by the page's grace: memory is mapped in pages, so that behind the one byte
there are others that belong to nobody, and behind the page there is whatever happens to lie there.

Prints:
    size 1
    1000 letters: ValueError
    one letter: b'a'
    detached
    destroyed
"""

import sys

from sysv_ipc_rs import SharedMemory

memory = SharedMemory.create(size=1)
print(f"size {memory.size}")
attachment = memory.attach()
try:
    attachment.write(b"a" * 1000)
except ValueError as error:
    print(f"1000 letters: {type(error).__name__}")
attachment.write(b"a")
print("one letter:", attachment.read())
attachment.detach()
print("detached")
if "leave" not in sys.argv:
    memory.remove()
    print("destroyed")
