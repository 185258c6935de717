"""`sysv-ipc show`: all that can be told of single objects."""

from collections.abc import Callable
from typing import Any

import click

from .. import ExistenceError, IPCError, Message, MessageQueue, SemaphoreSet, system
from . import _output
from ._format import field_text, process_text
from ._objects import KINDS, Handle, Named, SeveralObjects, Stat, as_dict, kind_of, named
from ._status import Status, of_error

HEAD = 10
"""So many messages of a queue's head are shown."""


def _semaphores(set_: SemaphoreSet) -> list[dict[str, int]]:
    names = ("index", "value", "last_pid", "waiting", "waiting_zero")
    return [{name: getattr(semaphore, name) for name in names} for semaphore in set_]


def _head(queue: MessageQueue) -> list[dict[str, int]]:
    messages: list[Message] = []
    while len(messages) < HEAD and (message := queue.peek(len(messages))):
        messages.append(message)
    return [{"type": message.type, "size": len(message.data)} for message in messages]


def _or_none(tell: Callable[[], list[Any]]) -> list[Any] | None:
    """None stands for what the mode, or /proc, does not let us see."""
    try:
        return tell()
    except IPCError as error:
        if isinstance(error, ExistenceError):
            raise
        return None


def details(handle: Handle) -> dict[str, list[Any] | None]:
    """What is to be told of an object beside its stat."""
    if isinstance(handle, MessageQueue):
        return {
            "head": _or_none(lambda: _head(handle)),
            "waiting_processes": _or_none(lambda: system.waiting_processes(handle)),
        }
    if isinstance(handle, SemaphoreSet):
        return {
            "semaphores": _or_none(lambda: _semaphores(handle)),
            "waiting_processes": _or_none(lambda: system.waiting_processes(handle)),
        }
    return {"attached_processes": _or_none(lambda: system.attached_processes(handle))}


def write_text(stat: Stat, more: dict[str, list[Any] | None]) -> None:
    """Fields a line, then the tables."""
    lines = {field: field_text(stat, field) for field in stat._asdict() if field != "id"}
    for name in ("waiting_processes", "attached_processes"):
        if name in more:
            pids = more[name]
            lines[name] = "?" if pids is None else ", ".join(map(process_text, pids)) or "-"
    width = max(map(len, lines))
    _output.write(f"{kind_of(stat)} {stat.id}\n")
    for name, text in lines.items():
        _output.write(f"  {name:<{width}}  {text}\n")
    for name in ("semaphores", "head"):
        rows = more.get(name)
        if rows:
            _output.write_title(name)
            _output.write_table(list(rows[0]), [list(row.values()) for row in rows])
    messages, head = getattr(stat, "messages", 0), more.get("head") or []
    if head and messages > len(head):
        _output.write(f"and {messages - len(head)} more\n")


@click.command(cls=SeveralObjects)
@named(*KINDS)
@click.option("--json", "as_json", is_flag=True, help="A list of objects with all their details.")
def command(objects: list[Named], as_json: bool) -> Status:
    """Show all of one object, or of several.

    Every semaphore's value, last pid and waiters; the processes that have a segment attached; the
    types and sizes of the first messages of a queue, which stay there.
    """
    if not objects:
        raise click.UsageError("name an object: -q, -m or -s ID, or -Q, -M or -S KEY")
    status, found = Status.DONE, []
    for name in objects:
        try:
            handle = name.open()
            found.append((handle.stat(), details(handle)))
        except OSError as error:
            status, line = of_error(error)
            _output.complain(line)
    if as_json:
        _output.write_json({**as_dict(stat), **more} for stat, more in found)
    else:
        for number, (stat, more) in enumerate(found):
            _output.write("\n" if number else "")
            write_text(stat, more)
    return status
