"""A chronyd for the tests: it has nothing but a segment, and leaves the system's clock alone."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import sysv_ipc_rs as ipc
from programs import Peer, program


@contextmanager
def only_ours(unit: int) -> Iterator[None]:
    """The test is skipped where another has the unit's segment; what it leaves is removed."""
    key = 0x4E545030 + unit
    with suppress(ipc.NotFoundError):
        ipc.SharedMemory.open(key)
        pytest.skip(f"unit {unit} is in use here, and this IPC namespace is not ours alone")
    try:
        yield
    finally:
        with suppress(ipc.NotFoundError):
            ipc.SharedMemory.open(key).remove()


@contextmanager
def chronyd(refclock: str) -> Iterator[tuple[Path, Callable[[], str]]]:
    """Runs one with this line; gives the folder of its logs, and what lists its sources."""
    # For its socket: short, and for its user alone.
    folder = Path(tempfile.mkdtemp(prefix="chrony"))
    socket = folder / "chronyd.sock"
    configuration = folder / "chrony.conf"
    configuration.write_text(
        f"{refclock}\nport 0\ncmdport 0\nbindcmdaddress {socket}\npidfile {folder / 'pid'}\n"
        f"logdir {folder}\nlog rawmeasurements refclocks\n"
    )
    user = pwd.getpwuid(os.geteuid()).pw_name
    server_command = [program("chronyd"), "-d", "-x", "-U", "-u", user, "-f", str(configuration)]
    command = [program("chronyc"), "-h", str(socket), "-n", "-c", "sources"]

    def sources() -> str:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        return told.stdout

    try:
        with Peer(*server_command) as server:
            try:
                yield folder, sources
            except AssertionError as error:
                error.add_note(server.errors())
                raise
    finally:
        shutil.rmtree(folder)
