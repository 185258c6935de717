"""Processes that the laws of `sync` kill, and what they count in."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from contextlib import suppress

import sysv_ipc_rs as ipc
from support import Child, blocked, state, wait_for

PROCESSES = 4


class Words:
    """Numbers in shared memory, by name, in which all processes count."""

    def __init__(self, *names: str) -> None:
        memory = ipc.SharedMemory.create(size=8 * len(names), auto_remove=True).attach()
        self._words = {name: memory.atomic(8 * at, "i64") for at, name in enumerate(names)}

    def __getitem__(self, name: str) -> ipc.AtomicInteger:
        return self._words[name]

    def account(self) -> dict[str, object]:
        return {name: word.load() for name, word in self._words.items()}


class Workers:
    """Processes that do a step again and again; those that are killed are replaced.

    All of them handle the signal that some of them get.
    """

    def __init__(
        self,
        step: Callable[[random.Random, int], object],
        count: int = PROCESSES,
        prepare: Callable[[int], object] = lambda _: None,
    ) -> None:
        words = Words("stop", "signals")
        self.stop, self.signals = words["stop"], words["signals"]
        self.before = signal.signal(signal.SIGUSR1, lambda *_: self.signals.add(1))
        self.step, self.prepare = step, prepare
        self.chance = random.Random(count)
        self.children = [self.start(slot) for slot in range(count)]
        self.kills = 0

    def start(self, slot: int) -> Child:
        self.prepare(slot)
        seed = self.chance.random()

        def forever() -> None:
            chance = random.Random(seed)
            with suppress(ipc.RemovedError):
                while not self.stop.load():
                    self.step(chance, slot)

        return Child(forever)

    def any(self) -> Child:
        return self.chance.choice(self.children)

    def disturb(self) -> None:
        """A signal for one of them, whose handler runs."""
        self.any().kill(signal.SIGUSR1)

    def freeze(self) -> Child:
        """One of them stands still, wherever it is."""
        victim = self.any()
        victim.kill(signal.SIGSTOP)
        wait_for(lambda: state(victim.pid) == "T")
        return victim

    def kill(self, victim: Child) -> None:
        victim.kill()
        self.bury(victim)

    def bury(self, victim: Child) -> None:
        """Replace one that has died or is about to."""
        with victim:
            assert victim.join() == -signal.SIGKILL
        self.kills += 1
        slot = self.children.index(victim)
        self.children[slot] = self.start(slot)

    def kill_some(self, victims: list[Child]) -> None:
        """None of them, one, or two."""
        for victim in self.chance.sample(victims, min(len(victims), self.chance.randrange(3))):
            self.kill(victim)

    def all_wait(self) -> bool:
        return len(self.waiting()) == len(self.children)

    def waiting(self) -> list[Child]:
        return [child for child in self.children if blocked(child.pid)]

    def dead(self) -> list[Child]:
        return [child for child in self.children if state(child.pid) == "Z"]

    def counts(self) -> dict[str, object]:
        return {"kills": self.kills, "signals": self.signals.load()}

    def end(self) -> None:
        """All of them end their step and are gone."""
        self.stop.store(1)
        for child in self.children:
            child.result()
            child.join()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGUSR1, self.before)
        for child in self.children:
            child.__exit__()
