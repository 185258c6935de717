"""The drop-in beside what it stands in for: the same statements with both modules."""

import contextlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import sysv_ipc
from _timing import Run, python
from sysv_ipc_rs import compat

from . import OURS, SYSV_IPC, Goal, work

Stack = contextlib.ExitStack
MODULES = {OURS: compat, SYSV_IPC: sysv_ipc}
SIZE = 1 << 20

Names = Callable[[ModuleType, Stack], dict[str, object]]


def kept(stack: Stack, made: Any) -> Any:
    stack.callback(made.remove)
    return made


def semaphore(module: ModuleType, stack: Stack) -> dict[str, object]:
    return {"s": kept(stack, module.Semaphore(None, module.IPC_CREX, initial_value=1))}


def zero(module: ModuleType, stack: Stack) -> dict[str, object]:
    return {"s": kept(stack, module.Semaphore(None, module.IPC_CREX))}


def busy(module: ModuleType, stack: Stack) -> dict[str, object]:
    """A try that fails: the exception is a part of the work."""
    names = zero(module, stack)
    held: Any = names["s"]
    held.block = False

    def attempt(acquire: Any = held.acquire, error: Any = module.BusyError) -> bool:
        try:
            acquire()
        except error:
            return False
        return True

    return {"attempt": attempt}


def queue(size: int) -> Names:
    def names(module: ModuleType, stack: Stack) -> dict[str, object]:
        made = module.MessageQueue(None, module.IPC_CREX, max_message_size=max(size, 2048))
        return {"q": kept(stack, made), "d": b"x" * size}

    return names


def memory(module: ModuleType, stack: Stack) -> dict[str, object]:
    made = kept(stack, module.SharedMemory(None, module.IPC_CREX, size=SIZE))
    return {"m": made, "d": b"x" * 64, "long": b"x" * SIZE}


def segment(module: ModuleType, stack: Stack) -> dict[str, object]:
    """A page, which is the default."""
    return {"m": kept(stack, module.SharedMemory(None, module.IPC_CREX))}


def constructors(module: ModuleType, _: Stack) -> dict[str, object]:
    return {
        "S": module.Semaphore,
        "Q": module.MessageQueue,
        "M": module.SharedMemory,
        "new": module.IPC_CREX,
    }


WORKS: tuple[tuple[str, str, Names], ...] = (
    ("acquire + release", "s.acquire(); s.release()", semaphore),
    ("acquire + release by keyword", "s.acquire(timeout=None, delta=1); s.release(1)", semaphore),
    ("P + V", "s.P(); s.V()", semaphore),
    ("Z", "s.Z()", zero),
    ("with semaphore", "with s: pass", semaphore),
    ("BusyError", "attempt()", busy),
    ("value", "s.value", semaphore),
    ("o_time", "s.o_time", semaphore),
    ("send + receive 64 B", "q.send(d); q.receive()", queue(64)),
    ("send + receive 8 KiB", "q.send(d); q.receive()", queue(8192)),
    ("current_messages", "q.current_messages", queue(1)),
    ("read 64 B", "m.read(64)", memory),
    ("write 64 B", "m.write(d)", memory),
    ("read 1 MiB", "m.read()", memory),
    ("write 1 MiB", "m.write(long)", memory),
    ("memoryview", "memoryview(m)", memory),
    ("size", "m.size", memory),
    ("attach + read + detach", "m.detach(); m.attach(); m.read(64)", segment),
    ("attach + detach", "m.detach(); m.attach()", segment),
    ("create + remove semaphore", "S(None, new).remove()", constructors),
    ("create + remove queue", "Q(None, new).remove()", constructors),
    ("create + remove memory", "m = M(None, new); m.remove(); m.detach()", constructors),
)


def beside(name: str, statement: str, names: Names) -> None:
    @work(f"compat: {name}", Goal(SYSV_IPC, 1.1))
    def make(stack: Stack) -> Mapping[str, Run]:
        return {
            contender: python(statement, **names(module, stack))
            for contender, module in MODULES.items()
        }


for row in WORKS:
    beside(*row)
