"""The kernel gives a lock back when its holder is killed."""

import os
import signal

from sysv_ipc_rs import Semaphore, key_from_name

lock = Semaphore.open_or_create(key_from_name("example/guard"))
if os.fork() == 0:
    with lock:
        os.kill(os.getpid(), signal.SIGKILL)
os.wait()
with lock.hold(timeout=1):
    print("the lock is free again")
lock.remove()
