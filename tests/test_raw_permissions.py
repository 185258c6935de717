"""Who may do what, and what anybody may list, as `raw` has it from the kernel."""

import errno
from collections.abc import Callable, Mapping

import pytest
import support
from support import MakeQueue, MakeSegment, MakeSet, fails, in_child
from sysv_ipc_rs import raw
from sysv_ipc_rs.raw import IPC_NOWAIT, IPC_PRIVATE, MSG_COPY

pytestmark = pytest.mark.skipif(
    not support.may_become(support.NOBODY), reason="needs root, to become another user"
)

Calls = Mapping[str, Callable[[int], object]]

SEM: Calls = {
    "+1": lambda semid: raw.semop(semid, [(0, 1, 0)]),
    "wait0": lambda semid: raw.semop(semid, [(1, 0, IPC_NOWAIT)]),
    "GETVAL": lambda semid: raw.semctl(semid, 0, raw.GETVAL),
    "SETVAL": lambda semid: raw.semctl(semid, 0, raw.SETVAL, 1),
    "GETALL": lambda semid: raw.semctl(semid, 0, raw.GETALL),
    "SETALL": lambda semid: raw.semctl(semid, 0, raw.SETALL, [1, 0]),
    "GETPID": lambda semid: raw.semctl(semid, 0, raw.GETPID),
    "GETNCNT": lambda semid: raw.semctl(semid, 0, raw.GETNCNT),
    "GETZCNT": lambda semid: raw.semctl(semid, 0, raw.GETZCNT),
    "IPC_STAT": lambda semid: raw.semctl(semid, 0, raw.IPC_STAT),
    "SEM_STAT": lambda semid: raw.semctl(semid % 32768, 0, raw.SEM_STAT),
}
SEM_READ = set(SEM) - {"+1", "SETVAL", "SETALL"}

MSG: Calls = {
    "send": lambda msqid: raw.msgsnd(msqid, 1, b"", IPC_NOWAIT),
    "receive": lambda msqid: raw.msgrcv(msqid, 9, 0, IPC_NOWAIT),
    "copy": lambda msqid: raw.msgrcv(msqid, 9, 0, IPC_NOWAIT | MSG_COPY),
    "IPC_STAT": lambda msqid: raw.msgctl(msqid, raw.IPC_STAT),
    "MSG_STAT": lambda msqid: raw.msgctl(msqid % 32768, raw.MSG_STAT),
}

SHM: Calls = {
    "read": lambda shmid: raw.shmdt(raw.shmat(shmid, 0, raw.SHM_RDONLY)),
    "write": lambda shmid: raw.shmdt(raw.shmat(shmid)),
    "IPC_STAT": lambda shmid: raw.shmctl(shmid, raw.IPC_STAT),
    "SHM_STAT": lambda shmid: raw.shmctl(shmid % 32768, raw.SHM_STAT),
}


def allowed(calls: Calls, number: int) -> set[str]:
    """Which calls don't end with EACCES."""
    good = set(calls)
    for name, call in calls.items():
        try:
            call(number)
        except PermissionError:
            good.remove(name)
    return good


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o600, set()), (0o644, SEM_READ), (0o622, set(SEM) - SEM_READ)]
)
def test_of_sets(make_set: MakeSet, mode: int, expected: set[str]) -> None:
    semid = make_set(1, 0, mode=mode)
    assert in_child(lambda: allowed(SEM, semid), support.NOBODY) == expected
    with_all_rights = make_set(1, 0, mode=0o606)
    assert in_child(lambda: allowed(SEM, with_all_rights), support.NOBODY) == set(SEM)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o600, set()), (0o622, {"send"}), (0o644, set(MSG) - {"send"}), (0o606, set(MSG))],
)
def test_of_queues(make_queue: MakeQueue, mode: int, expected: set[str]) -> None:
    msqid = make_queue(mode=mode)
    for _ in range(2):
        raw.msgsnd(msqid, 1, b"m")
    assert in_child(lambda: allowed(MSG, msqid), support.NOBODY) == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o600, set()), (0o644, set(SHM) - {"write"}), (0o622, set()), (0o606, set(SHM))],
)
def test_of_segments(make_segment: MakeSegment, mode: int, expected: set[str]) -> None:
    shmid = make_segment(mode=mode)
    assert in_child(lambda: allowed(SHM, shmid), support.NOBODY) == expected


def test_of_an_owner_are_the_owners_alone_but_it_may_always_remove() -> None:
    def as_nobody() -> None:
        semid = raw.semget(IPC_PRIVATE, 2, 0o066)
        msqid = raw.msgget(IPC_PRIVATE, 0o066)
        shmid = raw.shmget(IPC_PRIVATE, 1, 0o066)
        try:
            assert allowed(SEM, semid) | allowed(MSG, msqid) | allowed(SHM, shmid) == set()
        finally:
            raw.semctl(semid, 0, raw.IPC_RMID)
            raw.msgctl(msqid, raw.IPC_RMID)
            raw.shmctl(shmid, raw.IPC_RMID)

    in_child(as_nobody, support.NOBODY)


