"""Segments: how they come and go, and what is told about them."""

import errno
import gc
import multiprocessing
import os
import pickle
import time
import weakref
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from support import Index, name
from sysv_ipc_rs import SharedMemory

RANGE = (ValueError, OverflowError)
DEFAULT_HUGE_PAGE = 2 << 20
WITHOUT_HUGE_PAGES = "HugePages_Free:        0" in Path("/proc/meminfo").read_text()


class TestCreation:
    def test_a_new_segment_is_zero(self, memory: SharedMemory) -> None:
        assert memory.attach().read() == bytes(5000)

    def test_what_a_new_one_tells(self, remove_later: Any) -> None:
        key, before = support.free_key(), int(time.time())
        made = remove_later(SharedMemory.create(key, size=10000, mode=0o640))
        told = made.stat()
        assert before - 1 <= told.ctime <= time.time() + 1
        assert told == ipc.SharedMemoryStat(
            key=key,
            id=made.id,
            uid=os.geteuid(),
            gid=os.getegid(),
            cuid=os.geteuid(),
            cgid=os.getegid(),
            mode=0o640,
            seq=told.seq,
            size=10000,
            atime=0,
            dtime=0,
            ctime=told.ctime,
            creator_pid=os.getpid(),
            last_pid=0,
            attached=0,
            marked_for_removal=False,
            locked=False,
        )

    def test_creating_attaches_nothing(self, memory: SharedMemory) -> None:
        assert memory.stat().attached == 0
        assert SharedMemory.from_id(memory.id).stat().attached == 0

    def test_private_ones_are_distinct(self, memory: SharedMemory, remove_later: Any) -> None:
        other = remove_later(SharedMemory.create(size=5000))
        assert other != memory
        other.attach().write(b"x")
        assert memory.attach()[0] == 0

    @pytest.mark.parametrize("size", [1, 10**9])
    def test_a_key_is_taken_once(self, remove_later: Any, size: int) -> None:
        key = support.free_key()
        remove_later(SharedMemory.create(key, size=100))
        with pytest.raises(ipc.AlreadyExistsError, match=f"{key:#010x}"):
            SharedMemory.create(key, size=size)

    @pytest.mark.parametrize("size", [1, 2, 4095, 4096, 4097, 10**7, True, Index(77)], ids=name)
    def test_size_is_the_kernels(self, remove_later: Any, size: Any) -> None:
        made = remove_later(SharedMemory.create(size=size))
        wanted = size.__index__()
        assert made.size == made.stat().size == len(made.attach()) == wanted
        assert SharedMemory.from_id(made.id).size == wanted

    @pytest.mark.parametrize("size", [0, -1, -(2**63), 2**64, -(2**64), 10**40])
    def test_no_size(self, size: int) -> None:
        for create in (SharedMemory.create, SharedMemory.open_or_create):
            with pytest.raises(RANGE, match=r"size .*1 to"):
                create(support.free_key(), size=size)

    @pytest.mark.parametrize("size", [2**64 - 1, 2**63, 2**63 - 1, 2**62])
    def test_more_than_any_machine_has(self, size: int) -> None:
        with pytest.raises(ipc.IPCError, match=str(size)):
            SharedMemory.create(size=size)

    @pytest.mark.parametrize("size", [None, "1", 1.0, Decimal(1), b"\1", [1]], ids=name)
    def test_size_is_an_int(self, size: Any) -> None:
        with pytest.raises(TypeError, match="size"):
            SharedMemory.create(size=size)

    def test_size_must_be_named(self) -> None:
        with pytest.raises(TypeError, match="size"):
            SharedMemory.create(0)  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            SharedMemory.create(0, 10)  # type: ignore[call-arg]


