"""Arguments: plausible ones by the parameter's name, wrong ones, and objects that lie."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import sysv_ipc_rs as ipc
from sysv_ipc_rs import raw
from things import MAKERS, key_of

if TYPE_CHECKING:
    from random_calls import Caller

INTS = [
    *(-1, 0, 1, 2, 3, 7, 255, 0o600, 0o644, 644, 4096, 32767, 32768, 65535, 65536),
    *(2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32, 2**63 - 1, 2**63, -(2**63), 2**64, 10**40),
]
SMALL_TIMEOUTS: list[object] = [0, 0.0, 1e-9, 0.001, 1e-320, Fraction(1, 1000)]
BAD_TIMEOUTS: list[object] = [-1, float("nan"), "1", 1j, b"", [], -1e-320]
COMMANDS = [
    *(raw.IPC_STAT, raw.IPC_INFO, raw.IPC_RMID, raw.IPC_SET, raw.SEM_INFO, raw.SEM_STAT),
    *(raw.SEM_STAT_ANY, raw.GETALL, raw.GETVAL, raw.SETVAL, raw.SETALL, raw.GETPID, raw.GETNCNT),
    *(raw.MSG_INFO, raw.MSG_STAT, raw.SHM_INFO, raw.SHM_STAT, raw.SHM_LOCK, raw.SHM_UNLOCK),
]


class Hostile:
    """An object that lies, raises, or takes objects away while it is being looked at."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.chance = caller.chance

    def _act(self) -> None:
        action = self.chance.choice(["remove", "detach", "close", "release", "none", "raise"])
        if action == "raise":
            raise ZeroDivisionError
        with contextlib.suppress(Exception):
            getattr(self.caller.any(), action, lambda: None)()

    def __index__(self) -> int:
        self._act()
        return self.chance.choice(INTS)

    def __float__(self) -> float:
        self._act()
        return self.chance.choice([0.0, -1.0, float("nan"), 0.001])

    def __len__(self) -> int:
        self._act()
        return self.chance.choice([0, 1, 5, 2**62])

    def __getitem__(self, index: int) -> object:
        self._act()
        if index > 3:
            raise IndexError
        return index

    def __iter__(self) -> Iterator[object]:
        self._act()
        return iter(self.chance.choices(INTS, k=3))

    def __bool__(self) -> bool:
        self._act()
        return True

    def __eq__(self, _: object) -> bool:
        self._act()
        return True

    def __hash__(self) -> int:
        return 1

    def __call__(self, *_: object) -> object:
        self._act()
        return self.chance.choice([True, False, None])

    def __fspath__(self) -> str:
        self._act()
        return "/"

    def __buffer__(self, _: int) -> memoryview:
        # CPython asks from 3.12 on.
        self._act()
        return memoryview(bytearray(8))


Plausible = Callable[["Caller"], object]


def plausible_buffer(caller: Caller) -> object:
    size = caller.number(0, 1, 8, 64, 9000)
    kinds: list[Callable[[], object]] = [
        lambda: bytes(size),
        lambda: bytearray(size),
        lambda: memoryview(bytearray(size)),
        lambda: caller.get(".Attachment"),
        lambda: memoryview(caller.get(".Attachment")),
    ]
    return caller.chance.choice(kinds)()


def operation(caller: Caller) -> tuple[int, ...]:
    return (caller.number(0, 1, 3), caller.number(-1, 0, 1), *caller.chance.choice([(), (1,)]))


def sembufs(caller: Caller) -> list[object]:
    index, delta = operation(caller)[:2]
    return [raw.Sembuf(index, delta, raw.IPC_NOWAIT), (0, caller.number(0, 1), 0o4000)]


def structure(caller: Caller) -> object:
    names = ["raw.SemidDs", "raw.MsqidDs", "raw.ShmidDs"]
    return caller.chance.choice([None, 1, [1, 2, 3, 4], caller.get(caller.chance.choice(names))])


def an_id(kind: str) -> Plausible:
    return lambda caller: getattr(caller.get(kind), "id", 0)


