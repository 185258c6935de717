"""Arguments that several commands take."""

import re
from collections.abc import Callable

import click

from ._objects import Command, number

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def mode(_ctx: click.Context, _param: click.Parameter, text: str) -> int:
    """Octal, as for chmod(1)."""
    if not re.fullmatch("(0o)?[0-7]{1,4}", text) or (value := int(text, 8)) > 0o777:
        raise click.BadParameter(f"{text!r} is no mode from 0 to 0777")
    return value


def size(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    """Bytes; or KiB, MiB, GiB, TiB by a letter, as for ipcmk(1)."""
    if text is None:
        return None
    match = re.fullmatch("([0-9]+)([KMGT]?)(iB)?", text)
    if not match or not (match[2] or not match[3]):
        raise click.BadParameter(f"{text!r} is no size in bytes, such as 4096 or 4K")
    return int(match[1]) * UNITS[match[2]]


def seconds(_ctx: click.Context, _param: click.Parameter, text: str | None) -> float | None:
    """A time to wait."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value >= 0:
        raise click.BadParameter(f"{text!r} is no time in seconds")
    return value


def type_option(low: int, default: int, help_text: str) -> Callable[[Command], Command]:
    """The type of messages: a long of C, at least `low`."""

    def convert(_ctx: click.Context, _param: click.Parameter, text: str) -> int:
        return number(text, "type", low, 2**63 - 1)

    return click.option(
        *("--type", "type_"),
        metavar="N",
        default=str(default),
        show_default=True,
        callback=convert,
        help=help_text,
    )


def timeout_option(help_text: str) -> Callable[[Command], Command]:
    """How long to wait."""
    return click.option("--timeout", metavar="SECONDS", callback=seconds, help=help_text)
