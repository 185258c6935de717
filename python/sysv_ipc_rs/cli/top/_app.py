"""The application: samples come from a thread, keys and the mouse change what is shown of them."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import ClassVar

import click
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Footer, Input

from .. import rm, show
from .._format import field_text, process_text, processes_text
from .._fullness import percent
from . import KEYS
from ._columns import FULL, matches, sort
from ._sample import Row, Sample, Sampler
from ._screens import CSS, Details, Question, Window
from ._summary import Summary, namespace_title
from ._table import Headings, Objects

SHORTEST, LONGEST = 0.1, 60.0
ENDING = (signal.SIGTERM, signal.SIGHUP)


class Top(App[None]):
    """Shows the objects until it is told to quit."""

    CSS = f"""
    {CSS}
    #filter {{ display: none; height: 1; border: none; padding: 0 1; background: $panel; }}
    #filter.shown {{ display: block; }}
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "sort(-1)", show=False),
        Binding("right", "sort(1)", "Sort", key_display="←→"),
        Binding("r", "reverse", "Reverse"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("escape", "no_filter", "No filter"),
        Binding("delete,d", "remove", "Remove", key_display="Del"),
        Binding("space", "pause", "Pause", key_display="Space"),
        Binding("plus,equals_sign", "interval(0.5)", show=False),
        Binding("minus", "interval(2)", show=False),
        Binding("question_mark,f1,h", "keys", "Keys", key_display="?"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "interrupt", show=False, priority=True),
    ]

    class Taken(Message):
        """A sample is there, or what went wrong."""

        def __init__(self, sample: Sample | OSError) -> None:
            super().__init__()
            self.sample = sample

    def __init__(self, interval: float = 1.0, by: str = FULL, words: str = "") -> None:
        super().__init__()
        self.title = "sysv-ipc top"
        self._interval = interval
        self._by, self._reverse, self._words = by, False, words
        self._summary, self._headings, self._objects = Summary(), Headings(), Objects()
        self._line = Input(placeholder="filter", id="filter", select_on_focus=False)
        self._sample: Sample | None = None
        self._paused = False
        self._wake = threading.Event()
        self._sampler = threading.Thread(target=self._take, name="sampler", daemon=True)

    def compose(self) -> ComposeResult:
        """Summary, table, keys."""
        yield self._summary
        yield self._headings
        yield self._objects
        yield self._line
        footer = Footer()
        footer.compact = True
        yield footer

    def on_mount(self) -> None:
        """Begin to look; end well however we are ended."""
        self._headings.by = self._by
        self._line.value = self._words
        self._line.set_class(bool(self._words), "shown")
        self._objects.focus()
        self._summary.show(None, namespace_title())
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                asyncio.get_running_loop().add_signal_handler(number, self._end, 128 + number)
        self._sampler.start()

    def on_unmount(self) -> None:
        """The thread ends after the sample that it takes."""
        self._interval = 0
        self._wake.set()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Which keys are told, and work, now."""
        typing = self.focused is self._line
        if action == "no_filter":
            return typing or bool(self._words)
        return not typing or action in {"interrupt", "quit"}

    # Samples

    def _take(self) -> None:
        """The thread: look, tell, wait."""
        sampler = Sampler()
        while self._interval:
            self._end_without_terminal()
            begin = time.monotonic()
            if not self._paused:
                try:
                    taken: Sample | OSError = sampler.take()
                except OSError as error:
                    taken = error
                if not self.post_message(self.Taken(taken)):
                    return
            # Where a look takes long, it is no more than half of all that this thread does.
            took = time.monotonic() - begin
            self._wake.wait(max(self._interval - took, took))
            self._wake.clear()

    def on_top_taken(self, message: Taken) -> None:
        """Show it, unless the user has paused meanwhile."""
        if isinstance(message.sample, OSError):
            self.notify(str(message.sample), severity="error", markup=False)
        elif not self._paused:
            self._sample = message.sample
            self._show()
            # At the end there is no screen.
            for screen in self.screen_stack[-1:]:
                if isinstance(screen, Details):
                    self._look(screen)

    def _show(self) -> None:
        if self._sample is None:
            return
        everything: Sequence[Row] = self._sample.rows
        rows = everything
        if words := self._words.split():
            rows = [row for row in everything if matches(row, words)]
        self._objects.show(sort(rows, self._by, self._reverse))
        shown = f"{len(rows)} of {len(everything)}" if words else f"{len(everything)}"
        state = "paused" if self._paused else f"every {self._interval:g} s"
        self._summary.show(self._sample, f"{namespace_title()} · {shown} objects · {state}")

    # Order and filter

    def on_headings_chosen(self, message: Headings.Chosen) -> None:
        """Sort by it; by the same again, in reverse."""
        self._reverse = message.heading == self._by and not self._reverse
        self._sort_by(message.heading)

    def action_sort(self, step: int) -> None:
        """Sort by a column beside."""
        shown = [placed.column.heading for placed in self._headings.placed]
        index = shown.index(self._by) if self._by in shown else 0
        self._reverse = False
        self._sort_by(shown[(index + step) % len(shown)])

    def action_reverse(self) -> None:
        """The other way round."""
        self._reverse = not self._reverse
        self._sort_by(self._by)

    def _sort_by(self, heading: str) -> None:
        self._by = self._headings.by = heading
        self._headings.reverse = self._reverse
        self._show()

    def action_filter(self) -> None:
        """Ask for words."""
        self._line.add_class("shown")
        self._line.focus()

    def action_no_filter(self) -> None:
        """Show all again."""
        self._line.clear()
        self._line.remove_class("shown")
        self._objects.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._words = event.value
        self.refresh_bindings()
        self._show()

    def on_input_submitted(self) -> None:
        """Back to the table; the filter stays."""
        self._line.set_class(bool(self._words.split()), "shown")
        self._objects.focus()

    # Time

    def action_pause(self) -> None:
        """Let what is shown stand still, or go on."""
        self._paused = not self._paused
        self._wake.set()
        self._show()

    def action_interval(self, factor: float) -> None:
        """Look more or less often."""
        self._interval = min(max(self._interval * factor, SHORTEST), LONGEST)
        self._wake.set()
        self._show()

    # One object

    def on_objects_chosen(self, message: Objects.Chosen) -> None:
        """Open its details."""
        screen = Details(message.row, "…")
        self.push_screen(screen)
        self._look(screen)

    def _look(self, screen: Details) -> None:
        self.run_worker(lambda: self._tell(screen), thread=True, exclusive=True, group="details")

    def _tell(self, screen: Details) -> None:
        """In a thread: what there is to tell may be much."""
        text = details(screen.row)
        if screen.is_attached:
            self.call_from_thread(screen.show, text)

    def action_remove(self) -> None:
        """Ask, then remove it if it still is the same."""
        row = self._objects.row
        if row is None:
            return

        def answered(remove: bool | None) -> None:
            if remove:
                self.run_worker(lambda: self._remove(row), thread=True, group="remove")

        self.push_screen(Question(row, warning(row)), answered)

    def _remove(self, row: Row) -> None:
        """In a thread: to remove a large segment takes a while."""
        what = f"{row.kind} {row.stat.id}"
        try:
            rm.remove(rm.Candidate(row.stat, ""))
        except (OSError, click.ClickException) as error:
            text = error.message if isinstance(error, click.ClickException) else str(error)
            self.call_from_thread(self.notify, text, severity="error", markup=False)
        else:
            self.call_from_thread(self.notify, f"removed {what}")
        self._wake.set()

    # The rest

    def action_keys(self) -> None:
        """Tell the keys."""
        self.push_screen(Window("Keys and columns", KEYS))

    def action_interrupt(self) -> None:
        """Ctrl-C."""
        self._end(130)

    def _end(self, status: int) -> None:
        self._end_without_terminal()
        self.exit(return_code=status)

    def _end_without_terminal(self) -> None:
        """Where the terminal is gone nothing can be put back, and textual would wait for ever."""
        if not self.is_headless and not os.isatty(2):
            os._exit(128 + signal.SIGHUP)


def warning(row: Row) -> str:
    """Who will notice that it is removed."""
    others = [pid for pid in row.pids if pid != os.getpid()]
    if others:
        verb = "used" if row.attached else "waited on"
        return f"\n\nIt is {verb} by {processes_text(others)}."
    if row.attached or row.waiting:
        return "\n\nIt is used by processes that /proc does not show."
    return ""


def details(row: Row) -> str:
    """All that can be told of an object, as text."""
    try:
        handle = row.kind.handle.from_id(row.stat.id)
        stat = handle.stat()
        more = show.details(handle)
    except OSError as error:
        return str(error)
    lines = [
        *((name.replace("_", " "), _names(more[name])) for name in more if name in PROCESSES),
        ("full", percent(row.full)),
        *((field, field_text(stat, field)) for field in stat._asdict()),
    ]
    width = max(len(name) for name, _ in lines) + 2
    texts = [f"{name:<{width}}{value}" for name, value in lines]
    for name in more.keys() - PROCESSES:
        values = more[name]
        texts += ["", name, *(["  may not be seen"] if values is None else map(_fields, values))]
    return "\n".join(texts)


PROCESSES = {"waiting_processes", "attached_processes"}


def _names(pids: list[int] | None) -> str:
    if pids is None:
        return "may not be seen"
    return ", ".join(map(process_text, pids)) or "none"


def _fields(values: dict[str, int]) -> str:
    return "  " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())
