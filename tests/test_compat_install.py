"""`compat.install()`: code of others that imports `sysv_ipc` gets the drop-in."""

import sys

import pytest
import support

INSTALL = "import sysv_ipc_rs.compat as compat; compat.install(); "


def test_what_is_imported_from_then_on_is_the_drop_in() -> None:
    code = "import sysv_ipc; from sysv_ipc import BusyError; print(sysv_ipc is compat)"
    assert support.python_prints(INSTALL + code) == "True\n"


def test_a_second_time_changes_nothing() -> None:
    assert support.python_prints(INSTALL + "compat.install(); print('fine')") == "fine\n"


def test_without_it_the_name_is_left_alone() -> None:
    code = "import sys, sysv_ipc_rs.compat; print('sysv_ipc' in sys.modules)"
    assert support.python_prints(code) == "False\n"


def test_it_refuses_when_the_real_one_is_in_use_and_says_where_it_is_from() -> None:
    real = pytest.importorskip("sysv_ipc", reason="needs the real sysv_ipc")
    ended = support.run_python(f"import sysv_ipc; {INSTALL}")
    assert ended.returncode == 1
    assert "RuntimeError: the real sysv_ipc has been imported already" in ended.stderr
    assert str(real.__file__) in ended.stderr
    assert sys.modules["sysv_ipc"] is real


def test_the_star_brings_every_name() -> None:
    code = "from sysv_ipc import *; print(Semaphore is compat.Semaphore, IPC_CREX, VERSION)"
    assert support.python_prints(INSTALL + code) == "True 1536 1.2.0\n"


def test_pickles_name_the_module_itself() -> None:
    code = """
import pickle, sysv_ipc
print(pickle.loads(pickle.dumps(sysv_ipc.Semaphore)) is sysv_ipc.Semaphore)
error = pickle.loads(pickle.dumps(sysv_ipc.BusyError(11, "busy")))
print(type(error).__name__, error, error.errno)
"""
    assert support.python_prints(INSTALL.strip() + code) == "True\nBusyError busy 11\n"
