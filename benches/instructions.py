"""How many instructions the hottest calls cost inside the extension module.

Counted by callgrind, so that no noise can hide or feign a change: what libc, CPython and the kernel
do differs between machines and is left out. `make instructions` compares with what is committed;
`make instructions-baseline` commits to what there is now.
"""

import argparse
import atexit
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import sysv_ipc_rs as ipc

BASELINE = Path(__file__).with_suffix(".json")
TOLERANCE = 0.05
PIECES = 500
EXTENSION = "_core."


def hot_calls() -> dict[str, Callable[[], object]]:
    """The ten pieces of work, with objects that are removed when the process ends."""
    semaphore, queue = ipc.Semaphore.create(), ipc.MessageQueue.create()
    memory = ipc.SharedMemory.create(size=4096)
    attachment = memory.attach()
    word = attachment.atomic(0, "i64")
    for handle in (semaphore, queue, memory):
        atexit.register(handle.remove)
    data, many, buffer = b"x" * 64, [b"x" * 64] * 10, bytearray(64)

    def pair() -> None:
        semaphore.acquire()
        semaphore.release()

    def pair_with_undo() -> None:
        semaphore.acquire(undo=True)
        semaphore.release(undo=True)

    def hold() -> None:
        with semaphore.hold():
            pass

    def timed() -> None:
        semaphore.acquire(timeout=1.0)
        semaphore.release()

    def message() -> None:
        queue.send(data)
        queue.receive()

    def into() -> None:
        queue.send(data)
        queue.receive_into(buffer)

    def batch() -> None:
        queue.send_many(many)
        queue.receive_many(10)

    def copies() -> None:
        attachment.write(data)
        attachment.read(64)

    return {
        "acquire + release": pair,
        "acquire + release, undo": pair_with_undo,
        "with semaphore.hold()": hold,
        "acquire(timeout) + release": timed,
        "semaphore.value": lambda: semaphore.value,
        "send + receive 64 B": message,
        "send + receive_into 64 B": into,
        "send_many + receive_many of 10": batch,
        "write + read 64 B": copies,
        "atomic add": lambda: word.add(1),
    }


def run() -> None:
    """The work; callgrind writes down what it has counted before each call of getpriority."""
    for work in hot_calls().values():
        work()
        os.getpriority(os.PRIO_PROCESS, 0)
        for _ in range(PIECES):
            work()
        os.getpriority(os.PRIO_PROCESS, 0)


def inside(profile: Path) -> int:
    """The instructions of a profile that were spent in the extension module itself."""
    names: dict[str, str] = {}
    spent, ours, of_callee = 0, False, False
    for line in profile.read_text().splitlines():
        if found := re.match(r"(c?)ob=(\(\d+\))(?: (.*))?$", line):
            callee, number, name = found.groups()
            names.setdefault(number, name or "")
            ours = ours if callee else Path(names[number]).name.startswith(EXTENSION)
        elif line.startswith("calls="):
            of_callee = True
        elif found := re.match(r"[-+*\d]\S* (\d+)$", line):
            spent += int(found[1]) if ours and not of_callee else 0
            of_callee = False
    return spent


def count() -> dict[str, int]:
    """Instructions of each piece of work, by a run of this file under callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "profile")
        watch = ["valgrind", "--quiet", "--tool=callgrind", "--dump-before=getpriority"]
        command = [*watch, f"--callgrind-out-file={out}", sys.executable, __file__, "--run"]
        # Hash values decide which entries of a dictionary collide.
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})
        # Of each pair of profiles the second one holds the repetitions.
        return {
            name: round(inside(Path(f"{out}.{2 * number + 2}")) / PIECES)
            for number, name in enumerate(hot_calls())
        }


def maker() -> dict[str, str]:
    """What else decides the counts: another compiler writes other instructions."""
    compiler = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True)
    return {"rustc": compiler.stdout.split()[1], "machine": platform.machine()}


def compare(found: dict[str, int], known: dict[str, int]) -> int:
    """Prints both; the exit status."""
    status = 0
    for name, now in found.items():
        before = known.get(name, 0)
        worse, better = now > before * (1 + TOLERANCE), now < before * (1 - TOLERANCE)
        verdict = "MORE: a regression" if worse else "fewer: make instructions-baseline"
        print(f"{name:32} {before:6} -> {now:6}  {verdict if worse or better else 'as known'}")
        status |= worse or better
    return int(status)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="store_true", help="only do the work, for callgrind")
    parser.add_argument("--write", action="store_true", help="make this the baseline")
    chosen = parser.parse_args()
    if chosen.run:
        run()
        return 0
    if not shutil.which("valgrind"):
        print("instructions are not counted: install the package valgrind")
        return int(bool(os.environ.get("CI")))
    made_by = maker()
    if chosen.write:
        content = {**made_by, "instructions": count()}
        BASELINE.write_text(json.dumps(content, indent=1) + "\n")
        print(BASELINE.read_text(), end="")
        return 0
    known = json.loads(BASELINE.read_text())
    if other := {what: known[what] for what, name in made_by.items() if known[what] != name}:
        print(f"instructions are not compared: the baseline is of {other}, this is {made_by}")
        return 0
    return compare(count(), known["instructions"])


if __name__ == "__main__":
    sys.exit(main())
