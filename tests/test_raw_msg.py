"""`raw`'s calls of message queues answer as the kernel does."""

import array
import errno
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import support
from support import Child, Index, MakeQueue, fails, in_child, in_namespace, wait_for
from sysv_ipc_rs import raw
from sysv_ipc_rs.raw import (
    IPC_CREAT,
    IPC_EXCL,
    IPC_NOWAIT,
    IPC_PRIVATE,
    MSG_COPY,
    MSG_EXCEPT,
    MSG_NOERROR,
)

LONG_MAX = 2**63 - 1


def fill(msqid: int, *messages: tuple[int, bytes]) -> None:
    for mtype, mtext in messages:
        raw.msgsnd(msqid, mtype, mtext, IPC_NOWAIT)


def count(msqid: int) -> tuple[int, int]:
    """How many messages, and how many bytes."""
    ds = raw.msgctl(msqid, raw.IPC_STAT)
    return ds.msg_qnum, ds.msg_cbytes


class TestGet:
    def test_a_new_queue_is_empty(self, make_queue: MakeQueue) -> None:
        key = support.free_key()
        ds = raw.msgctl(make_queue(key=key), raw.IPC_STAT)
        assert ds.msg_perm.key == key
        assert ds.msg_perm.mode == 0o600
        assert abs(ds.msg_ctime - time.time()) < 5
        never = ds.msg_stime, ds.msg_rtime, ds.msg_lspid, ds.msg_lrpid
        assert (never, ds.msg_qnum, ds.msg_cbytes) == ((0, 0, 0, 0), 0, 0)

    def test_keys_lead_to_queues(self, make_queue: MakeQueue) -> None:
        msqid = make_queue(key=(key := support.free_key()))
        assert {raw.msgget(key, flags) for flags in (0, IPC_CREAT, IPC_EXCL)} == {msqid}
        with fails(errno.EEXIST):
            raw.msgget(key, IPC_CREAT | IPC_EXCL)
        with fails(errno.ENOENT):
            raw.msgget(support.free_key(), 0)
        assert make_queue() != make_queue()

    def test_a_key_is_signed_or_unsigned(self, make_queue: MakeQueue) -> None:
        assert make_queue(key=0xDEADBEEF) == raw.msgget(-559038737, 0)

    @pytest.mark.parametrize("key", [2**32, -(2**31) - 1, 2**64])
    def test_a_key_has_32_bits(self, key: int) -> None:
        with pytest.raises(OverflowError, match="-2147483648 to 4294967295"):
            raw.msgget(key, IPC_CREAT)

    def test_the_limit_is_enospc(self) -> None:
        def inside() -> None:
            msqids = [raw.msgget(IPC_PRIVATE, 0o600) for _ in range(3)]
            with fails(errno.ENOSPC):
                raw.msgget(IPC_PRIVATE, 0o600)
            assert raw.msgctl(msqids[0], raw.IPC_STAT).msg_qbytes == 500

        in_namespace(inside, msgmni=3, msgmnb=500)


