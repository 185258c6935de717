"""How costs grow with size: the package beside bare C, at ever larger sizes.

What the package does may not grow faster than what the kernel does: from the last size but one to
the last, ours may grow no more than C, with some room for the noise of a shared machine.
"""

import argparse
import contextlib
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import charts
import sysv_ipc_rs
from _timing import Run, c, fastest, python
from works import OURS, C
from works.queues import new_queue, raised
from works.semaphores import new_set

Stack = contextlib.ExitStack
Make = Callable[[Stack, int], Mapping[str, Run]]
NOISE = 1.5


@dataclass(frozen=True)
class Curve:
    """A piece of work at several sizes."""

    name: str
    sizes: Sequence[int]
    make: Make


CURVES: list[Curve] = []


def curve(name: str, *sizes: int) -> Callable[[Make], Make]:
    def add(make: Make) -> Make:
        CURVES.append(Curve(name, sizes, make))
        return make

    return add


@curve("acquire + release in a set of n", 1, 10, 100, 1000, 10000, 32000)
def in_set(stack: Stack, size: int) -> Mapping[str, Run]:
    semaphores = new_set(stack, size)
    return {
        OURS: python("s.acquire(); s.release()", s=semaphores[0]),
        C: c("semop_pair", semaphores.id, 0),
    }


@curve("values of a set of n", 1, 10, 100, 1000, 10000, 32000)
def values(stack: Stack, size: int) -> Mapping[str, Run]:
    semaphores = new_set(stack, size)
    return {OURS: python("s.values", s=semaphores), C: c("semctl_getall", semaphores.id)}


@curve("op of n operations", 2, 10, 50, 100, 500)
def operations(stack: Stack, size: int) -> Mapping[str, Run]:
    semaphores = new_set(stack)
    ops = list(itertools.islice(itertools.cycle([(0, 1), (0, -1)]), size))
    return {
        OURS: python("s.op(*ops)", s=semaphores, ops=ops),
        C: c("semop_many", semaphores.id, size),
    }


@curve("list n queues", 1, 10, 100, 1000, 10000, 31000)
def listing(stack: Stack, size: int) -> Mapping[str, Run]:
    for _ in range(size):
        new_queue(stack)
    list_all = python("for _ in queues(): pass", queues=sysv_ipc_rs.system.message_queues)
    return {OURS: list_all, C: c("msgctl_walk")}


def deep(stack: Stack, depth: int) -> sysv_ipc_rs.MessageQueue:
    """A queue that holds `depth` messages of type 1, and has room for one more."""
    raised(stack, "msgmnb", 1 << 16)
    queue = new_queue(stack)
    queue.max_bytes = 1 << 16
    queue.send_many([b"x"] * depth, timeout=0)
    return queue


@curve("send + receive in a queue of n messages", 1, 16, 256, 4096, 16384)
def depth(stack: Stack, size: int) -> Mapping[str, Run]:
    queue = deep(stack, size)
    return {
        OURS: python("q.send(d); q.receive()", q=queue, d=b"x"),
        C: c("msg_pair", queue.id, 1),
    }


@curve("receive the last of n messages by type", 1, 16, 256, 4096, 16384)
def by_type(stack: Stack, size: int) -> Mapping[str, Run]:
    queue = deep(stack, size)
    return {
        OURS: python("q.send(d, 2); q.receive(2)", q=queue, d=b"x"),
        C: c("msg_pair_of_type", queue.id, 1, 2),
    }


@curve("acquire + release beside n waiters", 1, 5, 20, 100, 500)
def waiters(stack: Stack, size: int) -> Mapping[str, Run]:
    semaphores = sysv_ipc_rs.SemaphoreSet.create(size=2, values=[1, 0])

    def wait() -> None:
        with contextlib.suppress(sysv_ipc_rs.RemovedError):
            semaphores[1].acquire()

    waiting = [threading.Thread(target=wait) for _ in range(size)]
    for thread in waiting:
        thread.start()
        stack.callback(thread.join)
    stack.callback(semaphores.remove)
    while semaphores[1].waiting < size:
        pass
    return {
        OURS: python("s.acquire(); s.release()", s=semaphores[0]),
        C: c("semop_pair", semaphores.id, 0),
    }


def by_threads(semaphores: sysv_ipc_rs.SemaphoreSet) -> Run:
    """Pairs of `acquire` and `release`, each thread on a semaphore of its own."""
    runs = [python("s.acquire(); s.release()", s=semaphore) for semaphore in semaphores]

    def run(pieces: int) -> float:
        share = max(1, pieces // len(runs))
        threads = [threading.Thread(target=work, args=(share,)) for work in runs]
        begin = time.perf_counter_ns()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter_ns() - begin

    return run


def long(run: Run) -> Run:
    """Batches beside which the start of threads is nothing."""
    return lambda pieces: run(2000 * pieces) / 2000


@curve("acquire + release by n threads, each pair", 1, 4, 16, 64)
def threads(stack: Stack, size: int) -> Mapping[str, Run]:
    semaphores = new_set(stack, size)
    in_c = c("semop_threads", semaphores.id, size)
    return {OURS: long(by_threads(semaphores)), C: long(in_c)}


@dataclass
class Growth:
    """The nanoseconds of both at each size."""

    name: str
    sizes: Sequence[int]
    ours: list[float]
    in_c: list[float]

    @property
    def is_faster(self) -> bool:
        """Whether ours grows faster than C does where both are large."""
        return self.ours[-1] / self.ours[-2] > NOISE * self.in_c[-1] / self.in_c[-2]

    def __str__(self) -> str:
        lines = [f"{self.name}: grows {'FASTER' if self.is_faster else 'no faster'} than C"]
        for size, ours, in_c in zip(self.sizes, self.ours, self.in_c, strict=True):
            lines.append(f"{size:10}  {ours:12.0f} ns  C {in_c:12.0f} ns  {ours / in_c:6.2f} C")
        return "\n".join(lines)


def measure(chosen: Curve, seconds: float) -> Growth:
    growth = Growth(chosen.name, chosen.sizes, [], [])
    for size in chosen.sizes:
        with contextlib.ExitStack() as stack:
            times = fastest(chosen.make(stack, size), seconds)
        growth.ours.append(times[OURS])
        growth.in_c.append(times[C])
    return growth


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("curve", nargs="*", help="only curves whose names contain one of these")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each contender at a size")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    parser.add_argument("--charts", type=Path, help="the folder to draw the chart into")
    chosen = parser.parse_args()
    growths = []
    for each in CURVES:
        if not chosen.curve or any(part in each.name for part in chosen.curve):
            growths.append(measure(each, chosen.seconds))
            print(growths[-1], flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(growth) for growth in growths], indent=1) + "\n")
    if chosen.charts:
        drawn = {each.name: (each.sizes, each.ours, each.in_c) for each in growths}
        charts.draw_growth(drawn, chosen.charts / "scale.svg")
    return int(any(growth.is_faster for growth in growths))


if __name__ == "__main__":
    sys.exit(main())
