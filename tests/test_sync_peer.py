"""A C program, written from docs/sync.md, takes part in all of `sync`, and is killed there."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import pytest
import support
from sysv_ipc_rs import sync

SOURCE = Path(__file__).parent / "interop" / "sync_peer.c"

LONG = 30.0


class Peer:
    """The program at work on one object."""

    def __init__(self, binary: Path, handle: Any, verb: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [str(binary), str(handle.id), verb, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().rstrip("\n")

    def go_on(self) -> str:
        """It gives back what it holds."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.line()

    def wait_blocked(self) -> None:
        support.wait_blocked(self.pid)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


Start = Callable[..., Peer]


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return support.compiled(tmp_path_factory.mktemp("peer"), SOURCE.read_text())


@pytest.fixture
def start(binary: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(handle: Any, verb: str, *arguments: object) -> Peer:
            peer = Peer(binary, handle, verb, *arguments)
            stack.enter_context(peer.process)
            stack.callback(peer.kill)
            return peer

        yield begin


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def killed_after(*calls: Callable[[], object]) -> None:
    """A process of ours does this and is killed."""

    def child() -> None:
        for call in calls:
            call()
        die()

    with support.Child(child) as killed:
        assert killed.join() == -signal.SIGKILL


def thread(function: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """It runs beside us, and what it gave is in the list."""
    answers: list[object] = []
    running = threading.Thread(target=lambda: answers.append(function()))
    running.start()
    return running, answers


def serve(peers: list[Peer], said: str) -> None:
    """Each of them says this, in whatever order they come to have it, and gives it back."""
    left = list(peers)
    while left:
        outputs: dict[Any, Peer] = {peer.process.stdout: peer for peer in left}
        peer = outputs[select.select(outputs, [], [], LONG)[0][0]]
        assert peer.line() == said
        assert peer.go_on() == "given"
        left.remove(peer)


@pytest.mark.parametrize("kind", [sync.Lock, sync.RLock, sync.Condition])
class TestLock:
    @pytest.fixture
    def lock(self, kind: Any, remove_later: Any) -> Any:
        return remove_later(kind.create())

    def test_it_holds_and_gives(self, lock: Any, start: Start) -> None:
        peer = start(lock, "lock")
        assert peer.line() == "taken"
        assert not lock.acquire(timeout=0.01)
        assert not lock.acquire(False)
        assert peer.go_on() == "given"
        assert lock.acquire(timeout=LONG)
        lock.release()

    def test_it_waits_for_us(self, lock: Any, start: Start) -> None:
        lock.acquire()
        peer = start(lock, "lock")
        peer.wait_blocked()
        lock.release()
        assert peer.line() == "taken"

    def test_its_death_is_told_once(self, lock: Any, start: Start) -> None:
        peer = start(lock, "lock")
        assert peer.line() == "taken"
        peer.kill()
        assert lock.acquire(timeout=LONG)
        assert lock.owner_died
        lock.release()
        assert start(lock, "lock").line() == "taken"

    def test_it_is_told_of_our_death(self, lock: Any, start: Start) -> None:
        killed_after(lock.acquire)
        peer = start(lock, "lock")
        assert peer.line() == "taken, the owner died"
        assert peer.go_on() == "given"
        assert lock.acquire(timeout=LONG)
        assert not lock.owner_died
        lock.release()

    def test_its_death_as_a_waiter_is_nobodys_business(self, lock: Any, start: Start) -> None:
        lock.acquire()
        peer = start(lock, "lock")
        peer.wait_blocked()
        peer.kill()
        lock.release()
        assert lock.acquire(timeout=LONG)
        assert not lock.owner_died
        lock.release()


class TestBoundedSemaphore:
    @pytest.fixture
    def tokens(self, remove_later: Any) -> Any:
        return remove_later(sync.BoundedSemaphore.create(value=2))

    def test_it_takes_and_gives(self, tokens: Any, start: Start) -> None:
        peer = start(tokens, "token")
        assert peer.line() == "taken"
        assert tokens.acquire(False)
        assert not tokens.acquire(timeout=0.01)
        assert peer.go_on() == "given"
        assert tokens.acquire(timeout=LONG)

    def test_it_waits_for_ours(self, tokens: Any, start: Start) -> None:
        assert tokens.acquire()
        assert tokens.acquire()
        peer = start(tokens, "token")
        peer.wait_blocked()
        tokens.release()
        assert peer.line() == "taken"

    def test_its_token_comes_back_when_it_is_killed(self, tokens: Any, start: Start) -> None:
        peer = start(tokens, "token")
        assert peer.line() == "taken"
        assert tokens.get_value() == 1
        peer.kill()
        assert tokens.get_value() == 2
        with pytest.raises(ValueError, match="too often"):
            tokens.release()
        assert tokens.get_value() == 2


class TestEvent:
    @pytest.fixture
    def event(self, remove_later: Any) -> Any:
        return remove_later(sync.Event.create())

    def test_it_waits_for_ours(self, event: Any, start: Start) -> None:
        peers = [start(event, "wait-event") for _ in range(3)]
        for peer in peers:
            peer.wait_blocked()
        peers.pop().kill()
        event.set()
        assert [peer.line() for peer in peers] == ["set", "set"]

    def test_it_sets_and_clears(self, event: Any, start: Start) -> None:
        assert start(event, "set-event").line() == "done"
        assert event.wait(LONG)
        assert start(event, "set-event").line() == "done"
        assert event.is_set()
        assert start(event, "clear-event").line() == "done"
        assert not event.is_set()
        assert start(event, "clear-event").line() == "done"
        assert not event.wait(0.001)


class TestRWLock:
    @pytest.fixture
    def lock(self, remove_later: Any) -> Any:
        return remove_later(sync.RWLock.create())

    def test_it_reads_beside_us(self, lock: Any, start: Start) -> None:
        peer = start(lock, "read")
        assert peer.line() == "taken"
        assert lock.acquire_read(timeout=LONG)
        lock.release_read()
        assert not lock.acquire_write(timeout=0.01)
        assert peer.go_on() == "given"
        assert lock.acquire_write(timeout=LONG)
        lock.release_write()

    def test_it_writes_alone(self, lock: Any, start: Start) -> None:
        peer = start(lock, "write")
        assert peer.line() == "taken"
        assert not lock.acquire_read(timeout=0.01)
        assert not lock.acquire_write(timeout=0.01)
        assert peer.go_on() == "given"
        assert lock.acquire_read(timeout=LONG)
        lock.release_read()

    def test_it_waits_for_our_writer(self, lock: Any, start: Start) -> None:
        lock.acquire_write()
        peers = [start(lock, verb) for verb in ("read", "write", "read")]
        for peer in peers:
            peer.wait_blocked()
        lock.release_write()
        serve(peers, "taken")

    @pytest.mark.parametrize("kind", ["read", "write"])
    def test_its_death_as_a_writer_is_told_once(self, lock: Any, start: Start, kind: str) -> None:
        peer = start(lock, "write")
        assert peer.line() == "taken"
        peer.kill()
        for told in (True, False):
            assert getattr(lock, f"acquire_{kind}")(timeout=LONG)
            assert lock.owner_died is told
            getattr(lock, f"release_{kind}")()

    @pytest.mark.parametrize("kind", ["read", "write"])
    def test_it_is_told_of_our_writers_death(self, lock: Any, start: Start, kind: str) -> None:
        killed_after(lock.acquire_write)
        for told in ("taken, the owner died", "taken"):
            peer = start(lock, kind)
            assert peer.line() == told
            assert peer.go_on() == "given"

    def test_its_death_as_a_reader_is_nobodys_business(self, lock: Any, start: Start) -> None:
        peer = start(lock, "read")
        assert peer.line() == "taken"
        running, answers = thread(lambda: lock.acquire_write(timeout=LONG))
        support.wait_blocked(running)
        peer.kill()
        running.join()
        assert answers == [True]
        assert not lock.owner_died
        lock.release_write()

    def test_a_writer_that_is_killed_while_it_waits_opens_the_gate(
        self, lock: Any, start: Start
    ) -> None:
        lock.acquire_read()
        writer = start(lock, "write")
        writer.wait_blocked()
        reader = start(lock, "read")
        reader.wait_blocked()
        writer.kill()
        assert reader.line() == "taken"
        assert not lock.owner_died
        lock.release_read()


class TestCondition:
    @pytest.fixture
    def condition(self, remove_later: Any) -> Any:
        return remove_later(sync.Condition.create())

    @staticmethod
    def asleep(start: Start, condition: Any) -> Peer:
        peer = start(condition, "wait-notified")
        assert peer.line() == "waiting"
        peer.wait_blocked()
        return peer

    def test_it_is_notified_by_us(self, condition: Any, start: Start) -> None:
        first, second = self.asleep(start, condition), self.asleep(start, condition)
        for peer in (first, second):
            with condition:
                condition.notify()
            assert peer.line() == "notified"
            assert peer.go_on() == "given"

    def test_it_notifies_us(self, condition: Any, start: Start) -> None:
        def wait() -> object:
            with condition:
                return condition.wait(LONG)

        running, answers = thread(wait)
        support.wait_blocked(running)
        assert start(condition, "notify").line() == "done"
        running.join()
        assert answers == [True]

    def test_its_notification_goes_on_if_it_is_killed(self, condition: Any, start: Start) -> None:
        first, second = self.asleep(start, condition), self.asleep(start, condition)
        with condition:
            condition.notify()
            # It has been woken, and can't come back before we give the lock.
            first.kill()
        assert second.line() == "notified"

    def test_it_notifies_several(self, condition: Any, start: Start) -> None:
        peers = [self.asleep(start, condition) for _ in range(3)]
        last = peers.pop()
        assert start(condition, "notify", 2).line() == "done"
        serve(peers, "notified")
        last.wait_blocked()
        assert start(condition, "notify", 7).line() == "done"
        assert last.line() == "notified"


class TestBarrier:
    PARTIES = 3

    @pytest.fixture
    def barrier(self, remove_later: Any) -> Any:
        return remove_later(sync.Barrier.create(parties=self.PARTIES))

    def asleep(self, start: Start, barrier: Any) -> Peer:
        peer = start(barrier, "barrier", self.PARTIES)
        peer.wait_blocked()
        return peer

    def test_it_passes_with_us(self, barrier: Any, start: Start) -> None:
        for _ in range(3):
            peers = [self.asleep(start, barrier) for _ in range(2)]
            ours = barrier.wait(LONG)
            told = {peer.line() for peer in peers} | {f"passed as {ours}"}
            assert told == {"passed as 0", "passed as 1", "passed as 2"}

    def test_it_may_be_the_last_to_come(self, barrier: Any, start: Start) -> None:
        ours = [thread(lambda: barrier.wait(LONG)) for _ in range(2)]
        for running, _ in ours:
            support.wait_blocked(running)
        peer = start(barrier, "barrier", self.PARTIES)
        told = {peer.line()}
        for running, answers in ours:
            running.join()
            told.add(f"passed as {answers[0]}")
        assert told == {"passed as 0", "passed as 1", "passed as 2"}

    def test_it_is_not_counted_once_it_is_killed(self, barrier: Any, start: Start) -> None:
        first, second = self.asleep(start, barrier), self.asleep(start, barrier)
        first.kill()
        third = self.asleep(start, barrier)
        assert barrier.n_waiting == 2
        assert barrier.wait(LONG) in range(3)
        assert second.line().startswith("passed")
        assert third.line().startswith("passed")

    def test_it_breaks_with_ours(self, barrier: Any, start: Start) -> None:
        peer = self.asleep(start, barrier)
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait(0.001)
        assert peer.line() == "broken"
        assert start(barrier, "barrier", self.PARTIES).line() == "broken"
        assert barrier.broken
        barrier.reset()
        self.test_it_passes_with_us(barrier, start)
