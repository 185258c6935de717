"""Messages are neither lost nor doubled, whatever ends a wait; and a wait ends on time."""

from __future__ import annotations

import itertools
import random
import resource
import signal
import statistics
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import sysv_ipc_rs as ipc
from run import Law
from support import Child

NUMBER = struct.Struct("<IQ")  # sender, number
SENDERS = RECEIVERS = 4
END = 1 << 40


def under_signals(function: Callable[[], object]) -> Callable[[], tuple[object, int]]:
    """Call it with a thousand signals a second; how many handlers ran."""

    def call() -> tuple[object, int]:
        ran = itertools.count()
        signal.signal(signal.SIGALRM, lambda *_: next(ran) and None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            return function(), next(ran)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    return call


def send(queue: ipc.MessageQueue, sender: int, count: int) -> None:
    """One at a time, or up to a hundred; the second half of the senders with a time limit."""
    timeout = None if sender < SENDERS // 2 else 60
    chance = random.Random(sender)
    number = 0
    while number < count:
        many = min(count - number, chance.choice((1, 1, 10, 100)))
        messages = [NUMBER.pack(sender, number + index) for index in range(many)]
        if many == 1:
            queue.send(messages[0], 1 + sender, timeout=timeout)
            number += 1
        else:
            number += queue.send_many(messages, 1 + sender, timeout=timeout)


def receive(
    queue: ipc.MessageQueue, receiver: int, table: ipc.SharedMemory, count: int
) -> tuple[int, int]:
    """How many came, and how many behind a later one of the same sender."""
    timeout = None if receiver < RECEIVERS // 2 else 60
    received = disordered = 0
    next_ones = [0] * SENDERS
    with table.attach() as seen:
        while True:
            if receiver % 2:
                messages = [queue.receive(timeout=timeout)]
            else:
                messages = queue.receive_many(20, timeout=timeout)
            for place, message in enumerate(messages):
                if message.type == END:
                    # One end is for each receiver.
                    queue.send_many(messages[place + 1 :])
                    return received, disordered
                sender, number = NUMBER.unpack(message.data)
                seen.atomic(4 * (sender * count + number), "u32").add(1)
                disordered += number < next_ones[sender]
                next_ones[sender] = number + 1
                received += 1


def law_each_message_comes_once_and_in_order(scale: float) -> Law:
    count = max(1000, int(500_000 * scale))
    total = SENDERS * count
    queue = ipc.MessageQueue.create()
    table = ipc.SharedMemory.create(size=4 * total)
    receivers = [
        Child(under_signals(lambda number=number: receive(queue, number, table, count)))  # type: ignore[misc]
        for number in range(RECEIVERS)
    ]
    senders = [
        Child(under_signals(lambda number=number: send(queue, number, count)))  # type: ignore[misc]
        for number in range(SENDERS)
    ]
    handlers = sum(cast("tuple[None, int]", child.result())[1] for child in senders)
    queue.send_many([b""] * RECEIVERS, END)
    received = disordered = 0
    for child in receivers:
        (came, behind), ran = cast("tuple[tuple[int, int], int]", child.result())
        received += came
        disordered += behind
        handlers += ran
    with table.attach(readonly=True) as seen:
        counts = memoryview(seen).cast("I")
        lost, doubled = counts.tolist().count(0), sum(times > 1 for times in counts)
        counts.release()
    left = queue.qsize()
    queue.remove()
    table.remove()
    account: dict[str, object] = {
        "sent": total,
        "received": received,
        "left": left,
        "lost": lost,
        "doubled": doubled,
        "behind a later one": disordered,
        "signal handlers run": handlers,
    }
    return Law(
        "each message comes exactly once, and those of one sender in order",
        f"{total} messages of {SENDERS} senders to {RECEIVERS} receivers, 1000 signals a second "
        "for each of them",
        account,
        received == total and not (left or lost or doubled or disordered),
    )


def law_tiny_timeouts_lose_no_message(scale: float) -> Law:
    count = max(500, int(100_000 * scale))
    queue = ipc.MessageQueue.create(max_bytes=64)

    def tries(seed: int, call: Callable[[float], object], done: Callable[[], bool]) -> int:
        """Again and again with 1 to 100 µs; how often the time was up."""
        chance = random.Random(seed)
        expired = 0
        while not done():
            if chance.random() < 0.02:
                time.sleep(chance.uniform(0, 0.001))
            try:
                call(chance.uniform(1e-6, 100e-6))
            except ipc.WaitTimeoutError:
                expired += 1
        return expired

    def sender(seed: int) -> tuple[int, int]:
        sent = 0

        def once(timeout: float) -> None:
            nonlocal sent
            if seed % 2:
                queue.send(b"12345678", timeout=timeout)
                sent += 1
            else:
                sent += queue.send_many([b"1234", b"5678"], timeout=timeout)

        return tries(seed, once, lambda: sent >= count), sent

    def receiver(seed: int) -> tuple[int, int]:
        received, ended = 0, False
        buffer = bytearray(8)

        def once(timeout: float) -> None:
            nonlocal received, ended
            if seed % 3 == 0:
                mtype, _ = queue.receive_into(buffer, timeout=timeout)
                types = [mtype]
            elif seed % 3 == 1:
                types = [message.type for message in queue.receive_many(1, timeout=timeout)]
            else:
                types = [queue.receive(timeout=timeout).type]
            ended = types == [END]
            received += not ended

        return tries(seed, once, lambda: ended), received

    receivers = [Child(lambda seed=seed: receiver(seed)) for seed in range(RECEIVERS)]  # type: ignore[misc]
    senders = [Child(lambda seed=seed: sender(seed)) for seed in range(SENDERS)]  # type: ignore[misc]
    expired_sends = sent = expired_receives = received = 0
    for child in senders:
        expired, done = cast("tuple[int, int]", child.result())
        expired_sends += expired
        sent += done
    for _ in receivers:
        queue.send(b"", END)
    for child in receivers:
        expired, done = cast("tuple[int, int]", child.result())
        expired_receives += expired
        received += done
    left = queue.qsize()
    with suppress(ipc.RemovedError):
        queue.remove()
    account: dict[str, object] = {
        "sent": sent,
        "received": received,
        "left": left,
        "sends that expired": expired_sends,
        "receives that expired": expired_receives,
    }
    return Law(
        "sent = received + left, however often the time is up",
        f"{SENDERS} senders and {RECEIVERS} receivers with timeouts of 1 to 100 µs",
        account,
        sent == received + left,
    )


def lateness(call: Callable[[float], object], timeout: float) -> float:
    """By how many seconds the call ends after its time."""
    started = time.monotonic()
    with suppress(ipc.WaitTimeoutError):
        call(timeout)
    return time.monotonic() - started - timeout


def law_timed_waits_end_on_time(scale: float) -> Law:
    count = max(200, int(2000 * scale))
    # Few waits may all meet the same moment at which the machine is busy.
    slack = 1 if scale >= 1 else 10
    queue = ipc.MessageQueue.create()
    chance = random.Random(5)
    ours, sleeps = [], []
    for _ in range(count):
        timeout = chance.uniform(0.0001, 0.005)
        ours.append(lateness(lambda limit: queue.receive(timeout=limit), timeout))
        # How late the machine itself is, which may have much else to do.
        sleeps.append(lateness(time.sleep, timeout))
    wait = max(1.0, 10 * scale)
    before = resource.getrusage(resource.RUSAGE_THREAD)
    with suppress(ipc.WaitTimeoutError):
        queue.receive(timeout=wait)
    after = resource.getrusage(resource.RUSAGE_THREAD)
    queue.remove()
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    median, plain = statistics.median(ours), statistics.median(sleeps)
    slow, plain_slow = sorted(ours)[int(count * 0.99)], sorted(sleeps)[int(count * 0.99)]
    account: dict[str, object] = {
        "ended early": sum(late < 0 for late in ours),
        "median lateness (ms)": round(median * 1000, 3),
        "of a sleep": round(plain * 1000, 3),
        "99th percentile (ms)": round(slow * 1000, 3),
        "that of a sleep": round(plain_slow * 1000, 3),
        f"processor time of a wait of {wait:g} s (ms)": round(spent * 1000, 3),
    }
    return Law(
        "a timed receive never ends early, is late by 0.5 ms (median) or 2 ms (99 %) at most, or "
        "no more than twice as much as a plain sleep, and costs no processor time",
        f"{count} waits of 0.1 to 5 ms",
        account,
        min(ours) >= 0
        and median <= slack * max(0.0005, 2 * plain)
        and slow <= slack * max(0.002, 2 * plain_slow)
        and spent < slack * 0.002,
    )