def test_to_open(make_set: MakeSet, make_queue: MakeQueue, make_segment: MakeSegment) -> None:
    key = support.free_key()
    semid, msqid, shmid = make_set(0, key=key), make_queue(key=key), make_segment(key=key)

    def as_nobody() -> None:
        found = raw.semget(key, 0, 0), raw.msgget(key, 0), raw.shmget(key, 0, 0)
        assert found == (semid, msqid, shmid)
        for flags in (0o200, 0o400, 0o600):
            with fails(errno.EACCES):
                raw.semget(key, 0, flags)
            with fails(errno.EACCES):
                raw.msgget(key, flags)
            with fails(errno.EACCES):
                raw.shmget(key, 0, flags)
        with fails(errno.EINVAL):
            raw.semget(key, 2, 0o600)
        with fails(errno.EINVAL):
            raw.shmget(key, 5001, 0o600)

    in_child(as_nobody, support.NOBODY)


def test_to_change_and_remove_are_owners_and_creators(
    make_set: MakeSet, make_queue: MakeQueue, make_segment: MakeSegment
) -> None:
    semid, msqid, shmid = make_set(0, mode=0o666), make_queue(mode=0o666), make_segment(mode=0o666)

    def as_nobody() -> None:
        with fails(errno.EPERM):
            raw.semctl(semid, 0, raw.IPC_SET, raw.semctl(semid, 0, raw.IPC_STAT))
        with fails(errno.EPERM):
            raw.msgctl(msqid, raw.IPC_SET, raw.msgctl(msqid, raw.IPC_STAT))
        with fails(errno.EPERM):
            raw.shmctl(shmid, raw.IPC_SET, raw.shmctl(shmid, raw.IPC_STAT))
        with fails(errno.EPERM):
            raw.semctl(semid, 0, raw.IPC_RMID)
        with fails(errno.EPERM):
            raw.msgctl(msqid, raw.IPC_RMID)
        for cmd in (raw.IPC_RMID, raw.SHM_LOCK, raw.SHM_UNLOCK):
            with fails(errno.EPERM):
                raw.shmctl(shmid, cmd)

    in_child(as_nobody, support.NOBODY)

    ds = raw.semctl(semid, 0, raw.IPC_STAT)
    theirs = ds._replace(sem_perm=ds.sem_perm._replace(uid=support.NOBODY))
    raw.semctl(semid, 0, raw.IPC_SET, theirs)
    in_child(lambda: raw.semctl(semid, 0, raw.IPC_RMID), support.NOBODY)


def test_a_stranger_who_may_only_write_sets_all(make_set: MakeSet) -> None:
    semid = make_set(1, 2, 3, mode=0o622)

    def as_nobody() -> None:
        with pytest.raises(ValueError, match="2 values for 3 semaphores"):
            raw.semctl(semid, 0, raw.SETALL, [9, 9])
        raw.semctl(semid, 0, raw.SETALL, [4, 5, 6])
        with fails(errno.EACCES):
            raw.semctl(semid, 0, raw.GETALL)

    in_child(as_nobody, support.NOBODY)
    assert raw.semctl(semid, 0, raw.GETALL) == [4, 5, 6]


def test_of_a_missing_semaphore_do_not_matter(make_set: MakeSet) -> None:
    semid = make_set(0)

    def as_nobody() -> None:
        with fails(errno.EFBIG):
            raw.semop(semid, [(1, 1, 0)])

    in_child(as_nobody, support.NOBODY)


def test_anybody_may_list(
    make_set: MakeSet, make_queue: MakeQueue, make_segment: MakeSegment
) -> None:
    semid, msqid, shmid = make_set(0, 0), make_queue(), make_segment(77)

    def as_nobody() -> None:
        found, sem = raw.semctl(semid % 32768, 0, raw.SEM_STAT_ANY)
        assert (found, sem.sem_nsems) == (semid, 2)
        found, msg = raw.msgctl(msqid % 32768, raw.MSG_STAT_ANY)
        assert (found, msg.msg_qnum) == (msqid, 0)
        found, shm = raw.shmctl(shmid % 32768, raw.SHM_STAT_ANY)
        assert (found, shm.shm_segsz) == (shmid, 77)
        assert raw.semctl(0, 0, raw.SEM_INFO)[0] >= semid % 32768
        assert raw.msgctl(0, raw.MSG_INFO)[0] >= msqid % 32768
        assert raw.shmctl(0, raw.SHM_INFO)[0] >= shmid % 32768

    in_child(as_nobody, support.NOBODY)
