"""One of each kind of object that the package can give: what random calls work on."""

from __future__ import annotations

import os
import struct
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sysv_ipc_rs as ipc
from sysv_ipc_rs import aio, compat, interop, raw, sync, system

if TYPE_CHECKING:
    from random_calls import Caller

Maker = Callable[["Caller"], Any]


def key_of(kind: str) -> int:
    """A key under which there may be an object of this kind."""
    return sum(kind.encode()) if kind.startswith("sync.") else 1


def opened(kind: str, **named: object) -> Maker:
    """One of `sync`, perhaps one that others have open."""

    def make(caller: Caller) -> Any:
        owner = getattr(sync, kind.removeprefix("sync."))
        if caller.chance.random() < 0.3:
            return owner.open_or_create(key_of(kind), **named)
        return owner.create(**named)

    return make


def semaphore(caller: Caller) -> ipc.Semaphore:
    value = caller.number(0, 1, 3, 3)
    if caller.chance.random() < 0.3:
        return ipc.Semaphore.open_or_create(caller.number(1, 2, 3), value, timeout=0.01)
    return ipc.Semaphore.create(value=value)


def semaphore_set(caller: Caller) -> ipc.SemaphoreSet:
    if caller.chance.random() < 0.3:
        return ipc.SemaphoreSet.open_or_create(caller.number(1, 2, 3), 4, timeout=0.01)
    return ipc.SemaphoreSet.create(size=4, values=caller.number(0, 1, 3))


def queue(caller: Caller) -> ipc.MessageQueue:
    max_bytes = caller.chance.choice([None, None, 200])
    if caller.chance.random() < 0.3:
        made = ipc.MessageQueue.open_or_create(caller.number(1, 2, 3))
    else:
        made = ipc.MessageQueue.create(max_bytes=max_bytes)
    for number in range(caller.number(0, 1, 3)):
        made.try_send(bytes(caller.number(0, 1, 20, 100)), number + 1)
    return made


def memory(caller: Caller) -> ipc.SharedMemory:
    if caller.chance.random() < 0.3:
        return ipc.SharedMemory.open_or_create(caller.number(1, 2, 3), size=5000)
    size = caller.number(1, 100, 5000, 200_000)
    return ipc.SharedMemory.create(size=size, auto_remove=caller.chance.random() < 0.3)


def attachment(caller: Caller) -> ipc.Attachment:
    made: ipc.Attachment = memory(caller).attach(readonly=caller.chance.random() < 0.2)
    return made


def atomic(caller: Caller) -> ipc.AtomicInteger:
    kind: Any = caller.chance.choice(["i32", "u32", "i64", "u64"])
    return ipc.SharedMemory.create(size=100).attach().atomic(8, kind)


def in_dead_child(call: Callable[[], object]) -> None:
    if not (pid := os.fork()):
        try:
            call()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def orphan(_: Caller) -> system.Orphan:
    in_dead_child(lambda: ipc.SharedMemory.create(size=10))
    return system.orphans()[0]


def suspect(_: Caller) -> system.Suspect:
    queue = ipc.MessageQueue.create()
    in_dead_child(lambda: queue.send(b"x"))
    return next(iter(system.suspects()))


def waiters(_: Caller) -> system.Waiters:
    semaphore = ipc.Semaphore.create(value=0)

    def wait() -> None:
        with suppress(ipc.IPCError):
            semaphore.acquire(timeout=0.05)

    threading.Thread(target=wait, daemon=True).start()
    while not semaphore.waiting:
        os.sched_yield()
    return system.waiters(semaphore.semaphore_set)[0]


def use(caller: Caller) -> system.Use:
    attached = attachment(caller)
    found: system.Use = next(iter(system.uses()))
    del attached
    return found


def condition(caller: Caller) -> sync.Condition:
    if caller.chance.random() < 0.3:
        return sync.Condition.open_or_create(key_of("sync.Condition"))
    kind = caller.chance.choice([None, sync.Lock, sync.RLock])
    return sync.Condition.create(lock=kind and kind.create())


def interlock(_: Caller) -> interop.PostgresInterlock:
    with tempfile.TemporaryDirectory() as folder:
        status = os.stat(folder)
        segment = ipc.SharedMemory.create(size=56)
        header = (679834894, 4321, 10_000, 56, 99, 0, status.st_dev, status.st_ino)
        segment.attach().write(struct.pack("@iiNNIPQQ", *header))
        lines = (4321, folder, 1_700_000_000, 5432, "/tmp", "", f"{segment.key} {segment.id}")
        Path(folder, "postmaster.pid").write_text("".join(f"{line}\n" for line in lines))
        return interop.postgres_interlock(folder)


def sample(_: Caller) -> interop.NTPSample:
    with interop.NTPSharedMemory.open_or_create(7) as ntp:
        ntp.write(1_700_000_000_000_000_000, 1_700_000_000_000_000_001)
        found = ntp.peek()
        assert found is not None
        return found


def old_queue(caller: Caller) -> compat.MessageQueue:
    made = compat.MessageQueue(None, compat.IPC_CREX)
    for _ in range(caller.number(0, 1, 3)):
        made.send(b"text", False)
    return made


