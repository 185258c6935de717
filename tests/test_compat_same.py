"""The drop-in does what `sysv_ipc` does: the same values, the same exceptions with the same texts.

Each case runs with both modules, and what comes of it is compared.
"""

import functools
import inspect
import itertools
import os
import pickle
import re
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest
import support
from sysv_ipc_rs import compat

sysv_ipc = pytest.importorskip("sysv_ipc", reason="needs sysv_ipc==1.2.0 to compare with")

CLASSES = ("Semaphore", "MessageQueue", "SharedMemory")
ERRORS = {name for name in dir(sysv_ipc) if name.endswith("Error")}


class Both:
    """Makes objects of either module, which are removed after the test."""

    def __init__(self, module: ModuleType) -> None:
        self.m = module
        self.made: list[Any] = []

    def keep(self, made: Any) -> Any:
        self.made.append(made)
        return made

    def sem(self, value: int = 1, **options: Any) -> Any:
        return self.keep(self.m.Semaphore(None, self.m.IPC_CREX, initial_value=value, **options))

    def queue(self, **options: Any) -> Any:
        return self.keep(self.m.MessageQueue(None, self.m.IPC_CREX, **options))

    def memory(self, **options: Any) -> Any:
        return self.keep(self.m.SharedMemory(None, self.m.IPC_CREX, **options))

    def remove(self) -> None:
        for made in self.made:
            with suppress(self.m.Error):
                made.remove()


def told(module: ModuleType, case: Callable[[Both], Any]) -> tuple[str, object]:
    """What comes of the case: a value, or an exception's class and text."""
    both = Both(module)
    try:
        return "value", case(both)
    except Exception as error:
        # The name of the family's class, or the builtin class.
        name = next(c.__name__ for c in type(error).__mro__ if c.__name__ in ERRORS | BUILTIN)
        # Ids differ.
        return name, re.sub(r"id \d+", "id N", str(error)).strip()
    finally:
        both.remove()


BUILTIN = {
    *("ValueError", "TypeError", "OverflowError", "OSError", "FileNotFoundError"),
    *("AttributeError", "BufferError", "UnicodeEncodeError", "IndexError", "MemoryError"),
}


def refilled(memory: Any) -> Any:
    memory.write(bytes(range(100)))
    return memory


def attribute(thing: Any, name: str, value: object) -> Any:
    setattr(thing, name, value)
    return getattr(thing, name)


def twice(call: Callable[[], object]) -> object:
    call()
    return call()


def unblocked(thing: Any) -> Any:
    thing.block = False
    return thing


def removed(thing: Any) -> Any:
    thing.remove()
    return thing


def detached(memory: Any) -> Any:
    memory.detach()
    return memory