class TestOpening:
    def test_by_key_and_by_id(self, remove_later: Any) -> None:
        made = remove_later(SharedMemory.create(support.free_key(), size=100))
        for opened in (
            SharedMemory.open(made.key),
            SharedMemory.open(made.key, size=100),
            SharedMemory.open(made.key, size=1),
            SharedMemory.open_or_create(made.key, size=50),
            SharedMemory.from_id(made.id),
        ):
            assert (opened, opened.key, opened.id, opened.size) == (made, made.key, made.id, 100)

    def test_what_is_not_there(self) -> None:
        key = support.free_key()
        with pytest.raises(ipc.NotFoundError, match=f"{key:#010x}"):
            SharedMemory.open(key)
        with pytest.raises(ipc.RemovedError):
            SharedMemory.from_id(2**31 - 1)

    @pytest.mark.parametrize("opens", ["open", "open_or_create"])
    def test_a_smaller_one_is_refused_with_both_sizes(self, remove_later: Any, opens: str) -> None:
        key = support.free_key()
        remove_later(SharedMemory.create(key, size=100))
        with pytest.raises(ipc.IPCError, match=r"101.*100|100.*101") as caught:
            getattr(SharedMemory, opens)(key, size=101)
        assert (type(caught.value), caught.value.errno) == (ipc.IPCError, errno.EINVAL)
        assert caught.value.call == "shmget"

    def test_open_or_create_creates(self, remove_later: Any) -> None:
        key = support.free_key()
        made = remove_later(SharedMemory.open_or_create(key, size=100, mode=0o606))
        assert (made.key, made.size, made.stat().mode) == (key, 100, 0o606)

    def test_who_comes_first_creates_and_all_have_the_same(self, remove_later: Any) -> None:
        key, gate = support.free_key(), os.pipe()

        def come() -> int:
            os.close(gate[1])
            os.read(gate[0], 1)
            return SharedMemory.open_or_create(key, size=100).id

        children = [support.Child(come) for _ in range(20)]
        for end in gate:
            os.close(end)
        ids = {child.result() for child in children}
        assert ids == {remove_later(SharedMemory.open(key)).id}

    @pytest.mark.parametrize("key", [0, 2**32, -(2**31) - 1])
    def test_bad_keys(self, key: int) -> None:
        for call in (SharedMemory.open, SharedMemory.open_or_create):
            with pytest.raises(RANGE, match="key"):
                call(key, size=1)

    @pytest.mark.parametrize("number", [-1, 2**31, 2**64])
    def test_bad_ids(self, number: int) -> None:
        with pytest.raises(RANGE, match=r"id .*0 to 2147483647"):
            SharedMemory.from_id(number)


class TestRemoval:
    def test_it_is_gone_at_once_without_attachments(self, memory: SharedMemory) -> None:
        memory.remove()
        for call in (
            memory.remove,
            memory.stat,
            memory.attach,
            memory.lock_memory,
            memory.unlock_memory,
            lambda: memory.chmod(0o600),
            memory.chown,
            lambda: SharedMemory.from_id(memory.id),
        ):
            with pytest.raises(ipc.RemovedError) as caught:
                call()
            assert caught.value.errno == errno.EIDRM

    def test_attached_it_lives_on_without_its_key(self, remove_later: Any) -> None:
        key = support.free_key()
        made = remove_later(SharedMemory.create(key, size=100))
        attachment = made.attach()
        made.remove()
        told = made.stat()
        assert (told.marked_for_removal, told.key, told.attached) == (True, 0, 1)
        assert told.mode == 0o600
        for handle in (made, SharedMemory.from_id(made.id)):
            with pytest.raises(ipc.RemovedError):
                handle.remove()
        with pytest.raises(ipc.NotFoundError):
            SharedMemory.open(key)
        attachment[0] = 33
        assert made.attach()[0] == 33
        new = remove_later(SharedMemory.create(key, size=100))
        assert new != made
        assert new.attach()[0] == 0
        attachment.detach()
        with pytest.raises(ipc.RemovedError):
            made.stat()

    def test_dropping_a_handle_removes_nothing(self, memory: SharedMemory) -> None:
        handle = SharedMemory.from_id(memory.id)
        del handle
        gc.collect()
        memory.stat()


class TestChanges:
    def test_mode_is_for_new_attachments(self, memory: SharedMemory) -> None:
        attachment = memory.attach()
        memory.chmod(0o400)
        assert memory.stat().mode == 0o400
        attachment[0] = 9
        assert attachment[0] == 9

    def test_owner_changes_and_creator_stays(self, memory: SharedMemory) -> None:
        if not support.may_become(support.NOBODY):
            pytest.skip("needs root")
        memory.chown(1, 2)
        told = memory.stat()
        assert (told.uid, told.gid, told.cuid, told.cgid) == (1, 2, os.getuid(), os.getgid())
        memory.chown(gid=3)
        assert (memory.stat().uid, memory.stat().gid) == (1, 3)

    def test_locked_memory(self, memory: SharedMemory) -> None:
        memory.lock_memory()
        memory.lock_memory()
        assert memory.stat().locked
        assert memory.stat().mode == 0o600
        memory.unlock_memory()
        memory.unlock_memory()
        assert not memory.stat().locked

    def test_attaching_is_counted(self, memory: SharedMemory) -> None:
        before = int(time.time())
        first, second = memory.attach(), memory.attach(readonly=True)
        told = memory.stat()
        assert (told.attached, told.last_pid, told.dtime) == (2, os.getpid(), 0)
        assert before - 1 <= told.atime <= time.time() + 1
        first.detach()
        assert memory.stat().attached == 1
        assert memory.stat().dtime >= before - 1
        del second
        assert memory.stat().attached == 0


