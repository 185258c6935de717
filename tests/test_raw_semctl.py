"""`raw.semctl` answers as the kernel does."""

import array
import errno
import os
import time
from typing import Any

import pytest
import support
from support import Index, MakeSet, fails, wait_for
from sysv_ipc_rs import raw
from sysv_ipc_rs.raw import SEM_UNDO


def values(semid: int) -> list[int]:
    return raw.semctl(semid, 0, raw.GETALL)


class TestControl:
    def test_one_value(self, make_set: MakeSet) -> None:
        semid = make_set(0, 0)
        before = raw.semctl(semid, 0, raw.IPC_STAT)
        wait_for(lambda: time.time() >= before.sem_ctime + 1.1)
        assert raw.semctl(semid, 1, raw.SETVAL, 32767) is None
        assert raw.semctl(semid, 1, raw.GETVAL) == 32767
        assert raw.semctl(semid, 1, raw.GETPID) == os.getpid()
        ds = raw.semctl(semid, 0, raw.IPC_STAT)
        assert ds.sem_otime == 0
        assert ds.sem_ctime > before.sem_ctime

    @pytest.mark.parametrize("value", [-1, 32768, 123456, -(2**31), 2**31 - 1])
    def test_a_value_out_of_range_is_erange(self, make_set: MakeSet, value: int) -> None:
        semid = make_set(5)
        with fails(errno.ERANGE):
            raw.semctl(semid, 0, raw.SETVAL, value)
        assert values(semid) == [5]

    @pytest.mark.parametrize("cmd", [raw.GETVAL, raw.GETPID, raw.GETNCNT, raw.GETZCNT, raw.SETVAL])
    @pytest.mark.parametrize("semnum", [-1, 2, 65536, 2**31 - 1])
    def test_no_such_semaphore_is_einval(self, make_set: MakeSet, cmd: int, semnum: int) -> None:
        with fails(errno.EINVAL):
            raw.semctl(make_set(1, 1), semnum, cmd, 0)

    @pytest.mark.parametrize("semnum", [0, 999, -1])
    def test_the_semaphore_does_not_matter_to_the_whole_set(
        self, make_set: MakeSet, semnum: int
    ) -> None:
        semid = make_set(1, 2)
        raw.semctl(semid, semnum, raw.SETALL, [3, 4])
        assert raw.semctl(semid, semnum, raw.GETALL) == [3, 4]
        assert raw.semctl(semid, semnum, raw.IPC_STAT).sem_nsems == 2

    @pytest.mark.parametrize(
        "new", [[7, 8, 9], (7, 8, 9), b"\7\10\11", range(7, 10), array.array("H", [7, 8, 9])]
    )
    def test_all_values_come_as_any_sequence(self, make_set: MakeSet, new: Any) -> None:
        semid = make_set(0, 0, 0)
        assert raw.semctl(semid, 0, raw.SETALL, new) is None
        assert values(semid) == [7, 8, 9]
        assert [raw.semctl(semid, i, raw.GETPID) for i in range(3)] == [os.getpid()] * 3

    @pytest.mark.parametrize(
        ("new", "error"),
        [
            ([], ValueError),
            ([9, 9], ValueError),
            ([9, 9, 9, 9], ValueError),
            ([9] * 100_000, ValueError),
            ([9, 9, -1], OverflowError),
            ([9, 9, 65536], OverflowError),
            ([9, 9, 2**64], OverflowError),
            ([9, 9, 9.0], TypeError),
            ("999", TypeError),
            (9, TypeError),
            (None, TypeError),
            (iter([9, 9, 9]), TypeError),
        ],
        ids=support.name,
    )
    def test_all_values_or_none(self, make_set: MakeSet, new: Any, error: type[Exception]) -> None:
        semid = make_set(5, 6, 7)
        with pytest.raises(error):
            raw.semctl(semid, 0, raw.SETALL, new)
        assert values(semid) == [5, 6, 7]

    def test_all_values_or_none_in_the_kernel(self, make_set: MakeSet) -> None:
        semid = make_set(5, 6, 7)
        with fails(errno.ERANGE):
            raw.semctl(semid, 0, raw.SETALL, [1, 2, 32768])
        assert values(semid) == [5, 6, 7]

    def test_the_largest_set(self, make_set: MakeSet) -> None:
        new = [i % 32768 for i in range(32000)]
        semid = make_set(*new)
        assert values(semid) == new
        raw.semop(semid, [(31999, -1, SEM_UNDO), (31999, 1, SEM_UNDO)])

    @pytest.mark.parametrize("cmd", [-1, 99, 2**31 - 1, raw.SHM_LOCK + 256, 0x100 | raw.IPC_STAT])
    def test_an_unknown_command_is_einval(self, make_set: MakeSet, cmd: int) -> None:
        with fails(errno.EINVAL):
            raw.semctl(make_set(0), 0, cmd, [1, 2])

    @support.needs_other_users
    def test_set_takes_owner_and_mode(self, make_set: MakeSet) -> None:
        semid = make_set(0, 0, key=(key := support.free_key()))
        before = raw.semctl(semid, 0, raw.IPC_STAT)
        perm = raw.IpcPerm(key=1, uid=3, gid=4, cuid=5, cgid=6, mode=0o7640, seq=7)
        wait_for(lambda: time.time() >= before.sem_ctime + 1.1)
        changed = before._replace(sem_perm=perm, sem_nsems=9, sem_otime=1, sem_ctime=1)
        assert raw.semctl(semid, 0, raw.IPC_SET, changed) is None
        after = raw.semctl(semid, 0, raw.IPC_STAT)
        assert after.sem_perm == before.sem_perm._replace(uid=3, gid=4, mode=0o640)
        assert (after.sem_nsems, after.sem_otime) == (2, 0)
        assert after.sem_ctime > before.sem_ctime
        assert raw.semget(key, 2, 0) == semid

    @pytest.mark.parametrize("field", ["uid", "gid"])
    def test_set_of_no_user_is_einval(self, make_set: MakeSet, field: str) -> None:
        semid = make_set(0)
        ds = raw.semctl(semid, 0, raw.IPC_STAT)
        with fails(errno.EINVAL):
            perm = ds.sem_perm._replace(**{field: 2**32 - 1})
            raw.semctl(semid, 0, raw.IPC_SET, ds._replace(sem_perm=perm))
        assert raw.semctl(semid, 0, raw.IPC_STAT) == ds

    @pytest.mark.parametrize("arg", [None, 0, (), raw.Sembuf(0, 0, 0)], ids=support.name)
    def test_set_takes_its_own_struct_only(self, make_set: MakeSet, arg: Any) -> None:
        with pytest.raises(TypeError, match="SemidDs"):
            raw.semctl(make_set(0), 0, raw.IPC_SET, arg)

    @pytest.mark.parametrize("arg", [None, "1", 1.0, [1]])
    def test_setval_takes_an_int(self, make_set: MakeSet, arg: Any) -> None:
        semid = make_set(5)
        with pytest.raises(TypeError):
            raw.semctl(semid, 0, raw.SETVAL, arg)
        assert values(semid) == [5]

    def test_removal(self, make_set: MakeSet) -> None:
        key = support.free_key()
        semid = make_set(3, key=key)
        assert raw.semctl(semid, 0, raw.IPC_RMID) is None
        for call in (
            lambda: raw.semctl(semid, 0, raw.IPC_RMID),
            lambda: raw.semctl(semid, 0, raw.GETVAL),
            lambda: raw.semctl(semid, 0, raw.GETALL),
            lambda: raw.semctl(semid, 0, raw.SETALL, [1]),
            lambda: raw.semctl(semid, 0, raw.IPC_STAT),
            lambda: raw.semctl(-1, 0, raw.IPC_RMID),
        ):
            with fails(errno.EINVAL):
                call()
        again = make_set(0, key=key)
        assert again != semid
        assert values(again) == [0]

    @pytest.mark.parametrize("position", range(3))
    def test_ints_beyond_c_are_refused(self, make_set: MakeSet, position: int) -> None:
        for wide in (2**31, -(2**31) - 1, 2**64, Index(2**31)):
            semid, semnum, cmd = (wide if i == position else 0 for i in range(3))
            with pytest.raises(OverflowError, match="-2147483648 to 2147483647"):
                raw.semctl(semid, semnum, cmd, 7)
        semid = make_set(1)
        with pytest.raises(OverflowError):
            raw.semctl(semid, 0, raw.SETVAL, 2**31)
        assert values(semid) == [1]
