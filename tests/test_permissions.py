"""What another user may do, and whom `owner=` trusts."""

import ctypes
import errno
import os
from collections.abc import Callable
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from support import NOBODY
from sysv_ipc_rs import Semaphore, SemaphoreSet

CLONE_NEWUSER = 0x10000000

READS: dict[str, Callable[[SemaphoreSet], object]] = {
    "value": lambda s: s[0].value,
    "values": lambda s: s.values,
    "last_pid": lambda s: s[0].last_pid,
    "waiting": lambda s: s[0].waiting,
    "waiting_zero": lambda s: s[0].waiting_zero,
    "wait_zero": lambda s: s[1].wait_zero(),
    "try_wait_zero": lambda s: s[1].try_wait_zero(),
}
WRITES: dict[str, Callable[[SemaphoreSet], object]] = {
    "set value": lambda s: setattr(s[0], "value", 1),
    "set values": lambda s: setattr(s, "values", [1, 0]),
    "acquire": lambda s: s[0].acquire(),
    "acquire, timed": lambda s: s[0].acquire(2, timeout=0.001),
    "try_acquire": lambda s: s[0].try_acquire(),
    "release": lambda s: s[0].release(),
    "hold": lambda s: s[0].hold(),
    "try_hold": lambda s: s[0].try_hold(),
    "with": lambda s: s[0].__enter__(),
    "op": lambda s: s.op((0, 1)),
    "try_op": lambda s: s.try_op((0, 1)),
}
OWNS: dict[str, Callable[[SemaphoreSet], object]] = {
    "chmod": lambda s: s.chmod(0o666),
    "chown": lambda s: s.chown(NOBODY),
    "remove": lambda s: s.remove(),
}


def allowed(made: SemaphoreSet, call: Callable[[SemaphoreSet], object]) -> bool:
    """Whether a stranger may do it; "the time is up" means that it might."""

    def attempt() -> ipc.IPCError | None:
        try:
            call(made)
        except (ipc.AccessDeniedError, ipc.WaitTimeoutError) as error:
            return error
        return None

    error = support.in_child(attempt, uid=NOBODY)
    if isinstance(error, ipc.AccessDeniedError):
        assert error.errno in (errno.EACCES, errno.EPERM)
        assert f"id {made.id}" in str(error)
    return not isinstance(error, ipc.AccessDeniedError)


@pytest.mark.parametrize("mode", [0o600, 0o604, 0o602, 0o606, 0o640, 0o666])
def test_strangers_may_what_the_mode_says(remove_later: Any, mode: int) -> None:
    made = remove_later(SemaphoreSet.create(size=2, values=[1, 0], mode=mode))
    for name, call in READS.items():
        assert allowed(made, call) == bool(mode & 0o004), name
    for name, call in WRITES.items():
        assert allowed(made, call) == bool(mode & 0o002), name
    for name, call in OWNS.items():
        assert not allowed(made, call), name


def test_everybody_is_kept_out_by_default(remove_later: Any) -> None:
    made = remove_later(SemaphoreSet.create(size=2))
    for call in (READS | WRITES | OWNS).values():
        assert not allowed(made, call)


def test_there_is_no_umask(remove_later: Any) -> None:
    before = os.umask(0o777)
    try:
        made = remove_later(SemaphoreSet.create(mode=0o666))
    finally:
        os.umask(before)
    assert made.stat().mode == 0o666


@pytest.mark.parametrize("mode", [0o600, 0o622])
def test_stat_is_for_everybody(remove_later: Any, mode: int) -> None:
    """IPC_STAT is refused, SEM_STAT_ANY is not."""
    made = remove_later(SemaphoreSet.create(support.free_key(), 2, mode=mode))
    assert support.in_child(made.stat, uid=NOBODY) == made.stat()

    def found() -> list[int]:
        handles = (SemaphoreSet.open(made.key), SemaphoreSet.from_id(made.id))
        return [size for handle in handles for size in (len(handle), handle.id)]

    assert support.in_child(found, uid=NOBODY) == [2, made.id, 2, made.id]


def test_who_may_write_only_can_set_all_values(remove_later: Any) -> None:
    made = remove_later(SemaphoreSet.create(size=2, mode=0o622))
    support.in_child(lambda: setattr(made, "values", [7, 8]), uid=NOBODY)
    assert made.values == (7, 8)


@support.needs_other_users
def test_a_new_owner_may_all_and_the_creator_still_too(remove_later: Any) -> None:
    made = remove_later(SemaphoreSet.create(size=2, values=[1, 0]))
    made.chown(NOBODY)
    for name, call in (READS | WRITES).items():
        assert allowed(made, call), name
    assert made.values[0] >= 0
    assert allowed(made, lambda s: s.chmod(0o640))
    assert made.stat().mode == 0o640
    assert allowed(made, lambda s: s.remove())


def test_undo_works_without_permission(remove_later: Any) -> None:
    made = remove_later(Semaphore.create(mode=0o666))

    def hold() -> None:
        made.acquire(undo=True)
        made.acquire(5)

    with support.Child(hold, uid=NOBODY) as child:
        support.wait_for(lambda: made.waiting == 1)
        made.semaphore_set.chmod(0o600)
        assert made.value == 0
        child.kill()
        child.join()
    assert made.value == 1