FREE = 0x5EED0C0
SAME: dict[str, Callable[[Both], Any]] = {
    "acquire": lambda b: b.sem().acquire(),
    "acquire None": lambda b: b.sem().acquire(None),
    "acquire by position": lambda b: (s := b.sem(9), s.acquire(None, 4), s.value)[1:],
    "acquire by keyword": lambda b: (s := b.sem(9), s.acquire(delta=-4), s.value)[1:],
    "P by position": lambda b: (s := b.sem(9), s.P(None, 4), s.value)[1:],
    "release": lambda b: (s := b.sem(1), s.release(), s.V(-3), s.V(delta=2), s.value)[1:],
    "Z": lambda b: b.sem(0).Z(),
    "Z with timeout": lambda b: b.sem(0).Z(timeout=5),
    "no delta": lambda b: b.sem().acquire(None, 0),
    "no delta to release": lambda b: b.sem().release(0),
    "negative timeout": lambda b: b.sem().acquire(-1),
    "negative float timeout": lambda b: b.sem().acquire(-0.5),
    "timeout of text": lambda b: b.sem().acquire("1"),
    "timeout of bytes to Z": lambda b: b.sem(0).Z(b"1"),
    "busy": lambda b: unblocked(b.sem(0)).acquire(),
    "busy with timeout": lambda b: unblocked(b.sem(0)).acquire(10),
    "busy Z": lambda b: unblocked(b.sem(1)).Z(),
    "over the maximum": lambda b: b.sem(32767).release(),
    "value": lambda b: attribute(b.sem(), "value", 77),
    "value of text": lambda b: attribute(b.sem(), "value", "7"),
    "value of float": lambda b: attribute(b.sem(), "value", 7.0),
    "value below": lambda b: attribute(b.sem(), "value", -1),
    "value above": lambda b: attribute(b.sem(), "value", 32768),
    "undo": lambda b: (attribute(b.sem(), "undo", 5), attribute(b.sem(), "undo", "")),
    "block": lambda b: (b.sem().block, b.sem().undo, attribute(b.sem(), "block", None)),
    "with": lambda b: (s := b.sem(), s.__enter__() is s, s.value, s.__exit__(), s.value)[1:],
    "with, unblocked": lambda b: unblocked(b.sem(0)).__enter__(),
    "mode": lambda b: attribute(b.sem(), "mode", 0o640),
    "mode of text": lambda b: attribute(b.sem(), "mode", "640"),
    "uid and gid": lambda b: [getattr(b.sem(), n) for n in ("uid", "gid", "cuid", "cgid")],
    "set uid": lambda b: (s := b.sem(), attribute(s, "uid", s.uid))[1],
    "uid of text": lambda b: attribute(b.sem(), "uid", "0"),
    "gid of text": lambda b: attribute(b.sem(), "gid", "0"),
    "last_pid": lambda b: b.sem().last_pid == os.getpid(),
    "waiters": lambda b: (b.sem().waiting_for_nonzero, b.sem().waiting_for_zero),
    "o_time": lambda b: (s := b.sem(), s.o_time, s.release(), s.o_time > 10**9)[1:],
    "remove": lambda b: b.sem().remove(),
    "remove twice": lambda b: twice(b.sem().remove),
    "acquire removed": lambda b: removed(b.sem()).acquire(),
    "value of removed": lambda b: removed(b.sem()).value,
    "uid of removed": lambda b: removed(b.sem()).uid,
    "remove_semaphore": lambda b: b.m.remove_semaphore(b.sem().id),
    "remove_semaphore of none": lambda b: b.m.remove_semaphore(-1),
    "remove_semaphore of text": lambda b: b.m.remove_semaphore("1"),
    "no such semaphore": lambda b: b.m.Semaphore(FREE),
    "semaphore exists": lambda b: b.m.Semaphore(b.sem().key, b.m.IPC_CREX),
    "opened": lambda b: (s := b.sem(5), b.m.Semaphore(s.key).id == s.id, s.value)[1:],
    "opened or created": lambda b: b.keep(b.m.Semaphore(FREE, b.m.IPC_CREAT, 0o600, 4)).value,
    "read-only semaphore": lambda b: b.sem(3, mode=0o400).value,
    "private semaphore": lambda b: b.keep(b.m.Semaphore(b.m.IPC_PRIVATE)).value,
    "EXCL alone": lambda b: b.m.Semaphore(FREE, b.m.IPC_EXCL),
    "None without EXCL": lambda b: b.m.Semaphore(None, b.m.IPC_CREAT),
    "None alone": lambda b: b.m.Semaphore(None),
    "key of text": lambda b: b.m.Semaphore("1"),
    "key of float": lambda b: b.m.Semaphore(1.0),
    "unsigned key": lambda b: b.keep(b.m.Semaphore(0xDEADBEEF, b.m.IPC_CREX)).key,
    "negative key": lambda b: b.keep(b.m.Semaphore(-77, b.m.IPC_CREX)).key,
    "flags of text": lambda b: b.m.Semaphore(1, "x"),
    "texts": lambda b: [
        (str(x) == f"Key={x.key}, id={x.id}", repr(x).replace(str(x.key), "KEY"))
        for x in (b.sem(), b.queue(), b.memory())
    ],
    "not pickled": lambda b: pickle.dumps(b.sem())[:0],
    "random keys": lambda b: [0 < x.key < 2**15 for x in (b.sem(), b.queue(), b.memory())],
    # Message queues
    "send": lambda b: (q := b.queue(), q.send(b"a"), q.receive())[1:],
    "send text": lambda b: (q := b.queue(), q.send("é"), q.receive())[1:],
    "send a buffer": lambda b: (q := b.queue(), q.send(bytearray(b"ab")), q.receive())[1:],
    "send nothing": lambda b: (q := b.queue(), q.send(b""), q.receive())[1:],
    "send by position": lambda b: (q := b.queue(), q.send(b"a", False, 7), q.receive(False, 7))[2],
    "send by keyword": lambda b: (
        q := b.queue(),
        q.send(message=b"a", block=1, type=3),
        q.receive(block=0, type=-5),
    )[2],
    "type 0": lambda b: b.queue().send(b"", type=0),
    "type -1": lambda b: b.queue().send(b"", True, -1),
    "type of text": lambda b: (q := b.queue(), q.send(b"", type=1), q.receive(type="1")),
    "lowest type first": lambda b: (
        q := b.queue(),
        [q.send(b"%d" % t, type=t) for t in (4, 3, 2, 1)],
        [q.receive(False, t)[1] for t in (-2, -2, 3, 0)],
    )[2],
    "receive from empty": lambda b: b.queue().receive(False),
    "receive a missing type": lambda b: (q := b.queue(), q.send(b""), q.receive(False, 2)),
    "full": lambda b: (q := b.queue(), attribute(q, "max_size", 3), q.send(b"abcd", False)),
    "full again": lambda b: [b.queue().send(b"x" * 2048, False) for _ in range(3)],
    "too long": lambda b: b.queue().send(b"x" * 2049),
    "too long of 10": lambda b: b.queue(max_message_size=10).send("x" * 11),
    "too long to receive": lambda b: (
        q := b.queue(),
        q.send(b"x" * 11),
        b.m.MessageQueue(q.key, max_message_size=10).receive(),
    ),
    "longer than MSGMAX": lambda b: b.queue(max_message_size=10**6).send(b"x" * 10**5),
    "negative max_message_size": lambda b: b.queue(max_message_size=-(2**63) - 1 + 2**63),
    "max_size": lambda b: attribute(b.queue(), "max_size", 2048),
    "max_size of text": lambda b: attribute(b.queue(), "max_size", "1"),
    "queue's attributes": lambda b: [
        getattr(b.queue(), name)
        for name in (
            *("max_size", "last_send_time", "last_receive_time", "last_send_pid", "mode"),
            *("last_receive_pid", "current_messages", "uid", "gid", "cuid", "cgid"),
        )
    ],
    "queue's times": lambda b: (
        q := b.queue(),
        q.send(b""),
        q.current_messages,
        q.last_send_pid == os.getpid(),
        q.last_change_time <= q.last_send_time,
    )[2:],
    "queue's mode": lambda b: attribute(b.queue(), "mode", 0o644),
    "queue's mode of text": lambda b: attribute(b.queue(), "mode", "0"),
    "queue's uid": lambda b: attribute(b.queue(), "uid", os.geteuid()),
    "queue's gid of text": lambda b: attribute(b.queue(), "gid", None),
    "remove queue twice": lambda b: twice(b.queue().remove),
    "receive from removed": lambda b: removed(b.queue()).receive(),
    "current_messages of removed": lambda b: removed(b.queue()).current_messages,
    "remove_message_queue": lambda b: b.m.remove_message_queue(b.queue().id),
    "remove_message_queue of none": lambda b: b.m.remove_message_queue(-1),
    "no such queue": lambda b: b.m.MessageQueue(FREE),
    "queue exists": lambda b: b.m.MessageQueue(b.queue().key, b.m.IPC_CREX),
    "queue with EXCL alone": lambda b: b.m.MessageQueue(FREE, b.m.IPC_EXCL),
    "queue None alone": lambda b: b.m.MessageQueue(None, 0),
    "queue opened or created": lambda b: b.keep(b.m.MessageQueue(FREE, b.m.IPC_CREAT)).key,
    "queue's key of bytes": lambda b: b.m.MessageQueue(b"1"),
    # Shared memory
    "read": lambda b: b.memory(size=10).read(),
    "read some": lambda b: refilled(b.memory()).read(5),
    "read by position": lambda b: refilled(b.memory()).read(5, 2),
    "read by keyword": lambda b: refilled(b.memory()).read(byte_count=5, offset=95),
    "read beyond": lambda b: refilled(b.memory(size=100)).read(50, 90),
    "read to the end": lambda b: refilled(b.memory(size=100)).read(offset=98),
    "read at the end": lambda b: b.memory(size=100).read(1, 100),
    "read at -1": lambda b: b.memory().read(1, -1),
    "read -1": lambda b: b.memory().read(-1),
    "read text": lambda b: b.memory().read("1"),
    "read detached": lambda b: detached(b.memory()).read(),
    "write": lambda b: (m := b.memory(size=9), m.write(b"abc"), m.read())[1:],
    "write text": lambda b: (m := b.memory(size=9), m.write("é", 2), m.read())[1:],
    "write by keyword": lambda b: (m := b.memory(size=9), m.write(s=b"a", offset=8), m.read())[2],
    "write to the end": lambda b: b.memory(size=9).write(b"", 9),
    "write beyond": lambda b: b.memory(size=9).write(b"ab", 8),
    "write far beyond": lambda b: b.memory(size=9).write(b"", 10),
    "write at -1": lambda b: b.memory(size=9).write(b"", -1),
    "write detached": lambda b: detached(b.memory()).write(b""),
    "detach": lambda b: b.memory().detach(),
    "attach": lambda b: (m := detached(b.memory()), m.attach(), m.attached)[1:],
    "attach by keyword": lambda b: detached(b.memory()).attach(address=None, flags=0),
    "attach anywhere": lambda b: detached(b.memory()).attach(0),
    "attach at text": lambda b: b.memory().attach("0"),
    "attach unaligned": lambda b: b.memory().attach(0x7F0000001),
    "attach flags of text": lambda b: b.memory().attach(None, "0"),
    "address": lambda b: (m := b.memory(), m.address > 0, detached(m).address)[1:],
    "attach()": lambda b: (m := b.memory(), b.m.attach(m.id).read(3), b.m.attach(m.id).id == m.id)[
        1:
    ],
    "attach() of none": lambda b: b.m.attach(-1),
    "attach() of text": lambda b: b.m.attach("1"),
    "memory's attributes": lambda b: [
        getattr(b.memory(size=77), name)
        for name in (
            *("size", "attached", "last_detach_time", "number_attached", "mode", "uid"),
            *("gid", "cuid", "cgid"),
        )
    ],
    "memory's pids": lambda b: (m := b.memory(), m.creator_pid == m.last_pid == os.getpid())[1],
    "memory's mode": lambda b: attribute(b.memory(), "mode", 0o660),
    "memory's mode of text": lambda b: attribute(b.memory(), "mode", "0"),
    "memory's uid of text": lambda b: attribute(b.memory(), "uid", "0"),
    "memory's gid of text": lambda b: attribute(b.memory(), "gid", 0.0),
    "default size": lambda b: (b.memory().size, b.memory(size=0).size),
    "init_character": lambda b: b.memory(size=5, init_character=b"\0").read(),
    "init_character of bytearray": lambda b: b.memory(
        size=2, init_character=bytearray(b"a")
    ).read(),
    "init_character by position": lambda b: b.keep(
        b.m.SharedMemory(None, b.m.IPC_CREX, 0o600, 3, b"z")
    ).read(),
    "no init_character with CREAT alone": lambda b: b.keep(
        b.m.SharedMemory(FREE, b.m.IPC_CREAT, 0o600, 3, b"z")
    ).read(),
    "no size with CREAT alone": lambda b: b.m.SharedMemory(FREE, b.m.IPC_CREAT),
    "opened with more": lambda b: b.m.SharedMemory(b.memory(size=10).key, size=11),
    "opened with less": lambda b: b.m.SharedMemory(b.memory(size=10).key, size=9).size,
    "no such memory": lambda b: b.m.SharedMemory(FREE),
    "memory exists": lambda b: b.m.SharedMemory(
        b.keep(b.m.SharedMemory(FREE, b.m.IPC_CREX)).key, b.m.IPC_CREX
    ),
    "memory with EXCL alone": lambda b: b.m.SharedMemory(FREE, b.m.IPC_EXCL),
    "memory None alone": lambda b: b.m.SharedMemory(None),
    "remove_shared_memory": lambda b: b.m.remove_shared_memory(b.memory().id),
    "remove_shared_memory of none": lambda b: b.m.remove_shared_memory(-1),
    "remove detached memory twice": lambda b: (
        twice(detached(b.keep(b.memory())).remove) and "never"
    ),
    "removed but attached": lambda b: (m := removed(b.memory(size=3)), m.read(), m.size)[1:],
    "bytes": lambda b: (bytes(b.memory(size=3)), bytearray(b.memory(size=2))),
    "memoryview": lambda b: (
        v := memoryview(b.memory(size=30)),
        v.format,
        v.itemsize,
        v.shape,
        v.strides,
        v.ndim,
        v.readonly,
        v.nbytes,
    )[1:],
    # Functions
    "ftok": lambda b: b.m.ftok("/", 42, True),
    "ftok with 0": lambda b: b.m.ftok("/", 256, silence_warning=1),
    "ftok of nothing": lambda b: b.m.ftok("/nowhere", 1, True) and None,
    "ftok of int": lambda b: b.m.ftok(b"/"[0], 1, True),
}

