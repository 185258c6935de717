"""The package as a whole: how long it takes to import, how large it is."""

import contextlib
import importlib.machinery
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import sysv_ipc_rs
from _timing import Run

from . import OURS, SYSV_IPC, Goal, work

IMPORT = (
    "import time; begin = time.perf_counter_ns(); import {}; print(time.perf_counter_ns() - begin)"
)


def importing(module: str) -> Run:
    """Imports it in a new interpreter, which times that itself."""
    command = [sys.executable, "-I", "-c", IMPORT.format(module)]

    def run(pieces: int) -> float:
        return float(subprocess.run(command, check=True, capture_output=True).stdout) * pieces

    return run


@work("import", Goal(SYSV_IPC, 1.5, extra=2e6), seconds=3)
def imports(_: contextlib.ExitStack) -> Mapping[str, Run]:
    return {
        OURS: importing("sysv_ipc_rs"),
        SYSV_IPC: importing("sysv_ipc"),
        "posix_ipc": importing("posix_ipc"),
        "multiprocessing.shared_memory": importing("multiprocessing.shared_memory"),
    }


def starting(*arguments: str) -> Run:
    """Runs a new interpreter to its end."""
    command = [sys.executable, "-I", *arguments]

    def run(pieces: int) -> float:
        begin = time.perf_counter_ns()
        subprocess.run(command, check=True, capture_output=True)
        return (time.perf_counter_ns() - begin) * pieces

    return run


@work("starting sysv-ipc ls", Goal("click", 1.5), seconds=5)
def starts(_: contextlib.ExitStack) -> Mapping[str, Run]:
    return {
        OURS: starting("-m", "sysv_ipc_rs", "ls"),
        "click": starting("-c", "import click"),
    }


SIZE_REASON = (
    "also built for size alone (opt-level z) it has 1.37 MB, and its calls take twice the "
    "instructions. 0.48 MB are what PyO3 makes around some 600 functions that Python calls, 0.19 "
    "MB what prints a panic's backtrace, which std brings along: benches/size.py --ways"
)


def extension_size() -> int:
    """Bytes of the extension module."""
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    folder = Path(sysv_ipc_rs.__file__).parent
    return sum(file.stat().st_size for file in folder.iterdir() if file.name.endswith(suffixes))
