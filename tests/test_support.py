"""What the other tests stand on: the fixture that finds leftovers, and the helpers."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc

CARELESS = """
import sysv_ipc_rs as ipc

def test_that_passes():
    ipc.SemaphoreSet.create()
    ipc.MessageQueue.create()

def test_that_fails():
    ipc.SemaphoreSet.create()
    raise ZeroDivisionError

def test_that_begins_with_nothing():
    import support
    assert not support.objects()
"""


def test_what_a_test_leaves_fails_it_and_is_removed(tmp_path: Path) -> None:
    for file in ("conftest.py", "support.py", "aio_support.py"):
        shutil.copy(Path(__file__).with_name(file), tmp_path)
    (tmp_path / "test_careless.py").write_text(CARELESS)

    def run() -> str:
        command = [sys.executable, "-m", "pytest", "-q", "--rootdir=.", "-p", "no:cacheprovider"]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, check=False
        ).stdout

    out = support.in_namespace(run)
    assert "\n1 failed, 2 passed, 2 errors in " in out, out


def test_a_thread_that_waits_is_seen_to_wait(semaphore: ipc.Semaphore) -> None:
    semaphore.value = 0
    thread = threading.Thread(target=semaphore.acquire)
    thread.start()
    support.wait_blocked(thread)
    assert semaphore.waiting == 1
    semaphore.release()
    thread.join()


def test_a_process_that_waits_is_seen_to_wait(semaphore: ipc.Semaphore) -> None:
    semaphore.value = 0
    with support.Child(semaphore.acquire) as child:
        support.wait_blocked(child.pid)
        assert support.blocked(child.pid) == "semtimedop"
        semaphore.release()
        assert child.result() is True


def test_another_user_has_none_of_our_rights() -> None:
    assert support.in_child(os.getresuid, support.NOBODY) == (support.NOBODY,) * 3
    with pytest.raises(PermissionError):
        support.in_child(lambda: os.setuid(0), support.NOBODY)


def test_a_namespace_has_its_own_objects_and_limits(semaphore: ipc.Semaphore) -> None:
    before = Path("/proc/sys/kernel/msgmni").read_text()
    objects, limit = support.in_namespace(
        lambda: (support.objects(), Path("/proc/sys/kernel/msgmni").read_text()), msgmni=7
    )
    assert (objects, limit) == (set(), "7\n")
    assert ("sem", semaphore.id) in support.objects()
    assert Path("/proc/sys/kernel/msgmni").read_text() == before


def test_what_a_child_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        support.in_child(lambda: 1 // 0)


def test_a_new_interpreter_has_the_same_package() -> None:
    code = "import sys, sysv_ipc_rs; print(sys.argv[1], sysv_ipc_rs.__file__)"
    assert support.python_prints(code, 5) == f"5 {ipc.__file__}\n"


def test_a_parameters_name_is_the_same_in_every_process() -> None:
    """Else the workers of pytest-xdist disagree about which tests there are."""
    for value in (object(), iter([]), [memoryview(b"")], slice(support.Index(1)), int.from_bytes):
        assert "0x" not in support.name(value)
    assert support.name(object()) == "<object object>"