# CPython's parser words it; here the wording is PyO3's.
ANY_TEXT = {
    *("type of text", "flags of text", "read text", "attach flags of text", "attach() of text"),
    *("remove_semaphore of text", "ftok of int", "ftok of nothing", "not pickled"),
    "timeout of text",
}


@pytest.mark.parametrize("what", SAME)
def test_the_same_comes_of_it(what: str) -> None:
    # A process of its own: it never detaches what it forgets, and may crash.
    theirs = support.in_child(lambda: told(sysv_ipc, SAME[what]))
    ours = told(compat, SAME[what])
    if what in ANY_TEXT:
        assert ours[0] == theirs[0]
    else:
        assert ours == theirs


def test_every_public_name_is_there_and_of_the_same_kind() -> None:
    names = {name for name in dir(sysv_ipc) if not name.startswith("_")}
    assert names <= set(dir(compat))
    assert names <= set(compat.__all__)
    for name in names:
        theirs, ours = getattr(sysv_ipc, name), getattr(compat, name)
        assert type(ours) is type(theirs) or name == "SEMAPHORE_TIMEOUT_SUPPORTED"
        if isinstance(theirs, type):
            assert issubclass(ours, Exception) == issubclass(theirs, Exception)


def test_constants_are_the_same_but_where_theirs_are_wrong() -> None:
    wrong = {"KEY_MIN", "KEY_MAX", "SEMAPHORE_TIMEOUT_SUPPORTED"}
    for name in dir(sysv_ipc):
        value = getattr(sysv_ipc, name)
        if name.isupper() and name not in wrong:
            assert getattr(compat, name) == value, name
    assert (compat.KEY_MIN, compat.KEY_MAX) == (-(2**31), 2**31 - 1)
    assert compat.SEMAPHORE_TIMEOUT_SUPPORTED is True
    assert compat.__version__ == sysv_ipc.__version__ == compat.VERSION


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_the_same_members(name: str) -> None:
    theirs, ours = getattr(sysv_ipc, name), getattr(compat, name)

    def public(cls: type) -> set[str]:
        return {member for member in vars(cls) if not member.startswith("_")}

    assert public(ours) == public(theirs)
    for member in public(theirs):
        assert callable(getattr(ours, member)) == callable(getattr(theirs, member))


