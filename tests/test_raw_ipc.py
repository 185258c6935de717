"""`raw.ipc`, the multiplexer, does what the separate calls do."""

import ctypes
import errno
import threading
from typing import Any

import pytest
import support
from support import MakeQueue, MakeSegment, MakeSet, fails, wait_blocked
from sysv_ipc_rs import raw
from sysv_ipc_rs.raw import IPC_CREAT, IPC_EXCL, IPC_NOWAIT, MSG_NOERROR, Sembuf

SEMOP, SEMGET, SEMCTL, SEMTIMEDOP = range(1, 5)
MSGSND, MSGRCV, MSGGET, MSGCTL = range(11, 15)
SHMAT, SHMDT, SHMGET, SHMCTL = range(21, 25)


class TestSets:
    @pytest.mark.parametrize("key", [-559038737, 0xDEADBEEF])
    def test_get(self, key: int) -> None:
        semid = raw.ipc(SEMGET, key, 3, IPC_CREAT | IPC_EXCL | 0o640, None, 0)
        ds = raw.ipc(SEMCTL, semid, 0, raw.IPC_STAT, None, 0)
        assert ds == raw.semctl(semid, 0, raw.IPC_STAT)
        assert (ds.sem_nsems, ds.sem_perm.mode, ds.sem_perm.key) == (3, 0o640, -559038737)
        with fails(errno.EEXIST):
            raw.ipc(SEMGET, key, 3, IPC_CREAT | IPC_EXCL, None, 0)
        assert raw.ipc(SEMCTL, semid, 0, raw.IPC_RMID, None, 0) is None

    def test_control(self, make_set: MakeSet) -> None:
        semid = make_set(1, 2)
        assert raw.ipc(SEMCTL, semid, 0, raw.SETALL, [3, 4], 0) is None
        assert raw.ipc(SEMCTL, semid, 0, raw.GETALL, None, 0) == [3, 4]
        raw.ipc(SEMCTL, semid, 1, raw.SETVAL, 5, 0)
        assert raw.ipc(SEMCTL, semid, 1, raw.GETVAL, None, 0) == 5
        ds = raw.semctl(semid, 0, raw.IPC_STAT)
        ds = ds._replace(sem_perm=ds.sem_perm._replace(mode=0o606))
        raw.ipc(SEMCTL, semid, 0, raw.IPC_SET, ds, 0)
        assert raw.semctl(semid, 0, raw.IPC_STAT).sem_perm.mode == 0o606
        assert raw.ipc(SEMCTL, 0, 0, raw.IPC_INFO, None, 0) == raw.semctl(0, 0, raw.IPC_INFO)
        with fails(errno.EINVAL):
            raw.ipc(SEMCTL, semid, 0, -1, None, 0)

    @pytest.mark.parametrize(("call", "fifth"), [(SEMOP, 0), (SEMTIMEDOP, 60), (SEMTIMEDOP, None)])
    def test_operations(self, make_set: MakeSet, call: int, fifth: object) -> None:
        semid = make_set(0)
        ops = [(0, 1, 0), Sembuf(0, 2, 0), (0, 4, 0)]
        assert raw.ipc(call, semid, 3, 0, ops, fifth) is None
        raw.ipc(call, semid, 2, 0, ops, fifth)
        assert raw.semctl(semid, 0, raw.GETVAL) == 10
        with fails(errno.EINVAL):
            raw.ipc(call, semid, 0, 0, ops, fifth)
        for nsops, error in ((4, ValueError), (-1, OverflowError), (2**64, OverflowError)):
            with pytest.raises(error):
                raw.ipc(call, semid, nsops, 0, ops, fifth)
        assert raw.semctl(semid, 0, raw.GETVAL) == 10

    def test_a_timeout(self, make_set: MakeSet) -> None:
        semid = make_set(0)
        for seconds in (0, 0.01):
            with fails(errno.EAGAIN):
                raw.ipc(SEMTIMEDOP, semid, 1, 0, [(0, -1, 0)], seconds)
        for bad, error in ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError)):
            with pytest.raises(error):
                raw.ipc(SEMTIMEDOP, semid, 1, 0, [(0, 1, 0)], bad)
        assert raw.semctl(semid, 0, raw.GETVAL) == 0

    def test_a_wait_runs_other_threads(self, make_set: MakeSet) -> None:
        semid = make_set(0)
        thread = threading.Thread(target=raw.ipc, args=(SEMOP, semid, 1, 0, [(0, -1, 0)], 0))
        thread.start()
        wait_blocked(thread)
        raw.ipc(SEMOP, semid, 1, 0, [(0, 1, 0)], 0)
        thread.join()


