"""What several tests need: children, other users, own namespaces, waiting for facts."""

import calendar
import ctypes
import errno
import fcntl
import os
import pickle
import platform
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

import pytest

T = TypeVar("T")

MakeSet = Callable[..., int]
MakeQueue = Callable[..., int]
MakeSegment = Callable[..., int]

BUILD = Path(__file__).parent.parent / "build"
NOBODY = 65534
CLONE_NEWIPC = 0x08000000

# The calls that wait, by their numbers.
WAITING_CALLS = {
    "x86_64": {65: "semop", 220: "semtimedop", 69: "msgsnd", 70: "msgrcv"},
    "aarch64": {193: "semop", 192: "semtimedop", 189: "msgsnd", 188: "msgrcv"},
}[platform.machine()]


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


def may_become(uid: int) -> bool:
    """Root can be any user that its user namespace knows."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    ranges = [(int(first), int(count)) for first, _, count in map(str.split, lines)]
    return os.geteuid() == 0 and any(first <= uid < first + count for first, count in ranges)


def has_capability(number: int) -> bool:
    """Whether this process has it, by the number of capability.h."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("CapEff:")[1].split()[0], 16) >> number & 1 == 1


needs_other_users = pytest.mark.skipif(
    not may_become(NOBODY), reason="needs root, who gives to other users"
)


def become(uid: int) -> None:
    """Be another user, with no rights of root left."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def pickled_error(error: BaseException) -> bytes:
    """What a child tells; some exceptions, such as pytest's own, can't be pickled."""
    text = "".join(traceback.format_exception(error))
    error.add_note(text)
    try:
        told = pickle.dumps((False, error))
        pickle.loads(told)
    except Exception:
        told = pickle.dumps((False, AssertionError(text)))
    return told


class Child:
    """A forked process that calls `function` and tells its answer through a pipe.

    A test that wants another user is skipped where we can't be one.
    """

    def __init__(self, function: Callable[[], object], uid: int | None = None) -> None:
        if uid is not None and not may_become(uid):
            pytest.skip(f"needs root, to be user {uid}")
        reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                os.close(reader)
                if uid is not None:
                    become(uid)
                try:
                    told = pickle.dumps((True, function()))
                except BaseException as error:  # it goes to the parent
                    told = pickled_error(error)
                with open(writer, "wb") as pipe:
                    pipe.write(told)
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


class Holder:
    """Another process that holds something until it is told to let it go, or killed."""

    def __init__(self, take: Callable[[], object], give: Callable[[], object]) -> None:
        def hold() -> None:
            take()
            os.write(self.told[1], b"x")
            os.read(self.go[0], 1)
            give()

        self.told, self.go = os.pipe(), os.pipe()
        self.child = Child(hold)
        os.read(self.told[0], 1)

    def let_go(self) -> None:
        os.write(self.go[1], b"x")
        self.child.join()

    def __enter__(self) -> "Holder":
        return self

    def __exit__(self, *exception: object) -> None:
        self.child.__exit__(*exception)
        for number in (*self.told, *self.go):
            os.close(number)


def in_child(function: Callable[[], T], uid: int | None = None) -> T:
    """Call it in a forked process, perhaps as another user."""
    with Child(function, uid) as child:
        return cast("T", child.result())


def unshare_ipc() -> None:
    """Move this process into an IPC namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWIPC):
        raise OSError(ctypes.get_errno(), "unshare")


def may_unshare() -> bool:
    """Whether a child of ours can have an IPC namespace of its own."""

    def tried() -> bool:
        try:
            unshare_ipc()
        except PermissionError:
            return False
        return True

    return in_child(tried)


def in_namespace(function: Callable[[], T], **limits: object) -> T:
    """Call it in a child with its own IPC namespace, where /proc/sys/kernel has these limits.

    The test is skipped where that is not allowed.
    """
    if not may_unshare():
        pytest.skip("needs the right to an IPC namespace of its own")

    def inside() -> T:
        unshare_ipc()
        for name, value in limits.items():
            Path("/proc/sys/kernel", name).write_text(str(value))
        return function()

    return in_child(inside)


