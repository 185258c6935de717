"""Objects as the command line names them: their kinds, and -q -s -m by id, -Q -S -M by key."""

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import click

from .. import (
    MessageQueue,
    MessageQueueStat,
    SemaphoreSet,
    SemaphoreSetStat,
    SharedMemory,
    SharedMemoryStat,
    system,
)

Handle = MessageQueue | SharedMemory | SemaphoreSet
Stat = MessageQueueStat | SharedMemoryStat | SemaphoreSetStat
Command = Callable[..., Any]
OBJECTS = "sysv_ipc_rs.objects"


class Kind(NamedTuple):
    """One of the three kinds of objects."""

    name: str
    """As JSON has it."""
    word: str
    """As arguments have it."""
    letter: str
    """The switch; in upper case that for keys."""
    handle: type[Handle]
    stat: type[Stat]
    stats: Callable[[], Iterator[Stat]]
    """Everyone's."""

    def __str__(self) -> str:
        return self.name.replace("_", " ")


QUEUE = Kind("message_queue", "queue", "q", MessageQueue, MessageQueueStat, system.message_queues)
SEGMENT = Kind(
    *("shared_memory", "segment", "m"),
    *(SharedMemory, SharedMemoryStat, system.shared_memory_segments),
)
SET = Kind("semaphore_set", "set", "s", SemaphoreSet, SemaphoreSetStat, system.semaphore_sets)
KINDS = (QUEUE, SEGMENT, SET)
"""In the order of `ipcs`."""


def kind_of(thing: Stat | Handle) -> Kind:
    """The kind of a stat or a handle."""
    return next(kind for kind in KINDS if isinstance(thing, (kind.stat, kind.handle)))


def as_dict(stat: Stat) -> dict[str, Any]:
    """A stat as JSON has it."""
    return {"kind": kind_of(stat).name, **stat._asdict()}


class Named(NamedTuple):
    """An object by the name that somebody typed."""

    kind: Kind
    id: int | None = None
    key: int | None = None

    def open(self) -> Handle:
        """Its handle; fails if there is none."""
        if self.id is not None:
            return self.kind.handle.from_id(self.id)
        assert self.key is not None
        return self.kind.handle.open(self.key)


def number(text: str, what: str, low: int, high: int) -> int:
    """A number within bounds: decimal, `0x...`, or octal after a 0 as in C; perhaps negative."""
    try:
        value = int(re.sub("^(-?)0(?=[0-7]+$)", r"\g<1>0o", text), 0)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no {what}") from None
    if not low <= value <= high:
        raise click.BadParameter(f"{text} is not in the range {low} to {high}")
    return value


def key_of(text: str) -> int:
    """A key that leads to an object."""
    key = number(text, "key", -(2**31), 2**32 - 1)
    if key == 0:
        raise click.BadParameter("0 is the key of private objects, which have only ids")
    return key


def completions(kind: Kind, by: str, start: str) -> list[str]:
    """The ids or keys of everyone's objects that begin so, for shells."""
    names = (str(stat.id) if by == "id" else f"{stat.key % 2**32:#x}" for stat in kind.stats())
    return sorted({name for name in names if name.startswith(start) and name != "0x0"})


def named(*kinds: Kind) -> Callable[[Command], Command]:
    """Gives a command the switches that name objects of these kinds, and `objects: list[Named]`."""

    def collect(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> None:
        for kind in kinds:
            if param.name == f"{kind.word}_id":
                found = [Named(kind, id=number(text, "id", 0, 2**31 - 1)) for text in values]
            elif param.name == f"{kind.word}_key":
                found = [Named(kind, key=key_of(text)) for text in values]
            else:
                continue
            ctx.meta.setdefault(OBJECTS, []).extend(found)

    def option(kind: Kind, by: str, letter: str) -> Callable[[Command], Command]:
        return click.option(
            f"-{letter}",
            f"{kind.word}_{by}",
            metavar=by.upper(),
            multiple=True,
            expose_value=False,
            callback=collect,
            help=f"The {kind} with this {by}.",
            shell_complete=lambda _ctx, _param, start: completions(kind, by, start),
        )

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_objects(*args: Any, **kwargs: Any) -> Any:
            objects = click.get_current_context().meta.get(OBJECTS, [])
            return command(*args, objects=objects, **kwargs)

        decorated: Command = with_objects
        for by, letter in (("key", str.upper), ("id", str.lower)):
            for kind in reversed(kinds):
                decorated = option(kind, by, letter(kind.letter))(decorated)
        return decorated

    return decorate


def only(objects: list[Named]) -> Named:
    """The one object that a command is about."""
    if len(objects) != 1:
        raise click.UsageError("one object has to be named" if not objects else "only one object")
    return objects[0]


class SeveralObjects(click.Command):
    """A command whose `-q 1 2` means `-q 1 -q 2`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        switch, values = "", 0
        for arg in args:
            if re.fullmatch("-[qsmQSM]", arg):
                switch, values = arg, 0
            elif switch and (not values or re.fullmatch(r"[0-9]\w*", arg)):
                spread += [switch] if values else []
                values += 1
            else:
                switch = ""
            spread.append(arg)
        return super().parse_args(ctx, spread)
