"""`Readiness`: when its descriptor is readable, and what it does not do to the object."""

import asyncio
import gc
import os
import pickle
import select
import selectors
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc

Waiting = Callable[[ipc.Readiness, float], bool]


def by_select(readiness: ipc.Readiness, seconds: float) -> bool:
    return bool(select.select([readiness], [], [], seconds)[0])


def by_poll(readiness: ipc.Readiness, seconds: float) -> bool:
    poll = select.poll()
    poll.register(readiness, select.POLLIN)
    return poll.poll(seconds * 1000) == [(readiness.fileno(), select.POLLIN)]


def by_epoll(readiness: ipc.Readiness, seconds: float) -> bool:
    with select.epoll() as epoll:
        epoll.register(readiness, select.EPOLLIN)
        return epoll.poll(seconds) == [(readiness.fileno(), select.EPOLLIN)]


def by_selectors(readiness: ipc.Readiness, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(readiness, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def by_asyncio(readiness: ipc.Readiness, seconds: float) -> bool:
    async def wait() -> bool:
        loop, seen = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(readiness, seen.set)
        try:
            await asyncio.wait_for(seen.wait(), seconds)
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(readiness)
        return True

    return asyncio.run(wait())


WAYS: list[Waiting] = [by_select, by_poll, by_epoll, by_selectors, by_asyncio]


def is_ready(readiness: ipc.Readiness, seconds: float = 0.0) -> bool:
    return by_select(readiness, seconds)


def becomes_ready(readiness: ipc.Readiness) -> bool:
    return by_select(readiness, 30.0)


def wait_asleep(thread: int) -> None:
    support.wait_for(lambda: support.blocked(os.getpid(), thread), "the watcher asleep")


@pytest.fixture
def watched(queue: ipc.MessageQueue) -> Iterator[tuple[ipc.Readiness, int]]:
    """A readiness for any message of `queue`, and its thread, which sleeps."""
    before = support.threads()
    with queue.readiness() as readiness:
        (thread,) = support.threads() - before
        wait_asleep(thread)
        yield readiness, thread


@pytest.mark.parametrize("way", WAYS)
def test_it_becomes_readable_when_a_message_comes(way: Waiting, queue: ipc.MessageQueue) -> None:
    with queue.readiness() as readiness:
        assert not way(readiness, 0.01)
        sender = threading.Timer(0.02, queue.send, (b"x",))
        sender.start()
        assert way(readiness, 30.0)
        sender.join()
        assert queue.try_receive() == ipc.Message(1, b"x")
        readiness.clear()
        assert not way(readiness, 0.01)


@pytest.mark.parametrize("way", WAYS)
def test_it_becomes_readable_when_units_can_be_taken(
    way: Waiting, semaphore: ipc.Semaphore
) -> None:
    with semaphore.readiness(3) as readiness:
        semaphore.release()
        assert not way(readiness, 0.01)
        giver = threading.Timer(0.02, semaphore.release)
        giver.start()
        assert way(readiness, 30.0)
        giver.join()
        assert semaphore.value == 3
        semaphore.acquire()
        readiness.clear()
        assert not way(readiness, 0.01)


def test_it_is_readable_at_once_when_something_waits_already(
    queue: ipc.MessageQueue, semaphore: ipc.Semaphore
) -> None:
    queue.send(b"x")
    with queue.readiness() as messages, semaphore.readiness() as units:
        assert is_ready(messages)
        assert is_ready(units)


def test_it_takes_nothing(queue: ipc.MessageQueue, semaphore: ipc.Semaphore) -> None:
    with queue.readiness() as messages, semaphore.readiness() as units:
        for number in range(3):
            queue.send(b"%d" % number, number + 1)
        assert becomes_ready(messages)
        for _ in range(5):
            messages.clear()
            units.clear()
        assert [message.data for message in queue.receive_many(9)] == [b"0", b"1", b"2"]
        assert semaphore.value == 1


@pytest.mark.parametrize(
    ("selection", "matching", "others"),
    [
        ({"type": 5}, [5], [1, 4, 6]),
        ({"type": 5, "exclude": True}, [4, 6], [5]),
        ({"type": -5}, [1, 5], [6, 7]),
        ({"type": 0}, [1, 2**62], []),
    ],
)
def test_only_matching_messages_count(
    selection: dict[str, int], matching: list[int], others: list[int], queue: ipc.MessageQueue
) -> None:
    with queue.readiness(**selection) as readiness:
        for other in others:
            queue.send(b"other", other)
        assert not is_ready(readiness, 0.01)
        for kind in matching:
            queue.send(b"this", kind)
            assert becomes_ready(readiness)
            readiness.clear()
            assert is_ready(readiness)
            assert queue.receive(**selection).type == kind
            readiness.clear()
            assert not is_ready(readiness)


def test_it_stays_readable_until_clear_when_the_condition_has_gone(
    watched: tuple[ipc.Readiness, int], queue: ipc.MessageQueue
) -> None:
    readiness, thread = watched
    queue.send(b"x")
    assert becomes_ready(readiness)
    queue.receive()
    assert is_ready(readiness, 0.01)
    readiness.clear()
    assert not is_ready(readiness, 0.01)
    wait_asleep(thread)
    queue.send(b"y")
    assert becomes_ready(readiness)


def test_clear_looks_again(queue: ipc.MessageQueue) -> None:
    with queue.readiness() as readiness:
        readiness.clear()
        assert not is_ready(readiness)
        queue.send(b"x")
        readiness.clear()
        assert is_ready(readiness), "seen by clear itself, whether or not the watcher was faster"
        queue.send(b"y")
        queue.receive()
        readiness.clear()
        assert is_ready(readiness), "one is left"


def test_nothing_is_missed_by_taking_until_nothing_is_there_then_clear(
    queue: ipc.MessageQueue,
) -> None:
    wanted, taken = 20_000, 0

    def send() -> None:
        for number in range(wanted // 2):
            queue.send(b"%d" % number)

    with queue.readiness() as readiness, ThreadPoolExecutor(2) as senders:
        sent = [senders.submit(send) for _ in range(2)]
        while taken < wanted:
            assert becomes_ready(readiness), f"{taken} taken, {queue.qsize()} left"
            while queue.try_receive():
                taken += 1
            readiness.clear()
        for sender in sent:
            sender.result()
    assert queue.qsize() == 0


def test_no_rise_of_a_semaphore_is_missed(semaphore: ipc.Semaphore) -> None:
    wanted, taken = 10_000, 0
    semaphore.acquire()

    def give() -> None:
        for _ in range(wanted):
            semaphore.release()

    with semaphore.readiness() as readiness, ThreadPoolExecutor(1) as givers:
        given = givers.submit(give)
        while taken < wanted:
            assert becomes_ready(readiness), f"{taken} taken, the value is {semaphore.value}"
            while semaphore.try_acquire():
                taken += 1
            readiness.clear()
        given.result()


def test_an_empty_message_is_seen_and_stays(
    watched: tuple[ipc.Readiness, int], queue: ipc.MessageQueue
) -> None:
    readiness, _ = watched
    queue.send(b"", 7)
    assert becomes_ready(readiness)
    readiness.clear()
    assert is_ready(readiness)
    assert queue.receive() == ipc.Message(7, b"")
    assert queue.qsize() == 0


def test_it_steals_from_no_blocked_receiver(
    watched: tuple[ipc.Readiness, int], queue: ipc.MessageQueue
) -> None:
    readiness, thread = watched
    for number in range(20):
        with support.Child(lambda: queue.receive(timeout=30.0).data) as receiver:
            support.wait_blocked(receiver.pid)
            queue.send(b"%d" % number)
            assert receiver.result() == b"%d" % number
        assert queue.qsize() == 0

        def asleep_again() -> str:
            # It may notice the message only now, after an earlier `clear`.
            readiness.clear()
            return support.blocked(os.getpid(), thread)

        support.wait_for(asleep_again, "the watcher asleep")


def test_removal_makes_it_readable_and_clear_says_so(
    queue: ipc.MessageQueue, semaphore: ipc.Semaphore
) -> None:
    semaphore.acquire()
    with queue.readiness() as messages, semaphore.readiness() as units:
        queue.remove()
        semaphore.remove()
        for readiness in (messages, units):
            assert becomes_ready(readiness)
            for _ in range(3):
                with pytest.raises(ipc.RemovedError):
                    readiness.clear()
                assert is_ready(readiness)
    with pytest.raises(ipc.RemovedError):
        queue.readiness()
    with pytest.raises(ipc.RemovedError):
        semaphore.readiness()


def test_taking_the_permission_away_makes_it_readable_and_clear_says_so() -> None:
    queue = ipc.MessageQueue.create(mode=0o666)
    semaphore = ipc.Semaphore.create(value=0, mode=0o666)
    to_parent, to_child = os.pipe(), os.pipe()

    def watch() -> tuple[bool, bool]:
        with queue.readiness() as messages, semaphore.readiness() as units:
            os.write(to_parent[1], b"x")
            os.read(to_child[0], 1)
            ready = becomes_ready(messages), becomes_ready(units)
            for readiness in (messages, units):
                with pytest.raises(ipc.AccessDeniedError):
                    readiness.clear()
            for make in (queue.readiness, semaphore.readiness):
                with pytest.raises(ipc.AccessDeniedError):
                    make()
            return ready

    try:
        with support.Child(watch, uid=support.NOBODY) as child:
            os.read(to_parent[0], 1)
            queue.chmod(0o600)
            semaphore.semaphore_set.chmod(0o600)
            # The kernel tells a queue's waiters of the change at once, a semaphore's only then.
            semaphore.release()
            os.write(to_child[1], b"x")
            assert child.result() == (True, True)
    finally:
        queue.remove()
        semaphore.remove()
        for descriptor in (*to_parent, *to_child):
            os.close(descriptor)


def test_a_closed_one_says_so(queue: ipc.MessageQueue) -> None:
    readiness = queue.readiness()
    readiness.close()
    readiness.close()
    uses: list[Callable[[], object]] = [readiness.fileno, readiness.clear, readiness.__enter__]
    for use in uses:
        with pytest.raises(ValueError, match="closed"):
            use()
    assert repr(readiness) == "<Readiness, closed>"


def test_it_has_no_public_constructor_and_is_not_pickled(queue: ipc.MessageQueue) -> None:
    with pytest.raises(TypeError, match=r"MessageQueue\.readiness.*create.*open"):
        ipc.Readiness()
    with queue.readiness() as readiness:
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(readiness)
        assert weakref.ref(readiness)() is readiness
        assert str(readiness.fileno()) in repr(readiness)
        with pytest.raises(TypeError):
            type("Derived", (ipc.Readiness,), {})


@pytest.mark.parametrize("asleep", [True, False])
def test_close_ends_the_thread_and_the_descriptor_at_once(
    asleep: bool, queue: ipc.MessageQueue
) -> None:
    before = support.in_use()
    readiness = queue.readiness()
    (thread,) = support.threads() - before[0]
    if asleep:
        wait_asleep(thread)
    else:
        queue.send(b"x")
        assert becomes_ready(readiness)
    readiness.close()
    support.wait_for(lambda: support.in_use() == before)


def test_it_ends_when_nobody_has_it_any_more(queue: ipc.MessageQueue) -> None:
    before = support.in_use()
    readiness = queue.readiness()
    assert support.threads() != before[0]
    del readiness
    support.wait_for(lambda: support.in_use() == before)
    cycle: list[object] = [queue.readiness()]
    cycle.append(cycle)
    del cycle
    gc.collect()
    support.wait_for(lambda: support.in_use() == before)


def test_a_thousand_leave_no_thread_and_no_descriptor(
    queue: ipc.MessageQueue, semaphore: ipc.Semaphore
) -> None:
    before = support.in_use()
    for _ in range(500):
        with queue.readiness(), semaphore.readiness(2):
            pass
    support.wait_for(lambda: support.in_use() == before)
    many = [queue.readiness(kind) for kind in range(100)]
    assert len(support.threads()) == len(before[0]) + 100
    assert len(support.descriptors()) == before[1] + 100
    for readiness in many:
        readiness.close()
    support.wait_for(lambda: support.in_use() == before)


def test_threads_may_close_it_while_others_use_it(queue: ipc.MessageQueue) -> None:
    for _ in range(50):
        readiness = queue.readiness()
        start = threading.Barrier(3)

        def use(readiness: ipc.Readiness = readiness, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                while True:
                    readiness.clear()
            except ValueError:
                pass

        with ThreadPoolExecutor(2) as users:
            uses = [users.submit(use) for _ in range(2)]
            start.wait()
            readiness.close()
            for used in uses:
                used.result()


def test_the_watcher_takes_no_time(watched: tuple[ipc.Readiness, int]) -> None:
    _, thread = watched
    spent = Path(f"/proc/self/task/{thread}/schedstat")
    before = spent.read_text().split()
    threading.Event().wait(0.5)
    after = spent.read_text().split()
    assert after == before, "it has not run at all"
