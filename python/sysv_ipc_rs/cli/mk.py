"""`sysv-ipc mk`: creates an object."""

import click

from .. import IPC_PRIVATE, MessageQueue, SemaphoreSet, SharedMemory
from . import _arguments, _output
from ._objects import KINDS, Handle, as_dict, key_of


def _key(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int:
    return IPC_PRIVATE if text is None else key_of(text)


def create(kind: str, key: int, mode: int, size: int | None, count: int | None) -> Handle:
    """Creates what was asked for; a switch that means nothing for it is an error."""
    if count is not None and kind != "set":
        raise click.UsageError(f"--count is of sets: a {kind} has no semaphores")
    if kind == "queue":
        return MessageQueue.create(key, mode=mode, max_bytes=size)
    if kind == "segment":
        if size is None:
            raise click.UsageError("a segment needs --size")
        return SharedMemory.create(key, size=size, mode=mode)
    if size is not None:
        raise click.UsageError("--size is of queues and segments; a set has --count semaphores")
    return SemaphoreSet.create(key, 1 if count is None else count, mode=mode)


@click.command
@click.argument("kind", type=click.Choice([kind.word for kind in KINDS]))
@click.option(
    "--key", metavar="KEY", callback=_key, help="The key that leads to it; else none does."
)
@click.option(
    *("--mode", "-p"),
    metavar="MODE",
    default="0600",
    show_default=True,
    callback=_arguments.mode,
    help="Who may use it, in octal.",
)
@click.option(
    "--size",
    metavar="BYTES",
    callback=_arguments.size,
    help="Of a segment; of a queue the most bytes that it holds. 4K is 4096.",
)
@click.option(
    "--count", type=click.IntRange(1), help="The semaphores of a set, all 0. [default: 1]"
)
@click.option("--json", "as_json", is_flag=True, help="The object, as ls has it in its list.")
def command(
    *, kind: str, key: int, mode: int, size: int | None, count: int | None, as_json: bool
) -> None:
    """Create a queue, a set or a segment, and print its id.

    An object that has the key already is an error. When the id can't be written, nothing is left.
    """
    handle = create(kind, key, mode, size, count)
    try:
        if as_json:
            _output.write_json_object(as_dict(handle.stat()))
        else:
            _output.write(f"{handle.id}\n")
        _output.flush()
    except BaseException:
        handle.remove()
        raise
