"""The main job: eight workers, a priority queue, a shared table, and two of them killed.

A parent hands out jobs as typed messages: the type is the priority, and a worker asks for the
lowest type first. Results go into a table in shared memory, which a semaphore with SEM_UNDO guards,
and are announced by messages of another type. Two workers are killed by SIGKILL, one of them while
it holds the lock; the kernel gives the lock back, the parent hands the unfinished jobs out again,
and the others finish everything. At the end every result is checked, and that no object is left.

    python examples/demo.py [--jobs N]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TypeAlias

from sysv_ipc_rs import (
    Attachment,
    MessageQueue,
    RemovedError,
    Semaphore,
    SemaphoreSet,
    SharedMemory,
    WaitTimeoutError,
)

Handle: TypeAlias = MessageQueue | SemaphoreSet | SharedMemory

WORKERS = 8
DOOMED = {2: "locked", 5: "working"}  # the workers that are killed, and when

# Types of messages. Jobs are taken by -LATER: the lowest type first.
URGENT, NORMAL, LATER = 1, 2, 3
REPORT = 10
PRIORITIES = {URGENT: "urgent", NORMAL: "normal", LATER: "later"}

WINDOW = 300  # so many jobs are out at most: the queue always has room for what workers report
PATIENCE = 1.0  # seconds without news, then everyone looks who is still alive

JOB = struct.Struct("<I")  # its number
NEWS = struct.Struct("<Ii?")  # a job's number, who reports, and whether it is done
RESULT = struct.Struct("<Q")
STATE = struct.Struct("<ii")  # who has claimed a job, and whether it is done
ENTRY = RESULT.size + STATE.size
QUIT = 0xFFFFFFFF


def solve(number: int) -> int:
    """A job: some honest work whose result only depends on its number."""
    digest = number.to_bytes(8, "little")
    for _ in range(500):
        digest = hashlib.sha256(digest).digest()
    return int.from_bytes(digest[:8], "little")


class Table:
    """The results in shared memory. Whoever reads or writes them holds the lock."""

    def __init__(self, memory: Attachment) -> None:
        self.memory = memory

    def claim(self, number: int, pid: int) -> None:
        self.memory.write(STATE.pack(pid, False), number * ENTRY + RESULT.size)

    def finish(self, number: int, pid: int, result: int) -> None:
        # The result first: who is killed in between has not done it.
        self.memory.write(RESULT.pack(result), number * ENTRY)
        self.memory.write(STATE.pack(pid, True), number * ENTRY + RESULT.size)

    def state(self, number: int) -> tuple[int, bool]:
        claimed_by, done = STATE.unpack(self.memory.read(STATE.size, number * ENTRY + RESULT.size))
        return claimed_by, bool(done)

    def result(self, number: int) -> int:
        (result,) = RESULT.unpack(self.memory.read(RESULT.size, number * ENTRY))
        return int(result)


# The worker


class Worker:
    """Does jobs until it is told to quit, or the parent is gone."""

    def __init__(self, queue: MessageQueue, semaphores: SemaphoreSet, die: str) -> None:
        self.queue = queue
        self.lock, self.gate = semaphores
        self.die = die
        self.pid, self.parent = os.getpid(), os.getppid()

    def run(self, table: Table) -> None:
        self.gate.acquire()
        self.gate.wait_zero()
        while os.getppid() == self.parent:
            try:
                (number,) = JOB.unpack(self.queue.receive(-LATER, timeout=PATIENCE).data)
            except WaitTimeoutError:
                continue
            if number == QUIT:
                return
            self.do(number, table)

    def do(self, number: int, table: Table) -> None:
        with self.lock:
            if table.state(number)[1]:
                return
            table.claim(number, self.pid)
            if self.die == "locked":
                self.wait_for_death(number)
        if self.die == "working":
            self.wait_for_death(number)
        result = solve(number)
        with self.lock:
            table.finish(number, self.pid, result)
        self.queue.send(NEWS.pack(number, self.pid, True), REPORT)

    def wait_for_death(self, number: int) -> None:
        self.queue.send(NEWS.pack(number, self.pid, False), REPORT)
        while os.getppid() == self.parent:
            time.sleep(PATIENCE)


# The parent


class Boss:
    """Hands out jobs, counts results, and hands out again what a dead worker has left."""

    def __init__(self, jobs: int, queue: MessageQueue, lock: Semaphore, table: Table) -> None:
        self.queue = queue
        self.lock = lock
        self.table = table
        self.jobs = [(number, (URGENT, NORMAL, LATER)[number % 3]) for number in range(jobs)]
        self.waiting = deque(self.jobs)
        self.sent: dict[int, float] = {}
        self.took: dict[int, list[float]] = {priority: [] for priority in PRIORITIES}
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self.lost = False
        self.deaths: list[str] = []
        self.handed_out_again = 0
        self.messages = 0

    @property
    def finished(self) -> int:
        return sum(map(len, self.took.values()))

    def start_workers(self, ids: list[str]) -> None:
        for number in range(WORKERS):
            die = DOOMED.get(number, "")
            command = [sys.executable, __file__, f"--die={die}", "--worker", *ids]
            worker = subprocess.Popen(command)
            self.workers[worker.pid] = worker
            say(f"worker {number} has pid {worker.pid}{die and f', to be killed while {die}'}")

    def run(self) -> None:
        while self.finished < len(self.jobs):
            while self.waiting and len(self.sent) < WINDOW:
                number, priority = self.waiting.popleft()
                self.sent[number] = time.monotonic()
                self.send(number, priority)
            self.listen()
            progress(self.finished, len(self.jobs))

    def send(self, number: int, priority: int) -> None:
        self.queue.send(JOB.pack(number), priority)
        self.messages += 1

    def listen(self) -> None:
        try:
            reports = self.queue.receive_many(WINDOW, REPORT, timeout=PATIENCE)
        except WaitTimeoutError:
            self.look_after_workers()
            return
        self.messages += len(reports)
        for report in reports:
            number, pid, done = NEWS.unpack(report.data)
            if not done:
                self.kill(number, pid)
            elif number in self.sent:  # a job that was handed out twice may be done twice
                self.finish(number)

    def finish(self, number: int) -> None:
        self.took[self.jobs[number][1]].append(time.monotonic() - self.sent.pop(number))

    def kill(self, number: int, pid: int) -> None:
        holds = self.lock.value == 0 and self.lock.last_pid == pid
        worker = self.workers.pop(pid)
        worker.kill()
        worker.wait()
        self.deaths.append("holding the lock" if holds else "at work")
        say(f"worker {pid} is killed while {self.deaths[-1]}, on job {number}")
        if holds:
            started = time.monotonic()
            with self.lock.hold(timeout=10):
                milliseconds = (time.monotonic() - started) * 1000
            say(f"  {milliseconds:.1f} ms after its end the parent had the lock")
        self.hand_out_again(number)

    def hand_out_again(self, number: int) -> None:
        say(f"  job {number} is handed out again")
        self.send(number, URGENT)
        self.handed_out_again += 1

    def look_after_workers(self) -> None:
        """No news for a while: has somebody else killed workers, perhaps before they claimed?"""
        dead = {pid for pid, worker in self.workers.items() if worker.poll() is not None}
        for pid in dead:
            del self.workers[pid]
            say(f"worker {pid} has died")
            self.deaths.append("by somebody else")
        if not self.workers:
            sys.exit("no worker is left")
        self.lost = self.lost or bool(dead)
        # One that is to be killed with the lock may have taken it right now.
        if self.lost and (guard := self.lock.try_hold()):
            with guard:
                states = {number: self.table.state(number) for number in self.sent}
            for number, (claimed_by, done) in states.items():
                # Killed before the claim, or between result and report; twice does no harm.
                if done:
                    self.finish(number)
                elif claimed_by not in self.workers:
                    self.hand_out_again(number)
            self.lost = False

    def dismiss_workers(self) -> None:
        for _ in self.workers:
            self.send(QUIT, LATER)
        for worker in self.workers.values():
            worker.wait(timeout=10)

    def kill_workers(self) -> None:
        for worker in self.workers.values():
            worker.kill()
            worker.wait()

    def wrong_results(self) -> int:
        """How many results are missing or wrong: each job is done again here."""
        wrong = 0
        with self.lock:
            for number, _ in self.jobs:
                good = self.table.state(number)[1] and self.table.result(number) == solve(number)
                wrong += not good
        return wrong


def lead(jobs: int) -> int:
    """Makes the objects, has the work done, checks it, and removes the objects."""
    status = 0
    with ExitStack() as stack:
        queue = MessageQueue.create()
        stack.callback(queue.remove)
        semaphores = SemaphoreSet.create(size=2, values=(1, WORKERS))
        stack.callback(semaphores.remove)
        memory = SharedMemory.create(size=jobs * ENTRY)
        stack.callback(memory.remove)
        objects: list[Handle] = [queue, semaphores, memory]
        say(*objects, sep="\n")

        lock, gate = semaphores
        boss = Boss(jobs, queue, lock, Table(stack.enter_context(memory.attach())))
        stack.callback(boss.kill_workers)
        boss.start_workers([str(handle.id) for handle in objects])
        try:
            with interruptible():
                gate.wait_zero(timeout=60)
                started = time.monotonic()
                boss.run()
                tell(boss, time.monotonic() - started)
                boss.dismiss_workers()
                wrong = boss.wrong_results()
            say(f"checked {jobs} results: {wrong} wrong or missing")
            status = int(wrong > 0 or len(boss.deaths) < len(DOOMED))
        except KeyboardInterrupt as interrupt:
            (number,) = interrupt.args
            say(f"interrupted by {signal.Signals(number).name}")
            status = 128 + number
    left = sum(map(still_there, objects))
    say(f"{left} objects left behind")
    return 1 if left else status


def tell(boss: Boss, seconds: float) -> None:
    jobs = len(boss.jobs)
    rates = (jobs, "jobs"), (boss.messages, "messages"), (2 * jobs, "locks")
    said = ", ".join(f"{count / seconds:.0f} {what}/s" for count, what in rates)
    say(f"{jobs} jobs in {seconds:.2f} s: {said}")
    for priority, name in PRIORITIES.items():
        took = boss.took[priority]
        say(f"  {name:7}{1000 * sum(took) / len(took):7.1f} ms from sending to report, on average")
    deaths = f"{len(boss.deaths)} workers killed ({', '.join(boss.deaths)})"
    say(f"{deaths}, {boss.handed_out_again} jobs handed out again")


def still_there(handle: Handle) -> bool:
    try:
        type(handle).from_id(handle.id)
    except RemovedError:
        return False
    say(f"left behind: {handle}")
    return True


# Signals that end the program wait while it makes or removes objects

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[None]:
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


# What is shown


def say(*things: object, sep: str = " ", end: str = "\n") -> None:
    clear = "\r\x1b[K" if sys.stdout.isatty() else ""
    print(clear + sep.join(map(str, things)), end=end, flush=True)


def progress(done: int, jobs: int) -> None:
    if sys.stdout.isatty():
        bar = "#" * (done * 40 // jobs)
        say(f"[{bar:<40}] {done} of {jobs} jobs", end="")


def main() -> int:
    parser = argparse.ArgumentParser(description="jobs, workers, and two of them killed")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--worker", nargs=3, type=int, metavar="ID", help=argparse.SUPPRESS)
    parser.add_argument("--die", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        # It has the parent's signal mask: the parent alone decides when it ends.
        queue, semaphores, memory = options.worker
        with SharedMemory.from_id(memory).attach() as attachment:
            handles = MessageQueue.from_id(queue), SemaphoreSet.from_id(semaphores)
            Worker(*handles, options.die).run(Table(attachment))
        return 0
    if options.jobs < 1000:
        parser.error("fewer than 1000 jobs might be done before all workers had one")
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    for number in ENDING:
        signal.signal(number, interrupt)
    return lead(options.jobs)


if __name__ == "__main__":
    sys.exit(main())
