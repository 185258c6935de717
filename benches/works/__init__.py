"""What is measured: pieces of work, who does them, and the goals."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from _timing import Run

OURS = "sysv_ipc_rs"
C = "C"
SYSV_IPC = "sysv_ipc"
FLOOR = "floor"
"""The least that the same work takes: with what Python and the kernel's interface force, in C."""

Make = Callable[[contextlib.ExitStack], Mapping[str, Run]]


@dataclass(frozen=True)
class Goal:
    """Ours must cost at most `factor` times `base`, plus so many plain calls and nanoseconds."""

    base: str = C
    factor: float = 1.0
    calls: float = 0.0
    extra: float = 0.0

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
    reason: str


WORKS: list[Work] = []


def work(name: str, *goals: Goal, seconds: float = 1.0, reason: str = "") -> Callable[[Make], Make]:
    """Adds what the function makes to the table; `reason` is told where a goal is missed."""

    def add(make: Make) -> Make:
        WORKS.append(Work(name, make, goals, seconds, reason))
        return make

    return add
