"""What goes to stdout: text, JSON, bytes; tables where a person looks."""

import errno
import functools
import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import click

from ._status import OutputError

MOST_SHOWN = 1000
"""Rows; rich would take seconds for more."""


def is_terminal() -> bool:
    """Whether a person looks: colours and tables are for nobody else."""
    return sys.stdout is not None and sys.stdout.isatty()


def write(text: str) -> None:
    """Text to stdout, line breaks and all; what its encoding lacks is escaped."""
    try:
        out = _stdout()
        try:
            out.write(text)
        except UnicodeEncodeError:
            out.write(text.encode(out.encoding, "backslashreplace").decode(out.encoding))
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


def unbuffered() -> Callable[[bytes | memoryview], int]:
    """The native function that writes bytes to stdout at once, and tells how many it wrote."""
    try:
        out = _stdout()
        out.flush()
        return functools.partial(os.write, out.fileno())
    except io.UnsupportedOperation:
        # It is no file, in tests.
        return cast("Callable[[bytes | memoryview], int]", out.buffer.write)
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


def write_json_object(value: dict[str, Any]) -> None:
    """A single object as JSON, on a line."""
    import json  # noqa: PLC0415 - slow to import

    write(f"{json.dumps(value)}\n")


def write_title(title: str) -> None:
    """What stands above a table, as in `ipcs`."""
    if is_terminal():
        write(f"\n{click.style(title, bold=True)}\n")
    else:
        write(f"\n------ {title} --------\n")


def write_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows below headings: columns of text with two spaces between, or what rich makes of them."""
    texts = [[str(value) for value in row] for row in rows]
    if is_terminal() and len(texts) <= MOST_SHOWN:
        _show_table(headings, texts)
        return
    widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
    for row in (headings, *texts):
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        write("  ".join(cells).rstrip() + "\n")


def _show_table(headings: Sequence[str], rows: list[list[str]]) -> None:
    from rich import box, console, table, text  # noqa: PLC0415 - slow to import

    shown = table.Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, heading in enumerate(headings):
        is_number = all(row[number].isdigit() for row in rows)
        shown.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        shown.add_row(*map(text.Text, row))
    try:
        console.Console(file=_stdout()).print(shown)
    except OSError as error:
        raise OutputError from error


def complain(line: str, path: str | None = None) -> None:
    """A line to stderr, after the command's name; that nobody reads it is no other error."""
    path = path or click.get_current_context().command_path
    if sys.stderr is None:
        return
    try:
        print(f"{path}: {line}", file=sys.stderr, flush=True)
    except OSError:
        _forget(sys.stderr)


def ask(question: str) -> bool:
    """Whether the person at the terminal says yes."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


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
