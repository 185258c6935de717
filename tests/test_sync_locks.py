"""`Lock`, `RLock` and `RWLock`: who holds them, who waits, and what is told of the dead."""

import os
import signal
import threading
from collections.abc import Callable

import pytest
import support
import sysv_ipc_rs as ipc
from support import Holder
from sync_support import values
from sysv_ipc_rs import sync

Later = Callable[[sync.Lock], sync.Lock]
AnyLock = sync.Lock | sync.RLock


@pytest.fixture(params=[sync.Lock, sync.RLock])
def lock(request: pytest.FixtureRequest, remove_later: Callable[[AnyLock], AnyLock]) -> AnyLock:
    return remove_later(request.param.create())


@pytest.fixture
def rwlock(remove_later: Callable[[sync.RWLock], sync.RWLock]) -> sync.RWLock:
    return remove_later(sync.RWLock.create())


def waiting(thing: AnyLock | sync.RWLock, index: int = 0) -> int:
    return ipc.Semaphore.from_id(thing.id, index=index).waiting


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def kill_when_we_wait(thing: AnyLock | sync.RWLock, holder: Holder) -> threading.Thread:
    def kill() -> None:
        support.wait_for(lambda: waiting(thing), "we wait")
        holder.child.kill()

    return in_thread(kill)


def test_one_process_at_a_time_holds_it(lock: AnyLock) -> None:
    with Holder(lock.acquire, lock.release) as holder:
        assert lock.locked()
        assert not lock.acquire(False)
        assert not lock.acquire(block=False, timeout=60)
        assert not lock.acquire(timeout=0.02)
        holder.let_go()
    assert lock.acquire()
    lock.release()
    assert not lock.locked()


def test_a_killed_holders_lock_is_given_to_who_waits_and_told_once(lock: AnyLock) -> None:
    with Holder(lock.acquire, lock.release) as holder:
        killer = kill_when_we_wait(lock, holder)
        assert lock.acquire(timeout=30)
        killer.join()
        assert lock.owner_died
        lock.release()
        assert not lock.owner_died
    with lock:
        assert not lock.owner_died
    assert values(lock) == (1, 0)


def test_who_learns_of_a_death_and_dies_too_is_told_of(lock: AnyLock) -> None:
    for _ in range(2):
        with Holder(lock.acquire, lock.release) as holder:
            holder.child.kill()
    assert lock.acquire(False)
    assert lock.owner_died
    lock.release()


def test_the_death_of_who_waits_is_nobodys_business(lock: AnyLock) -> None:
    with lock, support.Child(lock.acquire) as child:
        support.wait_blocked(child.pid)
        child.kill()
        child.join()
        assert waiting(lock) == 0
    with lock:
        assert not lock.owner_died


def test_those_who_wait_are_served_in_order(lock: AnyLock) -> None:
    order = []

    def take(number: int) -> None:
        with lock:
            order.append(number)

    threads = []
    with lock:
        for number in range(4):
            threads.append(in_thread(lambda number=number: take(number)))  # type: ignore[misc]
            support.wait_for(lambda: waiting(lock) == number + 1, "it waits")  # noqa: B023
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3]


def test_a_signal_handler_that_raises_takes_nothing(lock: AnyLock) -> None:
    def raise_(*_: object) -> None:
        raise KeyError

    with Holder(lock.acquire, lock.release), support.handler(signal.SIGUSR1, raise_):
        with support.signal_when_blocked(), pytest.raises(KeyError):
            lock.acquire()
        assert waiting(lock) == 0


def test_the_time_that_is_left_is_waited_after_a_signal(lock: AnyLock) -> None:
    seen = []
    handled = support.handler(signal.SIGUSR1, lambda *_: seen.append(1))
    with Holder(lock.acquire, lock.release), handled, support.signal_when_blocked():
        assert not lock.acquire(timeout=0.3)
    assert seen


def test_any_handle_of_the_process_gives_it_back(lock: AnyLock) -> None:
    lock.acquire()
    other = type(lock).from_id(lock.id)
    other.release()
    assert not lock.locked()


def test_a_handle_that_is_dropped_does_not_forget_what_is_held() -> None:
    lock = sync.Lock.create()
    number = lock.id
    lock.acquire()
    del lock
    for _ in range(3):
        sync.Lock.create().remove()
    again = sync.Lock.from_id(number)
    again.release()
    again.remove()


def test_another_thread_releases_a_lock(remove_later: Later) -> None:
    lock = remove_later(sync.Lock.create())
    lock.acquire()
    in_thread(lock.release).join()
    assert not lock.locked()


def test_threads_of_one_process_exclude_one_another(lock: AnyLock) -> None:
    count = 0

    def work() -> None:
        nonlocal count
        for _ in range(200):
            with lock:
                before = count
                os.sched_yield()
                count = before + 1

    threads = [in_thread(work) for _ in range(4)]
    for thread in threads:
        thread.join()
    assert count == 800


