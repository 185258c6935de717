"""Runs `sysv-ipc`: in this process, which is quick, or as a program."""

import contextlib
import io
import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from unittest import mock

import pytest

pytest.importorskip("click")

from sysv_ipc_rs.cli import main

SYSV_IPC = [sys.executable, "-m", "sysv_ipc_rs"]


class Outcome(NamedTuple):
    """How a run ended."""

    status: int
    data: bytes
    stderr: str

    @property
    def stdout(self) -> str:
        return self.data.decode()

    @property
    def json(self) -> Any:
        """What it told; it must have ended well."""
        assert (self.status, self.stderr) == (0, "")
        return json.loads(self.data)


def call(*arguments: object, data: bytes = b"") -> Outcome:
    """In this process: no terminal, and `data` on stdin."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    stdin = io.TextIOWrapper(io.BytesIO(data))
    with (
        mock.patch.object(sys, "stdin", stdin),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = main([str(argument) for argument in arguments])
    assert isinstance(out.buffer, io.BytesIO)
    return Outcome(status, out.buffer.getvalue(), err.getvalue())


def told(*arguments: object, data: bytes = b"") -> str:
    """Its stdout; it must end well, and say nothing else."""
    outcome = call(*arguments, data=data)
    assert (outcome.status, outcome.stderr) == (0, "")
    return outcome.stdout


def error(*arguments: object, status: int, data: bytes = b"") -> str:
    """Its one line on stderr, without the command's name; it must end with this status."""
    outcome = call(*arguments, data=data)
    assert outcome.status == status, outcome
    assert outcome.stderr.count("\n") == 1, outcome.stderr
    name, line = outcome.stderr.rstrip("\n").split(": ", 1)
    assert name.startswith("sysv-ipc")
    return line


def program(*arguments: object, **options: Any) -> "subprocess.Popen[bytes]":
    """As a process of its own, with pipes unless told otherwise."""
    command = [*SYSV_IPC, *map(str, arguments)]
    # What is buffered can fail to be written as late as at the interpreter's end.
    environment = {**os.environ, "PYTHONUNBUFFERED": "", **options.pop("env", {})}
    pipes = {name: options.pop(name, subprocess.PIPE) for name in ("stdin", "stdout", "stderr")}
    return subprocess.Popen(command, env=environment, **pipes, **options)


def run_program(*arguments: object, data: bytes = b"", **options: Any) -> Outcome:
    """As `program`, until it has ended."""
    process = program(*arguments, **options)
    out, err = process.communicate(data if process.stdin else None, timeout=60)
    return Outcome(process.returncode, out or b"", (err or b"").decode())


@contextmanager
def at_terminal(
    *arguments: object, **environment: str
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """The command at a terminal of its own, and the descriptor of its other side."""
    ours, theirs = pty.openpty()
    streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    process = program(*arguments, **streams, env=environment, start_new_session=True)
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, text: str) -> str:
    """What is shown until that is; all that is left for an empty text."""
    shown = ""
    with suppress(OSError):
        while not text or text not in shown:
            assert select.select([terminal], [], [], 60)[0], shown
            shown += os.read(terminal, 4096).decode()
    return shown
