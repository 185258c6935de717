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
from contextlib import ExitStack, suppress

from sysv_ipc_rs import (
    Attachment,
    MessageQueue,
    RemovedError,
    Semaphore,
    SharedMemory,
    WaitTimeoutError,
)

WORKERS = 8
URGENT, NORMAL, LATER = 1, 2, 3
DONE, READY_TO_DIE = 10, 20
QUIT = 0xFFFFFFFF

JOB = struct.Struct("<I")  # its number
REPORT = struct.Struct("<Ii")  # a job's number, and who did it
ENTRY = struct.Struct("<iIQ")  # in the table: who has claimed it, whether it is done, the result
ROUNDS = 300


def solve(number: int) -> int:
    """A job: some honest work whose result only depends on its number."""
    digest = number.to_bytes(8, "little")
    for _ in range(ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return int.from_bytes(digest[:8], "little")


class Table:
    """The results in shared memory. Whoever reads or writes them holds the lock."""

    def __init__(self, memory: Attachment) -> None:
        self.memory = memory

    def entry(self, number: int) -> tuple[int, bool, int]:
        claimed_by, done, result = ENTRY.unpack(self.memory.read(ENTRY.size, number * ENTRY.size))
        return claimed_by, bool(done), result

    def write(self, number: int, claimed_by: int, done: bool, result: int = 0) -> None:
        self.memory.write(ENTRY.pack(claimed_by, done, result), number * ENTRY.size)


# The worker


def work(queue: MessageQueue, lock: Semaphore, memory: SharedMemory, die: str) -> None:
    """Does jobs until it is told to quit. A worker that is to `die` says when, and waits for it."""
    me = os.getpid()
    with memory.attach() as attachment:
        table = Table(attachment)
        while True:
            (number,) = JOB.unpack(queue.receive(-LATER).data)
            if number == QUIT:
                return
            with lock:
                if table.entry(number)[1]:
                    continue
                table.write(number, me, done=False)
                if die == "locked":
                    stop_here(queue, number)
            if die == "working":
                stop_here(queue, number)
            result = solve(number)
            with lock:
                table.write(number, me, done=True, result=result)
            queue.send(REPORT.pack(number, me), DONE)


def stop_here(queue: MessageQueue, number: int) -> None:
    queue.send(REPORT.pack(number, os.getpid()), READY_TO_DIE)
    while True:
        signal.pause()


# The parent


class Boss:
    """Hands out jobs, counts results, and hands out again what a dead worker has left."""

    def __init__(self, jobs: int, queue: MessageQueue, lock: Semaphore, memory: SharedMemory) -> None:
        self.jobs = jobs
        self.queue = queue
        self.lock = lock
        self.memory = memory
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self.finished: set[int] = set()
        self.killed = 0
        self.handed_out_again = 0

    def start_workers(self) -> None:
        ids = [str(handle.id) for handle in (self.queue, self.lock, self.memory)]
        for number in range(WORKERS):
            die = {2: "locked", 5: "working"}.get(number, "")
            command = [sys.executable, __file__, "--worker", *ids, f"--die={die}"]
            worker = subprocess.Popen(command)
            self.workers[worker.pid] = worker
            fate = f" (will be killed while {die})" if die else ""
            say(f"worker {number} has pid {worker.pid}{fate}")

    def run(self, table: Table) -> None:
        waiting = iter([(n, (URGENT, NORMAL, LATER)[n % 3]) for n in range(self.jobs)])
        job = next(waiting, None)
        while len(self.finished) < self.jobs:
            while job is not None and self.queue.try_send(JOB.pack(job[0]), job[1]):
                job = next(waiting, None)
            # A queue full of jobs has no room for reports: those that are there go first.
            self.listen(table, 0.002 if job is not None else 1.0)

    def listen(self, table: Table, timeout: float) -> None:
        try:
            reports = self.queue.receive_many(1000, DONE, timeout=timeout)
        except WaitTimeoutError:
            reports = []
        for report in reports:
            self.finished.add(REPORT.unpack(report.data)[0])
        while (doomed := self.queue.try_receive(READY_TO_DIE)) is not None:
            number, pid = REPORT.unpack(doomed.data)
            self.kill(table, number, pid)
        if not reports and timeout >= 1:
            self.hand_out_again(table, set(self.workers))
        progress(len(self.finished), self.jobs)

    def kill(self, table: Table, number: int, pid: int) -> None:
        holds = self.lock.value == 0
        os.kill(pid, signal.SIGKILL)
        self.workers.pop(pid).wait()
        self.killed += 1
        what = "held the lock" if holds else "was at work"
        say(f"killed worker {pid} at job {number}; it {what}")
        started = time.monotonic()
        with self.lock.hold(timeout=10):
            took = (time.monotonic() - started) * 1000
        say(f"the kernel has given the lock back ({took:.1f} ms)")
        self.hand_out_again(table, set(self.workers))

    def hand_out_again(self, table: Table, living: set[int]) -> None:
        """What nobody who lives is at work on, and nobody has done. Twice does no harm."""
        with self.lock:
            entries = [table.entry(number) for number in range(self.jobs)]
        for number, (claimed_by, done, _) in enumerate(entries):
            if claimed_by and not done and claimed_by not in living:
                while not self.queue.try_send(JOB.pack(number), URGENT):
                    self.listen(table, 0.002)
                say(f"job {number} of dead worker {claimed_by} is handed out again")
                self.handed_out_again += 1

    def dismiss_workers(self) -> None:
        for _ in self.workers:
            self.queue.send(JOB.pack(QUIT), LATER, timeout=10)
        for worker in self.workers.values():
            worker.wait(timeout=10)

    def kill_workers(self) -> None:
        for worker in self.workers.values():
            worker.kill()
            worker.wait()


def check(table: Table, jobs: int) -> int:
    """How many results are missing or wrong."""
    wrong = 0
    for number in range(jobs):
        _, done, result = table.entry(number)
        wrong += not done or result != solve(number)
    return wrong


def count_leftovers(*handles: MessageQueue | Semaphore | SharedMemory) -> int:
    left = 0
    for handle in handles:
        with suppress(RemovedError):
            type(handle).from_id(handle.id)
            say(f"left behind: {handle}")
            left += 1
    return left


def say(text: str) -> None:
    clear = "\r\x1b[K" if sys.stdout.isatty() else ""
    print(f"{clear}{text}", flush=True)


def progress(done: int, jobs: int) -> None:
    if sys.stdout.isatty():
        bar = "#" * (done * 40 // jobs)
        print(f"\r\x1b[K[{bar:<40}] {done} of {jobs} jobs", end="", flush=True)


def lead(jobs: int) -> int:
    with ExitStack() as stack:
        queue = MessageQueue.create()
        stack.callback(queue.remove)
        lock = Semaphore.create()
        stack.callback(lock.remove)
        memory = SharedMemory.create(size=jobs * ENTRY.size)
        stack.callback(memory.remove)
        say(f"made {queue}, {lock}, {memory}")

        boss = Boss(jobs, queue, lock, memory)
        stack.callback(boss.kill_workers)
        # Cleaning up is not to be interrupted.
        stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
        table = Table(stack.enter_context(memory.attach()))
        boss.start_workers()
        started = time.monotonic()
        boss.run(table)
        seconds = time.monotonic() - started
        boss.dismiss_workers()
        messages = 2 * jobs + boss.handed_out_again + boss.killed
        say(f"{jobs} jobs in {seconds:.2f} s: {jobs / seconds:.0f} jobs/s, "
            f"{messages / seconds:.0f} messages/s")
        say(f"{boss.killed} workers killed, {boss.handed_out_again} jobs handed out again")
        wrong = check(table, jobs)
        say(f"checked {jobs} results: {wrong} wrong or missing")
        failed = wrong or boss.killed != 2
    left = count_leftovers(queue, lock, memory)
    say(f"{left} objects left behind")
    return 1 if failed or left else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="jobs, workers, and two of them killed")
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--worker", nargs=3, type=int, metavar="ID", help=argparse.SUPPRESS)
    parser.add_argument("--die", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if not options.worker:
            return lead(options.jobs)
        queue, lock, memory = options.worker
        handles = (MessageQueue.from_id(queue), Semaphore.from_id(lock), SharedMemory.from_id(memory))
        work(*handles, options.die)
    except RemovedError:
        # The parent has cleaned up.
        return 1
    except KeyboardInterrupt:
        if not options.worker:
            say("interrupted; everything is removed")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
