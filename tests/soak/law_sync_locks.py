"""Locks between processes: kill -9 at any moment, beside signals and waits that end in time."""

from __future__ import annotations

import os
import random
import signal
import time

import sysv_ipc_rs as ipc
from run import Law
from support import wait_for
from sysv_ipc_rs import sync
from workers import PROCESSES, Words, Workers


class Owners:
    """Processes that take and give back a lock; what each does inside, and how they are killed.

    Each death of a holder is counted on the one side, each `owner_died` on the other.
    """

    def __init__(self, lock: sync.Lock | sync.RLock) -> None:
        self.lock = lock
        self.twice = isinstance(lock, sync.RLock)
        self.member = ipc.SemaphoreSet.from_id(lock.id)[0]
        self.words = Words("deaths", "told", "two inside", "taken", "not in time")
        # Whose take has been counted; who is inside; whether the next one inside shall die there.
        self.marks = Words("counted", "inside", "die")
        self.slowest = 0.0

    def take(self, chance: random.Random) -> bool:
        match chance.randrange(3):
            case 0:
                return self.lock.acquire()
            case 1:
                return self.lock.acquire(timeout=chance.random() * 0.002)
            case _:
                return self.lock.acquire(block=False)

    def step(self, chance: random.Random, _: int) -> None:
        self.marks["counted"].compare_exchange(os.getpid(), 0)
        if self.take(chance):
            if self.twice:
                self.lock.acquire()
            self.inside()
            if self.twice:
                self.lock.release()
            self.lock.release()
        else:
            self.words["not in time"].add(1)

    def inside(self) -> None:
        words, marks = self.words, self.marks
        words["taken"].add(1)
        words["told"].add(self.lock.owner_died)
        marks["counted"].store(os.getpid())
        if marks["inside"].exchange(os.getpid()) and not self.lock.owner_died:
            words["two inside"].add(1)
        if marks["die"].exchange(0):
            words["deaths"].add(1)
            os.kill(os.getpid(), signal.SIGKILL)
        marks["inside"].store(0)

    def take_ourselves(self) -> None:
        """A free lock is ours soon."""
        started = time.monotonic()
        assert self.lock.acquire(timeout=10)
        self.slowest = max(self.slowest, time.monotonic() - started)
        self.marks["counted"].store(0)
        self.inside()

    def kill_somewhere(self, workers: Workers) -> None:
        """One is killed wherever it is, unless it has just taken and could not count it yet."""
        victim = workers.freeze()
        holds = self.member.value == 0 and self.member.last_pid == victim.pid
        if holds and self.marks["counted"].load() != victim.pid:
            victim.kill(signal.SIGCONT)
        else:
            self.words["deaths"].add(holds)
            workers.kill(victim)

    def kill_waiters(self, workers: Workers) -> None:
        """Those that wait are killed, while we are the holder."""
        self.take_ourselves()
        wait_for(workers.waiting)
        for victim in workers.waiting():
            workers.kill(victim)
        self.lock.release()

    def kill_holder(self, workers: Workers) -> None:
        """The next that holds it is killed there."""
        self.marks["die"].store(1)
        wait_for(workers.dead)
        for victim in workers.dead():
            workers.bury(victim)

    def law(self, kills: int) -> Law:
        with Workers(self.step) as workers:
            ways = [self.kill_somewhere, self.kill_waiters, self.kill_holder]
            while workers.kills < kills:
                workers.disturb()
                workers.chance.choice(ways)(workers)
                # The next holder is told by us, or by one of them.
                if workers.chance.random() < 0.5:
                    self.take_ourselves()
                    self.lock.release()
            workers.end()
        self.take_ourselves()
        self.lock.release()
        self.lock.remove()
        account = self.words.account() | workers.counts()
        return Law(
            "each death of a holder is told once, a free lock is had within a second, "
            "and never two are inside",
            f"{workers.kills} kills of {PROCESSES} holders and waiters",
            account | {"slowest take (s)": round(self.slowest, 4)},
            account["deaths"] == account["told"] and not account["two inside"] and self.slowest < 1,
        )