def of(kind: str) -> Plausible:
    return lambda caller: caller.get(kind)


def one_of(*choices: object) -> Plausible:
    return lambda caller: caller.chance.choice(choices)


PLAUSIBLE: dict[str, Plausible] = {
    "key": lambda c: c.number(key_of(c.kind), key_of(c.kind), 0, 1, 2, 3, 0xDEADBEEF, -5),
    "n": one_of(1, 1, 2, 3),
    "type": one_of(0, 1, 1, 2, -3),
    "data": plausible_buffer,
    "buffer": plausible_buffer,
    "index": one_of(0, 0, 1, 3),
    "offset": one_of(0, 8, 16, 4992, 5000),
    "mode": one_of(0o600, 0o666, 0o400, 0),
    "value": one_of(0, 1, 5, 255),
    "expected": one_of(0, 1),
    "desired": one_of(0, 1, 2),
    "byte": one_of(0, 1, 255),
    "values": one_of(0, 1, [1, 2, 3, 4], (0,)),
    "size": one_of(1, 2, 4, 4096, 65536, 1 << 20),
    "max_size": one_of(None, 0, 5, 10**12),
    "max_bytes": one_of(None, 100, 16384),
    "limit": one_of(1, 3, 10**12),
    "messages": lambda c: [plausible_buffer(c), (2, plausible_buffer(c)), c.get(".Message")],
    "ops": operation,
    "id": lambda c: getattr(c.get(c.kind) if c.kind in MAKERS else c.any(), "id", 0),
    "flags": one_of(0, 0o1000, 0o3000, 0o10000),
    "message": plausible_buffer,
    "s": plausible_buffer,
    "byte_count": one_of(0, 1, 5000, 10**12),
    "delta": one_of(1, 1, -2, 3),
    "block": one_of(*[False] * 9, True),
    "kind": one_of("i32", "u32", "i64", "u64"),
    "nsems": one_of(1, 4),
    "semaphore": of(".Semaphore"),
    "semaphore_set": of(".SemaphoreSet"),
    "segment": lambda c: c.get(c.chance.choice([".SharedMemory", ".SharedMemoryStat"])),
    "object": lambda c: c.get(c.chance.choice([".Semaphore", ".MessageQueue", ".SemaphoreSet"])),
    "queue": of(".MessageQueue"),
    "condition": of("sync.Condition"),
    "event": of("sync.Event"),
    "lock": lambda c: c.get(c.chance.choice(["sync.Lock", "sync.RLock", "sync.RWLock"])),
    "parties": one_of(1, 1, 2, 5),
    "action": lambda c: c.chance.choice([None, list, Hostile(c)]),
    "predicate": lambda c: c.chance.choice([bool, lambda: True, Hostile(c)]),
    "owner": one_of(None, 0, 65534),
    "uid": one_of(-1, 0),
    "gid": one_of(-1, 0),
    "unit": one_of(0, 2, 7, 255),
    "path": one_of("/", b"/", "/nowhere", tempfile.gettempdir()),
    "pathname": one_of("/", b"/", "/nowhere"),
    "proj_id": one_of(1, 255, ord("a")),
    "name": one_of("accounts", "semmni", "shmmax", "msgmax", "\udc80"),
    "data_directory": one_of("/", "/nowhere"),
    "clock_time_ns": one_of(0, 1_700_000_000_000_000_000),
    "receive_time_ns": one_of(None, 0, 1_700_000_000_000_000_000),
    "leap": one_of(0, 3),
    "precision": one_of(-20, 0),
    "auto_remove": one_of(False, False, True),
    "huge_page_size": one_of(None, None, 2 << 20),
    # Without it the kernel may answer a touch with SIGBUS: outside the promise.
    "reserve": one_of(True),
    "semid": an_id(".SemaphoreSet"),
    "msqid": an_id(".MessageQueue"),
    "shmid": an_id(".SharedMemory"),
    "semnum": one_of(0, 1, 3),
    "cmd": one_of(*COMMANDS),
    "sops": sembufs,
    "arg": structure,
    "buf": structure,
    "msgflg": one_of(raw.IPC_NOWAIT, raw.IPC_NOWAIT | raw.MSG_NOERROR, raw.IPC_CREAT | 0o600),
    "semflg": one_of(raw.IPC_CREAT | 0o600, 0, raw.IPC_CREAT | raw.IPC_EXCL),
    "shmflg": one_of(raw.IPC_CREAT | 0o600, 0, raw.SHM_RDONLY),
    "mtype": one_of(1, 2),
    "mtext": plausible_buffer,
    "msgsz": one_of(0, 8, 9000, 10**12),
    "msgtyp": one_of(0, 1, -2),
    "shmaddr": lambda c: c.chance.choice([*c.addresses, 0, 4096]),
    "call": one_of(1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24, 5),
    "first": lambda c: getattr(c.any(), "id", 0),
    "second": one_of(0, 1, 4, 8),
    "third": one_of(0, 1, 2, 0o1600, raw.IPC_NOWAIT),
    "ptr": lambda c: c.chance.choice([0, sembufs(c), b"text", structure(c)]),
    "fifth": one_of(0, 1, 0.001),
    "seconds": one_of(0, 0.001),
    "receive": Hostile,
    "taking": Hostile,
    "number": one_of(0, 1),
    "exc_type": one_of(None, ValueError),
    "exc_value": lambda c: c.chance.choice([None, ValueError(), Hostile(c)]),
    "traceback": one_of(None),
}


