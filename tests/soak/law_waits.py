"""Tokens balance under timeouts and signals; removal tells everybody; waiting costs nothing."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import sysv_ipc_rs as ipc
from run import Law
from support import Child, wait_blocked

TAKERS = 3


def balance(posts: int, take: Callable[[ipc.Semaphore, random.Random], bool]) -> dict[str, int]:
    """Posts tokens while several processes take them; what became of the tokens."""
    tokens, end = ipc.Semaphore.create(value=0), ipc.Semaphore.create(value=1)
    memory = ipc.SharedMemory.create(size=16)
    taken, missed = (memory.attach().atomic(offset, "u64") for offset in (0, 8))

    def taker() -> int:
        handled = itertools.count()
        signal.signal(signal.SIGALRM, lambda *_: next(handled) and None)
        chance = random.Random()
        while not end.try_wait_zero():
            (taken if take(tokens, chance) else missed).add(1)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return next(handled)

    takers = [Child(taker) for _ in range(TAKERS)]
    chance = random.Random(posts)
    for _ in range(posts):
        # So few are there that the takers have to wait.
        while tokens.value > TAKERS:
            os.sched_yield()
        for _ in range(chance.randrange(200)):
            pass
        tokens.release()
    end.acquire()
    handled = sum(int(str(child.result())) for child in takers)
    account = {
        "posted": posts,
        "taken": taken.load(),
        "left": tokens.value,
        "expired": missed.load(),
        "signal handlers run": handled,
    }
    for thing in (tokens, end, memory):
        thing.remove()
    return account


def take_in_time(tokens: ipc.Semaphore, seconds: float) -> bool:
    try:
        return tokens.acquire(timeout=seconds)
    except ipc.WaitTimeoutError:
        return False


def law_tokens_balance_under_tiny_timeouts(scale: float) -> Law:
    posts = max(5000, int(500_000 * scale))
    account = balance(
        posts, lambda tokens, chance: take_in_time(tokens, chance.uniform(1e-6, 100e-6))
    )
    return Law(
        "every token that was posted was taken or is left, whatever wait expires when",
        f"{posts} posts to {TAKERS} processes that wait 1 to 100 microseconds",
        dict(account),
        account["posted"] == account["taken"] + account["left"] and account["expired"] > 0,
    )


def law_tokens_balance_under_signals(scale: float) -> Law:
    posts = max(5000, int(500_000 * scale))

    def take(tokens: ipc.Semaphore, _: random.Random) -> bool:
        if not signal.getitimer(signal.ITIMER_REAL)[1]:
            signal.setitimer(signal.ITIMER_REAL, 300e-6, 300e-6)
        return take_in_time(tokens, 0.2)

    account = balance(posts, take)
    return Law(
        "every token that was posted was taken or is left, under signals in every wait",
        f"{posts} posts to {TAKERS} processes with a signal every 300 microseconds",
        dict(account),
        account["posted"] == account["taken"] + account["left"]
        and account["signal handlers run"] > 0,
    )


WAITS: dict[str, Callable[[ipc.Semaphore, ipc.MessageQueue, ipc.MessageQueue], object]] = {
    "acquire": lambda units, *_: units.acquire(),
    "hold": lambda units, *_: units.hold(timeout=60),
    "with": lambda units, *_: units.__enter__(),
    "op": lambda units, *_: units.semaphore_set.op((0, -1), timeout=60),
    "wait_zero": lambda units, *_: ipc.Semaphore.from_id(units.id, index=1).wait_zero(),
    "send": lambda _, full, __: full.send(b"x"),
    "timed send": lambda _, full, __: full.send(b"x", timeout=60),
    "send_many": lambda _, full, __: full.send_many([b"x"]),
    "receive": lambda *queues: queues[-1].receive(),
    "timed receive": lambda *queues: queues[-1].receive(timeout=60),
    "receive_into": lambda *queues: queues[-1].receive_into(bytearray(9)),
    "receive_many": lambda *queues: queues[-1].receive_many(9, timeout=60),
    "messages": lambda *queues: list(queues[-1].messages()),
}


def law_ctrl_c_ends_every_wait(scale: float) -> Law:
    rounds = max(1, int(20 * scale))
    members = ipc.SemaphoreSet.create(size=2, values=(0, 1))
    full, empty = ipc.MessageQueue.create(max_bytes=1), ipc.MessageQueue.create()
    full.send(b"x")
    slowest, ended = 0.0, 0

    def waiter(name: str) -> float:
        try:
            WAITS[name](members[0], full, empty)
        except KeyboardInterrupt:
            return time.monotonic()
        return float("inf")

    for name in list(WAITS) * rounds:
        child = Child(lambda name=name: waiter(name))  # type: ignore[misc]
        wait_blocked(child.pid)
        interrupted = time.monotonic()
        child.kill(signal.SIGINT)
        late = float(str(child.result())) - interrupted
        slowest = max(slowest, late)
        ended += late < float("inf")
    unchanged = members.values == (0, 1) and full.qsize() == 1 and empty.qsize() == 0
    for thing in (members, full, empty):
        thing.remove()
    # One of few may meet the moment at which the machine is busy.
    limit = 0.2 if scale >= 1 else 2.0
    return Law(
        "SIGINT ends every wait within 0.2 s, with nothing taken and nothing sent",
        f"{rounds} times each of {len(WAITS)} calls",
        {
            "interrupted": rounds * len(WAITS),
            "ended": ended,
            "slowest (s)": round(slowest, 3),
            "all is as before": unchanged,
        },
        ended == rounds * len(WAITS) and slowest < limit and unchanged,
    )


def law_removal_tells_everybody(scale: float) -> Law:
    processes, threads = max(20, int(200 * scale)), max(10, int(50 * scale))
    told = 0
    slowest = 0.0
    for kind in (ipc.Semaphore, ipc.MessageQueue):
        thing = kind.create()
        if isinstance(thing, ipc.Semaphore):
            thing.value = 0
        wait = thing.acquire if isinstance(thing, ipc.Semaphore) else thing.receive
        answers: list[float] = []

        def waiter(wait: Callable[[], object] = wait) -> float:
            try:
                wait()
            except ipc.RemovedError:
                return time.monotonic()
            return float("inf")

        children = [Child(waiter) for _ in range(processes)]
        friends = [
            threading.Thread(target=lambda w=waiter, a=answers: a.append(w()))
            for _ in range(threads)
        ]
        for friend in friends:
            friend.start()
        for child in children:
            wait_blocked(child.pid)
        for friend in friends:
            wait_blocked(friend)
        removed = time.monotonic()
        thing.remove()
        for friend in friends:
            friend.join()
        answers += [float(str(child.result())) for child in children]
        told += len(answers)
        slowest = max(slowest, *(answer - removed for answer in answers))
    expected = 2 * (processes + threads)
    return Law(
        "everybody who is blocked on a removed object gets one RemovedError within a second",
        f"{processes} processes and {threads} threads, on a semaphore and on a queue",
        {"told": told, "expected": expected, "slowest (s)": round(slowest, 3)},
        told == expected and slowest < 1,
    )


def law_waiting_costs_no_cpu(scale: float) -> Law:
    seconds = max(0.5, 10 * scale)
    semaphore, queue = ipc.Semaphore.create(value=0), ipc.MessageQueue.create()
    account: dict[str, object] = {}
    holds = True
    calls: dict[str, Callable[..., object]] = {
        "acquire": semaphore.acquire,
        "receive": queue.receive,
    }
    # A short wait is measured beside others that want the processor's caches.
    limit = 0.002 if scale >= 1 else 0.02
    for name, call in calls.items():
        # The first one of a process also loads what tells that the time is up.
        with suppress(ipc.WaitTimeoutError):
            call(timeout=0.001)
        before = time.thread_time()
        try:
            call(timeout=seconds)
        except ipc.WaitTimeoutError:
            cost = time.thread_time() - before
            account[f"{name} (ms of CPU)"] = round(cost * 1000, 3)
            holds = holds and cost < limit
    semaphore.remove()
    queue.remove()
    return Law("a wait costs less than 2 ms of CPU", f"waits of {seconds} s", account, holds)
