"""Draws the pictures of the command line: what `ls`, `doctor` and `top` show of some objects.

    unshare --ipc python tools/pictures.py docs/img

It makes the objects, so it wants an IPC namespace of its own.
"""

import asyncio
import contextlib
import functools
import io
import os
import pty
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import sysv_ipc_rs as ipc
from rich.console import Console
from rich.text import Text
from sysv_ipc_rs import system
from sysv_ipc_rs.cli.top._app import Top

WIDTH, HEIGHT = 100, 20
WWW_DATA = 33


class Scene:
    """Objects of a busy machine, and the processes that use them."""

    def __init__(self) -> None:
        self._children: list[int] = []

    def __enter__(self) -> "Scene":
        self._queues()
        self._semaphores()
        self._memory()
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def _child(self, act: Callable[[], object]) -> int:
        pid = os.fork()
        if pid:
            self._children.append(pid)
            return pid
        with contextlib.suppress(BaseException):
            act()
        os._exit(0)

    def _gone(self, act: Callable[[], object]) -> None:
        os.waitpid(self._child(act), 0)
        self._children.pop()

    def _queues(self) -> None:
        for name, kilobytes in (("orders", 15), ("mail", 9), ("audit", 2)):
            queue = ipc.MessageQueue.create(ipc.key_from_name(name), mode=0o660)
            queue.send_many([bytes(1000)] * kilobytes)
        jobs = ipc.MessageQueue.create(ipc.key_from_name("jobs"), mode=0o666)
        jobs.chown(WWW_DATA, WWW_DATA)

        def busy() -> None:
            number = 0
            while True:
                number += 1
                jobs.send(bytes(200))
                if number % 4 == 0:
                    jobs.receive_many(3)
                time.sleep(0.05)

        self._child(busy)
        idle = ipc.MessageQueue.create(ipc.key_from_name("idle"))
        self._child(idle.receive)

    def _semaphores(self) -> None:
        lock = ipc.SemaphoreSet.create(ipc.key_from_name("lock"), values=[1])
        self._gone(lock[0].acquire)
        for _ in range(2):
            self._child(lock[0].acquire)
        for number in range(3):
            ipc.SemaphoreSet.create(0x0052E2C1 + number, size=17, values=[1] * 17)

    def _memory(self) -> None:
        cache = ipc.SharedMemory.create(ipc.key_from_name("cache"), size=64 << 20, mode=0o640)
        pool = ipc.SharedMemory.create(0x0052E2C1, size=56)

        def use(memory: ipc.SharedMemory) -> None:
            with memory.attach() as attachment:
                attachment.fill(1)
                signal.pause()

        for memory in (cache, cache, pool):
            self._child(functools.partial(use, memory))
        self._gone(lambda: ipc.SharedMemory.create(size=8 << 20))


def shown(*arguments: str) -> str:
    """What the command writes to a terminal."""
    pid, terminal = pty.fork()
    if not pid:
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
        command = [sys.executable, "-m", "sysv_ipc_rs", *arguments]
        os.execve(sys.executable, command, environment)
    text = b""
    with contextlib.suppress(OSError):  # at its end
        while some := os.read(terminal, 1 << 16):
            text += some
    os.waitpid(pid, 0)
    os.close(terminal)
    return text.decode().replace("\r\n", "\n")


def of_command(*arguments: str) -> str:
    """A picture of a run, as wide as its lines are."""
    text = Text.from_ansi(shown(*arguments).rstrip())
    command = Text.assemble(("$ ", "bold green"), (" ".join(("sysv-ipc", *arguments)), "bold"))
    width = max(map(len, [*text.plain.splitlines(), command.plain])) + 1
    console = Console(width=width, record=True, file=io.StringIO(), force_terminal=True)
    console.print(command)
    console.print(text)
    return console.export_svg(title=f"sysv-ipc {arguments[0]}")


async def of_top() -> str:
    """A picture of `top`, after a while."""
    app = Top(0.5)
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        await asyncio.sleep(2)
        await pilot.press("down", "down")
        return app.export_screenshot()


def plain(svg: str, name: str) -> str:
    """Needs no fonts from elsewhere, keeps its spaces, and differs only where the content does."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
    svg = re.sub(r"terminal-\d+", f"sysv-ipc-{name}", svg)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE).rstrip("\n") + "\n"


def pictures() -> Iterator[tuple[str, str]]:
    """Each name, and the picture."""
    yield "ls", of_command("ls")
    yield "doctor", of_command("doctor")
    yield "top", asyncio.run(of_top())


def main(folder: Path) -> None:
    """Write them all."""
    if any(system.usage()._asdict().values()):
        sys.exit("others' objects are here: run it below unshare --ipc")
    with Scene():
        for name, picture in pictures():
            (folder / f"{name}.svg").write_text(plain(picture, name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