def test_an_rlock_is_taken_again_by_its_thread_alone(
    remove_later: Callable[[sync.RLock], sync.RLock],
) -> None:
    lock = remove_later(sync.RLock.create())
    taken = []
    with lock, lock:
        assert lock.acquire(False)
        in_thread(lambda: taken.append(lock.acquire(False))).join()
        lock.release()
        assert lock.locked()
    assert taken == [False]
    assert not lock.locked()


def test_an_rlocks_child_owns_nothing(remove_later: Callable[[sync.RLock], sync.RLock]) -> None:
    lock = remove_later(sync.RLock.create())
    with lock, lock:
        assert support.in_child(lambda: lock.acquire(False)) is False
        assert lock.acquire()
        lock.release()
    assert support.in_child(lambda: (lock.acquire(), lock.owner_died)) == (True, False)
    assert lock.acquire(False)
    assert lock.owner_died, "the child ended holding it"
    lock.release()


def test_long_use_overflows_nothing(lock: AnyLock) -> None:
    for _ in range(40_000):
        lock.acquire()
        lock.release()
    assert values(lock) == (1, 0)


def test_readers_share_a_rwlock_and_a_writer_has_it_alone(rwlock: sync.RWLock) -> None:
    with Holder(rwlock.acquire_read, rwlock.release_read):
        with rwlock.reader(), rwlock.reader():
            assert not rwlock.acquire_write(False)
        assert not rwlock.acquire_write(timeout=0.02)
        with rwlock.reader(0):
            pass
    with Holder(rwlock.acquire_write, rwlock.release_write):
        assert not rwlock.acquire_read(False)
        assert not rwlock.acquire_write(timeout=0.02)
        with pytest.raises(ipc.WaitTimeoutError), rwlock.writer(timeout=0):
            pytest.fail("another writes")


def test_a_writer_that_waits_is_not_overtaken_by_readers(rwlock: sync.RWLock) -> None:
    order = []

    def write() -> None:
        with rwlock.writer():
            order.append("write")

    def read() -> None:
        with rwlock.reader():
            order.append("read")

    with rwlock.reader():
        writer = in_thread(write)
        support.wait_for(lambda: values(rwlock)[0] == 0, "the gate is closed")
        reader = in_thread(read)
        support.wait_for(lambda: waiting(rwlock) == 1, "the reader waits")
        second = in_thread(write)
        support.wait_for(lambda: waiting(rwlock) == 2, "several writers wait")
    for thread in (writer, reader, second):
        thread.join()
    assert order == ["write", "read", "write"]


@pytest.mark.parametrize("kind", ["read", "write"])
def test_the_death_of_a_writer_is_told_once_to_the_next(rwlock: sync.RWLock, kind: str) -> None:
    acquire, release = getattr(rwlock, f"acquire_{kind}"), getattr(rwlock, f"release_{kind}")
    with Holder(rwlock.acquire_write, rwlock.release_write) as holder:
        killer = kill_when_we_wait(rwlock, holder)
        assert acquire(timeout=30)
        killer.join()
    assert rwlock.owner_died
    release()
    assert not rwlock.owner_died
    for again in (rwlock.reader(), rwlock.writer()):
        with again:
            assert not rwlock.owner_died
    assert values(rwlock) == (1, 0, 0)


def test_the_death_of_a_reader_is_told_to_nobody(rwlock: sync.RWLock) -> None:
    with Holder(rwlock.acquire_read, rwlock.release_read) as holder:
        holder.child.kill()
        holder.child.join()
    with rwlock.writer(timeout=30):
        assert not rwlock.owner_died


def test_a_writer_that_gives_up_opens_the_gate(rwlock: sync.RWLock) -> None:
    def raise_(*_: object) -> None:
        raise KeyError

    with Holder(rwlock.acquire_read, rwlock.release_read):
        assert not rwlock.acquire_write(timeout=0.02)
        assert values(rwlock) == (1, 1, 0)
        handled = support.handler(signal.SIGUSR1, raise_)
        with handled, support.signal_when_blocked(), pytest.raises(KeyError):
            rwlock.acquire_write()
        assert values(rwlock) == (1, 1, 0)


def test_thirty_two_thousand_readers(rwlock: sync.RWLock) -> None:
    for _ in range(32_000):
        assert rwlock.acquire_read(False)
    assert values(rwlock) == (1, 32_000, 0)
    for _ in range(767):
        rwlock.acquire_read()
    with pytest.raises(ipc.LimitExceededError):
        rwlock.acquire_read()
    assert not rwlock.acquire_write(False)
    for _ in range(32_767):
        rwlock.release_read()
    assert rwlock.acquire_write(False)
    rwlock.release_write()


def test_the_readers_of_a_process_go_with_it(rwlock: sync.RWLock) -> None:
    def read() -> None:
        for _ in range(5):
            rwlock.acquire_read()

    support.in_child(read)
    assert values(rwlock) == (1, 0, 0)
