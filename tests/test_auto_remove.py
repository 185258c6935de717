"""Segments that go away with the last process that has them."""

import gc
import os
import pickle
import resource
import signal
import subprocess
import sys

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import SharedMemory


def exists(number: int) -> bool:
    return ("shm", number) in support.objects()


def test_it_is_marked_and_kept_by_the_handle() -> None:
    handle = SharedMemory.create(size=10, auto_remove=True)
    told = handle.stat()
    assert (told.marked_for_removal, told.attached, told.key, told.size) == (True, 1, 0, 10)
    del handle
    gc.collect()
    assert not exists(told.id)


def test_an_attachment_keeps_it_without_the_handle() -> None:
    handle = SharedMemory.create(size=10, auto_remove=True)
    attachment, number = handle.attach(), handle.id
    del handle
    assert exists(number)
    attachment[0] = 5
    again = attachment.segment.attach()
    attachment.detach()
    assert again[0] == 5
    again.detach()
    assert not exists(number)


def test_a_view_keeps_it() -> None:
    handle = SharedMemory.create(size=10, auto_remove=True)
    number, view = handle.id, memoryview(handle.attach())
    del handle
    assert exists(number)
    view.release()
    del view
    assert not exists(number)


@pytest.mark.parametrize("key", [1, -1, 2**32 - 1])
def test_a_key_is_refused(key: int) -> None:
    before = support.objects()
    with pytest.raises(ValueError, match="key"):
        SharedMemory.create(key, size=10, auto_remove=True)
    assert support.objects() == before


def test_the_private_key_is_none() -> None:
    assert SharedMemory.create(ipc.IPC_PRIVATE, size=10, auto_remove=True).key == 0


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o444, 0o777])
def test_whoever_may_read_it_can_make_it(mode: int) -> None:
    def make() -> tuple[int, int]:
        told = SharedMemory.create(size=10, auto_remove=True, mode=mode).stat()
        return told.mode, told.attached

    assert support.in_child(make, uid=support.NOBODY) == (mode, 1)


def test_where_it_cannot_be_attached_nothing_is_left() -> None:
    def make() -> None:
        SharedMemory.create(size=10, auto_remove=True, mode=0o200)

    before = support.objects()
    with pytest.raises(ipc.AccessDeniedError):
        support.in_child(make, uid=support.NOBODY)
    assert support.objects() == before


def test_without_address_space_nothing_is_left() -> None:
    def make() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        SharedMemory.create(size=2 << 30, auto_remove=True, reserve=False)

    before = support.objects()
    with pytest.raises(ipc.LimitExceededError, match="RLIMIT_AS") as caught:
        support.in_child(make)
    assert caught.value.call == "shmat"
    assert support.objects() == before


def test_removal_is_already_ordered() -> None:
    handle = SharedMemory.create(size=10, auto_remove=True)
    with pytest.raises(ipc.RemovedError):
        handle.remove()
    assert handle.stat().attached == 1


def test_others_open_it_by_pickle_and_by_id() -> None:
    handle = SharedMemory.create(size=10, auto_remove=True)
    number = handle.id
    for opened in (pickle.loads(pickle.dumps(handle)), SharedMemory.from_id(number)):
        assert opened == handle
        # Only the handle that made it keeps it.
        assert handle.stat().attached == 1
    attachment = SharedMemory.from_id(number).attach()
    del handle, opened
    assert exists(number)
    attachment.detach()
    assert not exists(number)


def test_another_program_takes_it_over() -> None:
    handle = SharedMemory.create(size=10, auto_remove=True)
    code = (
        "import sys, sysv_ipc_rs as ipc\n"
        "attachment = ipc.SharedMemory.from_id(int(sys.argv[1])).attach()\n"
        "print('attached', flush=True)\n"
        "sys.stdin.read()\n"
        "assert attachment[3] == 9\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(handle.id)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"attached\n"
        number, attachment = handle.id, handle.attach()
        attachment[3] = 9
        del handle
        attachment.detach()
        assert exists(number)
        other.stdin.close()
        assert other.wait() == 0
    assert not exists(number)


def test_a_forked_child_keeps_it_too() -> None:
    handles = [SharedMemory.create(size=10, auto_remove=True)]
    number, (reader, writer) = handles[0].id, os.pipe()

    def child() -> int:
        os.close(writer)
        os.read(reader, 1)
        return handles[0].attach()[0]

    with support.Child(child) as inheritor:
        os.close(reader)
        assert handles[0].stat().attached == 2
        handles[0].attach()[0] = 7
        handles.clear()
        assert exists(number)
        os.close(writer)
        assert inheritor.result() == 7
    assert not exists(number)


def test_a_childs_drop_takes_nothing_from_the_parent() -> None:
    handles = [SharedMemory.create(size=10, auto_remove=True)]
    attachment = handles[0].attach()

    def child() -> None:
        handles.clear()
        attachment.detach()
        gc.collect()

    support.in_child(child)
    assert handles[0].stat().attached == 2
    attachment[0] = 1


@pytest.mark.parametrize("_", range(20))
def test_it_is_gone_when_all_are_killed(_: int) -> None:
    reader, writer = os.pipe()

    def create() -> None:
        handle = SharedMemory.create(size=10, auto_remove=True)
        os.write(writer, handle.id.to_bytes(4, "little"))
        signal.pause()

    def join() -> None:
        attachment = SharedMemory.from_id(number).attach()
        attachment[0] = 1
        signal.pause()

    with support.Child(create) as first:
        os.close(writer)
        number = int.from_bytes(os.read(reader, 4), "little")
        os.close(reader)
        with support.Child(join) as second, support.Child(join) as third:
            handle = SharedMemory.from_id(number)
            support.wait_for(lambda: handle.stat().attached == 3)
            for user in (first, second):
                user.kill()
                user.join()
            assert handle.stat().attached == 1
            third.kill()
            third.join()
    assert not exists(number)