def timeout(chance: random.Random) -> object:
    return chance.choice(chance.choices([SMALL_TIMEOUTS, BAD_TIMEOUTS], [9, 1])[0])


def fresh(caller: Caller) -> object:
    """Something that may be right anywhere, and mostly isn't."""
    chance = caller.chance
    kinds: list[Callable[[], object]] = [
        lambda: chance.choice(INTS),
        lambda: chance.randint(-3, 40),
        lambda: chance.choice([None, True, False, "", "text", "\udc80", 1.5, float("nan"), 1j]),
        lambda: chance.randbytes(chance.choice([0, 1, 8, 100, 9000])),
        lambda: bytearray(chance.choice([0, 1, 64, 9000])),
        lambda: memoryview(bytearray(64))[:: chance.choice([1, 2, -1])],
        lambda: [(chance.randint(-1, 4), chance.randint(-3, 3)) for _ in range(3)],
        lambda: tuple(chance.choices(INTS, k=chance.randint(0, 3))),
        lambda: Hostile(caller),
        lambda: slice(chance.choice([None, -2, 3]), chance.choice([None, 9, 10**9])),
        lambda: chance.choice(["i32", "u32", "i64", "u64", "i8"]),
        lambda: caller.get(chance.choice(list(MAKERS))),
        lambda: chance.choice([ipc.IPCError, ipc.RemovedError(1, "text"), OSError()]),
        object,
    ]
    return chance.choice(kinds)()


# The fields of stat objects that are no ints.
FIELDS: dict[str, Plausible] = {
    **{name: of("raw.IpcPerm") for name in ("sem_perm", "msg_perm", "shm_perm")},
    **{name: one_of(True, False) for name in ("marked_for_removal", "locked")},
    "segment": of(".SharedMemoryStat"),
    "object": lambda c: c.get(c.chance.choice([".SemaphoreSetStat", ".MessageQueueStat"])),
    "reasons": one_of([], ["why"]),
    "pids": one_of((), [1, 2]),
    "kind": one_of("semaphore_set", "shared_memory"),
    "data": one_of(b"", b"text"),
}


def argument(caller: Caller, name: str) -> object:
    if name == "timeout":
        return timeout(caller.chance)
    if name == "reserve" or (name in PLAUSIBLE and caller.chance.random() < 0.85):
        return PLAUSIBLE[name](caller)
    if caller.chance.random() < 0.3:
        return caller.any()
    return fresh(caller)
