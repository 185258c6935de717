"""A segment at a chosen address, and at one that is rounded down to a page.

Seldom a good idea: other processes have other things there. Offsets work everywhere, pointers
don't.

Prints:
    at the chosen address: True
    100 bytes behind it: IPCError
    100 bytes behind it, rounded: at the chosen address: True
"""

import sys

from sysv_ipc_rs import IPCError, SharedMemory

memory = SharedMemory.create(size=5000)
try:
    with memory.attach() as attachment:
        free = attachment.address
    with memory.attach(address=free) as attachment:
        print("at the chosen address:", attachment.address == free)
    try:
        memory.attach(address=free + 100)
    except IPCError as error:
        print(f"100 bytes behind it: {type(error).__name__}")
    with memory.attach(address=free + 100, round_address=True) as attachment:
        print("100 bytes behind it, rounded: at the chosen address:", attachment.address == free)
finally:
    if "leave" not in sys.argv:
        memory.remove()
