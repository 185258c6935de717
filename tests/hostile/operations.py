"""What can be done to any object beside calling its methods, and to the process around it."""

from __future__ import annotations

import copy
import gc
import operator
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import public
import sysv_ipc_rs as ipc
from sysv_ipc_rs import system

if TYPE_CHECKING:
    from random_calls import Caller

SECONDS_A_CHILD = 20.0


class FaultError(BaseException):
    """What no argument may ever cause."""


def repickled(caller: Caller, target: Any) -> object:
    return pickle.loads(pickle.dumps(target, protocol=caller.number(0, 2, 5)))


COMPARISONS: list[Callable[[Any, Any], object]] = [
    *(operator.eq, operator.ne, operator.lt, operator.contains, operator.add),
]


def compare(caller: Caller, target: Any) -> object:
    return caller.chance.choice(COMPARISONS)(
        target, caller.chance.choice([target, caller.any(), caller.argument("")])
    )


def subscript(caller: Caller, target: Any) -> object:
    place = caller.argument(caller.chance.choice(["index", "offset", ""]))
    match caller.number(0, 0, 1, 2, 3):
        case 0:
            return target[place]
        case 1:
            target[place] = caller.argument("byte")
        case 2:
            target[place : caller.number(0, 9)] = caller.argument("data")
        case 3:
            del target[place]
    return None


def with_block(caller: Caller, target: Any) -> object:
    with target as entered:
        if caller.chance.random() < 0.3:
            caller.step()
        if caller.chance.random() < 0.2:
            raise ZeroDivisionError
    return entered


class Phoenix:
    """Part of a cycle; takes what it keeps out of its ashes."""

    def __init__(self, kept: Any) -> None:
        self.kept, self.itself = kept, self
        self.risen: list[object] = []

    def __del__(self) -> None:
        if hasattr(self.kept, "release"):
            with suppress(Exception):
                self.kept.release()
        self.risen.append(self.kept)


def resurrected(_: Caller, target: Any) -> object:
    # Of a class of this call's own, a CPython 3.13 without the GIL would never let go.
    risen = Phoenix(target).risen
    gc.collect()
    return risen.pop()


def write_view(_: Caller, target: Any) -> None:
    memoryview(target).cast("B")[:1] = b"x"


def change_class(caller: Caller, target: Any) -> None:
    target.__class__ = type(caller.any())


def new(caller: Caller, target: Any) -> object:
    made: object = type(target).__new__(type(target), *[caller.argument("")])
    return made


def first(_: Caller, target: Any) -> object:
    return target[0] if isinstance(target, memoryview) else next(iter(target))


def attribute(caller: Caller, target: Any) -> None:
    name = caller.chance.choice([*filter(public.is_public, dir(target)), "unheard_of"])
    if caller.chance.random() < 0.3:
        delattr(target, name)
    else:
        setattr(target, name, caller.argument(name))


def in_generator(_: Caller, target: Any) -> object:
    def generator() -> Any:
        with target:
            yield target

    running = generator()
    next(running)
    del running
    return None


ON_OBJECTS: dict[str, Callable[[Caller, Any], object]] = {
    "repr": lambda _, target: (repr(target), str(target), f"{target}"),
    "hash": lambda _, target: hash(target),
    "bool": lambda _, target: bool(target),
    "len": lambda _, target: len(target),
    "compare": compare,
    "copy": lambda _, target: copy.copy(target),
    "deepcopy": lambda _, target: copy.deepcopy(target),
    "pickle": repickled,
    "reduce": lambda caller, target: target.__reduce_ex__(caller.number(0, 2, 5)),
    "subscript": subscript,
    "first": first,
    "list": lambda _, target: [item for item, _ in zip(target, range(5), strict=False)],
    "unpack": lambda _, target: [*target][:0],
    "memoryview": lambda _, target: memoryview(target),
    "bytes": lambda _, target: bytes(memoryview(target)[:100]),
    "write view": write_view,
    "with": with_block,
    "generator": in_generator,
    "weak reference": lambda _, target: weakref.ref(target)() is target,
    "resurrection": resurrected,
    "class": change_class,
    "new": new,
    "init": lambda caller, target: target.__init__(*caller.arguments(type(target))[0]),
    "subclass": lambda _, target: type("Sub", (type(target),), {}),
    "attribute": attribute,
    "size": lambda _, target: (sys.getsizeof(target), gc.get_referents(target)),
    "match": lambda _, target: isinstance(target, ipc.Message) and tuple(target),
}


def collect(_: Caller) -> None:
    gc.collect()


def forget(caller: Caller) -> None:
    """Many objects are dropped, in any order."""
    for things in list(caller.pool.values()):
        caller.chance.shuffle(things)
        del things[1:]


def sweep(caller: Caller) -> None:
    """All objects are removed under the handles that there are, in a namespace of our own."""
    if not caller.alone:
        return
    kinds: list[tuple[Any, Callable[[], Any]]] = [
        (ipc.SemaphoreSet, system.semaphore_sets),
        (ipc.MessageQueue, system.message_queues),
        (ipc.SharedMemory, system.shared_memory_segments),
    ]
    for kind, listing in kinds:
        for told in listing():
            with suppress(ipc.IPCError):
                kind.from_id(told.id).remove()


def thread(caller: Caller) -> None:
    """Another thread makes calls too, on the same objects."""
    if caller.is_other or sum(other.is_alive() for other in caller.threads) > 4:
        return
    other = threading.Thread(target=caller.other().calls, args=(30,), daemon=True)
    other.start()
    caller.threads.append(other)


def fork(caller: Caller) -> None:
    """A child makes calls on what it has inherited, and ends well."""
    if caller.is_other or caller.forked:
        return
    pid = os.fork()
    if not pid:
        caller.forked = True
        caller.threads.clear()
        caller.calls(caller.chance.randint(0, 20))
        if caller.chance.random() < 0.5:
            os._exit(0)
        # The interpreter ends as usual.
        raise SystemExit(0)
    deadline = time.monotonic() + SECONDS_A_CHILD
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise FaultError("a forked child hung")
        time.sleep(0.0005)
    if ended[1]:
        raise FaultError(f"a forked child ended with {os.waitstatus_to_exitcode(ended[1])}")


def wakeup_signal(caller: Caller) -> object:
    if caller.chance.random() < 0.5:
        ipc.wakeup_signal = caller.number(signal.SIGRTMAX, signal.SIGRTMAX - 1, 9, 10**9)
    return ipc.wakeup_signal


ON_THE_PROCESS: dict[str, Callable[[Caller], object]] = {
    "collect": collect,
    "forget": forget,
    "sweep": sweep,
    "thread": thread,
    "fork": fork,
    "wakeup_signal": wakeup_signal,
}
