"""`sysv-ipc send`: messages from a file or stdin."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import click

from .. import MessageQueue, system
from . import _arguments, _output
from ._objects import QUEUE, Named, named, only
from ._status import Status, of_error

TOO_LONG = (
    "a message of more than {0} bytes is too large for any queue; the limit MSGMAX is {0} "
    f"(see and raise it in {system.limit_source('msgmax')})"
)


def messages(source: BinaryIO, lines: bool, most: int) -> Iterator[bytes]:
    """One message, or one a line; of what is longer than `most`, no more than shows that."""
    if not lines:
        yield source.read(most + 1)
        return
    while line := source.readline(most + 2):
        yield line.removesuffix(b"\n")


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """The file with this name; `-` is stdin."""
    if file != "-":
        with open(file, "rb") as source:
            yield source
    elif sys.stdin is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "stdin")
    else:
        yield sys.stdin.buffer


@click.command
@named(QUEUE)
@_arguments.type_option(1, 1, "The type of the messages.")
@_arguments.timeout_option("Wait at most so long for a message's room; else as long as it takes.")
@click.option("--lines", is_flag=True, help="One message a line, without its line break.")
@click.argument("file", default="-")
def command(
    objects: list[Named], type_: int, timeout: float | None, lines: bool, file: str
) -> Status:
    """Send the bytes of FILE, or of stdin, as one message.

    With --lines those before a line that fails are sent, and the error names it.
    """
    queue = only(objects).open()
    assert isinstance(queue, MessageQueue)
    most = system.limits().msgmax
    with opened(file) as source:
        for number, data in enumerate(messages(source, lines, most), 1):
            try:
                if len(data) > most:
                    # The queue would tell how much was read, not how long it is.
                    raise OSError(errno.EMSGSIZE, TOO_LONG.format(most))
                queue.send(data, type_, timeout=timeout)
            except OSError as error:
                status, told = of_error(error)
                _output.complain(f"line {number}: {told}" if lines else told)
                return status
    return Status.DONE
