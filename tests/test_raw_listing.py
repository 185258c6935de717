"""`IPC_INFO`, `*_INFO` and `*_STAT`: limits, usage and a walk over all objects."""

import errno
from collections.abc import Callable
from typing import Any

import pytest
from support import fails, in_namespace
from sysv_ipc_rs import raw
from sysv_ipc_rs.raw import IPC_INFO, IPC_PRIVATE

CTL: dict[str, Callable[[int, int], Any]] = {
    "sem": lambda semid, cmd: raw.semctl(semid, 7, cmd),
    "msg": raw.msgctl,
    "shm": raw.shmctl,
}
INFO = {"sem": raw.SEM_INFO, "msg": raw.MSG_INFO, "shm": raw.SHM_INFO}
STATS = {
    "sem": (raw.SEM_STAT, raw.SEM_STAT_ANY),
    "msg": (raw.MSG_STAT, raw.MSG_STAT_ANY),
    "shm": (raw.SHM_STAT, raw.SHM_STAT_ANY),
}
CREATE: dict[str, Callable[[], int]] = {
    "sem": lambda: raw.semget(IPC_PRIVATE, 3, 0o600),
    "msg": lambda: raw.msgget(IPC_PRIVATE, 0o600),
    "shm": lambda: raw.shmget(IPC_PRIVATE, 5000, 0o600),
}


@pytest.mark.parametrize("kind", CTL)
def test_an_empty_namespace_has_nothing(kind: str) -> None:
    def inside() -> None:
        for cmd in (IPC_INFO, INFO[kind]):
            assert CTL[kind](0, cmd)[0] == 0
        for cmd in STATS[kind]:
            with fails(errno.EINVAL):
                CTL[kind](0, cmd)

    in_namespace(inside)


def test_limits() -> None:
    def inside() -> None:
        (_, sem), (_, msg), (_, shm) = (ctl(0, IPC_INFO) for ctl in CTL.values())
        assert (sem.semmsl, sem.semmns, sem.semopm, sem.semmni) == (11, 22, 33, 44)
        assert (sem.semvmx, sem.semaem) == (raw.SEMVMX, raw.SEMAEM)
        assert (msg.msgmax, msg.msgmnb, msg.msgmni, msg.msgssz) == (55, 66, 77, 16)
        assert (shm.shmmax, shm.shmmin, shm.shmmni, shm.shmall) == (8192, 1, 88, 99)

    in_namespace(
        inside,
        sem="11 22 33 44",
        msgmax=55,
        msgmnb=66,
        msgmni=77,
        shmmax=8192,
        shmmni=88,
        shmall=99,
    )


def test_usage() -> None:
    def inside() -> None:
        for create in CREATE.values():
            numbers = [create() for _ in range(3)]
        raw.msgsnd(raw.msgctl(0, raw.MSG_STAT)[0], 1, b"four")
        address = raw.shmat(numbers[0])
        raw.shmctl(numbers[0], raw.IPC_RMID)

        highest, sem = raw.semctl(0, 0, raw.SEM_INFO)
        assert (highest, sem.semusz, sem.semaem) == (2, 3, 9)
        highest, msg = raw.msgctl(0, raw.MSG_INFO)
        assert (highest, msg.msgpool, msg.msgmap, msg.msgtql) == (2, 3, 1, 4)
        highest, shm = raw.shmctl(0, raw.SHM_INFO)
        pages = -(-5000 // raw.SHMLBA)
        assert (highest, shm.used_ids, shm.shm_tot) == (2, 3, 3 * pages)
        raw.shmdt(address)
        assert raw.shmctl(0, raw.SHM_INFO)[1].used_ids == 2

    in_namespace(inside)


@pytest.mark.parametrize("kind", CTL)
def test_a_walk_over_all_objects(kind: str) -> None:
    def inside() -> None:
        ctl = CTL[kind]
        numbers = [CREATE[kind]() for _ in range(5)]
        ctl(numbers[2], raw.IPC_RMID)
        highest, _ = ctl(0, INFO[kind])
        assert highest == 4
        for cmd in STATS[kind]:
            for index in (0, 1, 3, 4):
                found, ds = ctl(index, cmd)
                assert (found, ds) == (numbers[index], ctl(numbers[index], raw.IPC_STAT))
            for index in (2, 5, -1, 0x1FFFFFFF):
                with fails(errno.EINVAL):
                    ctl(index, cmd)

    in_namespace(inside)


@pytest.mark.parametrize("kind", CTL)
def test_information_is_the_same_for_every_id_that_can_be_one(kind: str) -> None:
    for cmd in (IPC_INFO, INFO[kind]):
        assert CTL[kind](0x1FFFFFFF, cmd)[1] == CTL[kind](0, cmd)[1]
        with fails(errno.EINVAL):
            CTL[kind](-1, cmd)


@pytest.mark.parametrize("kind", CTL)
def test_an_id_of_another_kind_is_einval(kind: str) -> None:
    def inside() -> None:
        for create in (create for other, create in CREATE.items() if other != kind):
            with fails(errno.EINVAL):
                CTL[kind](create(), raw.IPC_STAT)

    in_namespace(inside)
