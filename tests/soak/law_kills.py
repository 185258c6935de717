"""kill -9 at any moment: holders, receivers, senders, attachers."""

from __future__ import annotations

import os
import random
import signal
import struct
import time
from collections.abc import Callable
from contextlib import suppress

import sysv_ipc_rs as ipc
from run import Law
from support import Child, wait_for

FRAME = struct.Struct("<IIQ")  # sender, number, a check of both
PROCESSES = 4


def loop(function: Callable[[], object]) -> Child:
    """A process that does it again and again until it is killed."""

    def forever() -> None:
        with suppress(ipc.RemovedError):
            while True:
                function()

    return Child(forever)


def law_holders_are_killed(scale: float) -> Law:
    kills = max(20, int(5000 * scale))
    chance = random.Random(1)
    lock, inside = ipc.Semaphore.create(), ipc.Semaphore.create(value=0)
    memory = ipc.SharedMemory.create(size=16)
    table = memory.attach()

    def hold() -> None:
        with lock:
            # Both are undone together: whoever finds another inside has broken in.
            inside.release(undo=True)
            if inside.value != 1:
                table[0] = 1
            table[1] = 1
            for _ in range(20):
                os.getpid()
            table[1] = 0
            inside.acquire(undo=True)

    workers = [loop(hold) for _ in range(PROCESSES)]
    slowest, killed_inside = 0.0, 0
    for _ in range(kills):
        victim = chance.randrange(PROCESSES)
        # Half of the victims are caught while somebody is inside.
        if chance.random() < 0.5:
            while not table[1]:
                pass
        killed_inside += table[1]
        workers[victim].kill()
        started = time.monotonic()
        with lock.hold(timeout=10):
            slowest = max(slowest, time.monotonic() - started)
        workers[victim].join()
        workers[victim] = loop(hold)
    for worker in workers:
        worker.kill()
        worker.join()
    wait_for(lambda: lock.value == 1)
    account: dict[str, object] = {
        "kills": kills,
        "while one was inside": killed_inside,
        "two inside": table[0],
        "slowest take after a kill (s)": round(slowest, 4),
        "units at the end": lock.value,
    }
    holds = not table[0] and slowest < 1 and lock.value == 1 and inside.value == 0
    for thing in (lock, inside, memory):
        thing.remove()
    return Law(
        "a killed holder's lock is free within a second, and never two are inside",
        f"{kills} kills of {PROCESSES} holders",
        account,
        holds,
    )


def law_receivers_are_killed(scale: float) -> Law:
    kills = max(10, int(1000 * scale))
    per_kill = 100
    chance = random.Random(2)
    queue = ipc.MessageQueue.create()
    memory = ipc.SharedMemory.create(size=8 * kills * per_kill)
    table = memory.attach()

    def receive() -> None:
        (number,) = struct.unpack("<I", queue.receive().data)
        table.atomic(8 * number, "u64").add(1)

    workers = [loop(receive) for _ in range(PROCESSES)]
    sent = 0
    for _ in range(kills):
        for _ in range(per_kill):
            queue.send(struct.pack("<I", sent))
            sent += 1
        victim = chance.randrange(PROCESSES)
        workers[victim].kill()
        workers[victim].join()
        workers[victim] = loop(receive)
    wait_for(lambda: queue.qsize() == 0)
    wait_for(lambda: all(worker_waits(worker.pid) for worker in workers))
    for worker in workers:
        worker.kill()
        worker.join()
    counts = memoryview(table).cast("Q")
    lost = sum(count == 0 for count in counts)
    doubled = sum(count > 1 for count in counts)
    account: dict[str, object] = {"sent": sent, "kills": kills, "lost": lost, "doubled": doubled}
    queue.remove()
    memory.remove()
    return Law(
        "a killed receiver loses at most the message it had taken, and none comes twice",
        f"{sent} messages to {PROCESSES} receivers",
        account,
        lost <= kills and doubled == 0,
    )


def worker_waits(pid: int) -> bool:
    with open(f"/proc/{pid}/syscall") as file:
        return file.read().split()[0] == "70"  # msgrcv


def law_senders_are_killed(scale: float) -> Law:
    kills = max(10, int(1000 * scale))
    chance = random.Random(3)
    queue = ipc.MessageQueue.create()

    def sender(name: int) -> Child:
        state = {"number": 0}

        def send() -> None:
            number = state["number"]
            queue.send(FRAME.pack(name, number, name * 31 + number))
            state["number"] = number + 1

        return loop(send)

    names = iter(range(kills + PROCESSES))
    senders = [sender(next(names)) for _ in range(PROCESSES)]
    following: dict[int, int] = {}
    torn = gaps = received = 0

    def take() -> None:
        nonlocal torn, gaps, received
        for message in queue.receive_many(1000, timeout=10):
            received += 1
            name, number, check = FRAME.unpack(message.data)
            torn += check != name * 31 + number
            gaps += number != following.get(name, 0)
            following[name] = number + 1

    for _ in range(kills):
        take()
        victim = chance.randrange(PROCESSES)
        senders[victim].kill()
        senders[victim].join()
        senders[victim] = sender(next(names))
    for child in senders:
        child.kill()
        child.join()
    while queue.qsize():
        take()
    queue.remove()
    account: dict[str, object] = {"received": received, "kills": kills, "torn": torn, "gaps": gaps}
    return Law(
        "a killed sender's messages are whole and without gaps",
        f"{kills} kills of {PROCESSES} senders",
        account,
        torn == 0 and gaps == 0,
    )


def law_attachers_are_killed(scale: float) -> Law:
    kills = max(10, int(1000 * scale))
    memory = ipc.SharedMemory.create(size=100_000)

    def attach() -> None:
        with memory.attach() as attachment:
            view = memoryview(attachment)
            memory.attach(readonly=True).read(100)
            view[:10] = bytes(10)

    children = [loop(attach) for _ in range(PROCESSES)]
    for number in range(kills):
        victim = number % PROCESSES
        # Only one that is at work is worth a kill.
        wait_for(lambda: memory.stat().attached > 0)
        children[victim].kill(signal.SIGKILL)
        children[victim].join()
        children[victim] = loop(attach)
    for child in children:
        child.kill()
        child.join()
    left = memory.stat().attached
    memory.remove()
    return Law(
        "a killed process leaves no attachment behind",
        f"{kills} kills of {PROCESSES} attachers",
        {"kills": kills, "attached at the end": left},
        left == 0,
    )
