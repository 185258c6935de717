"""Segments of other users, limits, and who waits for whom meanwhile."""

import errno
import os
import resource
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Attachment, SharedMemory

NOBODY = support.NOBODY


def refused(call: Callable[[], object]) -> str:
    """The errno's name, or nothing if it went well; ours are AccessDeniedErrors."""
    try:
        call()
    except ipc.AccessDeniedError as error:
        return errno.errorcode[error.errno or 0]
    return ""


class TestStrangers:
    @pytest.mark.parametrize(
        ("mode", "read", "write"),
        [(0o600, False, False), (0o604, True, False), (0o602, False, False), (0o606, True, True)],
    )
    def test_attach_as_the_mode_says(
        self, remove_later: Any, mode: int, read: bool, write: bool
    ) -> None:
        made = remove_later(SharedMemory.create(support.free_key(), size=10, mode=mode))

        def attach() -> tuple[str, str]:
            # Opening asks for no rights.
            opened = SharedMemory.open(made.key)
            assert opened.size == 10
            return refused(lambda: opened.attach(readonly=True)), refused(opened.attach)

        allowed = {True: "", False: "EACCES"}
        assert support.in_child(attach, NOBODY) == (allowed[read], allowed[write])
        assert made.stat().attached == 0

    def test_change_nothing(self, remove_later: Any) -> None:
        made = remove_later(SharedMemory.create(size=10, mode=0o666))

        def change() -> list[str]:
            return [
                refused(call)
                for call in (
                    lambda: made.chmod(0o777),
                    lambda: made.chown(NOBODY),
                    made.remove,
                    made.lock_memory,
                    made.unlock_memory,
                )
            ]

        before = made.stat()
        assert support.in_child(change, NOBODY) == ["EPERM"] * 5
        assert made.stat() == before

    @pytest.mark.parametrize("mode", [0, 0o600, 0o622])
    def test_see_all_of_stat(self, remove_later: Any, mode: int) -> None:
        made = remove_later(SharedMemory.create(size=10, mode=mode))
        assert support.in_child(made.stat, NOBODY) == made.stat()

    def test_code_needs_its_own_permission(self) -> None:
        def run() -> tuple[str, str]:
            made = SharedMemory.create(size=10)
            answer = refused(lambda: made.attach(executable=True))
            made.chmod(0o700)
            with made.attach(executable=True) as attachment:
                attachment[0] = 1
            made.remove()
            return answer, ""

        assert support.in_child(run, NOBODY) == ("EACCES", "")


class TestOwner:
    def test_what_is_ours_is_opened(self, remove_later: Any) -> None:
        key, us = support.free_key(), os.geteuid()
        made = remove_later(SharedMemory.open_or_create(key, size=1, owner=us))
        assert SharedMemory.open(key, owner=us) == made
        assert SharedMemory.open_or_create(key, size=1, owner=us) == made
        assert SharedMemory.from_id(made.id, owner=us) == made

    @pytest.mark.parametrize("given_away", [False, True])
    def test_what_others_planted_is_refused(self, remove_later: Any, given_away: bool) -> None:
        key, us = support.free_key(), os.geteuid()

        def plant() -> None:
            made = SharedMemory.create(key, size=100, mode=0o666)
            if given_away:
                made.chown(us)

        support.in_child(plant, NOBODY)
        planted = remove_later(SharedMemory.open(key))
        calls: list[Callable[[], object]] = [
            lambda: SharedMemory.open(key, owner=us),
            lambda: SharedMemory.open_or_create(key, size=1, owner=us),
            lambda: SharedMemory.from_id(planted.id, owner=us),
            lambda: SharedMemory.open(key, owner=NOBODY + 1),
        ]
        for call in calls:
            with pytest.raises(ipc.UntrustedOwnerError, match=str(NOBODY)) as caught:
                call()
            assert caught.value.errno == errno.EPERM
        if not given_away:
            assert SharedMemory.open(key, owner=NOBODY) == planted

    def test_nothing_is_created_for_others(self) -> None:
        key = support.free_key()
        with pytest.raises(ipc.NotFoundError):
            SharedMemory.open_or_create(key, size=1, owner=os.geteuid() + 1)
        with pytest.raises(ipc.NotFoundError):
            SharedMemory.open(key)


