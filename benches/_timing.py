"""Measuring on a machine that others use too: contenders by turns, many short batches, minima."""

import ctypes
import functools
import gc
import importlib.util
import itertools
import math
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Run = Callable[[int], float]
"""Does a piece of work so many times, and gives the nanoseconds of all of them together."""

UNROLLED = 10
BATCH = 200_000.0
"""How many nanoseconds a batch should take: short enough for some to go undisturbed."""


def python(statement: str, **names: object) -> Run:
    """A piece of work in Python; the loop around it is unrolled, so that it costs next to nothing.

    `statement` is one line. Its names are local variables, as in a function.
    """
    arguments = ", ".join(f"{name}={name}" for name in names)
    body = "\n        ".join([statement] * UNROLLED)
    source = (
        f"def run(count, {arguments}):\n"
        f"    for _ in repeat(None, count // {UNROLLED}):\n        {body}\n"
        f"    for _ in repeat(None, count % {UNROLLED}):\n        {statement}\n"
    )
    scope: dict[str, Any] = {"repeat": itertools.repeat, **names}
    exec(compile(source, f"<{statement}>", "exec"), scope)
    work = scope["run"]

    def run(count: int) -> float:
        begin = time.perf_counter_ns()
        work(count)
        return time.perf_counter_ns() - begin

    return run


def compiled(source: str, folder: str, *flags: str) -> Path:
    """A library made of a C file that lies beside this one."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    file = Path(__file__).with_name(source)
    library = Path(folder, file.stem + ".so")
    command = [compiler, "-O2", "-shared", "-fPIC", *flags, "-o", str(library), str(file)]
    subprocess.run(command, check=True)
    return library


@functools.cache
def c_library() -> ctypes.CDLL:
    """The bare system calls, compiled for this run."""
    with tempfile.TemporaryDirectory() as folder:
        return ctypes.CDLL(str(compiled("baseline.c", folder)))


@functools.cache
def extension(name: str) -> Any | None:
    """An extension module of a C file that lies beside this one; None without CPython's headers."""
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        library = compiled(f"{name}.c", folder, f"-I{include}")
        spec = importlib.util.spec_from_file_location(name, library)
        if spec is None or spec.loader is None:
            return None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def c(function: str, *arguments: object, each: int = 1) -> Run:
    """A piece of work in C: a function of `baseline.c`, called with `arguments` and a count.

    One call of it in its loop counts as `each` pieces.
    """
    call = getattr(c_library(), function)
    call.restype = ctypes.c_double

    def run(count: int) -> float:
        nanoseconds: float = call(*map(c_long, arguments), ctypes.c_long(max(1, count // each)))
        if nanoseconds < 0:
            raise RuntimeError(f"{function}: a system call failed")
        return nanoseconds

    return run


def c_long(value: object) -> object:
    """Ids, sizes and flags are passed as longs: C's calls take the low half where it is an int."""
    return ctypes.c_long(value) if isinstance(value, int) else value


def sustained(run: Run, seconds: float = 0.25) -> Run:
    """Batches that are long enough to average over other threads' turns with the interpreter."""

    def long(count: int) -> float:
        spent, done, piece = 0.0, 0, 1000
        while spent < seconds * 1e9:
            spent += run(piece)
            done += piece
        return spent / done * count

    return long


def call_price() -> Run:
    """One call of a built-in method without arguments: the unit that overheads are told in.

    One that makes an object, and that the interpreter has no special instruction for. The choice
    decides rows: built-in methods cost 5 to 24 ns here, and the goals were written for some 24. It
    was made after the first figures were seen.
    """
    return python("copy()", copy={}.copy)


def fastest(contenders: Mapping[str, Run], seconds: float = 1.0) -> dict[str, float]:
    """The nanoseconds of one piece of each contender's work: the minimum of many short batches.

    The contenders take turns, each round beginning with another one, so that whatever disturbs
    the machine disturbs all of them.
    """
    counts = {name: batch_size(run) for name, run in contenders.items()}
    best = dict.fromkeys(contenders, math.inf)
    names = list(contenders)
    collects = gc.isenabled()
    gc.disable()
    try:
        end, rounds = time.monotonic() + seconds * len(names), 0
        while rounds < len(names) * 2 or time.monotonic() < end:
            names.append(names.pop(0))
            for name in names:
                count = counts[name]
                best[name] = min(best[name], contenders[name](count) / count)
            rounds += 1
    finally:
        if collects:
            gc.enable()
    return best


def batch_size(run: Run) -> int:
    """How many pieces of the work make a batch of about the right length."""
    count = UNROLLED
    while True:
        spent = run(count)
        if spent >= BATCH / 4 or count >= 1_000_000:
            pieces = count * BATCH / max(spent, 1.0)
            return max(UNROLLED, round(pieces / UNROLLED) * UNROLLED)
        count *= 4