@pytest.mark.parametrize(
    ("name", "member"),
    [
        (name, member)
        for name in CLASSES
        for member in sorted(vars(getattr(sysv_ipc, name)))
        if not member.startswith("_") and not callable(getattr(getattr(sysv_ipc, name), member))
    ],
)
def test_the_same_attributes_can_be_written(name: str, member: str) -> None:
    def write(module: ModuleType) -> tuple[str, str]:
        made = getattr(module, name)(module.IPC_PRIVATE, module.IPC_CREX)
        try:
            setattr(made, member, getattr(made, member))
        except AttributeError as error:
            cls = type(made)
            return "AttributeError", str(error).replace(f"{cls.__module__}.{name}", name)
        finally:
            made.remove()
        return "written", ""

    assert write(compat) == support.in_child(lambda: write(sysv_ipc))


def test_positions_and_defaults_are_documented() -> None:
    """`inspect.signature` tells nothing of theirs; these are their documentation's."""
    known: dict[Any, str] = {
        compat.Semaphore: "(key, flags=0, mode=384, initial_value=0)",
        compat.SharedMemory: "(key, flags=0, mode=384, size=0, init_character=b' ')",
        compat.MessageQueue: "(key, flags=0, mode=384, max_message_size=2048)",
        compat.Semaphore.acquire: "(self, /, timeout=None, delta=1)",
        compat.Semaphore.P: "(self, /, timeout=None, delta=1)",
        compat.Semaphore.release: "(self, /, delta=1)",
        compat.Semaphore.V: "(self, /, delta=1)",
        compat.Semaphore.Z: "(self, /, timeout=None)",
        compat.SharedMemory.attach: "(self, /, address=None, flags=0)",
        compat.SharedMemory.read: "(self, /, byte_count=0, offset=0)",
        compat.SharedMemory.write: "(self, /, s, offset=0)",
        compat.MessageQueue.send: "(self, /, message, block=True, type=1)",
        compat.MessageQueue.receive: "(self, /, block=True, type=0)",
        compat.attach: "(id, address=None, flags=0)",
        compat.ftok: "(path, id, silence_warning=False)",
        compat.remove_semaphore: "(id, /)",
    }
    for function, signature in known.items():
        assert str(inspect.signature(function)) == signature


def test_ftok_warns_alike() -> None:
    for module in (sysv_ipc, compat):
        with pytest.warns(Warning, match=r"Use of ftok\(\) is not recommended") as caught:
            module.ftok("/", 1)
        assert caught[0].category is Warning
        assert caught[0].filename == __file__


def test_objects_of_both_modules_are_the_same_objects() -> None:
    def met(name: str, one: ModuleType, other: ModuleType) -> bool:
        made = getattr(one, name)(None, one.IPC_CREX)
        try:
            return bool(getattr(other, name)(made.key).id == made.id)
        finally:
            made.remove()

    for name, (one, other) in itertools.product(
        CLASSES, itertools.permutations((sysv_ipc, compat))
    ):
        assert support.in_child(functools.partial(met, name, one, other))


def test_a_subclass_may_have_a_constructor_of_its_own() -> None:
    class Named(compat.Semaphore):
        def __init__(self, name: str, *, start: int) -> None:
            super().__init__(int.from_bytes(name.encode()), compat.IPC_CREX, 0o600, start)
            self.name = name

    made = Named("abc", start=3)
    try:
        assert (made.name, made.key, made.value) == ("abc", 0x616263, 3)
    finally:
        made.remove()