class TestHandles:
    def test_equal_by_id(self, memory: SharedMemory, remove_later: Any) -> None:
        same, other = SharedMemory.from_id(memory.id), remove_later(SharedMemory.create(size=1))
        assert same == memory
        assert hash(same) == hash(memory)
        assert other != memory
        assert memory != memory.id
        assert len({same, memory, other}) == 2
        assert memory

    def test_repr_needs_no_object(self, remove_later: Any) -> None:
        made = remove_later(SharedMemory.create(0xDEADBEEF, size=1))
        made.remove()
        assert repr(made) == f"SharedMemory(key=0xdeadbeef, id={made.id})"
        assert made.key == 0xDEADBEEF - 2**32

    def test_no_constructor_no_subclass_no_attributes(self, memory: SharedMemory) -> None:
        with pytest.raises(TypeError, match=r"create.*open"):
            SharedMemory()
        with pytest.raises(TypeError):
            type("Sub", (SharedMemory,), {})
        with pytest.raises(AttributeError):
            memory.size = 7  # type: ignore[misc]
        assert weakref.ref(memory)() is memory

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickle_opens_the_same(self, memory: SharedMemory, protocol: int) -> None:
        again = pickle.loads(pickle.dumps(memory, protocol))
        assert (again, again.key, again.size) == (memory, 0, 5000)
        stat = memory.stat()
        assert pickle.loads(pickle.dumps(stat, protocol)) == stat

    @pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
    def test_pickle_opens_it_in_another_process(self, memory: SharedMemory, method: str) -> None:
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.apply(write_there, (memory,)) == 5000
        assert memory.attach()[7] == 77

    def test_pickle_of_what_is_gone(self, remove_later: Any) -> None:
        made = remove_later(SharedMemory.create(support.free_key(), size=1))
        pickled = pickle.dumps(made)
        attachment = made.attach()
        made.remove()
        # It has no key any more.
        with pytest.raises(ipc.RemovedError):
            pickle.loads(pickled)
        attachment.detach()
        with pytest.raises(ipc.RemovedError):
            pickle.loads(pickled)


def write_there(memory: SharedMemory) -> int:
    with memory.attach() as attachment:
        attachment[7] = 77
        return len(attachment)


class TestHugePages:
    @pytest.mark.parametrize("size", [0, 1, 3, 5000, -2, 2**64, 2**63, (2 << 20) + 1])
    def test_bad_sizes(self, size: int) -> None:
        with pytest.raises(RANGE, match="huge_page_size"):
            SharedMemory.create(size=1, huge_page_size=size)

    @pytest.mark.parametrize("size", ["2M", 2e6, b"2"], ids=name)
    def test_no_ints(self, size: Any) -> None:
        with pytest.raises(TypeError):
            SharedMemory.create(size=1, huge_page_size=size)

    @pytest.mark.parametrize("auto_remove", [False, True])
    def test_unreserved_ones_are_refused(self, auto_remove: bool) -> None:
        with pytest.raises(ValueError, match="reserve"):
            SharedMemory.create(
                size=1, huge_page_size=1 << 21, reserve=False, auto_remove=auto_remove
            )

    @pytest.mark.skipif(not WITHOUT_HUGE_PAGES, reason="this machine has huge pages")
    @pytest.mark.parametrize("auto_remove", [False, True])
    def test_where_none_are_free_the_file_that_gives_some_is_named(self, auto_remove: bool) -> None:
        with pytest.raises(ipc.IPCError, match="/proc/sys/vm/nr_hugepages"):
            SharedMemory.create(size=1, huge_page_size=DEFAULT_HUGE_PAGE, auto_remove=auto_remove)

    def test_sizes_that_no_machine_has(self) -> None:
        with pytest.raises(ipc.IPCError, match="/proc/sys/vm/nr_hugepages") as caught:
            SharedMemory.create(size=1, huge_page_size=1 << 13)
        assert caught.value.errno == errno.EINVAL

    @pytest.mark.skipif(WITHOUT_HUGE_PAGES, reason="this machine has no huge pages")
    def test_they_can_be_used_to_the_last_byte(self, remove_later: Any) -> None:
        made = remove_later(SharedMemory.create(size=5000, huge_page_size=DEFAULT_HUGE_PAGE))
        with made.attach() as attachment:
            attachment[4999] = 1
            assert (len(attachment), sum(attachment)) == (5000, 1)


@pytest.mark.parametrize("size", [1, 64 << 30])
def test_unreserved_memory_can_be_used_where_there_is_some(remove_later: Any, size: int) -> None:
    made = remove_later(SharedMemory.create(size=size, reserve=False))
    with made.attach() as attachment:
        attachment[size - 1] = 7
        assert attachment[-1] == 7
        assert attachment.read(1, size - 1) == b"\7"


OBJECTLESS: list[Callable[[], object]] = [
    lambda: SharedMemory.create(0, size=1, mode=0o1000),
    lambda: SharedMemory.create(0, size=1, mode=644),
    lambda: SharedMemory.create(2**40, size=1),
    lambda: SharedMemory.create(support.free_key(), size=1, auto_remove=True),
    lambda: SharedMemory.create(size=1, auto_remove=Index(1), reserve=False, huge_page_size=4),
]


@pytest.mark.parametrize("call", OBJECTLESS)
def test_what_is_refused_creates_nothing(call: Callable[[], object]) -> None:
    before = support.objects()
    with pytest.raises(RANGE):
        call()
    assert support.objects() == before
