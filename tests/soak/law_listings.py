"""Lists of everyone's objects, while others come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

import sysv_ipc_rs as ipc
from run import Law
from support import Child
from sysv_ipc_rs import system

STABLE = 300
CHURNERS = 2

Made = ipc.SemaphoreSet | ipc.MessageQueue | ipc.SharedMemory


class Listed(Protocol):
    @property
    def id(self) -> int: ...


KINDS: list[tuple[Callable[[], Made], Callable[[], Iterator[Listed]]]] = [
    (ipc.SemaphoreSet.create, system.semaphore_sets),
    (ipc.MessageQueue.create, system.message_queues),
    (lambda: ipc.SharedMemory.create(size=1), system.shared_memory_segments),
]


def law_stable_objects_are_listed_once(scale: float) -> Law:
    listings = max(30, int(10_000 * scale))
    wrong, seen_churned = 0, 0
    end = ipc.Semaphore.create(value=0)
    for create, objects in KINDS:

        def churn(create: Callable[[], Made] = create) -> None:
            while not end.value:
                some = [create() for _ in range(20)]
                for made in some:
                    made.remove()

        end.value = 0
        stable = [create() for _ in range(STABLE)]
        ids = {made.id for made in stable}
        churners = [Child(churn) for _ in range(CHURNERS)]
        for _ in range(listings // len(KINDS)):
            seen = Counter(stat.id for stat in objects())
            wrong += any(seen[number] != 1 for number in ids)
            seen_churned += len(seen.keys() - ids)
        end.value = 1
        for churner in churners:
            churner.result()
        for made in stable:
            made.remove()
    end.remove()
    return Law(
        "an object that exists throughout is in every list exactly once",
        f"{listings} lists of {STABLE} objects beside {CHURNERS} processes that churn",
        {"lists with a fault": wrong, "passing objects seen": seen_churned},
        not wrong and seen_churned > 0,
    )
