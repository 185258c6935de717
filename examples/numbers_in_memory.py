"""Two processes work on the same numbers, one of them counted atomically."""

import os

from sysv_ipc_rs import SharedMemory

memory = SharedMemory.create(size=8 * 1000)
with memory.attach() as attachment:
    numbers = memoryview(attachment).cast("q")
    if os.fork() == 0:
        numbers[5] = 55
        attachment.atomic(0, "i64").add(1)
        os._exit(0)
    os.wait()
    print(numbers[5], attachment.atomic(0, "i64").add(1))
memory.remove()
