"""A removal wakes all who wait: three receivers, each of which is told that the queue is gone.

Prints:
    3 processes wait
    a waiter was told: RemovedError
    a waiter was told: RemovedError
    a waiter was told: RemovedError
"""

import os
import time

from sysv_ipc_rs import MessageQueue, RemovedError
from sysv_ipc_rs.system import waiting_processes

TOLD = 7

queue = MessageQueue.create()
for _ in range(3):
    if os.fork() == 0:
        try:
            queue.receive()
        except RemovedError:
            os._exit(TOLD)
        os._exit(0)
while len(waiting_processes(queue)) < 3:
    time.sleep(0.01)
print("3 processes wait")
queue.remove()
for _ in range(3):
    told = os.waitstatus_to_exitcode(os.wait()[1]) == TOLD
    print("a waiter was told:", RemovedError.__name__ if told else "nothing")
