"""Threads that detach, drop and remember while others use the memory.

What could die of it runs in a child.
"""

import gc
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import support
from sysv_ipc_rs import AtomicInteger, Attachment, SharedMemory
from test_buffer_lifetime import VIEWS


@pytest.fixture
def large() -> Iterator[SharedMemory]:
    made = SharedMemory.create(size=3 << 20)
    yield made
    made.remove()


USES: dict[str, Callable[[Any], object]] = {
    "read": lambda a: a.read(),
    "write": lambda a: a.write(bytes(3 << 20)),
    "fill": lambda a: a.fill(7),
    "slice": lambda a: a[5:],
    "slice assignment": lambda a: a.__setitem__(slice(0, 1 << 20), bytes(1 << 20)),
    "items": lambda a: [a[i] for i in range(500)],
    "iteration": lambda a: list(itertools.islice(a, 500)),
    "small": lambda a: (a.read(64), a.write(b"x" * 64), a.fill(0, 0, 64)),
    "atomic": lambda a: a.atomic(0, "i64").add(1),
    "view": lambda a: memoryview(a)[-1],
    "array": lambda a: np.ndarray((3 << 20,), np.uint8, buffer=a).sum(),
    "bytes": bytes,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_detach_in_another_thread_harms_no_use(
    large: SharedMemory, use: Callable[[Attachment], object]
) -> None:
    def use_until_refused(attachment: Attachment, begun: threading.Event) -> None:
        while True:
            begun.set()
            try:
                use(attachment)
            except ValueError:
                assert attachment.detached
                return

    def work() -> None:
        for _ in range(30):
            attachment, begun = large.attach(), threading.Event()
            threads = [
                threading.Thread(target=use_until_refused, args=(attachment, begun))
                for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            begun.wait()
            attachment.detach()
            for thread in threads:
                thread.join()
        del attachment, threads, thread
        gc.collect()
        assert large.stat().attached == 0

    support.in_child(work)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_in_another_thread_outlives_the_attachment(memory: SharedMemory, view: str) -> None:
    make, use = VIEWS[view]

    def work() -> None:
        made, gone = threading.Event(), threading.Event()
        attachments = [memory.attach()]

        def borrow() -> None:
            borrowed = make(attachments[0])
            made.set()
            while not gone.is_set():
                use(borrowed)
            for _ in range(100):
                use(borrowed)

        thread = threading.Thread(target=borrow)
        thread.start()
        made.wait()
        attachments.pop().detach()
        gc.collect()
        gone.set()
        thread.join()
        gc.collect()
        assert memory.stat().attached == 0

    support.in_child(work)


def test_a_weak_reference_never_brings_one_back(large: SharedMemory) -> None:
    def work() -> None:
        current: list[weakref.ref[Attachment]] = []
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                for reference in current[:]:
                    attachment = reference()
                    if attachment is not None:
                        assert attachment[0] == 7
                    del attachment

        thread = threading.Thread(target=look)
        thread.start()
        for _ in range(300):
            attachment = large.attach()
            attachment.fill(7, 0, 1)
            current[:] = [weakref.ref(attachment)]
            del attachment
        done.set()
        thread.join()
        assert large.stat().attached == 0

    support.in_child(work)


def test_an_atomic_integers_thread_outlives_everything(memory: SharedMemory) -> None:
    word: AtomicInteger = memory.attach().atomic(0, "u64")
    thread = threading.Thread(target=lambda: [word.add(1) for _ in range(10_000)])
    thread.start()
    memory.remove()
    thread.join()
    assert word.load() == 10_000


def test_forks_while_other_threads_are_at_work_hang_nothing(large: SharedMemory) -> None:
    def work() -> None:
        attachment, done = large.attach(), threading.Event()

        def use() -> None:
            while not done.is_set():
                attachment.fill(3, 0, 10)
                memoryview(attachment).release()
                large.attach().read(10)

        def inherit() -> int:
            with attachment:
                memoryview(attachment).release()
                return attachment[0] + len(attachment.read())

        threads = [threading.Thread(target=use) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            assert support.in_child(inherit) in {3 << 20, (3 << 20) + 3}
        done.set()
        for thread in threads:
            thread.join()
        assert not attachment.detached
        assert attachment[0] == 3

    support.in_child(work)