def raw_queue(caller: Caller) -> int:
    return queue(caller).id


def async_hold(caller: Caller) -> aio.AsyncHold:
    return aio.AsyncSemaphore(semaphore(caller)).hold(timeout=0.001)


MAKERS: dict[str, Maker] = {
    ".AtomicInteger": atomic,
    ".Attachment": attachment,
    ".Message": lambda c: ipc.Message(c.number(1, 2, 2**63 - 1), bytes(c.number(0, 5))),
    ".MessageQueue": queue,
    ".MessageQueueStat": lambda c: queue(c).stat(),
    ".Readiness": lambda c: (
        queue(c).readiness() if c.chance.random() < 0.5 else semaphore(c).readiness()
    ),
    ".Semaphore": semaphore,
    ".SemaphoreGuard": lambda _: ipc.Semaphore.create(value=3).hold(),
    ".SemaphoreSet": semaphore_set,
    ".SemaphoreSetStat": lambda c: semaphore_set(c).stat(),
    ".SharedMemory": memory,
    ".SharedMemoryStat": lambda c: memory(c).stat(),
    "aio.AsyncCondition": lambda c: aio.AsyncCondition(condition(c)),
    "aio.AsyncEvent": lambda _: aio.AsyncEvent(sync.Event.create()),
    "aio.AsyncHold": async_hold,
    "aio.AsyncLock": lambda _: aio.AsyncLock(sync.Lock.create()),
    "aio.AsyncMessageIterator": lambda c: aio.AsyncMessageQueue(queue(c)).messages(timeout=0.001),
    "aio.AsyncMessageQueue": lambda c: aio.AsyncMessageQueue(queue(c)),
    "aio.AsyncRWLock": lambda _: aio.AsyncRWLock(sync.RWLock.create()),
    "aio.AsyncRWLockSide": lambda c: (
        aio.AsyncRWLock(sync.RWLock.create()).reader(0.001)
        if c.chance.random() < 0.5
        else aio.AsyncRWLock(sync.RWLock.create()).writer(0.001)
    ),
    "aio.AsyncSemaphore": lambda c: aio.AsyncSemaphore(semaphore(c)),
    "compat.MessageQueue": old_queue,
    "compat.Semaphore": lambda c: compat.Semaphore(
        None, compat.IPC_CREX, initial_value=c.number(0, 3)
    ),
    "compat.SharedMemory": lambda _: compat.SharedMemory(None, compat.IPC_CREX, size=5000),
    "interop.NTPSample": sample,
    "interop.NTPSharedMemory": lambda c: interop.NTPSharedMemory.open_or_create(c.number(0, 2, 7)),
    "interop.PHPSemaphore": lambda c: interop.PHPSemaphore.open_or_create(
        c.number(11, 12), c.number(1, 3), auto_release=c.chance.random() < 0.5
    ),
    "interop.PostgresInterlock": interlock,
    "raw.IpcPerm": lambda c: raw.msgctl(raw_queue(c), raw.IPC_STAT).msg_perm,
    "raw.Msginfo": lambda _: raw.msgctl(0, raw.MSG_INFO)[1],
    "raw.MsqidDs": lambda c: raw.msgctl(raw_queue(c), raw.IPC_STAT),
    "raw.Sembuf": lambda c: raw.Sembuf(c.number(0, 1), c.number(-1, 0, 1), raw.IPC_NOWAIT),
    "raw.SemidDs": lambda c: raw.semctl(semaphore_set(c).id, 0, raw.IPC_STAT),
    "raw.Seminfo": lambda _: raw.semctl(0, 0, raw.SEM_INFO)[1],
    "raw.ShmInfo": lambda _: raw.shmctl(0, raw.SHM_INFO)[1],
    "raw.ShmidDs": lambda c: raw.shmctl(memory(c).id, raw.IPC_STAT),
    "raw.Shminfo": lambda _: raw.shmctl(0, raw.IPC_INFO)[1],
    "sync.Barrier": lambda c: opened(
        "sync.Barrier", parties=c.number(1, 1, 2, 3), action=c.chance.choice([None, list, sum])
    )(c),
    "sync.BoundedSemaphore": opened("sync.BoundedSemaphore", value=2),
    "sync.Condition": condition,
    "sync.Event": opened("sync.Event"),
    "sync.Lock": opened("sync.Lock"),
    "sync.RLock": opened("sync.RLock"),
    "sync.RWLock": opened("sync.RWLock"),
    "system.Limits": lambda _: system.limits(),
    "system.Orphan": orphan,
    "system.Suspect": suspect,
    "system.Usage": lambda _: system.usage(),
    "system.Use": use,
    "system.Waiters": waiters,
    # Those that have no public name.
    "iterator of messages": lambda c: queue(c).messages(timeout=0),
    "iterator of bytes": lambda c: iter(attachment(c)),
    "side of a lock": lambda _: sync.RWLock.create().writer(0.001),
    "listing": lambda _: system.message_queues(),
    "view": lambda c: memoryview(attachment(c)),
}
