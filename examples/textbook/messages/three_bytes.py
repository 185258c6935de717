"""3 bytes of `abcdefghi` are sent and received; `ipcs` looks before, between and after.

Prints:
    ipcs: 0 bytes, 0 messages
    ipcs: 3 bytes, 1 messages
    received: abc
    ipcs: 0 bytes, 0 messages
"""

import subprocess
import sys

from sysv_ipc_rs import MessageQueue


def ipcs(msqid: int) -> None:
    shown = subprocess.run(["ipcs", "-q"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in shown.splitlines() if line.startswith("0x")]
    (row,) = [row for row in rows if row[1] == str(msqid)]
    print(f"ipcs: {row[4]} bytes, {row[5]} messages")


queue = MessageQueue.create()
try:
    ipcs(queue.id)
    queue.send(b"abcdefghi"[:3])
    ipcs(queue.id)
    print("received:", queue.receive().data.decode())
    ipcs(queue.id)
finally:
    if "leave" not in sys.argv:
        queue.remove()
