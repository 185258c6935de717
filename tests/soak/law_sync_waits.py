"""Events, barriers and conditions: kill -9 at any moment, beside signals and timeouts."""

from __future__ import annotations

import random
import signal
import threading
import time

import sysv_ipc_rs as ipc
from run import Law
from support import Child, blocked, state, wait_for
from sysv_ipc_rs import sync
from workers import PROCESSES, Words, Workers


class Alarm:
    """Processes that wait for two events by turns: who has passed one waits for the other."""

    def __init__(self) -> None:
        self.events = [sync.Event.create(), sync.Event.create()]
        self.words = Words("passed", "not in time")
        self.seen = Words(*map(str, range(PROCESSES)))
        self.done = self.setters = 0
        self.slowest = 0.0

    def step(self, chance: random.Random, slot: int) -> None:
        turn = self.seen[str(slot)].load() + 1
        if self.events[turn % 2].wait(chance.choice([None, chance.random() * 0.01])):
            self.words["passed"].add(1)
            self.seen[str(slot)].store(turn)
        else:
            self.words["not in time"].add(1)

    def prepare(self, slot: int) -> None:
        self.seen[str(slot)].store(self.done)

    def all_passed(self) -> bool:
        return all(self.seen[str(slot)].load() > self.done for slot in range(PROCESSES))

    def kill_setter(self, event: sync.Event, after: float) -> None:
        """It may have set the event or not."""
        with Child(event.set) as setter:
            time.sleep(after)
            setter.kill()
            setter.join()
        self.setters += 1

    def round(self, workers: Workers) -> None:
        event = self.events[(self.done + 1) % 2]
        wait_for(workers.all_wait)
        workers.kill_some(workers.waiting())
        if workers.chance.random() < 0.3:
            self.kill_setter(event, workers.chance.random() * 0.001)
        event.set()
        workers.kill_some(workers.children)
        # From here on: to kill, bury and replace takes time too.
        started = time.monotonic()
        wait_for(self.all_passed)
        self.slowest = max(self.slowest, time.monotonic() - started)
        event.clear()
        self.done += 1

    def law(self, rounds: int) -> Law:
        with Workers(self.step, prepare=self.prepare) as workers:
            while self.done < rounds:
                workers.disturb()
                self.round(workers)
            workers.stop.store(1)
            for event in self.events:
                event.set()
            workers.end()
        for event in self.events:
            event.remove()
        return Law(
            "whoever waits for an event when it is set passes within a second",
            f"{rounds} rounds of {PROCESSES} waiters, {workers.kills} of them killed "
            f"and {self.setters} setters",
            {"sets": rounds}
            | self.words.account()
            | workers.counts()
            | {"slowest (s)": round(self.slowest, 4)},
            self.slowest < 1,
        )


def law_events_wake_all_that_live(scale: float) -> Law:
    return Alarm().law(max(20, int(2000 * scale)))


class Party:
    """Processes at a barrier, of which we are the last that comes."""

    def __init__(self) -> None:
        self.barrier = sync.Barrier.create(parties=PROCESSES)
        self.words = Words("passed", "broken")
        self.marks = Words("impatient")
        self.passed = self.broken = self.early = self.in_passing = 0
        self.slowest = 0.0

    def step(self, _: random.Random, __: int) -> None:
        timeout = 0.001 if self.marks["impatient"].exchange(0) else None
        try:
            self.barrier.wait(timeout)
            self.words["passed"].add(1)
        except threading.BrokenBarrierError:
            self.words["broken"].add(1)
            wait_for(lambda: not self.barrier.broken)

    def gather(self, workers: Workers) -> None:
        """All others wait, whoever of them is killed meanwhile, and none has passed."""
        wait_for(workers.all_wait)
        workers.kill_some(workers.waiting())
        wait_for(workers.all_wait)
        self.early += self.words["passed"].load() != self.passed

    def come(self, workers: Workers) -> None:
        started = time.monotonic()
        self.barrier.wait(10)
        self.passed += len(workers.children)
        wait_for(lambda: self.words["passed"].load() == self.passed)
        self.slowest = max(self.slowest, time.monotonic() - started)

    def come_and_kill(self, workers: Workers) -> None:
        """Who is killed now has passed, but may not have counted it."""
        before = workers.kills
        self.barrier.wait(10)
        workers.kill_some(workers.children)
        wait_for(workers.all_wait)
        missing = self.passed + len(workers.children) - self.words["passed"].load()
        assert 0 <= missing <= workers.kills - before
        self.in_passing += missing
        self.passed = self.words["passed"].load()

    def spoil(self, workers: Workers) -> None:
        """It breaks for all: we say so, or one of them waits no longer."""
        if workers.chance.random() < 0.5:
            self.barrier.abort()
        else:
            self.marks["impatient"].store(1)
            workers.kill(workers.any())
        self.broken += len(workers.children)
        wait_for(lambda: self.words["broken"].load() == self.broken)
        self.barrier.reset()

    def law(self, rounds: int) -> Law:
        with Workers(self.step, PROCESSES - 1) as workers:
            for _ in range(rounds):
                workers.disturb()
                self.gather(workers)
                workers.chance.choice([self.come, self.come, self.come_and_kill, self.spoil])(
                    workers
                )
            workers.stop.store(1)
            self.barrier.abort()
            self.barrier.remove()
            workers.end()
        account = self.words.account() | workers.counts()
        return Law(
            "a barrier opens within a second when all live parties have come, and never before",
            f"{rounds} rounds of {PROCESSES} parties, {workers.kills} kills",
            account
            | {"expected": self.passed, "early": self.early, "killed in passing": self.in_passing}
            | {"slowest (s)": round(self.slowest, 4)},
            account["passed"] == self.passed and not self.early and self.slowest < 1,
        )