class TestSend:
    @pytest.mark.parametrize(
        "mtext",
        [
            b"",
            b"abc",
            bytearray(b"abc"),
            memoryview(b"abc"),
            array.array("l", [1, -1]),
            np.arange(6, dtype=np.int32).reshape(2, 3),
            bytes(8192),
        ],
        ids=support.name,
    )
    def test_any_buffer(self, make_queue: MakeQueue, mtext: Any) -> None:
        msqid = make_queue()
        raw.msgsnd(msqid, 5, mtext)
        assert count(msqid) == (1, len(bytes(mtext)))
        assert raw.msgrcv(msqid, 8192) == (5, bytes(mtext))

    @pytest.mark.parametrize(
        ("mtext", "error"),
        [
            ("abc", TypeError),
            (None, TypeError),
            ([1], TypeError),
            (memoryview(b"abcdef")[::2], BufferError),
        ],
    )
    def test_nothing_else(self, make_queue: MakeQueue, mtext: Any, error: type[Exception]) -> None:
        msqid = make_queue()
        with pytest.raises(error):
            raw.msgsnd(msqid, 1, mtext)
        assert count(msqid) == (0, 0)

    @pytest.mark.parametrize("mtype", [0, -1, -(2**63)])
    def test_a_type_below_1_is_einval(self, make_queue: MakeQueue, mtype: int) -> None:
        with fails(errno.EINVAL):
            raw.msgsnd(make_queue(), mtype, b"m")

    def test_the_largest_type(self, make_queue: MakeQueue) -> None:
        msqid = make_queue()
        raw.msgsnd(msqid, LONG_MAX, b"m")
        assert raw.msgrcv(msqid, 1, LONG_MAX) == (LONG_MAX, b"m")

    @pytest.mark.parametrize("size", [8193, 100_000])
    def test_more_than_msgmax_is_einval(self, make_queue: MakeQueue, size: int) -> None:
        with fails(errno.EINVAL):
            raw.msgsnd(make_queue(), 1, bytes(size), IPC_NOWAIT)

    @pytest.mark.parametrize(
        ("qbytes", "size", "fitting"),
        [(10, 0, 10), (10, 1, 10), (10, 4, 2), (10, 11, 0), (0, 0, 0), (16384, 8192, 2)],
    )
    def test_a_full_queue_is_eagain(
        self, make_queue: MakeQueue, qbytes: int, size: int, fitting: int
    ) -> None:
        msqid = make_queue(qbytes=qbytes)
        fill(msqid, *[(1, bytes(size))] * fitting)
        with fails(errno.EAGAIN):
            raw.msgsnd(msqid, 1, bytes(size), IPC_NOWAIT)
        assert count(msqid) == (fitting, fitting * size)

    def test_bytes_and_messages_are_counted_apart(self, make_queue: MakeQueue) -> None:
        msqid = make_queue(qbytes=2)
        fill(msqid, (1, b"ab"), (1, b""))
        with fails(errno.EAGAIN):
            raw.msgsnd(msqid, 1, b"", IPC_NOWAIT)

    @pytest.mark.parametrize("msqid", [-1, 2**31 - 1])
    def test_to_no_queue_is_einval(self, msqid: int) -> None:
        with fails(errno.EINVAL):
            raw.msgsnd(msqid, 1, b"")

    def test_tells_who_and_when(self, make_queue: MakeQueue) -> None:
        msqid = make_queue()
        child = Child(lambda: raw.msgsnd(msqid, 1, b"m"))
        child.result()
        ds = raw.msgctl(msqid, raw.IPC_STAT)
        assert (ds.msg_lspid, ds.msg_lrpid, ds.msg_rtime) == (child.pid, 0, 0)
        assert abs(ds.msg_stime - time.time()) < 5
        raw.msgrcv(msqid, 1)
        ds = raw.msgctl(msqid, raw.IPC_STAT)
        assert ds.msg_lrpid == os.getpid()
        assert abs(ds.msg_rtime - time.time()) < 5

    @pytest.mark.parametrize(
        "arguments",
        [(2**31, 1, b"", 0), (0, 2**63, b"", 0), (0, -(2**63) - 1, b"", 0), (0, 1, b"", 2**31)],
    )
    def test_ints_beyond_c_are_refused(self, arguments: tuple[int, int, bytes, int]) -> None:
        with pytest.raises(OverflowError):
            raw.msgsnd(*arguments)


QUEUED = [(4, b"t4"), (3, b"t3"), (2, b"t2"), (1, b"t1"), (2, b"again")]