class TestQueues:
    def test_get_and_control(self) -> None:
        msqid = raw.ipc(MSGGET, 0xDEADBEEF, IPC_CREAT | IPC_EXCL | 0o640, 0, None, 0)
        ds = raw.ipc(MSGCTL, msqid, raw.IPC_STAT, 0, None, 0)
        assert ds == raw.msgctl(msqid, raw.IPC_STAT)
        raw.ipc(MSGCTL, msqid, raw.IPC_SET, 0, ds._replace(msg_qbytes=99), 0)
        assert raw.msgctl(msqid, raw.IPC_STAT).msg_qbytes == 99
        assert raw.ipc(MSGCTL, msqid, raw.IPC_RMID, 0, None, 0) is None

    def test_messages(self, make_queue: MakeQueue) -> None:
        msqid = make_queue()
        for mtype in (1, 2, 3):
            assert raw.ipc(MSGSND, msqid, 5, 0, (mtype, b"hello"), 0) is None
        raw.ipc(MSGSND, msqid, 4, IPC_NOWAIT, [4, bytearray(b"hello")], 0)
        raw.ipc(MSGSND, msqid, 0, 0, (5, memoryview(b"hello")), 0)
        assert raw.ipc(MSGRCV, msqid, 100, 0, None, 2) == (2, b"hello")
        assert raw.ipc(MSGRCV, msqid, 100, 0, None, -3) == (1, b"hello")
        assert raw.ipc(MSGRCV, msqid, 3, MSG_NOERROR, None, 0) == (3, b"hel")
        assert raw.ipc(MSGRCV, msqid, 2**40, IPC_NOWAIT, None, 0) == (4, b"hell")
        assert raw.ipc(MSGRCV, msqid, 0, 0, None, 5) == (5, b"")
        with fails(errno.ENOMSG):
            raw.ipc(MSGRCV, msqid, 100, IPC_NOWAIT, None, 0)

    @pytest.mark.parametrize(
        ("msgsz", "ptr", "error"),
        [
            (6, (1, b"hello"), ValueError),
            (-1, (1, b"hello"), OverflowError),
            (5, (1, b"hello", 0), ValueError),
            (5, (2**63, b"hello"), OverflowError),
            (5, (1, "hello"), TypeError),
            (5, b"hello", ValueError),
            (5, None, TypeError),
            (5, 0x7FFF0000, TypeError),
        ],
    )
    def test_no_message(
        self, make_queue: MakeQueue, msgsz: int, ptr: object, error: type[Exception]
    ) -> None:
        msqid = make_queue()
        with pytest.raises(error):
            raw.ipc(MSGSND, msqid, msgsz, 0, ptr, 0)
        assert raw.msgctl(msqid, raw.IPC_STAT).msg_qnum == 0


class TestSegments:
    def test_all(self) -> None:
        shmid = raw.ipc(SHMGET, 0xDEADBEEF, 5000, IPC_CREAT | IPC_EXCL | 0o640, None, 0)
        ds = raw.ipc(SHMCTL, shmid, raw.IPC_STAT, 0, None, 0)
        assert ds == raw.shmctl(shmid, raw.IPC_STAT)
        assert ds.shm_segsz == 5000
        address = raw.ipc(SHMAT, shmid, 0, 0, 0, 0)
        ctypes.memset(address, 7, 5000)
        second = raw.ipc(SHMAT, shmid, raw.SHM_RDONLY, 0, None, 0)
        assert ctypes.string_at(second, 5000) == b"\7" * 5000
        assert raw.ipc(SHMDT, 0, 0, 0, address, 0) is None
        raw.shmdt(second)
        with fails(errno.EINVAL):
            raw.ipc(SHMDT, 0, 0, 0, address, 0)
        assert raw.ipc(SHMCTL, shmid, raw.SHM_LOCK, 0, None, 0) is None
        assert raw.ipc(SHMCTL, shmid, raw.IPC_RMID, 0, None, 0) is None

    def test_an_address(self, make_segment: MakeSegment) -> None:
        shmid = make_segment()
        with fails(errno.EINVAL):
            raw.ipc(SHMAT, shmid, 0, 0, 5, 0)
        for wide in (-1, 2**64):
            with pytest.raises(OverflowError):
                raw.ipc(SHMAT, shmid, 0, 0, wide, 0)
        with pytest.raises(TypeError):
            raw.ipc(SHMAT, shmid, 0, 0, b"", 0)


@pytest.mark.parametrize("call", [0, 5, 10, 15, 20, 25, 99, 2**16 + 1, 2**32 - 1])
def test_an_unknown_call_is_enosys(call: int) -> None:
    with fails(errno.ENOSYS):
        raw.ipc(call, 0, 0, 0, None, 0)


@pytest.mark.parametrize("call", [-1, 2**32])
def test_a_call_is_an_unsigned_int(call: int) -> None:
    with pytest.raises(OverflowError):
        raw.ipc(call, 0, 0, 0, None, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        (SEMGET, 2**32, 1, 0, None, 0),
        (SEMGET, 0, 2**31, 0, None, 0),
        (SEMGET, 0, 1, 2**31, None, 0),
        (SEMCTL, 2**31, 0, 0, None, 0),
        (SEMCTL, 0, 2**32, 0, None, 0),
        (SEMOP, 2**31, 1, 0, [(0, 1, 0)], 0),
        (SEMOP, 0, 1, 0, [(0, 2**15, 0)], 0),
        (MSGGET, -(2**31) - 1, 0, 0, None, 0),
        (MSGRCV, 0, 2**64, 0, None, 0),
        (MSGRCV, 0, 0, 0, None, 2**63),
        (SHMGET, 0, -1, 0, None, 0),
        (SHMCTL, 0, 2**31, 0, None, 0),
    ],
)
def test_ints_beyond_c_are_refused(arguments: Any) -> None:
    before = support.objects()
    with pytest.raises(OverflowError, match="does not fit a C"):
        raw.ipc(*arguments)
    assert support.objects() == before
