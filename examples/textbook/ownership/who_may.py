"""Who may do what, tried as another user: `r` lets receive, `w` lets send.

No mode lets a stranger change the mode or remove the queue, and none keeps it from being listed:
the kernel has a call for that, which `stat` takes where the other is refused. Needs root, who
becomes the other user.

Prints:
    mode 600: stat
    mode 604: stat receive
    mode 602: stat send
    mode 606: stat send receive
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from sysv_ipc_rs import AccessDeniedError, MessageQueue


def tried(queue: MessageQueue) -> str:
    calls: dict[str, Callable[[], object]] = {
        "stat": queue.stat,
        "send": lambda: queue.send(b"from a stranger"),
        "receive": queue.try_receive,
        "chmod": lambda: queue.chmod(0o666),
        "remove": queue.remove,
    }
    allowed = []
    for name, call in calls.items():
        with suppress(AccessDeniedError):
            call()
            allowed.append(name)
    return " ".join(allowed)


if os.geteuid() != 0:
    sys.exit("needs root, who becomes another user")
for mode in (0o600, 0o604, 0o602, 0o606):
    queue = MessageQueue.create(mode=mode)
    try:
        queue.send(b"from the owner")
        if os.fork() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            print(f"mode {mode:o}: {tried(queue)}", flush=True)
            os._exit(0)
        os.wait()
    finally:
        if "leave" not in sys.argv:
            queue.remove()