class TestReceive:
    @pytest.mark.parametrize(
        ("msgtyp", "msgflg", "expected"),
        [
            (0, 0, (4, b"t4")),
            (3, 0, (3, b"t3")),
            (2, 0, (2, b"t2")),
            (-2, 0, (1, b"t1")),
            (-3, MSG_EXCEPT, (1, b"t1")),
            (-LONG_MAX, 0, (1, b"t1")),
            (-LONG_MAX - 1, 0, (1, b"t1")),
            (4, MSG_EXCEPT, (3, b"t3")),
            (0, MSG_EXCEPT, (4, b"t4")),
            (LONG_MAX, MSG_EXCEPT, (4, b"t4")),
        ],
    )
    def test_what_msgtyp_says(
        self, make_queue: MakeQueue, msgtyp: int, msgflg: int, expected: tuple[int, bytes]
    ) -> None:
        msqid = make_queue()
        fill(msqid, *QUEUED)
        assert raw.msgrcv(msqid, 100, msgtyp, msgflg | IPC_NOWAIT) == expected
        assert count(msqid)[0] == len(QUEUED) - 1

    @pytest.mark.parametrize(("msgtyp", "msgflg"), [(0, 0), (5, 0), (-1, 0), (2, MSG_EXCEPT)])
    def test_nothing_is_enomsg(self, make_queue: MakeQueue, msgtyp: int, msgflg: int) -> None:
        msqid = make_queue()
        if msgtyp:
            fill(msqid, (2, b""))
        with fails(errno.ENOMSG):
            raw.msgrcv(msqid, 100, msgtyp, msgflg | IPC_NOWAIT)

    @pytest.mark.parametrize("size", [0, 4])
    def test_too_little_room_is_e2big_and_takes_nothing(
        self, make_queue: MakeQueue, size: int
    ) -> None:
        msqid = make_queue()
        fill(msqid, (1, b"hello world"), (1, b"x"))
        for flags in (0, IPC_NOWAIT):
            with fails(errno.E2BIG):
                raw.msgrcv(msqid, size, 0, flags)
        ds = raw.msgctl(msqid, raw.IPC_STAT)
        assert (ds.msg_qnum, ds.msg_lrpid, ds.msg_rtime) == (2, 0, 0)
        assert raw.msgrcv(msqid, 11) == (1, b"hello world")

    @pytest.mark.parametrize("size", [0, 5, 11, 2**40])
    def test_noerror_truncates(self, make_queue: MakeQueue, size: int) -> None:
        msqid = make_queue()
        fill(msqid, (1, b"hello world"))
        assert raw.msgrcv(msqid, size, 0, MSG_NOERROR) == (1, b"hello world"[:size])
        assert count(msqid) == (0, 0)

    @pytest.mark.parametrize("msgsz", [2**20, 2**31, 2**40, 2**62, 2**63 - 1])
    def test_a_huge_msgsz_takes_no_memory(self, make_queue: MakeQueue, msgsz: int) -> None:
        msqid = make_queue()
        for flags in (0, IPC_NOWAIT, MSG_NOERROR):
            fill(msqid, (7, b"small"))
            assert raw.msgrcv(msqid, msgsz, 0, flags) == (7, b"small")
        with fails(errno.ENOMSG):
            raw.msgrcv(msqid, msgsz, 0, IPC_NOWAIT)

    @pytest.mark.parametrize("msgsz", [2**63, 2**64 - 1])
    def test_a_size_negative_to_the_kernel_is_einval(
        self, make_queue: MakeQueue, msgsz: int
    ) -> None:
        msqid = make_queue()
        fill(msqid, (1, b""))
        for flags in (0, MSG_NOERROR, MSG_COPY | IPC_NOWAIT):
            with fails(errno.EINVAL):
                raw.msgrcv(msqid, msgsz, 0, flags)
        assert count(msqid) == (1, 0)

    @pytest.mark.parametrize(
        "arguments",
        [
            (2**31, 1, 0, 0),
            (0, -1, 0, 0),
            (0, 2**64, 0, 0),
            (0, 1, 2**63, 0),
            (0, 1, 0, -(2**31) - 1),
            (0, Index(-1), 0, 0),
        ],
    )
    def test_ints_beyond_c_are_refused(self, arguments: tuple[Any, Any, Any, Any]) -> None:
        with pytest.raises(OverflowError, match="does not fit a C"):
            raw.msgrcv(*arguments)

    @pytest.mark.parametrize("size", [8192, 65535, 65536, 65537, 70_000, 524_289, 1_000_000])
    @pytest.mark.parametrize("flags", [0, IPC_NOWAIT])
    def test_messages_of_every_size(self, size: int, flags: int) -> None:
        mtext = np.random.default_rng(size).bytes(size)

        def inside() -> None:
            msqid = raw.msgget(IPC_PRIVATE, 0o600)
            for room, more in ((size, 0), (size, MSG_NOERROR), (2**40, 0), (2**40, MSG_NOERROR)):
                raw.msgsnd(msqid, 3, mtext, flags)
                with fails(errno.E2BIG):
                    raw.msgrcv(msqid, size - 1, 0, flags)
                with fails(errno.E2BIG):
                    raw.msgrcv(msqid, size - 1, 0, MSG_COPY | IPC_NOWAIT)
                with fails(errno.EINVAL):
                    raw.msgrcv(msqid, size - 1, 0, MSG_COPY | MSG_NOERROR | IPC_NOWAIT)
                for copy in (MSG_COPY, MSG_COPY | MSG_NOERROR):
                    assert raw.msgrcv(msqid, room, 0, copy | IPC_NOWAIT) == (3, mtext)
                assert raw.msgrcv(msqid, room, 0, flags | more) == (3, mtext)
            raw.msgsnd(msqid, 3, mtext, flags)
            assert raw.msgrcv(msqid, size - 1, 0, flags | MSG_NOERROR) == (3, mtext[:-1])

        in_namespace(inside, msgmax=2**20, msgmnb=2**21)

    def test_a_message_from_before_msgmax_was_lowered(self) -> None:
        def inside() -> None:
            msqid = raw.msgget(IPC_PRIVATE, 0o600)
            raw.msgsnd(msqid, 1, bytes(65536))
            Path("/proc/sys/kernel/msgmax").write_text("8192")
            with fails(errno.EINVAL):
                raw.msgrcv(msqid, 65536, 0, MSG_COPY | IPC_NOWAIT)
            with fails(errno.E2BIG):
                raw.msgrcv(msqid, 8192)
            assert raw.msgrcv(msqid, 65536) == (1, bytes(65536))

        in_namespace(inside, msgmax=65536, msgmnb=200_000)


