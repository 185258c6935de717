"""`ipc_perm`: owner, creator and mode, and what `chown` and `chmod` change of them.

The creator is noted once and keeps every right of an owner for ever; the rest may be given away.

Prints:
    uid 0 gid 0 cuid 0 cgid 0 mode 600
    uid 65534 gid 65534 cuid 0 cgid 0 mode 640
"""

import sys

from sysv_ipc_rs import MessageQueue


def show(queue: MessageQueue) -> None:
    stat = queue.stat()
    print(
        f"uid {stat.uid} gid {stat.gid} cuid {stat.cuid} cgid {stat.cgid} mode {stat.mode:o}",
    )


queue = MessageQueue.create(mode=0o600)
try:
    show(queue)
    queue.chown(65534, 65534)
    queue.chmod(0o640)
    show(queue)
finally:
    if "leave" not in sys.argv:
        queue.remove()
