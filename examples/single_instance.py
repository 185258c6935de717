"""A daemon of which only one instance runs, however the one before it ended.

    python examples/single_instance.py [NAME]

No file with a process id to go stale: the kernel gives the lock back when its holder dies. The next
instance is told that the one before it was killed, so that it can clean up.
"""

from __future__ import annotations

import os
import signal
import sys

from sysv_ipc_rs import SemaphoreSet, key_from_name
from sysv_ipc_rs.sync import Lock


def main() -> int:
    name = sys.argv[1] if len(sys.argv) > 1 else "example/single_instance"
    # A lock that another user has made under this name is refused.
    lock = Lock.open_or_create(key_from_name(name), owner=os.geteuid())
    if not lock.acquire(block=False):
        print(f"already running as process {SemaphoreSet.from_id(lock.id)[0].last_pid}")
        return 1
    before = "was killed" if lock.owner_died else "ended well"
    print(f"running as process {os.getpid()}; the instance before {before}", flush=True)
    # A daemon would work here.
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    lock.release()
    print("ended well")
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    sys.exit(main())