class TestCopy:
    def test_takes_nothing(self, make_queue: MakeQueue) -> None:
        msqid = make_queue()
        fill(msqid, (5, b"m0"), (1, b"m1long"), (9, b""))
        copies = [raw.msgrcv(msqid, 100, index, MSG_COPY | IPC_NOWAIT) for index in range(3)]
        assert copies == [(5, b"m0"), (1, b"m1long"), (9, b"")]
        ds = raw.msgctl(msqid, raw.IPC_STAT)
        assert (ds.msg_qnum, ds.msg_lrpid) == (3, 0)

    @pytest.mark.parametrize("index", [1, 2, -1, LONG_MAX])
    def test_of_no_message_is_enomsg(self, make_queue: MakeQueue, index: int) -> None:
        msqid = make_queue()
        fill(msqid, (1, b"m"))
        with fails(errno.ENOMSG):
            raw.msgrcv(msqid, 100, index, MSG_COPY | IPC_NOWAIT)

    @pytest.mark.parametrize(
        ("size", "flags", "number"),
        [
            (5, 0, errno.EINVAL),
            (5, MSG_EXCEPT | IPC_NOWAIT, errno.EINVAL),
            (4, IPC_NOWAIT, errno.E2BIG),
            (4, MSG_NOERROR | IPC_NOWAIT, errno.EINVAL),
        ],
    )
    def test_that_cannot_be(
        self, make_queue: MakeQueue, size: int, flags: int, number: int
    ) -> None:
        msqid = make_queue()
        fill(msqid, (1, b"m1234"))
        with fails(number):
            raw.msgrcv(msqid, size, 0, MSG_COPY | flags)
        assert count(msqid) == (1, 5)