def law_barriers_count_the_living(scale: float) -> Law:
    return Party().law(max(20, int(2000 * scale)))


class Bell:
    """Processes that wait on a condition, where notifications are counted on both sides."""

    PROCESSES = 7
    TIMED = 2  # so many of them wait no longer than some milliseconds

    def __init__(self) -> None:
        self.condition = sync.Condition.create()
        self.whole = ipc.SemaphoreSet.from_id(self.condition.id)
        self.lock, self.waiting = self.whole[0], self.whole[2]
        self.words = Words("woken", "not in time")
        # Who is in the call that waits; if it is killed there after it woke, the wake is gone.
        self.in_call = Words(*map(str, range(self.PROCESSES)))
        self.notified = 0
        self.slowest = 0.0
        self.evidence: list[str] = []

    def step(self, chance: random.Random, slot: int) -> None:
        in_call = self.in_call[str(slot)]
        with self.condition:
            in_call.store(1)
            woken = self.condition.wait(chance.random() * 0.005 if slot < self.TIMED else None)
            self.words["woken" if woken else "not in time"].add(1)
            in_call.store(0)

    def kill_sleepers(self, workers: Workers) -> None:
        """We have the lock: nobody has come back from a wait, also of those that are woken."""
        workers.kill_some(workers.children)

    def kill_somewhere(self, workers: Workers) -> None:
        victim = workers.freeze()
        holds = self.lock.value == 0 and self.lock.last_pid == victim.pid
        if holds and self.in_call[str(workers.children.index(victim))].load():
            victim.kill(signal.SIGCONT)
        else:
            workers.kill(victim)

    def patient(self) -> int:
        """How many at least are registered and stay until they are notified."""
        timed = sum(self.in_call[str(slot)].load() for slot in range(self.TIMED))
        return self.waiting.value - timed

    def round(self, workers: Workers) -> None:
        # Two of them may be killed, and still enough are there to whom a notification can go on.
        wait_for(lambda: self.patient() > 3)
        assert self.condition.acquire(timeout=10)
        before = self.words["woken"].load()
        count = max(0, min(self.patient() - 2, workers.chance.randrange(1, 4)))
        self.condition.notify(count)
        self.notified += count
        kill = workers.chance.choice([self.kill_sleepers, self.kill_somewhere, None])
        if kill == self.kill_sleepers:
            kill(workers)
        self.condition.release()
        if kill == self.kill_somewhere:
            kill(workers)
        # To kill, bury and replace takes time too, on a busy machine more than a second.
        started = time.monotonic()
        try:
            wait_for(lambda: self.words["woken"].load() >= before + count, seconds=10)
        except AssertionError:
            self.evidence.append(f"of {count} {self.seen(workers, before)} after {kill}")
        self.slowest = max(self.slowest, time.monotonic() - started)

    def seen(self, workers: Workers, before: int) -> str:
        """What there is to see when a notification has not come: where is it, and where are all?"""
        found = [f"came {self.words['woken'].load() - before}, values {self.whole.values}"]
        for slot, child in enumerate(workers.children):
            call = blocked(child.pid) or "no call"
            in_call = self.in_call[str(slot)].load()
            found.append(f"{child.pid} {state(child.pid)} in {call}, waits {in_call}")
        return "; ".join([*found, f"last {[member.last_pid for member in self.whole]}"])

    def law(self, rounds: int) -> Law:
        with Workers(self.step, self.PROCESSES) as workers:
            for _ in range(rounds):
                workers.disturb()
                self.round(workers)
            workers.stop.store(1)
            while len(workers.dead()) < self.PROCESSES:
                with self.condition:
                    self.condition.notify_all()
            workers.end()
        self.condition.remove()
        account = self.words.account() | workers.counts()
        return Law(
            "no notification is lost to those that die or wait no longer",
            f"{rounds} rounds of {self.PROCESSES} waiters, {workers.kills} kills",
            {"notified": self.notified}
            | account
            | {"slowest wake (s)": round(self.slowest, 4)}
            | ({"seen": self.evidence} if self.evidence else {}),
            self.words["woken"].load() >= self.notified and self.slowest < 1,
        )


def law_notifications_outlive_the_waiters(scale: float) -> Law:
    return Bell().law(max(20, int(3000 * scale)))
