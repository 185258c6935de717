"""What several tests need: children, other users, own namespaces, waiting for facts."""

import ctypes
import os
import pickle
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

T = TypeVar("T")

NOBODY = 65534
CLONE_NEWIPC = 0x08000000


def wait_for(condition: Callable[[], object], what: str = "", seconds: float = 30.0) -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what or condition}"
        time.sleep(0.0005)


def objects() -> set[tuple[str, int]]:
    """(kind, id) of everything in this IPC namespace."""
    found = set()
    for kind in ("sem", "msg", "shm"):
        for line in Path("/proc/sysvipc", kind).read_text().splitlines()[1:]:
            found.add((kind, int(line.split()[1])))
    return found


def free_key() -> int:
    """A key that nothing has."""
    used = {
        int(line.split()[0])
        for kind in ("sem", "msg", "shm")
        for line in Path("/proc/sysvipc", kind).read_text().splitlines()[1:]
    }
    while (key := random.randrange(1, 2**31)) in used:
        pass
    return key


def become(uid: int) -> None:
    """Be another user, with no rights of root left."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


class Child:
    """A forked process that calls `function` and tells its answer through a pipe."""

    def __init__(self, function: Callable[[], object], uid: int | None = None) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                os.close(reader)
                if uid is not None:
                    become(uid)
                try:
                    answer = (True, function())
                except BaseException as error:  # it goes to the parent
                    error.add_note(traceback.format_exc())
                    answer = (False, error)
                with open(writer, "wb") as pipe:
                    pickle.dump(answer, pipe)
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        self._reader: int | None = reader
        self.status: int | None = None

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def join(self) -> int:
        """Wait for its end; the status as `os.waitstatus_to_exitcode` has it."""
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def result(self) -> object:
        """What `function` gave; what it raised is raised."""
        assert self._reader is not None
        with open(self._reader, "rb") as pipe:
            self._reader = None
            told = pipe.read()
        assert self.join() == 0, f"the child ended with {self.status}"
        good, answer = pickle.loads(told)
        if not good:
            raise answer
        return cast("object", answer)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is None:
            self.kill()
            self.join()
        if self._reader is not None:
            os.close(self._reader)
            self._reader = None


def in_child(function: Callable[[], T], uid: int | None = None) -> T:
    """Call it in a forked process, perhaps as another user."""
    with Child(function, uid) as child:
        return cast("T", child.result())


def unshare_ipc() -> None:
    """Move this process into an IPC namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWIPC):
        raise OSError(ctypes.get_errno(), "unshare")


def in_namespace(function: Callable[[], T], **limits: object) -> T:
    """Call it in a child with its own IPC namespace, where /proc/sys/kernel has these limits."""

    def inside() -> T:
        unshare_ipc()
        for name, value in limits.items():
            Path("/proc/sys/kernel", name).write_text(str(value))
        return function()

    return in_child(inside)


def state(pid: int) -> str:
    """The process's state letter: S sleeps, T is stopped, Z is dead."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@contextmanager
def handler(number: int, function: Callable[..., object]) -> Iterator[None]:
    """Have a Python signal handler for a while."""
    before = signal.signal(number, function)
    try:
        yield
    finally:
        signal.signal(number, before)


class Index:
    """An object with `__index__`, which gives, raises, or does something."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def __index__(self) -> int:
        answer = self.answer() if callable(self.answer) else self.answer
        if isinstance(answer, BaseException):
            raise answer
        return cast("int", answer)


def name(value: object) -> str:
    """What a test with this parameter is called."""
    return getattr(value, "__qualname__", None) or repr(value)[:40]
