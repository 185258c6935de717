"""The table of objects. Only the lines that are seen are ever drawn."""

import functools
from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from ._columns import FULL, Placed, age_text, bar, bar_style, place
from ._sample import Row

Look = tuple[Row, bool, str]


@functools.cache
def _on(color: Color | None) -> Style:
    return Style(bgcolor=color)


class Headings(Widget):
    """The heading words; a click on one sorts by it."""

    DEFAULT_CSS = """
    Headings { height: 1; background: $panel; color: $foreground; text-style: bold; }
    """
    ALLOW_SELECT = False

    by = reactive(FULL)
    reverse = reactive(False)

    class Chosen(Message):
        """A heading was clicked."""

        def __init__(self, heading: str) -> None:
            super().__init__()
            self.heading = heading

    @property
    def placed(self) -> list[Placed]:
        """The columns that there is room for."""
        return place(self.size.width)

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 - textual's signature
        """The one line."""
        style = self.rich_style
        segments = [Segment(" ", style)]
        for column, _, width in self.placed:
            chosen = column.heading == self.by
            text = column.heading + (("▲" if self.reverse else "▼") if chosen else "")
            text = text[:width]
            text = (
                text.rjust(width) if column.right and column.heading != FULL else text.ljust(width)
            )
            segments.append(Segment(text + " ", style + Style(reverse=True) if chosen else style))
        return Strip(segments).adjust_cell_length(self.size.width, style)

    def on_click(self, event: events.Click) -> None:
        """Sort by the column below the mouse."""
        for column, start, width in self.placed:
            if start <= event.x <= start + width:
                self.post_message(self.Chosen(column.heading))
                return


class Objects(ScrollView, can_focus=True, inherit_bindings=False):
    """The rows, one of which is under the cursor."""

    DEFAULT_CSS = """
    Objects { height: 1fr; background: $surface; color: $foreground; scrollbar-size-vertical: 1; }
    Objects > .objects--cursor { background: $primary 40%; color: $foreground; text-style: bold; }
    Objects > .objects--changed { color: $accent; }
    Objects > .objects--waiting { color: $warning; text-style: bold; }
    Objects > .objects--track { color: $foreground 20%; }
    Objects > .objects--green { color: $success; }
    Objects > .objects--yellow { color: $warning; }
    Objects > .objects--red { color: $error; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"objects--{name}"
        for name in ("cursor", "changed", "waiting", "track", "green", "yellow", "red")
    }
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Details"),
        *(
            Binding(key, f"move({by!r})", show=False)
            for key, by in (
                *(("down,j", "down"), ("up,k", "up"), ("pagedown", "page_down")),
                *(("pageup", "page_up"), ("home,g", "first"), ("end,G", "last")),
            )
        ),
    ]

    cursor: reactive[int] = reactive(0)

    class Chosen(Message):
        """Somebody wants to know more of an object."""

        def __init__(self, row: Row) -> None:
            super().__init__()
            self.row = row

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Row] = ()
        self._follows = False
        """Whether the cursor stays with its object; before it is first moved, it stays on top."""
        self._drawn: dict[int, Look | None] = {}
        """What makes the look of each line that is seen."""

    @property
    def row(self) -> Row | None:
        """That under the cursor."""
        return self.rows[self.cursor] if self.rows else None

    def show(self, rows: Sequence[Row]) -> None:
        """Show these; what looks as before is not drawn again."""
        old, self.rows = self.row, rows
        if len(rows) != self.virtual_size.height:
            self.virtual_size = Size(0, len(rows))
        index = self.cursor
        if old and self._follows:
            identity = old.identity
            index = next(
                (number for number, row in enumerate(rows) if row.identity == identity), index
            )
        self.cursor = max(0, min(index, len(rows) - 1))
        first = self.scroll_offset.y
        for y in range(first, first + self.size.height):
            if self._look_of(y) != self._drawn.get(y):
                self.refresh_line(y)

    def _look_of(self, index: int) -> Look | None:
        if index >= len(self.rows):
            return None
        row = self.rows[index]
        return row, index == self.cursor, age_text(row)

    def watch_cursor(self, old: int, new: int) -> None:
        """Draw both lines again."""
        for index in (old, new):
            self.refresh_line(index)

    def action_choose(self) -> None:
        """Tell that more is wanted of the object under the cursor."""
        if self.row:
            self.post_message(self.Chosen(self.row))

    def action_move(self, where: str) -> None:
        """Move the cursor, and have it seen."""
        page = max(1, self.size.height - 1)
        last = len(self.rows) - 1
        target = {
            "down": self.cursor + 1,
            "up": self.cursor - 1,
            "page_down": self.cursor + page,
            "page_up": self.cursor - page,
            "first": 0,
            "last": last,
        }[where]
        self._follows = True
        self.cursor = max(0, min(target, last))
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor there; twice: tell more of it."""
        index = self.scroll_offset.y + event.y
        if index < len(self.rows):
            self._follows = True
            self.cursor = index
            if event.chain == 2:
                self.action_choose()

    def render_line(self, y: int) -> Strip:
        """One line of what is seen."""
        width = self.size.width
        style = self.rich_style
        index = self.scroll_offset.y + y
        look = self._drawn[index] = self._look_of(index)
        if look is None:
            return Strip.blank(width, style)
        row, under, _ = look
        if under:
            style = self.get_component_rich_style("objects--cursor")
        segments = [Segment(" ", style)]
        for placed in place(width):
            segments += self._cell(row, placed, style)
            segments.append(Segment(" ", style))
        return Strip(segments).adjust_cell_length(width, style)

    def _cell(self, row: Row, placed: Placed, style: Style) -> Iterator[Segment]:
        def of(name: str) -> Style:
            own = self.get_component_rich_style(f"objects--{name}")
            return own + _on(style.bgcolor)

        column, _, width = placed
        text = column.text(row)
        if column.heading == FULL:
            full, rest = bar(row.full, width - 6)
            yield Segment(full, of(bar_style(row.full)))
            yield Segment(rest, of("track"))
            yield Segment(text.rjust(6), style)
            return
        if len(text) > width:
            text = text[: width - 1] + "…"
        if column.heading == "change" and text:
            style = of("changed")
        elif column.heading == "wait" and text:
            style = of("waiting")
        yield Segment(text.rjust(width) if column.right else text.ljust(width), style)
