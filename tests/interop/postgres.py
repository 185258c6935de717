"""A PostgreSQL server for the tests: in a folder of its own, on a unix socket there."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import support
from programs import program

Postmaster = subprocess.Popen[bytes]


def server_user() -> int | None:
    """Who runs the server, which refuses to be run by root."""
    if os.geteuid():
        return None
    try:
        uid = pwd.getpwnam("postgres").pw_uid
    except KeyError:
        uid = support.NOBODY
    if not support.may_become(uid):
        pytest.skip("needs to be no root, or one who can become another user")
    return uid


def run(*command: str, user: int | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@contextmanager
def initialised() -> Iterator[Path]:
    """A new data directory."""
    user = server_user()
    initdb = program("initdb")
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    try:
        if user is not None:
            os.chown(folder, user, user)
        data = folder / "data"
        made = run(initdb, "-D", str(data), "-N", "-A", "trust", "-U", "tester", user=user)
        _, errors = made.communicate(timeout=120)
        assert made.returncode == 0, errors.decode()
        yield data
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(data: Path) -> Iterator[Postmaster]:
    """A server that listens on a socket beside its data, and is ready."""
    switches = ["-D", str(data), "-k", str(data.parent), "-c", "listen_addresses=", "-F"]
    server = run(program("postgres"), *switches, user=server_user())
    try:
        support.wait_for(lambda: server.poll() is not None or is_ready(data, server), "it is ready")
        assert server.poll() is None, server.stderr and server.stderr.read().decode()
        yield server
    finally:
        server.send_signal(signal.SIGQUIT)
        try:
            server.communicate(timeout=30)
        finally:
            server.kill()
            server.wait()


def is_ready(data: Path, server: Postmaster) -> bool:
    with suppress(FileNotFoundError):
        lines = (data / "postmaster.pid").read_text().split()
        # It is made empty, and filled in steps.
        return (lines[:1], lines[-1:]) == ([str(server.pid)], ["ready"])
    return False