def law_owners_of_locks_are_killed(scale: float) -> Law:
    return Owners(sync.Lock.create()).law(max(40, int(5000 * scale)))


def law_owners_of_rlocks_are_killed(scale: float) -> Law:
    return Owners(sync.RLock.create()).law(max(40, int(2000 * scale)))


class Library:
    """Readers and writers; each death of a writer is counted, and each time that one is told."""

    def __init__(self) -> None:
        self.lock = sync.RWLock.create()
        self.gate, _, self.written = ipc.SemaphoreSet.from_id(self.lock.id)
        self.words = Words(
            *("deaths", "told", "readers killed", "beside a writer", "beside readers"),
            *("read", "written", "not in time"),
        )
        self.marks = Words("writer", "book", "writer dies", "reader dies")
        # Who is in the call that takes; if it is killed there, nobody knows whether it was told.
        self.taking = Words(*map(str, range(PROCESSES)))
        # One that dies is undone here before it is in the lock, which it used first.
        self.reading = ipc.Semaphore.create(value=0)
        self.slowest = 0.0

    def step(self, chance: random.Random, slot: int) -> None:
        timeout = chance.choice([None, chance.random() * 0.002, 0])
        taking = self.taking[str(slot)]
        taking.store(1)
        if chance.random() < 0.5:
            done = self.lock.acquire_write(timeout=timeout) and self.write(taking)
        else:
            done = self.lock.acquire_read(timeout=timeout) and self.read(taking)
        taking.store(0)
        if not done:
            self.words["not in time"].add(1)

    def write(self, taking: ipc.AtomicInteger) -> bool:
        words, marks = self.words, self.marks
        words["written"].add(1)
        words["told"].add(self.lock.owner_died)
        taking.store(0)
        # A dead writer's mark stays until the next of either kind.
        if marks["writer"].exchange(os.getpid()) and not self.lock.owner_died:
            words["beside a writer"].add(1)
        if self.reading.value:
            words["beside readers"].add(1)
        marks["book"].add(1)
        if marks["writer dies"].exchange(0):
            words["deaths"].add(1)
            os.kill(os.getpid(), signal.SIGKILL)
        marks["writer"].store(0)
        self.lock.release_write()
        return True

    def read(self, taking: ipc.AtomicInteger) -> bool:
        words, marks = self.words, self.marks
        self.reading.release(undo=True)
        words["read"].add(1)
        words["told"].add(self.lock.owner_died)
        taking.store(0)
        if self.lock.owner_died:
            marks["writer"].store(0)
        before = marks["book"].load()
        if marks["reader dies"].exchange(0):
            words["readers killed"].add(1)
            os.kill(os.getpid(), signal.SIGKILL)
        if marks["book"].load() != before:
            words["beside a writer"].add(1)
        self.reading.acquire(undo=True)
        self.lock.release_read()
        return True

    def take_ourselves(self, kind: str) -> None:
        started = time.monotonic()
        assert getattr(self.lock, f"acquire_{kind}")(timeout=10)
        self.slowest = max(self.slowest, time.monotonic() - started)
        self.words["told"].add(self.lock.owner_died)
        if self.lock.owner_died:
            self.marks["writer"].store(0)

    def give(self, kind: str) -> None:
        getattr(self.lock, f"release_{kind}")()

    def kill_somewhere(self, workers: Workers) -> None:
        victim = workers.freeze()
        if self.taking[str(workers.children.index(victim))].load():
            victim.kill(signal.SIGCONT)
            return
        writes = self.written.value == 1 and self.gate.value == 0
        self.words["deaths"].add(writes and self.written.last_pid == victim.pid)
        workers.kill(victim)

    def kill_waiters(self, workers: Workers) -> None:
        """Those that wait are killed; a writer that waits for us to read has closed the gate."""
        kind = workers.chance.choice(["read", "write"])
        self.take_ourselves(kind)
        wait_for(workers.waiting)
        for victim in workers.waiting():
            workers.kill(victim)
        self.give(kind)

    def kill_inside(self, workers: Workers) -> None:
        self.marks[workers.chance.choice(["writer dies", "reader dies"])].store(1)
        wait_for(workers.dead)
        for victim in workers.dead():
            workers.bury(victim)

    def law(self, kills: int) -> Law:
        try:
            return self.under_kills(kills)
        finally:
            self.reading.remove()
            self.lock.remove()

    def under_kills(self, kills: int) -> Law:
        with Workers(self.step) as workers:
            ways = [self.kill_somewhere, self.kill_waiters, self.kill_inside]
            while workers.kills < kills:
                workers.disturb()
                workers.chance.choice(ways)(workers)
                if workers.chance.random() < 0.5:
                    kind = workers.chance.choice(["read", "write"])
                    self.take_ourselves(kind)
                    self.give(kind)
            workers.end()
        self.take_ourselves("write")
        self.give("write")
        left = ipc.SemaphoreSet.from_id(self.lock.id).values
        account = self.words.account() | workers.counts()
        return Law(
            "each death of a writer is told once, a free lock is had within a second, "
            "and no writer is inside beside another process",
            f"{workers.kills} kills of {PROCESSES} readers and writers",
            account | {"slowest take (s)": round(self.slowest, 4), "left": left},
            account["deaths"] == account["told"]
            and not account["beside a writer"]
            and not account["beside readers"]
            and left == (1, 0, 0)
            and self.slowest < 1,
        )


