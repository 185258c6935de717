"""`sysv-ipc top` in a real pseudo-terminal: it is seen, answers, and leaves all as it was."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from cli_support import SYSV_IPC, error

pytest.importorskip("textual")

COMMAND = [*SYSV_IPC, "top", "--interval", "0.2"]
CLICK = "\x1b[<0;{x};{y}M\x1b[<0;{x};{y}m"
WHEEL_DOWN = "\x1b[<65;10;10M"
# What it switches on, and has to switch off: the other screen, the mouse, pasted text.
MODES = (1049, 1000, 1003, 1006, 2004)


class Terminal:
    """A process in a terminal of its own."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.pid, self._master = pty.fork()
        if not self.pid:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
                environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
                environment.pop("NO_COLOR", None)
                os.execve(sys.executable, COMMAND, environment)
            finally:
                os._exit(127)
        self.output = ""
        self.status: int | None = None

    @property
    def settings(self) -> list[Any]:
        return termios.tcgetattr(self._master)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def read(self) -> None:
        """What it has written since, if anything comes soon."""
        if select.select([self._master], [], [], 0.05)[0]:
            # The other side is closed when it has ended.
            with contextlib.suppress(OSError):
                self.output += os.read(self._master, 1 << 16).decode(errors="replace")

    def until(self, text: str) -> None:
        """Read until it has written this, since `forget`."""
        deadline = time.monotonic() + 30
        while text not in self.plain():
            assert time.monotonic() < deadline, f"never came: {text!r} in {self.plain()[-2000:]!r}"
            assert self.running(), self.output
            self.read()

    def forget(self) -> None:
        """As if it had written nothing yet."""
        self.output = ""

    def plain(self) -> str:
        """What it has written, without the codes between."""
        return re.sub(r"\x1b\[[0-9;?<>=$]*[a-zA-Z]", "", self.output)

    def running(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def end(self) -> int:
        """Read until it has ended; the status."""
        deadline = time.monotonic() + 30
        while self.running():
            assert time.monotonic() < deadline, "has not ended"
            self.read()
        self.read()
        assert self.status is not None
        return self.status

    def hang_up(self) -> None:
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self.running():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._master >= 0:
            os.close(self._master)

    def is_left_as_it_was(self) -> None:
        for mode in MODES:
            on, off = self.output.rfind(f"\x1b[?{mode}h"), self.output.rfind(f"\x1b[?{mode}l")
            assert off > on, f"mode {mode} is left on"
        assert self.output.rfind("\x1b[?25h") > self.output.rfind("\x1b[?25l"), "no cursor"
        assert "Traceback" not in self.output


@pytest.fixture
def terminal(queue: ipc.MessageQueue) -> Iterator[Terminal]:
    """One in which `top` shows a queue."""
    queue.send(b"x" * 8000)
    made = Terminal()
    try:
        made.until("48%")
        made.until("q Quit")
        yield made
    finally:
        made.close()


def test_it_shows_what_there_is_and_quits_clean() -> None:
    queue = ipc.MessageQueue.create(0xFEED)
    queue.send(b"x" * 8000)
    made = Terminal()
    try:
        before = made.settings
        made.until("0x0000feed")
        made.until("q Quit")
        assert made.settings != before
        queue.receive()
        made.until("-1 msg")
        made.type("q")
        assert made.end() == 0
        assert made.settings == before
        made.is_left_as_it_was()
    finally:
        made.close()
        queue.remove()


def test_ctrl_c_ends_it_clean(terminal: Terminal) -> None:
    terminal.type("\x03")
    assert terminal.end() == 130
    terminal.is_left_as_it_was()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_ends_it_clean(terminal: Terminal, number: signal.Signals) -> None:
    os.kill(terminal.pid, number)
    assert terminal.end() == 128 + number
    terminal.is_left_as_it_was()


def test_a_terminal_that_is_gone_ends_it(terminal: Terminal) -> None:
    terminal.hang_up()
    support.wait_for(lambda: not terminal.running(), "its end")


def test_it_can_be_stopped_and_go_on(terminal: Terminal) -> None:
    os.kill(terminal.pid, signal.SIGTSTP)
    while support.state(terminal.pid) != "T":
        terminal.read()
    while select.select([terminal._master], [], [], 0)[0]:
        terminal.read()
    terminal.is_left_as_it_was()
    terminal.forget()
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.until("48%")
    terminal.type("q")
    assert terminal.end() == 0
    terminal.is_left_as_it_was()


def test_a_mouse_works(terminal: Terminal, queue: ipc.MessageQueue) -> None:
    row = CLICK.format(x=5, y=6)
    terminal.type(WHEEL_DOWN + row + row)
    terminal.until("waiting processes")
    terminal.forget()
    terminal.type("q")
    terminal.until("full▼")  # what was below the window
    terminal.type("d")
    terminal.until(f"Remove message queue {queue.id}?")
    terminal.type("y")
    terminal.until("removed message queue")
    with pytest.raises(ipc.RemovedError):
        queue.stat()


def test_it_follows_the_size_of_the_terminal(terminal: Terminal) -> None:
    assert "processes" not in terminal.plain()
    fcntl.ioctl(terminal._master, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
    terminal.until("processes")


def test_without_a_terminal_it_says_so_in_one_line() -> None:
    assert "needs a terminal" in error("top", status=1)
