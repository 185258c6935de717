"""What is measured: pieces of work, who does them, and the goals."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from _timing import Run

OURS = "sysv_ipc_rs"
C = "C"
SYSV_IPC = "sysv_ipc"
FLOOR = "floor"
"""No contender: the least that any package could do for the same, where a goal lies below it."""

Make = Callable[[contextlib.ExitStack], Mapping[str, Run]]


@dataclass(frozen=True)
class Goal:
    """Ours must cost at most `factor` times `base`, plus so many plain calls and nanoseconds.

    The `reason` is printed where the goal is missed: what the time is spent on.
    """

    base: str = C
    factor: float = 1.0
    calls: float = 0.0
    extra: float = 0.0
    reason: str = ""

    def limit(self, found: Mapping[str, float], call: float) -> float:
        return self.factor * found[self.base] + self.calls * call + self.extra

    def __str__(self) -> str:
        terms = [self.base if self.factor == 1 else f"{self.factor:g} {self.base}"]
        if self.calls:
            terms.append(f"{self.calls:g} calls")
        if self.extra:
            terms.append(f"{self.extra / 1e6:g} ms")
        return "<= " + " + ".join(terms)


class NotHereError(Exception):
    """What the work needs is not on this machine."""


@dataclass(frozen=True)
class Work:
    """A piece of work, its contenders (made for one run), and what is promised about ours."""

    name: str
    make: Make
    goals: tuple[Goal, ...]
    seconds: float


WORKS: list[Work] = []


def work(name: str, *goals: Goal, seconds: float = 1.0) -> Callable[[Make], Make]:
    """Adds what the function makes to the table."""

    def add(make: Make) -> Make:
        WORKS.append(Work(name, make, goals, seconds))
        return make

    return add
