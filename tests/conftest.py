"""Fixtures of all tests."""

import asyncio
import ctypes
import gc
import importlib
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import pytest
import support
import sysv_ipc_rs as ipc
from _pytest.config import create_terminal_writer
from aio_support import Run
from sysv_ipc_rs import raw


class Removable(Protocol):
    def remove(self) -> None: ...


H = TypeVar("H", bound=Removable)

REMOVE = {"sem": ("semctl", (0, 0)), "msg": ("msgctl", (0, None)), "shm": ("shmctl", (0, None))}

OURS_ALONE = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Tests have an IPC namespace of their own, where allowed, and no sizes of terminals."""
    try:
        support.unshare_ipc()
        config.stash[OURS_ALONE] = True
    except PermissionError:
        config.stash[OURS_ALONE] = False
        if config.getoption("numprocesses", None):
            raise pytest.UsageError("-n: no IPC namespaces for the workers are allowed") from None
    # Readline sets them in a worker's parent: programs would believe them more than their terminal.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    if hasattr(config, "workerinput"):
        # What a worker of pytest-xdist prints is lost. Where a test hung shall not be.
        timeout: Any = config.pluginmanager.get_plugin("timeout")
        writer, dump = create_terminal_writer(config, sys.__stderr__), timeout.dump_stacks
        timeout.dump_stacks = lambda _: dump(writer)


def pytest_report_header(config: pytest.Config) -> str:
    return f"IPC namespace: {'own' if config.stash[OURS_ALONE] else 'shared with others'}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """CI makes every exchange with other programs: a skip of one is a failure there."""
    report = yield
    if report.skipped and item.path.parent.name == "interop" and os.environ.get("CI") == "true":
        report.outcome, report.longrepr = (
            "failed",
            f"not to be skipped in CI: {report.longreprtext}",
        )
    return report


@pytest.fixture(autouse=True)
def leftovers(pytestconfig: pytest.Config) -> Iterator[None]:
    """No object is left by a test, also by one that failed; what is left is removed.

    Not removed where others create objects too: they could be theirs.
    """
    before = support.objects()
    yield
    # A caught exception's frame keeps what was attached there.
    if support.objects() - before:
        gc.collect()
    left = support.objects() - before
    libc = ctypes.CDLL(None)
    for kind, number in left if pytestconfig.stash[OURS_ALONE] else ():
        call, arguments = REMOVE[kind]
        getattr(libc, call)(number, *arguments)
    assert not left


@pytest.fixture
def remove_later() -> Iterator[Callable[[H], H]]:
    """Gives back the handle it is given, whose object is removed after the test."""
    handles: list[Removable] = []

    def later(handle: H) -> H:
        handles.append(handle)
        return handle

    yield later
    for handle in handles:
        with suppress(ipc.RemovedError):
            handle.remove()


@pytest.fixture
def semaphore() -> Iterator[ipc.Semaphore]:
    """A private semaphore of 1."""
    made = ipc.Semaphore.create()
    yield made
    with suppress(ipc.RemovedError):
        made.remove()


@pytest.fixture
def semaphore_set() -> Iterator[ipc.SemaphoreSet]:
    """A private set of the values 1, 2, 3."""
    made = ipc.SemaphoreSet.create(size=3, values=[1, 2, 3])
    yield made
    with suppress(ipc.RemovedError):
        made.remove()


@pytest.fixture
def queue() -> Iterator[ipc.MessageQueue]:
    """A private message queue."""
    made = ipc.MessageQueue.create()
    yield made
    with suppress(ipc.RemovedError):
        made.remove()


@pytest.fixture
def memory() -> Iterator[ipc.SharedMemory]:
    """A private segment of 5000 bytes."""
    made = ipc.SharedMemory.create(size=5000)
    yield made
    with suppress(ipc.RemovedError):
        made.remove()


@pytest.fixture
def make_set() -> Iterator[support.MakeSet]:
    """Makes sets of these values by the C API, which are removed after the test."""
    made = []

    def make(*values: int, key: int = raw.IPC_PRIVATE, mode: int = 0o600) -> int:
        semid = raw.semget(key, len(values), raw.IPC_CREAT | raw.IPC_EXCL | mode)
        made.append(semid)
        if any(values):
            raw.semctl(semid, 0, raw.SETALL, values)
        return semid

    yield make
    for semid in made:
        with suppress(OSError):
            raw.semctl(semid, 0, raw.IPC_RMID)


@pytest.fixture
def make_queue() -> Iterator[support.MakeQueue]:
    """Makes queues by the C API, which are removed after the test."""
    made = []

    def make(*, key: int = raw.IPC_PRIVATE, mode: int = 0o600, qbytes: int | None = None) -> int:
        msqid = raw.msgget(key, raw.IPC_CREAT | raw.IPC_EXCL | mode)
        made.append(msqid)
        if qbytes is not None:
            ds = raw.msgctl(msqid, raw.IPC_STAT)
            raw.msgctl(msqid, raw.IPC_SET, ds._replace(msg_qbytes=qbytes))
        return msqid

    yield make
    for msqid in made:
        with suppress(OSError):
            raw.msgctl(msqid, raw.IPC_RMID)


@pytest.fixture
def make_segment() -> Iterator[support.MakeSegment]:
    """Makes segments by the C API, which are removed after the test."""
    made = []

    def make(
        size: int = 5000, flags: int = 0, *, key: int = raw.IPC_PRIVATE, mode: int = 0o600
    ) -> int:
        shmid = raw.shmget(key, size, raw.IPC_CREAT | raw.IPC_EXCL | flags | mode)
        made.append(shmid)
        return shmid

    yield make
    for shmid in made:
        with suppress(OSError):
            raw.shmctl(shmid, raw.IPC_RMID)


@pytest.fixture
def empty(semaphore: ipc.Semaphore) -> ipc.Semaphore:
    """A private semaphore of 0."""
    semaphore.acquire()
    return semaphore


@pytest.fixture
def full() -> Iterator[ipc.MessageQueue]:
    """A private queue of 10 bytes with a message of 10."""
    queue = ipc.MessageQueue.create(max_bytes=10)
    queue.send(b"0123456789")
    yield queue
    with suppress(ipc.RemovedError):
        queue.remove()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run[object]:
    """As `asyncio.run`, in a loop of this kind."""
    return cast("Run[object]", pytest.importorskip(request.param).run)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No thread and no descriptor of this process is left by a test."""
    with suppress(ImportError):
        # What uvloop keeps for ever, made before the count.
        importlib.import_module("uvloop").run(asyncio.sleep(0))
    before = support.in_use()
    yield
    gc.collect()

    def gone() -> bool:
        # What was on its way out when the test began may be gone too.
        threads, descriptors = support.in_use()
        return threads <= before[0] and descriptors <= before[1]

    support.wait_for(gone, "threads and descriptors are gone")


@pytest.fixture
def replaced(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH, in whose programs `sysv_ipc` is the drop-in."""
    folder = tmp_path / "replaced"
    folder.mkdir()
    code = "import sys\nfrom sysv_ipc_rs import compat\nsys.modules[__name__] = compat\n"
    (folder / "sysv_ipc.py").write_text(code)
    return folder
