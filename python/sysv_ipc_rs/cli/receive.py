"""`sysv-ipc receive`: takes messages, and loses none.

The native iterator puts a message straight into a list, and the system call that writes it puts the
number of bytes into another: no step of Python's is in between, at which a signal handler could
raise. What was taken and not wholly written when anything fails goes back.
"""

import base64
import os
import signal
import types
from collections.abc import Callable, Iterator
from itertools import islice

import click

from .. import Message, MessageQueue, WaitTimeoutError
from . import _arguments, _output
from ._objects import QUEUE, Named, named, only
from ._status import OutputError, Status, of_error

LOOK_AGAIN = 0.2
"""Seconds, while a message waits for room to go back."""


class Ended(BaseException):
    """A signal that ends us came."""


class Signals:
    """Has the first signal that would end us raise `Ended`, once; later ones are only counted."""

    def __init__(self) -> None:
        self.first = 0
        self.count = 0
        self.deferred = False
        self._before = {
            number: before
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if (before := signal.getsignal(number)) != signal.SIG_IGN
        }

    def watch(self) -> None:
        for number in self._before:
            signal.signal(number, self._came)

    def leave(self) -> None:
        self.deferred = True
        for number, before in self._before.items():
            signal.signal(number, before)

    def _came(self, number: int, _frame: types.FrameType | None) -> None:
        self.count += 1
        if not self.first and not self.deferred:
            self.first = number
            raise Ended


def as_json(message: Message) -> bytes:
    """`{"type", "data"}` with base64, as a line."""
    import json  # noqa: PLC0415 - slow to import

    data = base64.b64encode(message.data).decode()
    return json.dumps({"type": message.type, "data": data}).encode() + b"\n"


def send_back(queue: MessageQueue, message: Message, signals: Signals) -> None:
    """To the tail, as soon as there is room; one more signal ends the wait."""
    before = signals.count
    if queue.try_send(message.data, message.type):
        return
    _output.complain("the message goes back as soon as the queue has room; Ctrl-C ends the wait")
    while True:
        try:
            queue.send(message.data, message.type, timeout=LOOK_AGAIN)
            return
        except WaitTimeoutError:
            if signals.count > before:
                raise


def give_back(queue: MessageQueue, held: list[Message], signals: Signals) -> None:
    """What was taken and not written goes back; if it can't, stderr has it."""
    signals.deferred = True
    while held:
        try:
            send_back(queue, held[0], signals)
        except OSError as error:
            line = as_json(held[0]).decode().strip()
            _output.complain(f"the message can't go back: {of_error(error)[1]}; it is {line}")
        del held[0]


class Taking:
    """Takes messages from `source` and writes them, one by one."""

    def __init__(
        self,
        queue: MessageQueue,
        source: Iterator[Message],
        as_bytes: Callable[[Message], bytes],
        signals: Signals,
    ) -> None:
        self._queue, self._source, self._as_bytes = queue, source, as_bytes
        self._signals = signals
        self._write = _output.unbuffered()
        self._held: list[Message] = []
        self._written: list[int] = []
        self._size = 0

    def next(self) -> bool:
        """Takes one and writes it; False when none came in time."""
        self._held, self._written, self._size = [], [], 0
        try:
            try:
                self._held.extend(islice(self._source, 1))
                for message in self._held:
                    self._write_all(self._as_bytes(message))
                return bool(self._held)
            except BaseException:
                self._give_back()
                raise
        except Ended:
            # It may have come when the other error was on its way.
            self._give_back()
            raise

    def _write_all(self, data: bytes) -> None:
        self._size = len(data)
        try:
            while (done := sum(self._written)) < len(data):
                self._written.extend(map(self._write, [memoryview(data)[done:]]))
        except OSError as error:
            raise OutputError from error

    def _give_back(self) -> None:
        if not self._size or sum(self._written) < self._size:
            give_back(self._queue, self._held, self._signals)


def take_all(
    queue: MessageQueue,
    source: Iterator[Message],
    as_bytes: Callable[[Message], bytes],
    several: bool,
) -> Status:
    """Takes one or several; a signal that ends us is obeyed when nothing is held any more."""
    signals = Signals()
    taking = Taking(queue, source, as_bytes, signals)
    try:
        try:
            signals.watch()
            if not taking.next():
                return Status.NOTHING
            while several and taking.next():
                pass
            return Status.DONE
        finally:
            signals.leave()
    except Ended:
        # Which may have come in between.
        signals.leave()
    if signals.first != signal.SIGINT:
        signal.signal(signals.first, signal.SIG_DFL)
        os.kill(os.getpid(), signals.first)
    return Status.INTERRUPTED


@click.command
@named(QUEUE)
@_arguments.type_option(-(2**63), 0, "Of this type; 0: the first; -N: the lowest type up to N.")
@click.option("--exclude", is_flag=True, help="The first that is not of --type.")
@_arguments.timeout_option("Wait at most so long for a message. [default: for ever; 0 with --all]")
@click.option("--all", "everything", is_flag=True, help="All messages that are there.")
@click.option("--follow", is_flag=True, help="All messages that are there and that come.")
@click.option("--lines", is_flag=True, help="A line break after each message.")
@click.option("--json", "json_lines", is_flag=True, help='A line {"type", "data"} each, in base64.')
def command(
    *,
    objects: list[Named],
    type_: int,
    exclude: bool,
    timeout: float | None,
    everything: bool,
    follow: bool,
    lines: bool,
    json_lines: bool,
) -> Status:
    """Take a message, or several, and write the bytes to stdout as they are.

    Each is written and flushed before the next is taken. One that can't be written, because stdout
    is closed or full or a signal came, goes back to the tail of the queue: it is not lost, but
    behind the others. What a reader has not read from the pipe when it ends is lost.
    """
    queue = only(objects).open()
    assert isinstance(queue, MessageQueue)
    if everything and follow:
        raise click.UsageError("--follow takes all already: not both of --all and --follow")
    if lines and json_lines:
        raise click.UsageError("--json has lines already: not both of --lines and --json")
    if everything and timeout is None:
        timeout = 0.0
    as_bytes = (
        as_json if json_lines else (lambda m: m.data + b"\n") if lines else (lambda m: m.data)
    )
    source = queue.messages(type_, exclude=exclude, timeout=timeout)
    return take_all(queue, source, as_bytes, everything or follow)
