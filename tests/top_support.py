"""What the tests of `sysv-ipc top` share: textual's pilot, and how the screen reads."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
import sysv_ipc_rs as ipc

pytest.importorskip("textual")

from sysv_ipc_rs.cli.top._app import Top
from textual.pilot import Pilot

T = TypeVar("T")
Act = Callable[[Top, Pilot[None]], Awaitable[T]]


def drive(
    act: Act[T], *, size: tuple[int, int] = (120, 24), interval: float = 0.1, words: str = ""
) -> T:
    """Run it with a pilot, from the first sample on."""

    async def run() -> T:
        app = Top(interval, words=words)
        app.animation_level = "none"
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app._sample)
            return await act(app, pilot)

    return asyncio.run(run())


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    """Let it run until this is so."""
    deadline = time.monotonic() + 30
    while True:
        await pilot.pause()
        if condition():
            return
        assert time.monotonic() < deadline, f"never came: {condition}; {screen(pilot.app)}"
        await asyncio.sleep(0.01)


async def again(app: Top, pilot: Pilot[None], times: int = 1) -> None:
    """Until a sample that was begun after now is shown."""
    for _ in range(times + 1):
        before = app._sample
        await until(pilot, lambda: app._sample is not before)  # noqa: B023 - called at once


def screen(app: object) -> str:
    """What is seen, as text."""
    assert isinstance(app, Top)
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    assert len(lines) == height
    texts = ["".join(segment.text for segment in line) for line in lines]
    assert {len(text) for text in texts} == {width}, "no line is cut or too long"
    return "\n".join(texts)


def table(app: Top) -> list[list[str]]:
    """The words of each row that is seen."""
    lines = [app._objects.render_line(y).text for y in range(app._objects.size.height)]
    return [line.split() for line in lines if line.strip()]


def ids(app: Top) -> list[str]:
    return [words[1] for words in table(app)]


def notices(app: Top) -> str:
    return "; ".join(notice.message for notice in app._notifications)


def fill(queue: ipc.MessageQueue, percent: int) -> None:
    """A queue of 100 bytes."""
    queue.send(b"x" * percent)


def make_queues(*percents: int) -> list[ipc.MessageQueue]:
    queues = [ipc.MessageQueue.create(max_bytes=100) for _ in percents]
    for queue, percent in zip(queues, percents, strict=True):
        fill(queue, percent)
    return queues