class TestLimits:
    def test_shmmni(self) -> None:
        def create() -> tuple[str, int]:
            made = [SharedMemory.create(size=1), SharedMemory.create(size=1)]
            with pytest.raises(ipc.LimitExceededError) as caught:
                SharedMemory.create(size=1)
            for memory in made:
                memory.remove()
            return str(caught.value), len(support.objects())

        text, left = support.in_namespace(create, shmmni=2)
        assert left == 0
        for part in ("SHMMNI", "2", "/proc/sys/kernel/shmmni"):
            assert part in text

    def test_shmall(self) -> None:
        def create() -> tuple[str, int]:
            made = SharedMemory.create(size=9 * 4096)
            with pytest.raises(ipc.LimitExceededError) as caught:
                SharedMemory.create(size=2 * 4096)
            made.remove()
            return str(caught.value), len(support.objects())

        text, left = support.in_namespace(create, shmall=10)
        assert left == 0
        for part in ("SHMALL", "10", "/proc/sys/kernel/shmall"):
            assert part in text

    @pytest.mark.parametrize("auto_remove", [False, True])
    def test_shmmax(self, auto_remove: bool) -> None:
        def create() -> tuple[str, int]:
            SharedMemory.create(size=8192, auto_remove=True)
            with pytest.raises(ipc.LimitExceededError) as caught:
                SharedMemory.create(size=8193, auto_remove=auto_remove)
            return str(caught.value), len(support.objects())

        text, left = support.in_namespace(create, shmmax=8192)
        assert left == 0
        for part in ("SHMMAX", "8193", "8192", "/proc/sys/kernel/shmmax"):
            assert part in text

    def test_address_space(self, remove_later: Any) -> None:
        made = remove_later(SharedMemory.create(size=2 << 30, reserve=False))

        def attach() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
            made.attach()

        with pytest.raises(ipc.LimitExceededError, match="address space"):
            support.in_child(attach)
        assert made.stat().attached == 0

    @pytest.mark.parametrize(
        ("limit", "error", "text"),
        [
            (64 << 10, ipc.LimitExceededError, "RLIMIT_MEMLOCK"),
            (0, ipc.AccessDeniedError, "MEMLOCK"),
        ],
    )
    def test_locked_memory(self, limit: int, error: type[ipc.IPCError], text: str) -> None:
        def lock() -> None:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
            made = SharedMemory.create(size=256 << 10, auto_remove=True)
            try:
                made.lock_memory()
            finally:
                assert not made.stat().locked

        with pytest.raises(error, match=text):
            support.in_child(lock, NOBODY)


def test_an_id_that_is_another_segments_by_now_is_attached_with_that_ones_size() -> None:
    """Else the memory behind a smaller one would be written to."""
    if not Path("/proc/sys/kernel/shm_next_id").exists():
        pytest.skip("this kernel lets nobody choose ids")

    def reuse() -> int:
        old = SharedMemory.create(size=1 << 20)
        old.remove()
        Path("/proc/sys/kernel/shm_next_id").write_text(str(old.id))
        new = SharedMemory.create(size=10)
        assert new.id == old.id
        with old.attach() as attachment:
            size = len(attachment)
        new.remove()
        return size

    assert support.in_namespace(reuse) == 10


LARGE = 64 << 20


def fresh() -> tuple[SharedMemory, Attachment]:
    memory = SharedMemory.create(size=LARGE, auto_remove=True)
    return memory, memory.attach()


def touched() -> tuple[SharedMemory, list[Attachment]]:
    memory, attachment = fresh()
    attachment.fill(1)
    return memory, [attachment]


def removable() -> SharedMemory:
    memory = SharedMemory.create(size=LARGE)
    memory.attach().fill(1)
    return memory


# What takes long: preparation, and the call.
LONG: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "fill": (fresh, lambda it: it[1].fill(1)),
    "write": (lambda: (*fresh(), bytes(LARGE)), lambda it: it[1].write(it[2])),
    "slice assignment": (
        lambda: (*fresh(), bytes(LARGE)),
        lambda it: it[1].__setitem__(slice(None), it[2]),
    ),
    "read": (fresh, lambda it: it[1].read()),
    "slice": (fresh, lambda it: it[1][:]),
    "detach": (touched, lambda it: it[1][0].detach()),
    "drop": (touched, lambda it: it[1].clear()),
    "remove": (removable, lambda memory: memory.remove()),
}


class Other:
    """A thread that runs as soon as the interpreter is free."""

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.ran = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        with self.gate:
            self.ran = True

    def runs_during(self, call: Callable[[], object]) -> bool:
        self.gate.release()
        call()
        ran = self.ran
        self.thread.join()
        return ran


@pytest.fixture
def selfish() -> Any:
    """Threads give the interpreter up only of their own accord."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        pytest.skip("nobody waits for the interpreter here")
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("selfish")
@pytest.mark.parametrize("what", LONG)
def test_other_threads_run_during_what_takes_long(what: str) -> None:
    prepare, call = LONG[what]
    for _ in range(500):  # a busy machine may not find the time for the other
        subject, other = prepare(), Other()
        try:
            if other.runs_during(partial(call, subject)):
                return
        except ipc.LimitExceededError as error:
            pytest.skip(str(error))
        del subject
    pytest.fail("no other thread ran")


@pytest.mark.usefixtures("selfish")
def test_what_is_short_never_gives_the_interpreter_away(memory: SharedMemory) -> None:
    attachment, data = memory.attach(), bytes(64)
    word = attachment.atomic(0, "i64")

    def work() -> None:
        for i in range(100):
            attachment.write(data, i)
            attachment.read(64, i)
            attachment.fill(0, i)
            attachment[i] = attachment[i + 1]
            attachment[i : i + 10] = attachment[:10]
            word.add(1)

    assert not Other().runs_during(work)
