"""The columns of the table: what they show, how wide, in which order they sort."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .._format import key_text, mode_text
from .._fullness import percent
from .._objects import SEGMENT
from ._sample import UNITS, Row

BLOCKS = " ▏▎▍▌▋▊▉█"
TRACK = "─"
GAP = 1


class Column(NamedTuple):
    """One column."""

    heading: str
    width: int
    text: Callable[[Row], str]
    order: Callable[[Row], Any]
    """By what it sorts."""
    right: bool = False
    """Numbers stand to the right; they sort from the greatest."""
    needs: int = 0
    """Shown where the table is so wide."""
    grows: int = 0
    """How many columns more it takes, where there is room."""


def amount_text(row: Row) -> str:
    """Messages, bytes or semaphores."""
    if row.kind is SEGMENT:
        return size_text(row.amount)
    return f"{row.amount} {UNITS[row.kind]}"


def size_text(size: int) -> str:
    """Bytes in the largest unit of which there is one; three digits or four."""
    if size < 1024:
        return f"{size} B"
    number = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        number /= 1024
        if number < 1023.95:
            return f"{number:.1f} {unit}" if number < 99.95 else f"{number:.0f} {unit}"
    return f"{number:.0f} EiB"


def age_text(row: Row) -> str:
    """How long ago it was last used."""
    if row.used == 0:
        return "never"
    age = max(0, int(time.time()) - row.used)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if age >= size:
            return f"{age // size}{unit}"
    return f"{age}s"


def bar(share: float, width: int) -> tuple[str, str]:
    """The full part of a bar, in eighths of a character, and the rest of it."""
    eighths = min(round(share * width * 8), width * 8)
    full = BLOCKS[8] * (eighths // 8) + BLOCKS[eighths % 8].strip()
    return full, TRACK * (width - len(full))


def bar_style(share: float) -> str:
    """Green, yellow, red: as `doctor` warns."""
    return "red" if share >= 0.95 else "yellow" if share > 0.8 else "green"


FULL = "full"
COLUMNS = (
    Column("kind", 7, lambda row: row.kind.word, lambda row: row.kind.word),
    Column("id", 7, lambda row: str(row.stat.id), lambda row: row.stat.id, right=True, grows=3),
    Column("key", 10, lambda row: key_text(row.stat.key), lambda row: row.stat.key & 0xFFFFFFFF),
    Column("owner", 8, lambda row: row.owner, lambda row: row.owner, grows=8),
    Column("mode", 4, lambda row: mode_text(row.stat.mode), lambda row: row.stat.mode, needs=100),
    Column(FULL, 14, lambda row: percent(row.full), lambda row: row.full, True, grows=30),
    Column("size", 8, amount_text, lambda row: row.amount, True, grows=3),
    Column("wait", 4, lambda row: str(row.waiting or ""), lambda row: row.waiting, True),
    Column("att", 3, lambda row: str(row.attached or ""), lambda row: row.attached, True, grows=2),
    Column("change", 10, lambda row: row.change, lambda row: row.change, grows=14),
    Column("used", 5, age_text, lambda row: row.used, True, needs=100),
    Column(
        "processes",
        12,
        lambda row: " ".join(map(str, row.pids)),
        lambda row: len(row.pids),
        needs=120,
        grows=200,
    ),
)


class Placed(NamedTuple):
    """A column where it stands."""

    column: Column
    start: int
    width: int


@functools.cache
def place(width: int) -> list[Placed]:
    """The columns that a table of this width has."""
    shown = [column for column in COLUMNS if column.needs <= width]
    room = width - 2 - sum(column.width + GAP for column in shown) + GAP
    more = {}
    for column in sorted(shown, key=lambda column: column.grows):
        more[column.heading] = min(column.grows, max(room, 0))
        room -= more[column.heading]
    placed, start = [], 1
    for column in shown:
        size = column.width + more[column.heading]
        placed.append(Placed(column, start, size))
        start += size + GAP
    return placed


def sort(rows: Sequence[Row], heading: str, reverse: bool) -> list[Row]:
    """Numbers from the greatest and texts from the first, or the reverse."""
    column = next(column for column in COLUMNS if column.heading == heading)
    down = (column.right or heading in ("change", "processes")) != reverse
    return sorted(rows, key=column.order, reverse=down)


def matches(row: Row, words: Sequence[str]) -> bool:
    """Whether each word is found in what the row shows; a number, only as a whole id or pid."""
    return all(_has_number(row, word) if word.isdigit() else _has(row, word) for word in words)


def _has_number(row: Row, word: str) -> bool:
    number = int(word)
    return number == row.stat.id or number in row.pids


def _has(row: Row, word: str) -> bool:
    # The costly ones last: this is asked of every row.
    return (
        word in row.kind.name
        or word in row.kind.word
        or word in row.change
        or word in row.owner
        or word in key_text(row.stat.key)
    )
