"""`sysv-ipc receive`, interrupted again and again."""

from __future__ import annotations

import base64
import json
import random
import signal
import subprocess
import sys
from collections import Counter

import sysv_ipc_rs as ipc
from run import Law
from support import Child

COMMAND = [sys.executable, "-m", "sysv_ipc_rs", "receive", "--follow", "--json", "-q"]
ROOM = 100
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def law_an_interrupted_receive_loses_no_message(scale: float) -> Law:
    runs = max(5, int(300 * scale))
    queue = ipc.MessageQueue.create()
    end = ipc.Semaphore.create(value=0)

    def send() -> int:
        number = 0
        while not end.value:
            # With room for what goes back: a full queue would have that wait for ever.
            if queue.qsize() < ROOM:
                number += queue.try_send(b"%d" % number, number % 7 + 1)
        return number

    sender = Child(send)
    seen: Counter[int] = Counter()
    ends: Counter[int] = Counter()
    for _ in range(runs):
        with subprocess.Popen([*COMMAND, str(queue.id)], stdout=subprocess.PIPE) as process:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(random.randrange(1, 300))]
            process.send_signal(random.choice(SIGNALS))
            lines += process.stdout.readlines()
        ends[process.returncode] += 1
        seen.update(int(base64.b64decode(json.loads(line)["data"])) for line in lines)
    end.release()
    sent = sender.result()
    assert isinstance(sent, int)
    seen.update(int(message.data) for message in queue.messages(timeout=0))
    queue.remove()
    end.remove()
    lost = sent - len(seen)
    account: dict[str, object] = {
        "sent": sent,
        "lost": lost,
        "seen twice": seen.total() - len(seen),
        **{f"ended with {status}": count for status, count in ends.items()},
    }
    good = {130, -signal.SIGTERM, -signal.SIGHUP}
    return Law(
        "receive neither loses nor doubles a message when a signal ends it",
        f"{runs} runs ended by a signal in the middle of thousands of messages",
        account,
        lost == 0 and len(seen) == seen.total() and set(ends) <= good,
    )
