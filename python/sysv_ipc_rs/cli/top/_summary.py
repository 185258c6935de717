"""The lines above the table: all objects together, beside their limits."""

import time
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from ... import system
from .._fullness import percent
from .._objects import KINDS, QUEUE, SEGMENT, SET, Kind
from ._columns import bar, bar_style, size_text
from ._sample import Sample

LIMITS = {QUEUE: "msgmni", SEGMENT: "shmmni", SET: "semmni"}
BAR = 10


class Summary(Widget):
    """A line about the sample, and one a kind."""

    DEFAULT_CSS = """
    Summary { height: 4; background: $surface; color: $foreground; }
    Summary > .summary--title { background: $primary; color: $text; text-style: bold; }
    Summary > .summary--track { color: $foreground 20%; }
    Summary > .summary--green { color: $success; }
    Summary > .summary--yellow { color: $warning; }
    Summary > .summary--red { color: $error; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"summary--{name}" for name in ("title", "track", "green", "yellow", "red")
    }
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._sample: Sample | None = None
        self._title = ""

    def show(self, sample: Sample | None, title: str) -> None:
        """Show this; `title` stands to the left, the time to the right."""
        if self._look_of(sample, title) != self._look_of(self._sample, self._title):
            self.refresh()
        self._sample, self._title = sample, title

    def _look_of(self, sample: Sample | None, title: str) -> tuple[object, ...]:
        return (title, *((int(sample.time), sample.limits, sample.usage) if sample else ()))

    def render_line(self, y: int) -> Strip:
        """The title, or a kind."""
        width = self.size.width
        if y == 0:
            style = self.get_component_rich_style("summary--title")
            clock = time.strftime("%H:%M:%S", time.localtime(self._sample and self._sample.time))
            title = f" {self._title}"[: width - len(clock) - 2]
            return Strip([Segment(title.ljust(width - len(clock) - 1) + clock + " ", style)])
        if self._sample is None:
            return Strip.blank(width, self.rich_style)
        segments = self._kind(self._sample, KINDS[y - 1])
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def _kind(self, sample: Sample, kind: Kind) -> list[Segment]:
        used, limit = sample.limits[LIMITS[kind]]
        style = self.rich_style
        return [
            Segment(f" {kind.word + 's':<9}", style + Style(bold=True)),
            *self._bar(used / limit if limit else 1.0),
            Segment(f" {f'{used} of {limit}':<15} {self._more(sample, kind)}", style),
        ]

    def _bar(self, share: float) -> list[Segment]:
        full, rest = bar(share, BAR)
        return [
            Segment(full, self.get_component_rich_style(f"summary--{bar_style(share)}")),
            Segment(rest, self.get_component_rich_style("summary--track")),
            Segment(percent(share).rjust(5), self.rich_style),
        ]

    def _more(self, sample: Sample, kind: Kind) -> str:
        usage, limits = sample.usage, sample.limits
        if kind is QUEUE:
            return f"{usage.messages} messages of {size_text(usage.message_bytes)}"
        if kind is SET:
            return f"{usage.semaphores} of {limits['semmns'][1]} semaphores"
        told = f"{size_text(usage.segment_bytes)}, {size_text(usage.resident_bytes)} in memory"
        swapped = f", {size_text(usage.swapped_bytes)} swapped" if usage.swapped_bytes else ""
        return told + swapped


def namespace_title() -> str:
    """What is looked at."""
    return f"sysv-ipc top · namespace {system.ipc_namespace()}"