class TestControl:
    @support.needs_other_users
    def test_set_takes_owner_mode_and_room(self, make_queue: MakeQueue) -> None:
        msqid = make_queue(key=(key := support.free_key()))
        fill(msqid, (1, b"m"))
        before = raw.msgctl(msqid, raw.IPC_STAT)
        perm = raw.IpcPerm(key=1, uid=3, gid=4, cuid=5, cgid=6, mode=0o7640, seq=7)
        wait_for(lambda: time.time() >= before.msg_ctime + 1.1)
        changed = before._replace(msg_perm=perm, msg_qbytes=99, msg_qnum=9, msg_stime=1)
        raw.msgctl(msqid, raw.IPC_SET, changed)
        after = raw.msgctl(msqid, raw.IPC_STAT)
        perm = before.msg_perm._replace(uid=3, gid=4, mode=0o640)
        assert after == before._replace(msg_perm=perm, msg_qbytes=99, msg_ctime=after.msg_ctime)
        assert after.msg_ctime > before.msg_ctime
        assert raw.msgget(key, 0) == msqid

    def test_set_of_no_user_is_einval(self, make_queue: MakeQueue) -> None:
        msqid = make_queue()
        ds = raw.msgctl(msqid, raw.IPC_STAT)
        with fails(errno.EINVAL):
            raw.msgctl(
                msqid, raw.IPC_SET, ds._replace(msg_perm=ds.msg_perm._replace(uid=2**32 - 1))
            )
        assert raw.msgctl(msqid, raw.IPC_STAT) == ds

    def test_the_kernel_keeps_an_int_of_qbytes(self, make_queue: MakeQueue) -> None:
        msqid = make_queue()
        ds = raw.msgctl(msqid, raw.IPC_STAT)
        for qbytes in (0, 5, 2**32 + 5, 2**40):
            raw.msgctl(msqid, raw.IPC_SET, ds._replace(msg_qbytes=qbytes))
            assert raw.msgctl(msqid, raw.IPC_STAT).msg_qbytes == qbytes % 2**32

    def test_more_room_than_msgmnb_takes_a_right(self) -> None:
        def without_rights() -> None:
            msqid = raw.msgget(IPC_PRIVATE, 0o600)
            try:
                ds = raw.msgctl(msqid, raw.IPC_STAT)
                with fails(errno.EPERM):
                    more = ds._replace(msg_qbytes=ds.msg_qbytes + 1)
                    raw.msgctl(msqid, raw.IPC_SET, more)
                for qbytes in (ds.msg_qbytes - 1, ds.msg_qbytes):
                    raw.msgctl(msqid, raw.IPC_SET, ds._replace(msg_qbytes=qbytes))
            finally:
                raw.msgctl(msqid, raw.IPC_RMID)

        if support.may_become(support.NOBODY):
            in_child(without_rights, support.NOBODY)
        elif not support.has_capability(24):
            without_rights()

    @pytest.mark.parametrize("buf", [None, 0, {}], ids=support.name)
    def test_set_takes_its_own_struct_only(self, make_queue: MakeQueue, buf: Any) -> None:
        with pytest.raises(TypeError, match="MsqidDs"):
            raw.msgctl(make_queue(), raw.IPC_SET, buf)

    @pytest.mark.parametrize("cmd", [-1, 99, raw.SETVAL, 2**31 - 1])
    def test_an_unknown_command_is_einval(self, make_queue: MakeQueue, cmd: int) -> None:
        with fails(errno.EINVAL):
            raw.msgctl(make_queue(), cmd)

    def test_removal(self, make_queue: MakeQueue) -> None:
        msqid = make_queue(key=(key := support.free_key()))
        fill(msqid, (1, b"lost"))
        raw.msgctl(msqid, raw.IPC_RMID)
        with fails(errno.EINVAL):
            raw.msgctl(msqid, raw.IPC_RMID)
        with fails(errno.EINVAL):
            raw.msgsnd(msqid, 1, b"")
        with fails(errno.EINVAL):
            raw.msgrcv(msqid, 1)
        with fails(errno.EINVAL):
            raw.msgctl(msqid, raw.IPC_STAT)
        assert make_queue(key=key) != msqid
        assert count(raw.msgget(key, 0)) == (0, 0)