OPENERS: dict[str, Callable[[SemaphoreSet, int | None], object]] = {
    "SemaphoreSet.open": lambda s, owner: SemaphoreSet.open(s.key, owner=owner),
    "SemaphoreSet.from_id": lambda s, owner: SemaphoreSet.from_id(s.id, owner=owner),
    "SemaphoreSet.open_or_create": lambda s, owner: SemaphoreSet.open_or_create(s.key, owner=owner),
    "Semaphore.open": lambda s, owner: Semaphore.open(s.key, owner=owner).semaphore_set,
    "Semaphore.from_id": lambda s, owner: Semaphore.from_id(s.id, owner=owner).semaphore_set,
    "Semaphore.open_or_create": (
        lambda s, owner: Semaphore.open_or_create(s.key, owner=owner).semaphore_set
    ),
}


def planted(uid: int, give_to: int | None = None, mode: int = 0o666) -> SemaphoreSet:
    """A set of another user, perhaps given away."""
    key = support.free_key()

    def plant() -> None:
        made = SemaphoreSet.create(key, mode=mode, values=1)
        if give_to is not None:
            made.chown(give_to)

    support.in_child(plant, uid=uid)
    return SemaphoreSet.open(key)


@pytest.mark.parametrize("open_", OPENERS.values(), ids=OPENERS)
class TestOwner:
    def test_our_own_is_trusted(
        self, remove_later: Any, open_: Callable[[SemaphoreSet, int | None], object]
    ) -> None:
        made = remove_later(SemaphoreSet.create(support.free_key()))
        assert open_(made, 0) == open_(made, None) == made

    def test_that_of_the_owner_asked_for_is_trusted(
        self, remove_later: Any, open_: Callable[[SemaphoreSet, int | None], object]
    ) -> None:
        made = remove_later(planted(NOBODY))
        assert open_(made, NOBODY) == made

    def test_a_planted_one_is_refused(
        self, remove_later: Any, open_: Callable[[SemaphoreSet, int | None], object]
    ) -> None:
        made = remove_later(planted(NOBODY))
        assert open_(made, None) == made
        with pytest.raises(ipc.UntrustedOwnerError, match=f"user {NOBODY}") as caught:
            open_(made, 0)
        assert caught.value.errno == errno.EPERM
        assert isinstance(caught.value, PermissionError)

    def test_one_that_was_given_to_us_is_refused(
        self, remove_later: Any, open_: Callable[[SemaphoreSet, int | None], object]
    ) -> None:
        """Its creator keeps every right."""
        made = remove_later(planted(NOBODY, give_to=0))
        assert made.stat().uid == 0
        for owner in (0, NOBODY):
            with pytest.raises(ipc.UntrustedOwnerError, match=f"creator: user {NOBODY}"):
                open_(made, owner)

    @support.needs_other_users
    def test_one_that_we_gave_away_is_refused(
        self, remove_later: Any, open_: Callable[[SemaphoreSet, int | None], object]
    ) -> None:
        made = remove_later(SemaphoreSet.create(support.free_key()))
        made.chown(NOBODY)
        for owner in (0, NOBODY):
            with pytest.raises(ipc.UntrustedOwnerError, match=f"owner: user {NOBODY}"):
                open_(made, owner)

    def test_one_that_can_not_be_read_is_refused(
        self, remove_later: Any, open_: Callable[[SemaphoreSet, int | None], object]
    ) -> None:
        made = remove_later(SemaphoreSet.create(support.free_key(), mode=0o622))
        with pytest.raises(ipc.UntrustedOwnerError, match="read"):
            support.in_child(lambda: open_(made, 0), uid=NOBODY)

    def test_a_planted_one_that_is_not_initialised_is_refused_at_once(
        self, remove_later: Any, open_: Callable[[SemaphoreSet, int | None], object]
    ) -> None:
        key = support.free_key()
        number = support.in_child(lambda: support.semget(key, 1, 0o1666), uid=NOBODY)
        made = remove_later(SemaphoreSet.from_id(number))
        with pytest.raises(ipc.UntrustedOwnerError):
            open_(made, 0)


@pytest.mark.parametrize("kind", [SemaphoreSet, Semaphore])
class TestOwnerOfNothing:
    def test_that_is_not_us_creates_nothing(self, kind: Any) -> None:
        key = support.free_key()
        before = support.objects()
        with pytest.raises(ipc.NotFoundError, match=f"{key:#010x}"):
            kind.open_or_create(key, owner=NOBODY)
        with pytest.raises(ipc.NotFoundError):
            support.in_child(lambda: kind.open_or_create(key, owner=0), uid=NOBODY)
        assert support.objects() == before

    def test_that_is_us_creates(self, remove_later: Any, kind: Any) -> None:
        made = remove_later(kind.open_or_create(support.free_key(), owner=os.geteuid()))
        assert made == kind.open_or_create(made.key, owner=os.geteuid())


def test_root_opens_what_strangers_made(remove_later: Any) -> None:
    made = remove_later(planted(NOBODY, mode=0o600))
    assert made.values == (1,)
    assert made.stat().cuid == NOBODY


def test_users_that_the_namespace_does_not_know_are_told() -> None:
    def give() -> None:
        libc = ctypes.CDLL(None)
        if libc.unshare(CLONE_NEWUSER | support.CLONE_NEWIPC):
            pytest.skip("needs the right to a user namespace")
        SemaphoreSet.create().chown(5)

    with pytest.raises(ipc.IPCError, match="namespace") as caught:
        support.in_child(give)
    assert caught.value.errno == errno.EINVAL