def state(pid: int) -> str:
    """The process's state letter: S sleeps, T is stopped, Z is dead."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def blocked(pid: int, tid: int | None = None) -> str:
    """The System V call that a process (or one thread of it) sleeps in, or nothing."""
    number = Path(f"/proc/{pid}/task/{tid or pid}/syscall").read_text().split()[0]
    return WAITING_CALLS.get(int(number), "") if number.lstrip("-").isdigit() else ""


def wait_blocked(who: int | threading.Thread) -> None:
    """Wait until this process, or this thread of ours, sleeps in a System V call."""
    if isinstance(who, threading.Thread):
        wait_for(lambda: who.native_id, "the thread's start")
        wait_for(lambda: blocked(os.getpid(), who.native_id), f"{who} in a call that waits")
    else:
        wait_for(lambda: blocked(who), f"process {who} in a call that waits")


def threads() -> set[int]:
    """Of this process."""
    return {int(task) for task in os.listdir("/proc/self/task")}


def descriptors() -> set[str]:
    """Of this process, the one with which they are listed among them."""
    return set(os.listdir("/proc/self/fd"))


def in_use() -> tuple[set[int], int]:
    """The threads and how many descriptors. A thread that has ended may be seen a little longer."""
    return threads(), len(descriptors())


def run_python(
    code: str, *arguments: object, seconds: float = 60.0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it in a new interpreter (the one that tests run in), with what it printed."""
    # Since 3.12 a fork beside other threads, of which the package has some, is warned of.
    quiet = "ignore:This process:DeprecationWarning"
    return subprocess.run(
        [sys.executable, "-W", quiet, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**os.environ, **environment},
    )


def python_prints(code: str, *arguments: object) -> str:
    """What it prints in a new interpreter, which must end well and say nothing on stderr."""
    ended = run_python(code, *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@contextmanager
def handler(number: int, function: Callable[..., object]) -> Iterator[None]:
    """Have a Python signal handler for a while."""
    before = signal.signal(number, function)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def signal_when_blocked(
    number: int = signal.SIGUSR1, first: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Sends the signal to this thread as soon as it sleeps in a System V call.

    What ends that call can be done before: this thread can't run until the signal is sent.
    """
    ident, tid = threading.get_ident(), threading.get_native_id()

    def send() -> None:
        wait_for(lambda: blocked(os.getpid(), tid), "a call that waits")
        first()
        signal.pthread_kill(ident, number)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        sender.join()


# Of what happens only while another thread has the interpreter.
needs_gil = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="threads don't wait for a GIL"
)


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
    """What a test with this parameter is called, in every process that collects it."""
    text = getattr(value, "__qualname__", None) or str(repr(value))
    return re.sub(r" at 0x[0-9a-f]+", "", text)[:40]


@contextmanager
def fails(number: int) -> Iterator[pytest.ExceptionInfo[OSError]]:
    """A plain `OSError` with this errno: the builtin class and the text that C has for it."""
    with pytest.raises(OSError, match=re.escape(os.strerror(number))) as caught:
        yield caught
    assert caught.value.errno == number, f"{errno.errorcode[number]} expected"
    assert caught.value.args == (number, os.strerror(number))
    assert type(caught.value) is type(OSError(number, ""))


NUMBERS = {"semget": 64, "semop": 65, "semctl": 66, "semtimedop": 220}


def refuse_system_calls(number: int, *calls: str) -> None:
    """Have the kernel (seccomp) answer these system calls with an errno, in this process."""
    if platform.machine() != "x86_64":
        pytest.skip("knows the numbers of x86_64 only")
    load, equal, give = 0x20, 0x15, 0x06
    program = [(load, 0, 0, 0)]
    for call in calls:
        program += [(equal, 0, 1, NUMBERS[call]), (give, 0, 0, 0x0005_0000 | number)]
    program.append((give, 0, 0, 0x7FFF_0000))
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter_, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def semget(key: int, size: int, flags: int) -> int:
    """The bare call, as a C program makes it."""
    libc = ctypes.CDLL(None, use_errno=True)
    number: int = libc.semget(ctypes.c_int(key), size, flags)
    if number < 0:
        raise OSError(ctypes.get_errno(), "semget")
    return number


def ipcs_facts(told: str) -> dict[str, str]:
    """What `ipcs -i` prints with TZ=UTC, as a dict; times are seconds since the epoch."""
    facts = dict(re.findall(r"(\w+) ?= ?([^\s=]+)(?=\s|,|$)", told))
    for name, when in re.findall(r"(\w*time) ?= ?(.*\S)", told):
        known = when != "Not set"
        facts[name] = str(calendar.timegm(time.strptime(when)) if known else 0)
    return {name: value.rstrip(",") for name, value in facts.items()}


def compiled(folder: Path, source: str, *options: str) -> Path:
    """A C program or library; the test is skipped where there is no compiler."""
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    (folder / "source.c").write_text(source)
    binary = folder / "compiled"
    files = ["-o", str(binary), str(folder / "source.c")]
    subprocess.run(["cc", "-O1", "-Wall", "-Werror", *options, *files], check=True)
    return binary


@contextmanager
def shared_folder(name: str) -> Iterator[Path]:
    """A folder below `build` for what later runs use too; one process at a time fills it."""
    folder = BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def pip(*arguments: str) -> None:
    """Runs pip; the test is skipped where the package index can't be reached, but not in CI."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0 and not os.environ.get("CI"):
        pytest.skip(f"needs the package index: pip {' '.join(arguments)}")
    assert ran.returncode == 0, ran.stderr
