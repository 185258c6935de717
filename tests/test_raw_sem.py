"""`raw.semget` and `raw.semop` answer as the kernel does."""

import errno
import os
import time
from typing import Any

import numpy as np
import pytest
import support
from support import Child, Index, MakeSet, fails, in_child, in_namespace
from sysv_ipc_rs import raw
from sysv_ipc_rs.raw import IPC_CREAT, IPC_EXCL, IPC_NOWAIT, IPC_PRIVATE, SEM_UNDO, Sembuf


def values(semid: int) -> list[int]:
    return raw.semctl(semid, 0, raw.GETALL)


class TestGet:
    def test_a_new_set_is_all_zeros(self, make_set: MakeSet) -> None:
        key = support.free_key()
        semid = make_set(0, 0, 0, key=key)
        ds = raw.semctl(semid, 0, raw.IPC_STAT)
        assert values(semid) == [0, 0, 0]
        assert (ds.sem_nsems, ds.sem_otime, ds.sem_perm.mode) == (3, 0, 0o600)
        assert ds.sem_perm.key == key
        assert (ds.sem_perm.uid, ds.sem_perm.cuid) == (os.geteuid(), os.geteuid())
        assert (ds.sem_perm.gid, ds.sem_perm.cgid) == (os.getegid(), os.getegid())
        assert abs(ds.sem_ctime - time.time()) < 5

    def test_private_sets_are_all_new(self, make_set: MakeSet) -> None:
        assert make_set(0) != make_set(0)

    @pytest.mark.parametrize("nsems", [0, -1, 32001, 2**31 - 1])
    def test_a_set_has_1_to_semmsl_semaphores(self, nsems: int) -> None:
        with fails(errno.EINVAL):
            raw.semget(IPC_PRIVATE, nsems, 0o600)

    def test_an_existing_set_has_at_least_as_many(self, make_set: MakeSet) -> None:
        key = support.free_key()
        semid = make_set(0, 0, 0, key=key)
        assert {raw.semget(key, nsems, 0) for nsems in (0, 1, 3)} == {semid}
        with fails(errno.EINVAL):
            raw.semget(key, 4, 0)

    @pytest.mark.parametrize("nsems", [0, 1, 4])
    def test_exclusive_creation_of_an_existing_set_is_eexist(
        self, make_set: MakeSet, nsems: int
    ) -> None:
        key = support.free_key()
        make_set(0, key=key)
        with fails(errno.EEXIST):
            raw.semget(key, nsems, IPC_CREAT | IPC_EXCL)

    def test_exclusive_without_create_opens(self, make_set: MakeSet) -> None:
        key = support.free_key()
        assert make_set(0, key=key) == raw.semget(key, 0, IPC_EXCL)

    @pytest.mark.parametrize("flags", [0, IPC_EXCL])
    def test_a_missing_key_is_enoent(self, flags: int) -> None:
        with fails(errno.ENOENT):
            raw.semget(support.free_key(), 1, flags)

    @pytest.mark.parametrize(
        ("spelling", "key"),
        [(0xDEADBEEF, -559038737), (2**32 - 1, -1), (2**31, -(2**31)), (-(2**31), -(2**31))],
    )
    def test_a_key_is_signed_or_unsigned(self, make_set: MakeSet, spelling: int, key: int) -> None:
        semid = make_set(0, key=spelling)
        assert raw.semget(key, 0, 0) == semid
        assert raw.semctl(semid, 0, raw.IPC_STAT).sem_perm.key == key

    def test_mode_bits_above_0777_are_ignored(self, make_set: MakeSet) -> None:
        semid = make_set(0, mode=0o170777)
        assert raw.semctl(semid, 0, raw.IPC_STAT).sem_perm.mode == 0o777

    def test_limits_are_enospc(self) -> None:
        def inside() -> None:
            semids = [raw.semget(IPC_PRIVATE, 10, 0o600) for _ in range(2)]
            with fails(errno.ENOSPC):  # SEMMNS
                raw.semget(IPC_PRIVATE, 10, 0o600)
            with fails(errno.EINVAL):  # SEMMSL
                raw.semget(IPC_PRIVATE, 11, 0o600)
            semids += [raw.semget(IPC_PRIVATE, 1, 0o600) for _ in range(3)]
            with fails(errno.ENOSPC):  # SEMMNI
                raw.semget(support.free_key(), 1, IPC_CREAT | 0o600)
            raw.semctl(semids.pop(), 0, raw.IPC_RMID)
            raw.semget(IPC_PRIVATE, 1, 0o600)
            ops = [Sembuf(0, 1, 0)]
            raw.semop(semids[0], ops * 4)
            with fails(errno.E2BIG):  # SEMOPM
                raw.semop(semids[0], ops * 5)
            assert raw.semctl(0, 0, raw.IPC_INFO)[1].semopm == 4

        in_namespace(inside, sem="10 25 4 5")

    def test_a_kernel_without_the_call_is_enosys(self) -> None:
        def inside() -> None:
            support.refuse_system_calls(errno.ENOSYS, "semget", "semop", "semtimedop")
            with fails(errno.ENOSYS):
                raw.semget(IPC_PRIVATE, 1, 0o600)
            with fails(errno.ENOSYS):
                raw.semop(0, [(0, 1, 0)])

        in_child(inside)


