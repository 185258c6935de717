"""Random calls with random arguments over the whole public interface.

Each batch runs in a child process, beside threads and forked children that make calls too. A death
by a signal, a hang, a `SystemError`, a panic of the core, or memory that stays attached is a fault,
and is reported with the seed and the last calls that led to it.

    python tests/hostile/random_calls.py --calls 1000000
    python tests/hostile/random_calls.py --calls 30000 --tally     # which public names are reached
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import inspect
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import arguments
import public
from operations import ON_OBJECTS, ON_THE_PROCESS, FaultError
from sysv_ipc_rs import raw
from things import MAKERS

BATCH = 1000
SECONDS_A_BATCH = 180.0
SHM_REMAP = 0o40000
CLONE_NEWIPC = 0x08000000
OF_A_KIND = 5
# What has to be done before, so that the call can do what it is for.
BEFORE = {
    **dict.fromkeys(("release", "notify", "notify_all", "wait", "wait_for"), "acquire"),
    **{f"release_{side}": f"acquire_{side}" for side in ("read", "write")},
}
# Low, so that they are hit, and no call has to move gigabytes.
LIMITS = {"shmmax": "16777216", "shmmni": "400", "msgmni": "400", "sem": "250 32000 100 400"}


class OutOfTime(BaseException):
    """What the alarm raises in a call that waits."""


class Caller:
    """Makes one random call after the other, feeding on what earlier ones gave."""

    kinds: ClassVar = {owner: text for text, owner in public.classes().items()}

    def __init__(self, seed: int, alone: bool) -> None:
        self.chance: random.Random = random.Random(seed)
        # Whether nobody else's objects can be seen.
        self.alone = alone
        self.pool: dict[str, list[Any]] = {}
        # What raw.shmat gave.
        self.addresses: list[int] = []
        self.names = list(public.names())
        self.threads: list[threading.Thread] = []
        self.faults: list[BaseException] = []
        self.tally: Counter[str] = Counter()
        self.is_other = self.forked = self.armed = False
        # The kind of object that the call is about.
        self.kind: str = ""

    def other(self) -> Caller:
        """One for another thread, with the same objects."""
        other = Caller(self.chance.getrandbits(32), self.alone)
        other.pool, other.faults, other.is_other = self.pool, self.faults, True
        other.addresses = self.addresses
        return other

    def number(self, *choices: int) -> int:
        return self.chance.choice(choices)

    def get(self, kind: str) -> Any:
        """One of a kind, perhaps a new one."""
        there = self.pool.get(kind)
        if there and self.chance.random() < 0.8:
            return self.chance.choice(there)
        made = MAKERS[kind](self)
        self.keep(made, kind)
        return made

    def any(self) -> Any:
        kinds = [kind for kind, things in list(self.pool.items()) if things]
        return self.chance.choice(self.pool[self.chance.choice(kinds)]) if kinds else None

    def keep(self, value: object, kind: str = "") -> None:
        if not kind:
            if type(value) in self.kinds:
                kind = self.kinds[type(value)]
            elif isinstance(value, memoryview):
                kind = "view"
            elif type(value).__module__.startswith("sysv_ipc_rs") and not isinstance(
                value, OSError
            ):
                kind = type(value).__name__
            else:
                return
        things = self.pool.setdefault(kind, [])
        things.append(value)
        if len(things) > OF_A_KIND:
            # Whatever goes is dropped here, in any order.
            things.pop(self.chance.randrange(OF_A_KIND))

    def argument(self, name: str) -> object:
        return arguments.argument(self, name)

    def arguments(self, function: Callable[..., object]) -> tuple[list[object], dict[str, object]]:
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            return [self.argument("") for _ in range(self.chance.randint(0, 3))], {}
        positional: list[object] = []
        named: dict[str, object] = {}
        careful, is_record = self.chance.random() < 0.6, hasattr(function, "_asdict")
        for parameter in parameters:
            required = parameter.default is parameter.empty
            # Without a time limit only the alarm would end the call.
            wanted = parameter.name == "timeout" or self.chance.random() < (
                (1.0 if careful else 0.9) if required else 0.5
            )
            if parameter.kind is parameter.VAR_POSITIONAL:
                count = self.chance.randint(0, 3)
                positional += [self.argument(parameter.name) for _ in range(count)]
            elif parameter.kind is parameter.VAR_KEYWORD:
                named |= self.fields(function)
            elif not wanted:
                continue
            elif required and parameter.kind is not parameter.KEYWORD_ONLY:
                positional.append(self.value(parameter.name, careful, is_record))
            else:
                named[parameter.name] = self.value(parameter.name, careful, is_record)
        return self.harmless(function, positional, named)

    def value(self, name: str, careful: bool, is_record: bool) -> object:
        if not careful or name == "timeout":
            return self.argument(name)
        table = arguments.FIELDS if is_record else arguments.PLAUSIBLE
        return table[name](self) if name in table else self.number(0, 1, 7)

    def fields(self, function: Callable[..., object]) -> dict[str, object]:
        """Of `_replace` and the like."""
        owner = getattr(function, "__self__", None)
        names = [name for name in dir(owner) if not name.startswith("_")]
        names = self.chance.sample(names, min(2, len(names)))
        return {name: self.value(name, careful=True, is_record=True) for name in names}

    def harmless(
        self, function: Callable[..., object], positional: list[object], named: dict[str, object]
    ) -> tuple[list[object], dict[str, object]]:
        """Leaves out what the interface names as outside its promise: addresses given to `raw`."""
        name = getattr(function, "__name__", "")
        if name == "shmat":
            return positional[:1], {}
        if name == "ipc":
            # SHMAT is 21; its flags are the third argument, its address is `ptr`.
            if positional[:1] != [21]:
                return positional, {}
            small = [v if isinstance(v, int) and abs(v) < 2**31 else 0 for v in positional]
            return [v & ~SHM_REMAP for v in small], {}
        if isinstance(flags := named.get("flags"), int):
            named["flags"] = flags & ~SHM_REMAP
        return positional, named

    def call(self, function: Callable[..., object]) -> object:
        positional, named = self.arguments(function)
        return function(*positional, **named)

    async def settled(self, answer: Any) -> object:
        if hasattr(answer, "__anext__"):
            answer = answer.__anext__()
        if not hasattr(answer, "__await__"):
            return answer
        async with asyncio.timeout(0.002):
            return await answer

    async def session(self, name: public.Name) -> object:
        """Several calls on one object in one loop; the last is by name."""
        target = self.get(self.kind) if self.chance.random() < 0.5 else MAKERS[self.kind](self)
        others = [other for other in self.names if other.owner is name.owner]
        for other in self.chance.choices(others, k=self.number(0, 0, 1, 3)):
            with suppress(Exception):
                await self.settled(self.use(target, other.attribute))
        try:
            await self.settled(self.prepare(target, name.attribute))
            return await self.settled(self.use(target, name.attribute))
        finally:
            if self.chance.random() < 0.5 and hasattr(target, "close"):
                await self.settled(target.close())

    def prepare(self, target: Any, attribute: str) -> Any:
        """What gives back or notifies is no use to who has not taken."""
        before = BEFORE.get(attribute, "")
        if self.chance.random() < 0.5 and hasattr(target, before):
            return getattr(target, before)(timeout=0.001)
        return None

    def use(self, target: Any, attribute: str) -> object:
        if attribute == "":
            return target
        thing = getattr(target, attribute)
        return self.call(thing) if callable(thing) else thing

    def by_name(self) -> object:
        name = self.chance.choice(self.names)
        self.kind = name.text.rpartition(".")[0]
        self.log(name.text)
        if name.owner is None or not name.attribute:
            if name.text == "raw.shmdt":
                self.addresses.append(raw.shmat(self.get(".SharedMemory").id))
            answer = self.call(name.thing)
            if name.text in {"raw.shmat", "raw.ipc"} and isinstance(answer, int):
                self.addresses.append(answer)
            return answer
        if name.text.startswith("aio."):
            return asyncio.run(self.session(name))
        target = self.get(self.kind)
        self.prepare(target, name.attribute)
        return self.use(target, name.attribute)

    def by_object(self) -> object:
        kind = self.chance.choice([*MAKERS, *list(self.pool)])
        target = self.get(kind) if kind in MAKERS else self.chance.choice(self.pool[kind] or [None])
        if kind not in self.kinds.values() and self.chance.random() < 0.5:
            # It has no public name, so its methods are reached from here.
            attribute = self.chance.choice(
                [name for name in filter(public.is_public, dir(target)) if name != "__iter__"]
            )
            self.log(f"{kind}.{attribute}")
            return self.use(target, attribute)
        operation = self.chance.choice(list(ON_OBJECTS))
        self.log(f"{operation} of {kind}")
        try:
            return ON_OBJECTS[operation](self, target)
        except SystemError as error:
            if isinstance(target, memoryview):
                raise ValueError("CPython's own: so ends `iter` of a released view") from error
            raise

    def step(self) -> None:
        """One call."""
        match self.chance.random():
            case luck if luck < 0.02:
                event = self.chance.choice(list(ON_THE_PROCESS))
                self.log(event)
                ON_THE_PROCESS[event](self)
            case luck if luck < 0.65:
                self.keep(self.by_name())
            case _:
                self.keep(self.by_object())

    def log(self, text: str) -> None:
        self.called = text
        os.write(3, f"{'T ' if self.is_other else 'F ' if self.forked else ''}{text}\n".encode())

    def attempt(self) -> None:
        """One call, which may raise whatever is an answer to its arguments."""
        self.called = ""
        try:
            self.step()
            self.tally[f"{self.called}\nok"] += 1
        except (SystemError, FaultError, KeyboardInterrupt, SystemExit) as error:
            if self.is_other:
                self.faults.append(error)
            raise
        except BaseException as error:
            if type(error).__module__ == "pyo3_runtime":
                self.faults.append(error)
                raise
            self.tally[f"{self.called}\n{type(error).__name__}"] += 1

    def ring(self, *_: object) -> None:
        if self.armed:
            raise OutOfTime

    def calls(self, count: int) -> None:
        for _ in range(count):
            if self.is_other:
                self.attempt()
                continue
            # No call is made before it is disarmed: a handler could run there.
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.05, 0.5)
                self.armed = True
                self.attempt()
            except OutOfTime:
                pass
            self.armed = False
            if self.faults:
                raise self.faults[0]


def attached() -> list[int]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [int(line.split("-")[0], 16) for line in lines if "/SYSV" in line]


def lower_limits() -> None:
    for name, value in LIMITS.items():
        with suppress(OSError):
            Path("/proc/sys/kernel", name).write_text(value)


def work(seed: int, calls: int) -> Caller:
    """The child: makes the calls, and dies of what no argument may ever cause."""
    # What it makes is gone with it, and nobody else's is found; where that is not allowed, the
    # objects stay behind.
    alone = ctypes.CDLL(None).unshare(CLONE_NEWIPC) == 0
    if alone:
        lower_limits()
    caller = Caller(seed, alone)
    signal.signal(signal.SIGALRM, caller.ring)
    try:
        caller.calls(calls)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    deadline = time.monotonic() + 1
    for thread in caller.threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    caller.pool.clear()
    if not caller.forked and not any(thread.is_alive() for thread in caller.threads):
        gc.collect()
        for address in attached():
            # Only what raw.shmat gave.
            with suppress(OSError):
                raw.shmdt(address)
        if left := attached():
            raise FaultError(f"still attached: {left}")
    return caller


def run_batch(seed: int, calls: int, tally: Counter[str]) -> str | None:
    """Runs one batch in a child; gives what went wrong."""
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, __file__, "--child", "--seed", str(seed), "--calls", str(calls)]
        fault, told, errors = None, b"", ""
        try:
            ended = subprocess.run(
                ["bash", "-c", f'exec 3>&{log.fileno()}; exec "$@"', "child", *command],
                pass_fds=[log.fileno()],
                capture_output=True,
                timeout=SECONDS_A_BATCH,
                check=False,
            )
            told, errors = ended.stdout, ended.stderr.decode(errors="replace")
            if ended.returncode != 0:
                fault = f"exit status {ended.returncode}"
            elif "panicked at" in errors:
                fault = "a panic"
            else:
                tally.update(json.loads(told.splitlines()[-1]))
        except subprocess.TimeoutExpired:
            fault = "it hung"
        if fault is None:
            return None
        log.seek(0)
        last = log.read().decode(errors="replace").splitlines()[-12:]
        return f"seed {seed}: {fault} after {last}\n{errors[-3000:]}"


def report(tally: Counter[str]) -> None:
    """Which public names were never reached, and which never did what they are for."""
    done: dict[str, Counter[str]] = {}
    for line, count in tally.items():
        name, outcome = line.split("\n")
        done.setdefault(name, Counter())[outcome] += count
    wanted = [name.text for name in public.names()]
    never = [name for name in wanted if name not in done]
    failed = {name: dict(done[name]) for name in wanted if name in done and not done[name]["ok"]}
    print(f"{len(wanted)} public names, {len(never)} never reached: {never}")
    print(f"{len(failed)} never did what they are for:")
    for name, outcomes in sorted(failed.items()):
        print(f"  {name}: {outcomes}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--tally", action="store_true")
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    if options.child:
        caller = work(options.seed, options.calls)
        print(f"\n{json.dumps(caller.tally)}", flush=True)
        return 0
    faults = []
    tally: Counter[str] = Counter()
    for number in range(-(-options.calls // BATCH)):
        calls = min(BATCH, options.calls - number * BATCH)
        fault = run_batch(options.seed + number, calls, tally)
        if fault is not None:
            faults.append(fault)
            print(fault, flush=True)
    if options.tally:
        report(tally)
    print(f"{options.calls} random calls from seed {options.seed}: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
