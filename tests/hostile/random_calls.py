"""Random calls with random arguments over the whole public interface.

Each batch runs in a child process. A death by a signal, a hang, a `SystemError` or a panic of the
core is a failure, and is reported with the seed and the last calls that led to it.

    python -m tests.hostile.random_calls --calls 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import importlib
import inspect
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, ClassVar

import sysv_ipc_rs
from sysv_ipc_rs import compat

MODULES = [
    "sysv_ipc_rs",
    "sysv_ipc_rs.compat",
    "sysv_ipc_rs.interop",
    "sysv_ipc_rs.raw",
    "sysv_ipc_rs.system",
    "sysv_ipc_rs.aio",
]
BATCH = 1000
SECONDS_A_BATCH = 120.0
SHM_REMAP = 0o40000
CLONE_NEWIPC = 0x08000000
POOL = 60

INTS = [
    *(-1, 0, 1, 2, 3, 7, 255, 0o600, 0o644, 644, 4096, 32767, 32768, 65535, 65536),
    *(2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32, 2**63 - 1, 2**63, -(2**63), 2**64, 10**40),
]
SMALL_TIMEOUTS: list[object] = [0, 0.0, 1e-9, 0.001, 1e-320, Fraction(1, 1000)]
BAD_TIMEOUTS: list[object] = [-1, float("nan"), "1", 1j, b"", [], -1e-320]
METHODS = [
    *("__len__", "__iter__", "__hash__", "__repr__", "__bool__", "__reduce__", "__enter__"),
    *("__getitem__", "__setitem__", "__delitem__", "__eq__", "__exit__", "__contains__"),
]


class OutOfTime(BaseException):
    """What the alarm raises in a call that waits."""


class Hostile:
    """An object that lies, raises, or removes objects while it is being looked at."""

    def __init__(self, pool: list[object], chance: random.Random) -> None:
        self.pool = pool
        self.chance = chance

    def _act(self) -> None:
        victim = self.chance.choice(self.pool)
        action = self.chance.choice(["remove", "detach", "close", "release", "none", "raise"])
        if action == "raise":
            raise ZeroDivisionError
        with contextlib.suppress(Exception):
            getattr(victim, action, lambda: None)()

    def __index__(self) -> int:
        self._act()
        return self.chance.choice(INTS)

    def __float__(self) -> float:
        self._act()
        return self.chance.choice([0.0, -1.0, float("nan"), 0.001])

    def __len__(self) -> int:
        self._act()
        return self.chance.choice([0, 1, 5, 2**62])

    def __iter__(self) -> Iterator[object]:
        self._act()
        return iter(self.chance.choices(INTS, k=3))

    def __bool__(self) -> bool:
        self._act()
        return True

    def __fspath__(self) -> str:
        self._act()
        return "/"


class Caller:
    """Makes one random call after the other, feeding on what earlier ones gave."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.pool: list[object] = []
        self.functions = list(self.public_functions())
        self.seed_pool()

    @staticmethod
    def public_functions() -> Iterator[tuple[str, Callable[..., object]]]:
        for name in MODULES:
            module = importlib.import_module(name)
            for public in module.__all__:
                thing = getattr(module, public)
                if isinstance(thing, type) and issubclass(thing, BaseException):
                    continue
                if isinstance(thing, type):
                    yield f"{public}", thing
                    for method in ("create", "open", "open_or_create", "from_id"):
                        if hasattr(thing, method):
                            yield f"{public}.{method}", getattr(thing, method)
                elif callable(thing):
                    yield f"{name}.{public}", thing

    def seed_pool(self) -> None:
        queue = sysv_ipc_rs.MessageQueue.create()
        self.pool += [queue, sysv_ipc_rs.Semaphore.create(value=3)]
        self.pool.append(sysv_ipc_rs.SemaphoreSet.create(size=4, values=1))
        memory = sysv_ipc_rs.SharedMemory.create(size=5000)
        self.pool += [memory, memory.attach(), memory.attach(readonly=True)]
        self.pool.append(compat.Semaphore(None, compat.IPC_CREX, initial_value=3))
        self.pool.append(compat.MessageQueue(None, compat.IPC_CREX))
        self.pool.append(compat.SharedMemory(None, compat.IPC_CREX, size=5000))

    def keep(self, value: object) -> None:
        ours = type(value).__module__.startswith("sysv_ipc_rs") and not isinstance(value, OSError)
        if not ours and not isinstance(value, memoryview):
            return
        self.pool.append(value)
        while len(self.pool) > POOL:
            # Whatever goes is dropped here, in any order.
            del self.pool[self.chance.randrange(len(self.pool))]

    def argument(self, name: str = "") -> object:
        if name == "reserve":
            return True
        if name == "timeout":
            return self.chance.choice(
                self.chance.choices([SMALL_TIMEOUTS, BAD_TIMEOUTS], [9, 1])[0]
            )
        if self.chance.random() < 0.8 and name in self.plausible:
            return self.plausible[name](self)
        if self.chance.random() < 0.3:
            return self.chance.choice(self.pool)
        return self.fresh()

    def buffer(self) -> object:
        size = self.chance.choice([0, 1, 8, 64, 9000])
        kinds: list[Callable[[], object]] = [
            lambda: bytes(size),
            lambda: bytearray(size),
            lambda: memoryview(bytearray(size)),
            lambda: self.chance.choice(self.pool),
        ]
        return self.chance.choice(kinds)()

    def number(self, *choices: int) -> int:
        return self.chance.choice(choices)

    plausible: ClassVar[dict[str, Callable[[Caller], object]]] = {
        "key": lambda self: self.number(0, 1, 2, 3, 0xDEADBEEF, -5),
        "n": lambda self: self.number(1, 1, 2, 3),
        "type": lambda self: self.number(0, 1, 1, 2, -3),
        "data": buffer,
        "buffer": buffer,
        "index": lambda self: self.number(0, 0, 1, 3),
        "offset": lambda self: self.number(0, 8, 16, 4992, 5000),
        "mode": lambda self: self.number(0o600, 0o666, 0o400, 0),
        "value": lambda self: self.number(0, 1, 5, 255),
        "byte": lambda self: self.number(0, 1, 255),
        "values": lambda self: self.chance.choice([0, 1, [1, 2, 3, 4], (0,)]),
        "size": lambda self: self.number(1, 2, 4, 4096, 65536, 1 << 20),
        "max_size": lambda self: self.chance.choice([None, 0, 5, 10**12]),
        "max_bytes": lambda self: self.chance.choice([None, 100, 16384]),
        "limit": lambda self: self.number(1, 3, 10**12),
        "messages": lambda self: [self.buffer(), (2, self.buffer())],
        "ops": lambda self: (self.number(0, 1, 3), self.number(-1, 0, 1)),
        "id": lambda self: getattr(self.chance.choice(self.pool), "id", 0),
        "flags": lambda self: self.number(0, 0o1000, 0o3000, 0o10000),
        "message": buffer,
        "s": buffer,
        "byte_count": lambda self: self.number(0, 1, 5000, 10**12),
        "delta": lambda self: self.number(1, 1, -2, 3),
        "block": lambda self: self.chance.random() < 0.1,
        "kind": lambda self: self.chance.choice(["i32", "u32", "i64", "u64"]),
        "msgsz": lambda self: self.number(0, 8, 10**12),
        "nsems": lambda self: self.number(1, 4),
        "semaphore": lambda self: self.one_of(sysv_ipc_rs.Semaphore),
        "queue": lambda self: self.one_of(sysv_ipc_rs.MessageQueue),
    }

    def fresh(self) -> object:
        chance = self.chance
        kinds: list[Callable[[], object]] = [
            lambda: chance.choice(INTS),
            lambda: chance.randint(-3, 40),
            lambda: chance.choice([None, True, False, "", "text", "\udc80", 1.5, float("nan"), 1j]),
            lambda: chance.randbytes(chance.choice([0, 1, 8, 100, 9000])),
            lambda: bytearray(chance.choice([0, 1, 64, 9000])),
            lambda: memoryview(bytearray(64))[:: chance.choice([1, 2, -1])],
            lambda: [(chance.randint(-1, 4), chance.randint(-3, 3)) for _ in range(3)],
            lambda: tuple(chance.choices(INTS, k=chance.randint(0, 3))),
            lambda: Hostile(self.pool, chance),
            lambda: slice(chance.choice([None, -2, 3]), chance.choice([None, 9, 10**9])),
            lambda: chance.choice(["i32", "u32", "i64", "u64", "i8"]),
            object,
        ]
        return chance.choice(kinds)()

    def call(self, function: Callable[..., object]) -> object:
        positional, named = self.arguments(function)
        answer: Any = function(*positional, **named)
        if hasattr(answer, "__anext__"):
            answer = answer.__anext__()
        if not hasattr(answer, "__await__") or self.chance.random() < 0.1:
            return answer

        async def settle() -> object:
            async with asyncio.timeout(0.002):
                return await answer

        return asyncio.run(settle())

    def one_of(self, kind: type) -> object:
        return self.chance.choice([thing for thing in self.pool if isinstance(thing, kind)])

    def arguments(self, function: Callable[..., object]) -> tuple[list[object], dict[str, object]]:
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            return [self.argument() for _ in range(self.chance.randint(0, 3))], {}
        positional: list[object] = []
        named: dict[str, object] = {}
        for parameter in parameters:
            required = parameter.default is parameter.empty
            # Without a time limit only the alarm would end the call.
            wanted = parameter.name == "timeout" or self.chance.random() < (
                0.97 if required else 0.5
            )
            if parameter.kind is parameter.VAR_POSITIONAL:
                count = self.chance.randint(0, 3)
                positional += [self.argument(parameter.name) for _ in range(count)]
            elif not wanted or parameter.kind is parameter.VAR_KEYWORD:
                continue
            elif required and parameter.kind is not parameter.KEYWORD_ONLY:
                positional.append(self.argument(parameter.name))
            else:
                named[parameter.name] = self.argument(parameter.name)
        return self.harmless(function, positional, named)

    @staticmethod
    def harmless(
        function: Callable[..., object], positional: list[object], named: dict[str, object]
    ) -> tuple[list[object], dict[str, object]]:
        """Leaves out what the interface names as outside its promise: addresses given to `raw`."""
        name = getattr(function, "__name__", "")
        if name == "shmat":
            return positional[:1], {}
        if name == "ipc":
            # SHMAT is 21; its flags are the third argument.
            small = [v if isinstance(v, int) and abs(v) < 2**31 else 0 for v in positional]
            return [v & ~SHM_REMAP for v in small], {}
        return positional, named

    def step(self) -> str:
        """One call; gives what was called."""
        if self.chance.random() < 0.02:
            self.seed_pool()
        if self.chance.random() < 0.3:
            name, function = self.chance.choice(self.functions)
            self.log(name)
            self.keep(self.call(function))
            return name
        # The class first, or the values that most calls give would crowd out the handles.
        kind = self.chance.choice(sorted({type(thing).__name__ for thing in self.pool}))
        target = self.chance.choice([t for t in self.pool if type(t).__name__ == kind])
        names = [name for name in dir(target) if not name.startswith("_")]
        # CPython's own: `iter` of a released view gives SystemError.
        ours = not isinstance(target, memoryview)
        special = [name for name in METHODS if ours and hasattr(target, name)]
        name = self.chance.choice([*names, *names, *special, *self.uses])
        self.log(f"{type(target).__name__}.{name}")
        if name in self.uses:
            self.keep(self.uses[name](self, target))
            return name
        if name in names and self.chance.random() < 0.1:
            setattr(target, name, self.argument())
            return name
        thing = getattr(target, name)
        self.keep(self.call(thing) if callable(thing) else thing)
        return name

    def copy_into(self, target: Any) -> None:
        memoryview(target).cast("B")[:1] = b"x"

    def replace_class(self, target: Any) -> None:
        target.__class__ = type(self.chance.choice(self.pool))

    uses: ClassVar[dict[str, Callable[[Caller, Any], object]]] = {
        "memoryview()": lambda _, target: memoryview(target),
        "bytes()": lambda _, target: bytes(memoryview(target)[:100]),
        "write view": copy_into,
        "pickle": lambda _, target: pickle.loads(pickle.dumps(target, protocol=5)),
        "collect": lambda _, __: gc.collect(),
        "class": replace_class,
        "new": lambda self, target: type(target).__new__(type(target), *[self.argument()]),
        "subclass": lambda _, target: type("Sub", (type(target),), {}),
        "next": lambda _, target: (
            target[0] if isinstance(target, memoryview) else next(iter(target))
        ),
    }

    def log(self, text: str) -> None:
        os.write(3, f"{text}\n".encode("utf-8", "replace"))