class TestOperations:
    @pytest.mark.parametrize(
        ("start", "ops", "expected"),
        [
            ([0], [(0, 32767, 0)], [32767]),
            ([0], [(0, 1, 0), (0, -1, 0)], [0]),
            ([0], [(0, 0, 0), (0, 1, 0)], [1]),
            ([0], [(0, 3, 0), (0, -3, 0), (0, 0, 0), (0, 2, 0)], [2]),
            ([5, 5], [(0, -5, 0), (1, -1, SEM_UNDO), (1, 1, SEM_UNDO)], [0, 5]),
            ([0], [(0, 1, 0)] * 500, [500]),
        ],
    )
    def test_are_done_in_order(
        self,
        make_set: MakeSet,
        start: list[int],
        ops: list[tuple[int, int, int]],
        expected: list[int],
    ) -> None:
        semid = make_set(*start)
        raw.semop(semid, ops)
        assert values(semid) == expected

    @pytest.mark.parametrize(
        ("start", "ops", "number"),
        [
            ([32767], [(0, 1, 0)], errno.ERANGE),
            ([32767], [(0, 1, IPC_NOWAIT)], errno.ERANGE),
            ([1], [(0, 32767, 0)], errno.ERANGE),
            ([32767], [(0, -32768, IPC_NOWAIT)], errno.EAGAIN),
            ([0], [(0, -1, IPC_NOWAIT), (0, 1, 0)], errno.EAGAIN),
            ([1], [(0, 0, IPC_NOWAIT), (0, 1, 0)], errno.EAGAIN),
            ([0, 0], [(0, 5, 0), (1, -1, IPC_NOWAIT)], errno.EAGAIN),
            ([0, 32767], [(0, 5, 0), (1, 1, 0)], errno.ERANGE),
            ([0, 0], [(0, 5, 0), (2, 1, 0)], errno.EFBIG),
            ([0], [(65535, 1, 0)], errno.EFBIG),
            ([0], [(0, 1, 0)] * 501, errno.E2BIG),
            ([0], [], errno.EINVAL),
        ],
    )
    def test_are_done_all_or_not_at_all(
        self, make_set: MakeSet, start: list[int], ops: list[tuple[int, int, int]], number: int
    ) -> None:
        semid = make_set(*start)
        pid = raw.semctl(semid, 0, raw.GETPID)
        with fails(number):
            raw.semop(semid, ops)
        with fails(number):
            raw.semtimedop(semid, ops, 60)
        assert values(semid) == start
        assert raw.semctl(semid, 0, raw.GETPID) == pid
        assert raw.semctl(semid, 0, raw.IPC_STAT).sem_otime == 0

    @pytest.mark.parametrize("semid", [-1, 2**31 - 1, -(2**31)])
    def test_on_no_set_are_einval(self, semid: int) -> None:
        with fails(errno.EINVAL):
            raw.semop(semid, [(0, 1, 0)])

    def test_may_be_any_sequence_of_any_ints(self, make_set: MakeSet) -> None:
        semid = make_set(0)
        one = np.int16(1)
        ops: list[Any] = [
            [(0, 1, 0)],
            ((0, 1, 0),),
            [[0, 1, 0]],
            [Sembuf(0, 1, 0)],
            [Sembuf(sem_num=0, sem_flg=0, sem_op=1)],
            [(False, one, Index(0))],
            np.array([[0, 1, 0]]),
        ]
        for op in ops:
            raw.semop(semid, op)
        assert values(semid) == [len(ops)]

    @pytest.mark.parametrize(
        ("ops", "error"),
        [
            ([(0, 1)], ValueError),
            ([(0, 1, 0, 0)], ValueError),
            ([()], ValueError),
            ([(0, 1.0, 0)], TypeError),
            ([("0", 1, 0)], TypeError),
            ([0], TypeError),
            (None, TypeError),
            (iter([(0, 1, 0)]), TypeError),
            (b"abc", TypeError),
            ([(65536, 1, 0)], OverflowError),
            ([(-1, 1, 0)], OverflowError),
            ([(0, 32768, 0)], OverflowError),
            ([(0, -32769, 0)], OverflowError),
            ([(0, 1, 32768)], OverflowError),
            ([(0, 1, 0), (0, 2**64, 0)], OverflowError),
            ([(0, 1, 0), (Index(ZeroDivisionError()), 1, 0)], ZeroDivisionError),
        ],
        ids=support.name,
    )
    def test_that_are_none_are_refused_before_the_call(
        self, make_set: MakeSet, ops: Any, error: type[Exception]
    ) -> None:
        semid = make_set(0)
        with pytest.raises(error):
            raw.semop(semid, ops)
        with pytest.raises(error):
            raw.semtimedop(semid, ops, 0)
        with pytest.raises(error):
            raw.semop(-1, ops)
        assert values(semid) == [0]

    def test_tell_who_and_when(self, make_set: MakeSet) -> None:
        semid = make_set(0)
        assert raw.semctl(semid, 0, raw.GETPID) == 0
        child = Child(lambda: raw.semop(semid, [(0, 1, 0)]))
        child.result()
        assert raw.semctl(semid, 0, raw.GETPID) == child.pid
        raw.semop(semid, [(0, -1, 0), (0, 0, 0)])
        ds = raw.semctl(semid, 0, raw.IPC_STAT)
        assert raw.semctl(semid, 0, raw.GETPID) == os.getpid()
        assert abs(ds.sem_otime - time.time()) < 5
