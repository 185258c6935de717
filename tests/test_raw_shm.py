"""`raw`'s calls of shared memory answer as the kernel does."""

import ctypes
import errno
import faulthandler
import mmap
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import support
from support import Child, Index, MakeSegment, fails, in_child, in_namespace, wait_for
from sysv_ipc_rs import raw
from sysv_ipc_rs.raw import IPC_CREAT, IPC_EXCL, IPC_PRIVATE, SHM_RDONLY, SHM_REMAP, SHM_RND

PAGE = raw.SHMLBA

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def byte(address: int) -> ctypes.c_ubyte:
    return ctypes.c_ubyte.from_address(address)


def attached(shmid: int) -> int:
    return raw.shmctl(shmid, raw.IPC_STAT).shm_nattch


def free_pages(count: int) -> int:
    """Where so many pages are free."""
    address: int = libc.mmap(None, count * PAGE, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    libc.munmap(address, count * PAGE)
    return address


class TestGet:
    def test_a_new_segment(self, make_segment: MakeSegment) -> None:
        shmid = make_segment(10_000, key=(key := support.free_key()))
        ds = raw.shmctl(shmid, raw.IPC_STAT)
        assert (ds.shm_segsz, ds.shm_nattch, ds.shm_cpid) == (10_000, 0, os.getpid())
        assert (ds.shm_atime, ds.shm_dtime, ds.shm_lpid) == (0, 0, 0)
        assert (ds.shm_perm.key, ds.shm_perm.mode) == (key, 0o600)
        assert abs(ds.shm_ctime - time.time()) < 5

    @pytest.mark.parametrize("size", [0, 2**64 - 2**24 + 1, 2**64 - 1])
    def test_a_size_that_cannot_be_is_einval(self, size: int) -> None:
        with fails(errno.EINVAL):
            raw.shmget(IPC_PRIVATE, size, 0o600)

    @pytest.mark.parametrize("size", [-1, 2**64])
    def test_a_size_is_a_size_t(self, size: int) -> None:
        with pytest.raises(OverflowError, match=str(2**64 - 1)):
            raw.shmget(IPC_PRIVATE, size, 0o600)

    def test_keys_lead_to_segments_at_least_as_large(self, make_segment: MakeSegment) -> None:
        shmid = make_segment(5000, key=(key := support.free_key()))
        assert {raw.shmget(key, size, 0) for size in (0, 1, 5000)} == {shmid}
        assert raw.shmget(key, 0, IPC_EXCL) == shmid
        with fails(errno.EINVAL):
            raw.shmget(key, 5001, 0)
        for size in (0, 1, 5001):
            with fails(errno.EEXIST):
                raw.shmget(key, size, IPC_CREAT | IPC_EXCL)
        with fails(errno.ENOENT):
            raw.shmget(support.free_key(), 1, 0)

    def test_a_key_is_signed_or_unsigned(self, make_segment: MakeSegment) -> None:
        assert make_segment(key=0xDEADBEEF) == raw.shmget(-559038737, 0, 0)

    def test_limits(self) -> None:
        def inside() -> None:
            shmid = raw.shmget(IPC_PRIVATE, 8192, 0o600)
            with fails(errno.EINVAL):  # SHMMAX
                raw.shmget(IPC_PRIVATE, 8193, 0o600)
            with fails(errno.ENOSPC):  # SHMALL
                raw.shmget(IPC_PRIVATE, 8192, 0o600)
            raw.shmget(IPC_PRIVATE, 4096, 0o600)
            raw.shmctl(shmid, raw.IPC_RMID)
            raw.shmget(IPC_PRIVATE, 1, 0o600)
            with fails(errno.ENOSPC):  # SHMMNI
                raw.shmget(IPC_PRIVATE, 1, 0o600)

        in_namespace(inside, shmmax=8192, shmall=3, shmmni=2)

    def test_memory_that_is_not_there(self) -> None:
        if Path("/proc/sys/vm/overcommit_memory").read_text().strip() == "1":
            pytest.skip("this system promises any amount of memory")
        with fails(errno.ENOMEM):
            raw.shmget(IPC_PRIVATE, 2**46, 0o600)

    def test_memory_that_is_not_reserved(self, make_segment: MakeSegment) -> None:
        shmid = make_segment(2**40, raw.SHM_NORESERVE)
        address = raw.shmat(shmid)
        byte(address + 2**40 - 1).value = 1
        raw.shmdt(address)

    @pytest.mark.parametrize(
        "flags",
        [raw.SHM_HUGETLB | 13 << raw.SHM_HUGE_SHIFT, raw.SHM_HUGETLB | raw.SHM_HUGE_1GB],
    )
    def test_huge_pages_that_are_not_there(self, flags: int) -> None:
        with pytest.raises(OSError, match=r"Invalid argument|allocate memory|not permitted"):
            raw.shmget(IPC_PRIVATE, 2**50, flags | 0o600)


class TestAttach:
    def test_gives_the_memory(self, make_segment: MakeSegment) -> None:
        shmid = make_segment(5000)
        first = raw.shmat(shmid)
        assert first % PAGE == 0
        assert ctypes.string_at(first, 2 * PAGE) == bytes(2 * PAGE)
        second = raw.shmat(shmid)
        assert (first != second, attached(shmid)) == (True, 2)
        byte(first + 4999).value = 42
        raw.shmdt(first)
        assert (byte(second + 4999).value, attached(shmid)) == (42, 1)
        raw.shmdt(second)
        ds = raw.shmctl(shmid, raw.IPC_STAT)
        assert (ds.shm_nattch, ds.shm_lpid) == (0, os.getpid())
        assert abs(ds.shm_dtime - time.time()) < 5
        assert abs(ds.shm_atime - time.time()) < 5
        third = raw.shmat(shmid)
        assert byte(third + 4999).value == 42
        raw.shmdt(third)

    @pytest.mark.parametrize("null", [0, None])
    def test_null_is_where_the_kernel_likes(
        self, make_segment: MakeSegment, null: int | None
    ) -> None:
        raw.shmdt(raw.shmat(make_segment(), null))

    def test_readonly_memory_faults(self, make_segment: MakeSegment) -> None:
        address = raw.shmat(make_segment(), 0, SHM_RDONLY)

        def write() -> None:
            faulthandler.disable()
            byte(address).value = 1

        with Child(write) as child:
            assert child.join() == -signal.SIGSEGV
        assert byte(address).value == 0
        raw.shmdt(address)

    def test_at_an_address(self, make_segment: MakeSegment) -> None:
        shmid, free = make_segment(), free_pages(4)
        assert raw.shmat(shmid, free) == free
        with fails(errno.EINVAL):
            raw.shmat(shmid, free)
        with fails(errno.EINVAL):
            raw.shmat(shmid, free + 2 * PAGE + 5)
        assert raw.shmat(shmid, free + 2 * PAGE + 5, SHM_RND) == free + 2 * PAGE
        raw.shmdt(free)
        raw.shmdt(free + 2 * PAGE)
        assert attached(shmid) == 0

    @pytest.mark.parametrize(
        ("address", "flags", "number"),
        [
            (1, 0, errno.EINVAL),
            (0, SHM_REMAP, errno.EINVAL),
            (1, SHM_RND | SHM_REMAP, errno.EINVAL),
            (2**63, 0, errno.ENOMEM),
            (2**64 - 1, SHM_RND, errno.EINVAL),
        ],
    )
    def test_at_no_address(
        self, make_segment: MakeSegment, address: int, flags: int, number: int
    ) -> None:
        shmid = make_segment()
        with fails(number):
            raw.shmat(shmid, address, flags)
        assert attached(shmid) == 0

    @pytest.mark.parametrize("shmid", [-1, 2**31 - 1])
    def test_of_no_segment_is_einval(self, shmid: int) -> None:
        with fails(errno.EINVAL):
            raw.shmat(shmid)

    @pytest.mark.parametrize(
        "arguments",
        [(2**31, 0, 0), (0, 2**64, 0), (0, -1, 0), (0, 0, 2**31), (0, Index(-1), 0)],
    )
    def test_ints_beyond_c_are_refused(self, arguments: tuple[int, Any, int]) -> None:
        with pytest.raises(OverflowError, match="does not fit a C"):
            raw.shmat(*arguments)

    def test_executable_memory_needs_the_permission(self) -> None:
        def as_nobody() -> None:
            shmid = raw.shmget(IPC_PRIVATE, 1, 0o600)
            try:
                with fails(errno.EACCES):
                    raw.shmat(shmid, 0, raw.SHM_EXEC)
            finally:
                raw.shmctl(shmid, raw.IPC_RMID)

        if not support.may_become(support.NOBODY):
            pytest.skip("needs root")
        in_child(as_nobody, support.NOBODY)

    def test_too_little_address_space_is_enomem(self, make_segment: MakeSegment) -> None:
        shmid = make_segment(2**47, raw.SHM_NORESERVE)
        with fails(errno.ENOMEM):
            raw.shmat(shmid)


class TestControl:
    @support.needs_other_users
    def test_set_takes_owner_and_mode(self, make_segment: MakeSegment) -> None:
        shmid = make_segment(5000)
        before = raw.shmctl(shmid, raw.IPC_STAT)
        perm = raw.IpcPerm(key=1, uid=3, gid=4, cuid=5, cgid=6, mode=0o7640, seq=7)
        wait_for(lambda: time.time() >= before.shm_ctime + 1.1)
        changed = before._replace(shm_perm=perm, shm_segsz=9, shm_nattch=9)
        raw.shmctl(shmid, raw.IPC_SET, changed)
        after = raw.shmctl(shmid, raw.IPC_STAT)
        perm = before.shm_perm._replace(uid=3, gid=4, mode=0o640)
        assert after == before._replace(shm_perm=perm, shm_ctime=after.shm_ctime)
        assert after.shm_ctime > before.shm_ctime

    @pytest.mark.parametrize("buf", [None, 0, "buf"])
    def test_set_takes_its_own_struct_only(self, make_segment: MakeSegment, buf: Any) -> None:
        with pytest.raises(TypeError, match="ShmidDs"):
            raw.shmctl(make_segment(), raw.IPC_SET, buf)

    def test_removal_waits_for_the_last_detach(self, make_segment: MakeSegment) -> None:
        shmid = make_segment(key=(key := support.free_key()))
        first = raw.shmat(shmid)
        for _ in range(2):
            raw.shmctl(shmid, raw.IPC_RMID)
        perm = raw.shmctl(shmid, raw.IPC_STAT).shm_perm
        assert (perm.mode, perm.key) == (0o600 | raw.SHM_DEST, 0)
        with fails(errno.ENOENT):
            raw.shmget(key, 0, 0)
        second = raw.shmat(shmid)
        byte(first).value = 33
        assert byte(second).value == 33
        raw.shmdt(first)
        raw.shmdt(second)
        for cmd in (raw.IPC_STAT, raw.IPC_RMID, raw.SHM_LOCK):
            with fails(errno.EINVAL):
                raw.shmctl(shmid, cmd)
        with fails(errno.EINVAL):
            raw.shmat(shmid)

    def test_locking(self, make_segment: MakeSegment) -> None:
        shmid = make_segment(10)
        for cmd, bits in (
            (raw.SHM_LOCK, raw.SHM_LOCKED),
            (raw.SHM_LOCK, raw.SHM_LOCKED),
            (raw.SHM_UNLOCK, 0),
            (raw.SHM_UNLOCK, 0),
        ):
            raw.shmctl(shmid, cmd)
            assert raw.shmctl(shmid, raw.IPC_STAT).shm_perm.mode == 0o600 | bits

    @pytest.mark.parametrize("cmd", [-1, 99, raw.SETVAL, 2**31 - 1])
    def test_an_unknown_command_is_einval(self, make_segment: MakeSegment, cmd: int) -> None:
        with fails(errno.EINVAL):
            raw.shmctl(make_segment(), cmd)

    @pytest.mark.parametrize("cmd", [raw.IPC_STAT, raw.SHM_LOCK, raw.SHM_UNLOCK, raw.IPC_RMID])
    def test_of_no_segment_is_einval(self, cmd: int) -> None:
        with fails(errno.EINVAL):
            raw.shmctl(-1, cmd)

    @pytest.mark.parametrize("wide", [2**31, -(2**31) - 1, 2**64])
    def test_ints_beyond_c_are_refused(self, wide: int) -> None:
        for arguments in ((wide, 0), (0, wide)):
            with pytest.raises(OverflowError):
                raw.shmctl(*arguments)