def meddle(pool: list[object], seed: int) -> None:
    """A second thread: takes away from under the first what calls may be at work on."""
    chance = random.Random(seed)
    while True:
        victim = chance.choice(pool)
        action = chance.choice(["detach", "close", "release", "stat", "__repr__", "__enter__"])
        if action == "__enter__" and not hasattr(victim, "detach"):
            continue
        with contextlib.suppress(Exception):
            getattr(victim, action, lambda: None)()
        os.sched_yield()


def work(seed: int, calls: int) -> None:
    """The child: makes the calls, and dies of what no argument may ever cause."""

    armed = False

    def ring(*_: object) -> None:
        if armed:
            raise OutOfTime

    # What it makes is gone with it, and nobody else's is found; where that is not allowed, the
    # objects stay behind.
    ctypes.CDLL(None).unshare(CLONE_NEWIPC)
    signal.signal(signal.SIGALRM, ring)
    caller = Caller(seed)
    threading.Thread(target=meddle, args=(caller.pool, seed), daemon=True).start()
    for _ in range(calls):
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.5)
        armed = True
        try:
            caller.step()
        except (SystemError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if type(error).__module__ == "pyo3_runtime":
                raise
        armed = False
    signal.setitimer(signal.ITIMER_REAL, 0)


def run_batch(seed: int, calls: int) -> str | None:
    """Runs one batch in a child; gives what went wrong."""
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, __file__, "--child", "--seed", str(seed), "--calls", str(calls)]
        try:
            ended = subprocess.run(
                ["bash", "-c", f'exec 3>&{log.fileno()}; exec "$@"', "child", *command],
                pass_fds=[log.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=SECONDS_A_BATCH,
                check=False,
            )
            fault = None if ended.returncode == 0 else f"exit status {ended.returncode}"
            errors = ended.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired:
            fault, errors = "it hung", ""
        if fault is None:
            return None
        log.seek(0)
        last = log.read().decode(errors="replace").splitlines()[-8:]
        return f"seed {seed}: {fault} after {last}\n{errors[-2000:]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    if options.child:
        work(options.seed, options.calls)
        return 0
    faults = []
    for number in range(-(-options.calls // BATCH)):
        fault = run_batch(options.seed + number, min(BATCH, options.calls - number * BATCH))
        if fault is not None:
            faults.append(fault)
            print(fault, flush=True)
    print(f"{options.calls} random calls from seed {options.seed}: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
