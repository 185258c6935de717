"""Tokens balance under timeouts and signals; removal tells everybody; waiting costs nothing."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable

import sysv_ipc_rs as ipc
from run import Law
from support import Child, wait_blocked

TAKERS = 3


def balance(posts: int, take: Callable[[ipc.Semaphore, random.Random], bool]) -> dict[str, int]:
    """Posts tokens while several processes take them; what became of the tokens."""
    tokens, end = ipc.Semaphore.create(value=0), ipc.Semaphore.create(value=1)

    def taker() -> tuple[int, int]:
        chance = random.Random()
        taken = missed = 0
        while not end.try_wait_zero():
            if take(tokens, chance):
                taken += 1
            else:
                missed += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        return taken, missed

    takers = [Child(taker) for _ in range(TAKERS)]
    posted = 0
    for _ in range(posts):
        # Full is full: a token that can't be posted is not counted.
        if tokens.value < 1000:
            tokens.release()
            posted += 1
    end.acquire()
    results: list[tuple[int, int]] = [child.result() for child in takers]  # type: ignore[misc]
    left = tokens.value
    tokens.remove()
    end.remove()
    taken, missed = (sum(column) for column in zip(*results, strict=True))
    return {"posted": posted, "taken": taken, "left": left, "expired": missed}


def take_in_time(tokens: ipc.Semaphore, seconds: float) -> bool:
    try:
        return tokens.acquire(timeout=seconds)
    except ipc.WaitTimeoutError:
        return False


def law_tokens_balance_under_tiny_timeouts(scale: float) -> Law:
    posts = max(20_000, int(2_000_000 * scale))
    account = balance(
        posts, lambda tokens, chance: take_in_time(tokens, chance.uniform(1e-6, 100e-6))
    )
    return Law(
        "every token that was posted was taken or is left, whatever wait expires when",
        f"{posts} posts to {TAKERS} processes that wait 1 to 100 microseconds",
        dict(account),
        account["posted"] == account["taken"] + account["left"],
    )


def law_tokens_balance_under_signals(scale: float) -> Law:
    posts = max(20_000, int(2_000_000 * scale))

    def take(tokens: ipc.Semaphore, _: random.Random) -> bool:
        if signal.getsignal(signal.SIGALRM) is not nothing:
            signal.signal(signal.SIGALRM, nothing)
            signal.setitimer(signal.ITIMER_REAL, 300e-6, 300e-6)
        return take_in_time(tokens, 0.2)

    account = balance(posts, take)
    return Law(
        "every token that was posted was taken or is left, under signals in every wait",
        f"{posts} posts to {TAKERS} processes with a signal every 300 microseconds",
        dict(account),
        account["posted"] == account["taken"] + account["left"],
    )


def nothing(*_: object) -> None:
    pass


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
    for name, call in calls.items():
        before = time.thread_time()
        try:
            call(timeout=seconds)
        except ipc.WaitTimeoutError:
            cost = time.thread_time() - before
            account[f"{name} (ms of CPU)"] = round(cost * 1000, 3)
            holds = holds and cost < 0.002
    semaphore.remove()
    queue.remove()
    return Law("a wait costs less than 2 ms of CPU", f"waits of {seconds} s", account, holds)
