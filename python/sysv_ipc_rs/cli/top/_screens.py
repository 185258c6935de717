"""What opens above the table: details of an object, a question, the keys."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from .._format import key_text
from ._sample import Row

CSS = """
ModalScreen { align: center middle; background: $background 60%; }
.window {
    width: auto; max-width: 90%; height: auto; max-height: 90%;
    border: round $primary; background: $surface; padding: 0 1;
}
.window VerticalScroll { width: auto; height: auto; max-height: 70vh; scrollbar-size-vertical: 1; }
.window Static { width: auto; }
.window Horizontal { width: 100%; height: auto; align-horizontal: right; margin-top: 1; }
.window Button { margin-left: 2; min-width: 10; }
"""


class Window(ModalScreen[bool]):
    """Text in a frame, which is closed by a key or the button."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,f1,question_mark", "close", "Close"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        """The text, and the button."""
        with Vertical(classes="window") as window:
            window.border_title = self._title
            with VerticalScroll():
                yield Static(self._text, markup=False, id="text")
            with Horizontal():
                yield Button("Close", id="close", compact=True)

    def show(self, text: str) -> None:
        """Show another text."""
        self.query_one("#text", Static).update(text)

    def action_close(self) -> None:
        """Back to the table."""
        self.dismiss(False)

    def on_button_pressed(self) -> None:
        """The only button."""
        self.action_close()


class Details(Window):
    """All of one object."""

    def __init__(self, row: Row, text: str) -> None:
        super().__init__(f"{row.kind} {row.stat.id}", text)
        self.row = row


class Question(ModalScreen[bool]):
    """Whether to remove an object; nothing but a yes is one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Remove"),
        Binding("n,escape,q", "answer(False)", "Keep"),
        Binding("left,right,up,down", "app.focus_next", show=False),
    ]

    def __init__(self, row: Row, warning: str) -> None:
        super().__init__()
        self._row, self._warning = row, warning

    def compose(self) -> ComposeResult:
        """The question and both answers, of which the harmless one has the focus."""
        row = self._row
        with Vertical(classes="window") as window:
            window.border_title = "Remove"
            about = f"key {key_text(row.stat.key)}, owner {row.owner}"
            text = f"Remove {row.kind} {row.stat.id}?\n\n{about}{self._warning}"
            yield Static(text, markup=False)
            with Horizontal():
                yield Button("Keep", id="keep", compact=True)
                yield Button("Remove", id="remove", variant="error", compact=True)

    def on_mount(self) -> None:
        """Enter alone removes nothing."""
        self.query_one("#keep").focus()

    def action_answer(self, remove: bool) -> None:
        """That is the answer."""
        self.dismiss(remove)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of the two."""
        self.dismiss(event.button.id == "remove")
