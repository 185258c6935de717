"""`raw.shmdt` unmaps what `raw.shmat` has mapped, and never anything else."""

import ctypes
import errno
import mmap
import random
import threading

import pytest
from support import MakeSegment, fails, in_child
from sysv_ipc_rs import SharedMemory, raw
from sysv_ipc_rs.raw import SHM_REMAP
from test_raw_shm import PAGE, attached, byte, free_pages, libc


@pytest.fixture
def segment(make_segment: MakeSegment) -> SharedMemory:
    return SharedMemory.from_id(make_segment(4 * PAGE))


def test_once(make_segment: MakeSegment) -> None:
    shmid = make_segment()
    address = raw.shmat(shmid)
    raw.shmdt(address)
    with fails(errno.EINVAL):
        raw.shmdt(address)


@pytest.mark.parametrize("offset", [-PAGE, 1, PAGE, 2**40])
def test_only_what_was_given(segment: SharedMemory, offset: int) -> None:
    address = raw.shmat(segment.id)
    with fails(errno.EINVAL):
        raw.shmdt(address + offset)
    assert byte(address + PAGE).value == 0
    raw.shmdt(address)


@pytest.mark.parametrize("address", [0, None, 1, PAGE, 2**63, 2**64 - 1])
def test_no_made_up_address(address: int | None) -> None:
    with fails(errno.EINVAL):
        raw.shmdt(address)


@pytest.mark.parametrize("address", [-1, 2**64])
def test_an_address_is_a_pointer(address: int) -> None:
    with pytest.raises(OverflowError):
        raw.shmdt(address)


def test_no_attachment(segment: SharedMemory) -> None:
    with segment.attach() as attachment:
        with fails(errno.EINVAL):
            raw.shmdt(attachment.address)
        attachment[0] = 7
        assert attached(segment.id) == 1


def test_no_attachment_that_lies_where_something_of_raw_lay(segment: SharedMemory) -> None:
    address = free_pages(4)
    assert raw.shmat(segment.id, address) == address
    libc.munmap(address, 4 * PAGE)
    with segment.attach(address=address) as attachment:
        assert attachment.address == address
        with fails(errno.EINVAL):
            raw.shmdt(address)
        attachment[0] = 7


def test_no_attachment_after_a_replacement(segment: SharedMemory) -> None:
    address = raw.shmat(segment.id)
    assert raw.shmat(segment.id, address, SHM_REMAP) == address
    assert attached(segment.id) == 1
    raw.shmdt(address)
    with segment.attach(address=address) as attachment:
        with fails(errno.EINVAL):
            raw.shmdt(address)
        attachment[0] = 7


def test_as_often_as_it_was_given(segment: SharedMemory, make_segment: MakeSegment) -> None:
    small = make_segment(PAGE)
    address = raw.shmat(segment.id)
    # The beginning is replaced; what is behind it stays, and is shmdt's second time.
    assert raw.shmat(small, address, SHM_REMAP) == address
    raw.shmdt(address)
    assert (attached(small), attached(segment.id)) == (0, 1)
    raw.shmdt(address)
    assert attached(segment.id) == 0
    with fails(errno.EINVAL):
        raw.shmdt(address)


def test_no_memory_of_others(segment: SharedMemory) -> None:
    plain = mmap.mmap(-1, PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(plain))
    with fails(errno.EINVAL):
        raw.shmdt(address)
    plain[0] = 1
    # Attached behind raw's back.
    libc.shmat.restype = ctypes.c_void_p
    foreign = libc.shmat(segment.id, None, 0)
    with fails(errno.EINVAL):
        raw.shmdt(foreign)
    byte(foreign).value = 1
    libc.shmdt(ctypes.c_void_p(foreign))


def test_what_the_parent_attached(segment: SharedMemory) -> None:
    address = raw.shmat(segment.id)

    def inside() -> int:
        assert attached(segment.id) == 2
        byte(address).value = 99
        raw.shmdt(address)
        with fails(errno.EINVAL):
            raw.shmdt(address)
        return attached(segment.id)

    assert in_child(inside) == 1
    assert byte(address).value == 99
    raw.shmdt(address)


def test_thousands_in_any_order(segment: SharedMemory) -> None:
    addresses = [raw.shmat(segment.id) for _ in range(5000)]
    assert len(set(addresses)) == attached(segment.id) == 5000
    random.shuffle(addresses)
    for address in addresses:
        raw.shmdt(address)
        with fails(errno.EINVAL):
            raw.shmdt(address)
    assert attached(segment.id) == 0


def test_each_in_one_of_many_threads(segment: SharedMemory) -> None:
    addresses = [raw.shmat(segment.id) for _ in range(200)]
    good = []

    def detach() -> None:
        for address in addresses:
            try:
                raw.shmdt(address)
                good.append(address)
            except OSError:
                pass

    threads = [threading.Thread(target=detach) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(good) == sorted(addresses)
    assert attached(segment.id) == 0


def test_forks_while_threads_attach(segment: SharedMemory) -> None:
    ended = threading.Event()

    def attach() -> None:
        while not ended.is_set():
            raw.shmdt(raw.shmat(segment.id))

    threads = [threading.Thread(target=attach) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            in_child(lambda: raw.shmdt(raw.shmat(segment.id)))
    finally:
        ended.set()
        for thread in threads:
            thread.join()
