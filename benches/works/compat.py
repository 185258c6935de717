"""The drop-in beside what it stands in for: the same statements with both modules."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
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


def constructors(module: ModuleType, stack: Stack) -> dict[str, object]:
    """The three classes, each with the key of an object."""
    names: dict[str, object] = {"new": module.IPC_CREX, "create": module.IPC_CREAT}
    for name in ("Semaphore", "MessageQueue", "SharedMemory"):
        kind = getattr(module, name)
        names |= {name[:2]: kind, f"key_{name[:2]}": kept(stack, kind(None, module.IPC_CREX)).key}
    return names


def missing(module: ModuleType, _: Stack) -> dict[str, object]:
    """An open that fails: as `busy`."""
    with contextlib.ExitStack() as gone:
        key = constructors(module, gone)["key_Se"]

    def attempt(kind: Any = module.Semaphore, error: Any = module.ExistentialError) -> bool:
        try:
            kind(key)
        except error:
            return False
        return True

    return {"attempt": attempt}


def functions(module: ModuleType, stack: Stack) -> dict[str, object]:
    names = ("ftok", "attach", "remove_semaphore", "remove_message_queue", "remove_shared_memory")
    found: dict[str, object] = {name: getattr(module, name) for name in names}
    return found | segment(module, stack) | constructors(module, stack)


CALLS: tuple[tuple[str, str, Names], ...] = (
    ("acquire + release", "s.acquire(); s.release()", semaphore),
    ("acquire + release by keyword", "s.acquire(timeout=None, delta=1); s.release(1)", semaphore),
    ("P + V", "s.P(); s.V()", semaphore),
    ("Z", "s.Z()", zero),
    ("with semaphore", "with s: pass", semaphore),
    ("BusyError", "attempt()", busy),
    ("send + receive 64 B", "q.send(d); q.receive()", queue(64)),
    ("send + receive 8 KiB", "q.send(d); q.receive()", queue(8192)),
    ("send + receive by keyword", "q.send(d, block=False, type=2); q.receive(type=2)", queue(64)),
    ("read 64 B", "m.read(64)", memory),
    ("write 64 B", "m.write(d)", memory),
    ("read 1 MiB", "m.read()", memory),
    ("write 1 MiB", "m.write(long)", memory),
    ("memoryview", "memoryview(m)", memory),
    ("attach + read + detach", "m.detach(); m.attach(); m.read(64)", segment),
    ("attach + detach", "m.detach(); m.attach()", segment),
    ("create + remove semaphore", "Se(None, new).remove()", constructors),
    ("create + remove queue", "Me(None, new).remove()", constructors),
    ("create + remove memory", "m = Sh(None, new); m.remove(); m.detach()", constructors),
    ("open semaphore", "Se(key_Se)", constructors),
    ("open semaphore by keyword", "Se(key=key_Se, flags=0, mode=0o600)", constructors),
    ("open or create semaphore", "Se(key_Se, create, 0o600, 1)", constructors),
    ("open queue", "Me(key_Me)", constructors),
    ("open queue by keyword", "Me(key=key_Me, flags=0, mode=0o600)", constructors),
    ("open or create queue", "Me(key_Me, create)", constructors),
    # A segment that the incumbent has attached stays so until it is told.
    ("open memory + detach", "Sh(key_Sh).detach()", constructors),
    ("open memory by keyword + detach", "Sh(key=key_Sh, flags=0).detach()", constructors),
    ("open or create memory + detach", "Sh(key_Sh, create).detach()", constructors),
    ("ExistentialError", "attempt()", missing),
    ("attach(id) + detach", "attach(m.id).detach()", functions),
    ("ftok", "ftok('/tmp', 7, True)", functions),
    ("remove_semaphore", "remove_semaphore(Se(None, new).id)", functions),
    ("remove_message_queue", "remove_message_queue(Me(None, new).id)", functions),
    (
        "remove_shared_memory",
        "m = Sh(None, new); remove_shared_memory(m.id); m.detach()",
        functions,
    ),
    ("str(semaphore)", "str(s)", semaphore),
    ("repr(semaphore)", "repr(s)", semaphore),
    ("str(queue)", "str(q)", queue(1)),
    ("repr(queue)", "repr(q)", queue(1)),
    ("str(memory)", "str(m)", segment),
    ("repr(memory)", "repr(m)", segment),
)

OWNER = f"uid={os.geteuid()} gid={os.getegid()} mode={0o600}"
# What can be set has the value that it is set to.
ATTRIBUTES: tuple[tuple[str, str, Names], ...] = (
    (
        "s",
        f"id key value=1 undo=False block=True {OWNER} cuid cgid last_pid waiting_for_nonzero "
        "waiting_for_zero o_time",
        semaphore,
    ),
    (
        "q",
        f"id key max_size=16384 last_send_time last_receive_time last_change_time last_send_pid "
        f"last_receive_pid current_messages {OWNER} cuid cgid",
        queue(1),
    ),
    (
        "m",
        f"id key size address attached last_attach_time last_detach_time last_change_time "
        f"creator_pid last_pid number_attached {OWNER} cuid cgid",
        segment,
    ),
)


def attributes() -> Iterator[tuple[str, str, Names]]:
    """A row for each attribute that is read, and for each that is set."""
    for variable, listed, names in ATTRIBUTES:
        for attribute in listed.split():
            name, _, value = attribute.partition("=")
            yield f"{variable}.{name}", f"{variable}.{name}", names
            if value:
                yield f"{variable}.{name} =", f"{variable}.{name} = {value}", names


MADE = "some 250 instructions more, half of them PyO3's, for __new__ and __init__ apart"
SIZED = (
    "shmat does not tell how large the segment is: IPC_STAT, a third system call, is made once "
    "after it, and by the incumbent at each read and write"
)
READ = "some 4 ns of PyO3's, which turn a panic into an exception; the incumbent reads a C field"
REASONS = {
    **dict.fromkeys(("open semaphore", "open queue"), MADE),
    **{name: SIZED for name, *_ in CALLS if "detach" in name},
    "ExistentialError": "as many instructions, but locked ones: PyO3's exception, its free objects",
    **{f"s.{name}{end}": READ for name in ("undo", "block") for end in ("", " =")},
    "m.attached": READ,
}


def beside(name: str, statement: str, names: Names) -> None:
    reason = REASONS.get(name, "")

    @work(f"compat: {name}", Goal(SYSV_IPC, 1.1), seconds=0.5, reason=reason)
    def make(stack: Stack) -> Mapping[str, Run]:
        return {
            contender: python(statement, **names(module, stack))
            for contender, module in MODULES.items()
        }


for row in (*CALLS, *attributes()):
    beside(*row)
