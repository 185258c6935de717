"""What goes to stdout: text, JSON, bytes; tables where a person looks."""

import errno
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from ._status import OutputError


def is_terminal() -> bool:
    """Whether a person looks: colours and tables are for nobody else."""
    return sys.stdout is not None and sys.stdout.isatty()


def write(text: str) -> None:
    """Text to stdout, line breaks and all."""
    try:
        _stdout().write(text)
    except OSError as error:
        raise OutputError from error


def write_bytes(data: bytes) -> None:
    """Bytes to stdout as they are, now."""
    try:
        binary = _stdout().buffer
        binary.write(data)
        binary.flush()
    except OSError as error:
        raise OutputError from error


def flush() -> None:
    """What is written goes out now, or tells why it can't."""
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError as error:
            raise OutputError from error


def write_json(values: Iterable[Any]) -> None:
    """A list as JSON, one element a line."""
    import json  # noqa: PLC0415 - slow to import

    lines = ",\n".join(map(json.dumps, values))
    write(f"[\n{lines}\n]\n" if lines else "[]\n")


def write_table(headings: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Rows below headings: columns of text with two spaces between, or what rich makes of them.

    Where a person looks, numbers stand to the right.
    """
    texts = [[str(value) for value in row] for row in rows]
    if is_terminal():
        _show_table(headings, texts, title)
        return
    widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
    lines = [f"{title}\n"] if title else []
    for row in (headings, *texts):
        cells = (f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip() + "\n")
    write("".join(lines))


def _show_table(headings: Sequence[str], rows: list[list[str]], title: str) -> None:
    from rich import box, console, table, text  # noqa: PLC0415 - slow to import

    shown = table.Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        is_number = all(row[number].lstrip("-").isdigit() or not row[number] for row in rows)
        shown.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        shown.add_row(*map(text.Text, row))
    try:
        console.Console(file=_stdout()).print(shown)
    except OSError as error:
        raise OutputError from error


def complain(line: str) -> None:
    """A line to stderr; that nobody reads it is no other error."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        _forget(sys.stderr)


def flush_or_forget() -> None:
    """The end of a run that has failed: what still can't go out is forgotten."""
    try:
        flush()
    except OutputError:
        _forget(sys.stdout)


def _stdout() -> Any:
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return sys.stdout


def _forget(stream: Any) -> None:
    """Has the interpreter not complain, at its end, that this can't be flushed."""
    if stream in (sys.__stdout__, sys.__stderr__):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