def law_readers_and_writers_are_killed(scale: float) -> Law:
    return Library().law(max(40, int(5000 * scale)))


class Tokens:
    """Processes that take and give back the tokens of a bounded semaphore."""

    COUNT = 3

    def __init__(self) -> None:
        self.semaphore = sync.BoundedSemaphore.create(value=self.COUNT)
        self.words = Words("taken", "too many inside", "not in time")
        self.marks = Words("die")
        # One that dies is undone here before its token is back, which it took first.
        self.inside = ipc.Semaphore.create(value=0)
        self.slowest = 0.0

    def step(self, chance: random.Random, _: int) -> None:
        timeout = chance.choice([None, chance.random() * 0.002, 0])
        if not self.semaphore.acquire(timeout=timeout):
            self.words["not in time"].add(1)
            return
        self.inside.release(undo=True)
        self.words["taken"].add(1)
        if self.inside.value > self.COUNT:
            self.words["too many inside"].add(1)
        if self.marks["die"].exchange(0):
            os.kill(os.getpid(), signal.SIGKILL)
        self.inside.acquire(undo=True)
        self.semaphore.release()

    def take_ourselves(self) -> None:
        """All of them: no token of the dead is missing."""
        for _ in range(self.COUNT):
            started = time.monotonic()
            assert self.semaphore.acquire(timeout=10)
            self.slowest = max(self.slowest, time.monotonic() - started)

    def give(self) -> None:
        for _ in range(self.COUNT):
            self.semaphore.release()

    def kill_somewhere(self, workers: Workers) -> None:
        workers.kill(workers.any())

    def kill_waiters(self, workers: Workers) -> None:
        self.take_ourselves()
        wait_for(workers.waiting)
        for victim in workers.waiting():
            workers.kill(victim)
        self.give()

    def kill_holder(self, workers: Workers) -> None:
        self.marks["die"].store(1)
        wait_for(workers.dead)
        for victim in workers.dead():
            workers.bury(victim)

    def law(self, kills: int) -> Law:
        with Workers(self.step, PROCESSES + 2) as workers:
            ways = [self.kill_somewhere, self.kill_waiters, self.kill_holder]
            while workers.kills < kills:
                workers.disturb()
                workers.chance.choice(ways)(workers)
            workers.end()
        left = self.semaphore.get_value()
        self.inside.remove()
        self.semaphore.remove()
        account = (
            self.words.account() | workers.counts() | {"slowest take (s)": round(self.slowest, 4)}
        )
        return Law(
            "the tokens of the dead come back within a second, and never more than that",
            f"{workers.kills} kills of {PROCESSES + 2} processes that want {self.COUNT} tokens",
            account | {"tokens at first": self.COUNT, "tokens at last": left},
            left == self.COUNT and not account["too many inside"] and self.slowest < 1,
        )


def law_holders_of_tokens_are_killed(scale: float) -> Law:
    return Tokens().law(max(40, int(5000 * scale)))
