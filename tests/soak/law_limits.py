"""Limits hit, objects removed under others' calls, forks with many handles."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import support
import sysv_ipc_rs as ipc
from run import Law
from support import Child


class Made(Protocol):
    def remove(self) -> None: ...


MAKERS: list[Callable[[], Made]] = [
    lambda: ipc.SemaphoreSet.create(size=2),
    ipc.MessageQueue.create,
    lambda: ipc.SharedMemory.create(size=1),
]


class Full(NamedTuple):
    """A limit that is hit when so many objects are there."""

    make: Callable[[], Made]
    most: int
    file: str
    value: object


LIMITS = {
    "SEMMNI": Full(lambda: ipc.SemaphoreSet.create(size=2), 50, "sem", "10 100000 500 50"),
    "SEMMNS": Full(lambda: ipc.SemaphoreSet.create(size=2), 50, "sem", "10 100 500 32000"),
    "MSGMNI": Full(ipc.MessageQueue.create, 50, "msgmni", 50),
    "SHMMNI": Full(lambda: ipc.SharedMemory.create(size=1), 50, "shmmni", 50),
    "SHMALL": Full(lambda: ipc.SharedMemory.create(size=1), 50, "shmall", 50),
}
# As they are in a new namespace.
DEFAULTS = {
    "SEMMNI": Full(ipc.SemaphoreSet.create, 32000, "sem", "32000 1024000000 500 32000"),
    "MSGMNI": Full(ipc.MessageQueue.create, 32000, "msgmni", 32000),
    "SHMMNI": Full(lambda: ipc.SharedMemory.create(size=1), 4096, "shmmni", 4096),
}


def fill(name: str, limit: Full, rounds: int) -> dict[str, int]:
    """Make objects until the limit is hit, and free all; again and again."""
    account = dict.fromkeys(["made", "refused by name"], 0)
    for _ in range(rounds):
        made: list[Made] = []
        try:
            while len(made) <= limit.most:
                made.append(limit.make())
        except ipc.LimitExceededError as error:
            account["refused by name"] += name in str(error)
        account["made"] += len(made)
        for thing in made:
            thing.remove()
    account["left"] = len(support.objects())
    return account


def law_limits_are_hit_and_all_is_freed(scale: float) -> Law:
    rounds = max(3, int(100 * scale))
    runs = [(name, limit, rounds) for name, limit in LIMITS.items()]
    if scale >= 1:
        runs += [(name, limit, 3) for name, limit in DEFAULTS.items()]
    account: Counter[str] = Counter()
    for name, limit, times in runs:
        account["expected"] += times * limit.most
        account["expected refusals"] += times

        def inside(name: str = name, limit: Full = limit, times: int = times) -> dict[str, int]:
            return fill(name, limit, times)

        account.update(support.in_namespace(inside, **{limit.file: limit.value}))
    return Law(
        "at a limit a constructor is refused and leaves nothing; all can be freed",
        f"{rounds} times each of {', '.join(LIMITS)} at 50 objects"
        + (f"; 3 times {', '.join(DEFAULTS)} as they are" if scale >= 1 else ""),
        dict(account),
        account["made"] == account["expected"]
        and account["refused by name"] == account["expected refusals"]
        and account["left"] == 0,
    )


def law_failed_constructors_leave_nothing(scale: float) -> Law:
    tries = max(50, int(20_000 * scale))

    def create() -> int:
        refused = 0
        for number in range(tries):
            for make in MAKERS:
                try:
                    thing = make()
                except ipc.LimitExceededError:
                    refused += 1
                else:
                    if number % 3:
                        os.sched_yield()
                    thing.remove()
        return refused

    def inside() -> tuple[int, int]:
        children = [Child(create) for _ in range(8)]
        refused = sum(int(str(child.result())) for child in children)
        return refused, len(support.objects())

    limits = {"sem": "10 8 500 3", "msgmni": 3, "shmmni": 3}
    refused, left = support.in_namespace(inside, **limits)
    return Law(
        "a constructor that fails leaves nothing behind",
        f"8 processes, {tries} tries each of every kind, limits of 3",
        {"refused": refused, "left": left},
        left == 0,
    )


def law_removal_is_the_only_surprise(scale: float) -> Law:
    rounds = max(50, int(10_000 * scale))
    key = support.free_key()

    def use() -> str:
        """Works with what the key leads to, until a name is told that it does not expect."""
        while True:
            try:
                queue = ipc.MessageQueue.open(key)
                queue.try_send(b"x")
                queue.try_receive()
                queue.stat()
                with ipc.Semaphore.open_or_create(key):
                    pass
            except (ipc.RemovedError, ipc.NotFoundError):
                if Path(f"/tmp/{key}.end").exists():
                    return ""
            except ipc.IPCError as error:
                return repr(error)

    flag = Path(f"/tmp/{key}.end")
    children = [Child(use) for _ in range(3)]
    try:
        for _ in range(rounds):
            queue = ipc.MessageQueue.open_or_create(key)
            semaphore = ipc.Semaphore.open_or_create(key)
            queue.remove()
            with suppress(ipc.RemovedError):
                semaphore.remove()
        flag.touch()
        surprises = [str(child.result()) for child in children]
    finally:
        flag.unlink(missing_ok=True)
    with suppress(ipc.NotFoundError):
        ipc.Semaphore.open(key).remove()
    return Law(
        "whose object is removed and made anew gets only the error that says so",
        f"{rounds} removals under 3 processes",
        {"surprises": [surprise for surprise in surprises if surprise]},
        not any(surprises),
    )


def law_forks_with_live_handles(scale: float) -> Law:
    forks = max(20, int(2000 * scale))
    semaphores = ipc.SemaphoreSet.create(size=8, values=1)
    queues = [ipc.MessageQueue.create() for _ in range(4)]
    memories = [ipc.SharedMemory.create(size=100) for _ in range(4)]
    attachments = [memory.attach() for memory in memories]
    readiness = queues[0].readiness()
    guards = [semaphore.hold() for semaphore in semaphores]
    for number in range(forks):
        pid = os.fork()
        if not pid:
            with suppress(BaseException):
                guards.clear()
                attachments[0].detach()
                if number % 2:
                    readiness.close()
            os._exit(0)
        os.waitpid(pid, 0)
    intact = list(semaphores.values) == [0] * 8 and all(guard.held for guard in guards)
    attached = [memory.stat().attached for memory in memories]
    queues[0].send(b"x")
    queues[0].receive()
    readiness.clear()
    readiness.close()
    for guard in guards:
        guard.release()
    given = list(semaphores.values)
    semaphores.remove()
    made: list[Made] = [*queues, *memories]
    for thing in made:
        thing.remove()
    return Law(
        "a forked child's end changes nothing of the parent's",
        f"{forks} forks with 16 live handles",
        {"guards intact": intact, "attached": attached, "values after release": given},
        intact and attached == [1] * 4 and given == [1] * 8,
    )
