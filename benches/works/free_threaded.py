"""On a CPython without the GIL, where one is found that has the package."""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from _timing import Run

from . import OURS, NotHereError, work

Stack = contextlib.ExitStack

BUILT = Path(__file__).parents[2] / "build/free-threaded/venv/bin/python"
CHECK = "import sys, sysv_ipc_rs; assert not sys._is_gil_enabled()"
LONG = 100
"""How many times longer batches are: beside them the start of a thread must cost nothing."""

MEASURE = """
import sys, threading, time
import sysv_ipc_rs
threads = [sysv_ipc_rs.Semaphore.create() for _ in range(int(sys.argv[1]))]
def pairs(semaphore, count):
    acquire, release = semaphore.acquire, semaphore.release
    for _ in range(count):
        acquire()
        release()
for line in sys.stdin:
    count = int(line)
    running = [threading.Thread(target=pairs, args=(semaphore, count)) for semaphore in threads]
    begin = time.perf_counter_ns()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    print(time.perf_counter_ns() - begin, flush=True)
for semaphore in threads:
    semaphore.remove()
"""


def has_the_package(interpreter: str) -> bool:
    tried = subprocess.run([interpreter, "-c", CHECK], check=False, capture_output=True)
    return tried.returncode == 0


@functools.cache
def free_threaded() -> str:
    """An interpreter without the GIL that can import the package."""
    for found in (shutil.which("python3.14t"), str(BUILT) if BUILT.exists() else None):
        if found and has_the_package(found):
            return found
    raise NotHereError("no free-threaded CPython with the package is found: make free-threaded")


def measuring(stack: Stack, interpreter: str, threads: int) -> Run:
    """Pairs by so many threads of another interpreter at once, each on its own semaphore."""
    command = [interpreter, "-c", MEASURE, str(threads)]
    pipe = subprocess.PIPE
    process = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
    assert process.stdin
    assert process.stdout
    to, answers = process.stdin, process.stdout
    # Its end, for which leaving the process waits.
    stack.callback(to.close)

    def run(pieces: int) -> float:
        print(max(1, LONG * pieces // threads), file=to, flush=True)
        return float(answers.readline()) / LONG

    return run


def with_threads(threads: int) -> None:
    @work(f"acquire + release without the GIL, threads: {threads}")
    def make(stack: Stack) -> Mapping[str, Run]:
        interpreter = free_threaded()
        return {
            OURS: measuring(stack, interpreter, threads),
            "with the GIL": measuring(stack, sys.executable, threads),
        }


for number in (1, min(4, os.cpu_count() or 1)):
    with_threads(number)
