"""The table in README.md: what alternatives do in the same place."""

import multiprocessing
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory as PlainMemory
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc

sysv_ipc = pytest.importorskip("sysv_ipc")

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def old_semaphore() -> Iterator[Any]:
    made = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX, initial_value=1)
    yield made
    made.remove()


@pytest.fixture
def old_queue() -> Iterator[Any]:
    made = sysv_ipc.MessageQueue(None, sysv_ipc.IPC_CREX)
    yield made
    made.remove()


class TestAWaitGoesOnAfterASignalHandlerHasRun:
    @staticmethod
    def interrupted(
        acquire: Callable[[], object],
        release: Callable[[], object],
        waits: Callable[[int], bool] = lambda pid: bool(support.blocked(pid)),
    ) -> object:
        """A handler runs during the wait, and only then the token comes."""
        main = threading.get_ident()
        handled = threading.Event()

        def disturb() -> None:
            support.wait_for(lambda: waits(os.getpid()), "the wait")
            signal.pthread_kill(main, signal.SIGUSR1)
            handled.wait()
            release()

        with support.handler(signal.SIGUSR1, lambda *_: handled.set()):
            thread = threading.Thread(target=disturb)
            thread.start()
            try:
                return acquire()
            finally:
                thread.join()

    def test_ours(self, semaphore: ipc.Semaphore) -> None:
        semaphore.value = 0
        assert self.interrupted(semaphore.acquire, semaphore.release)

    def test_sysv_ipc(self, old_semaphore: Any) -> None:
        old_semaphore.acquire()
        with pytest.raises(sysv_ipc.Error, match="Signaled"):
            self.interrupted(old_semaphore.acquire, old_semaphore.release)

    def test_multiprocessing(self) -> None:
        semaphore = FORK.Semaphore(0)
        assert self.interrupted(
            semaphore.acquire, semaphore.release, lambda pid: support.state(pid) == "S"
        )


class TestReceivingWithATimeLimit:
    def test_ours(self, queue: ipc.MessageQueue) -> None:
        with pytest.raises(ipc.WaitTimeoutError):
            queue.receive(timeout=0.01)

    def test_sysv_ipc(self, old_queue: Any) -> None:
        with pytest.raises(TypeError, match="timeout"):
            old_queue.receive(timeout=0.01)


class TestALockIsFreeAgainAfterItsHolderWasKilled:
    @staticmethod
    def take_and_die(acquire: Callable[[], object]) -> None:
        def child() -> None:
            acquire()
            os.kill(os.getpid(), signal.SIGKILL)

        with support.Child(child) as killed:
            assert killed.join() == -signal.SIGKILL

    def test_ours(self, semaphore: ipc.Semaphore) -> None:
        self.take_and_die(semaphore.__enter__)
        assert semaphore.try_acquire()

    def test_sysv_ipc(self, old_semaphore: Any) -> None:
        self.take_and_die(old_semaphore.acquire)
        assert old_semaphore.value == 0
        old_semaphore.release()
        old_semaphore.undo = True
        self.take_and_die(old_semaphore.acquire)
        assert old_semaphore.value == 1

    def test_multiprocessing(self) -> None:
        lock = FORK.Lock()
        self.take_and_die(lock.acquire)
        assert not lock.acquire(block=False)


class TestMemoryIsDetachedWhileAViewIsInUse:
    def test_ours(self, remove_later: Any) -> None:
        attachment = remove_later(ipc.SharedMemory.create(size=10)).attach()
        view = memoryview(attachment)
        attachment.detach()
        view[0] = 7
        assert view[0] == 7

    def test_sysv_ipc(self) -> None:
        code = """if True:
            import sysv_ipc
            memory = sysv_ipc.SharedMemory(None, sysv_ipc.IPC_CREX, size=10)
            view = memoryview(memory)
            memory.remove()
            memory.detach()
            view[0]
        """
        assert support.run_python(code).returncode == -signal.SIGSEGV

    def test_multiprocessing(self) -> None:
        memory: Any = PlainMemory(create=True, size=10)
        view = memory.buf[:5]
        with pytest.raises(BufferError):
            memory.close()
        view.release()
        memory.close()
        memory.unlink()


class TestSeveralSemaphoresInOneStep:
    def test_ours(self, semaphore_set: ipc.SemaphoreSet) -> None:
        assert not semaphore_set.try_op((0, -1), (1, -3))
        assert semaphore_set.try_op((0, -1), (1, -2))
        assert semaphore_set.values == (0, 0, 3)

    def test_sysv_ipc(self, old_semaphore: Any) -> None:
        assert not any(hasattr(sysv_ipc, name) for name in ("SemaphoreSet", "semop"))
        assert not hasattr(old_semaphore, "op")


class TestAKeyOfMoreThan32Bits:
    def test_ours(self) -> None:
        with pytest.raises((OverflowError, ValueError)):
            ipc.MessageQueue.create(2**40 + 5)

    def test_sysv_ipc(self) -> None:
        sysv_ipc.MessageQueue(2**40 + 5, sysv_ipc.IPC_CREX).remove()


class TestSelect:
    def test_ours(self, queue: ipc.MessageQueue, semaphore: ipc.Semaphore) -> None:
        queue.send(b"x")
        with queue.readiness() as message, semaphore.readiness() as token:
            for ready in (message, token):
                assert select.select([ready], [], [], 30)[0] == [ready]

    def test_sysv_ipc(self, old_queue: Any, old_semaphore: Any) -> None:
        for handle in (old_queue, old_semaphore):
            with pytest.raises(TypeError):
                select.select([handle], [], [], 0)

    def test_multiprocessing(self) -> None:
        plain: Any = FORK.Queue()
        handles: list[Any] = [plain, FORK.Semaphore()]
        for handle in handles:
            with pytest.raises(TypeError):
                select.select([handle], [], [], 0)
        assert select.select([plain._reader], [], [], 0) == ([], [], [])
        plain.close()
