"""`sysv-ipc rm`: removes what was named, or all of a sort that the caller agrees to."""

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

import click

from .. import IPCError, SharedMemoryStat, system
from . import _output
from ._format import key_text, processes_text, user_name
from ._objects import KINDS, Kind, Named, SeveralObjects, Stat, kind_of, named
from ._status import Status, of_error

Users = dict[tuple[str, int], list[int]]


class Candidate(NamedTuple):
    """What is to be removed, as it was when that was decided."""

    stat: Stat
    why: str = ""
    """Of `--orphans` and `--suspected`: the reasons, which any use would void."""
    is_named: bool = False

    def __str__(self) -> str:
        stat = self.stat
        text = f"{kind_of(stat)} {stat.id} (key {key_text(stat.key)}, owner {user_name(stat.uid)})"
        return f"{text}: {self.why}" if self.why else text

    def is_still(self, now: Stat) -> bool:
        """Whether this stat is of the same object, for the same reasons.

        An id can come back for another object; that has hardly all of this in common with the
        first. One that was not named is kept also if it was changed meanwhile.
        """
        if self.why:
            return now == self.stat
        fields = ["id", "seq", "key", "uid", "cuid", "cgid", "creator_pid", "size"]
        fields += [] if self.is_named else ["ctime"]
        return all(getattr(now, field, 0) == getattr(self.stat, field, 0) for field in fields)


def is_marked(stat: Stat) -> bool:
    """Whether it is removed already, but for those who have it attached."""
    return isinstance(stat, SharedMemoryStat) and stat.marked_for_removal


def of_everyone(kinds: tuple[str, ...], orphans: bool, suspected: bool) -> Iterator[Candidate]:
    """What the switches for many objects mean."""
    for kind in KINDS:
        if kind.word in kinds or "everything" in kinds:
            yield from (Candidate(stat) for stat in kind.stats() if not is_marked(stat))
    if orphans:
        for orphan in system.orphans():
            yield Candidate(orphan.segment, "; ".join(orphan.reasons))
    if suspected:
        for suspect in system.suspects():
            yield Candidate(suspect.object, "; ".join(suspect.reasons))


def named_ones(objects: list[Named]) -> tuple[list[Candidate], Status]:
    """Those that exist; the others are told."""
    found, status = [], Status.DONE
    for name in objects:
        try:
            found.append(Candidate(name.open().stat(), is_named=True))
        except OSError as error:
            status, line = of_error(error)
            _output.complain(line)
    return found, status


def once(candidates: list[Candidate]) -> list[Candidate]:
    """Each object once, as it was first named."""
    found: dict[tuple[Kind, int], Candidate] = {}
    for candidate in candidates:
        found.setdefault((kind_of(candidate.stat), candidate.stat.id), candidate)
    return list(found.values())


def users_of_all() -> Users:
    """The other processes that wait on an object or have it attached, as far as /proc tells."""
    users: Users = {}
    try:
        uses = system.uses()
    except IPCError:
        return users
    for used in uses:
        if used.pid != os.getpid():
            users.setdefault((used.kind, used.id), []).append(used.pid)
    return users


def warn_of_users(candidate: Candidate, users: Users) -> None:
    """Names those who will notice."""
    stat = candidate.stat
    pids = users.get((kind_of(stat).name, stat.id), [])
    attached = stat.attached if isinstance(stat, SharedMemoryStat) else 0
    if attached:
        who = processes_text(pids) if pids else "processes that /proc does not show"
        _output.complain(f"warning: {kind_of(stat)} {stat.id} is attached by {who}")
    elif pids:
        who = processes_text(pids)
        _output.complain(f"warning: on {kind_of(stat)} {stat.id} waits {who}")


def remove(candidate: Candidate) -> None:
    """Removes it by id, if it still is what was to be removed."""
    handle = kind_of(candidate.stat).handle.from_id(candidate.stat.id)
    if not candidate.is_still(handle.stat()):
        raise click.ClickException(f"{candidate} has changed meanwhile, and is kept")
    handle.remove()


def remove_all(candidates: list[Candidate], status: Status) -> Status:
    """Removes each that can be, and tells it; the others are told on stderr."""
    for candidate in candidates:
        try:
            remove(candidate)
        except (OSError, click.ClickException) as error:
            status, line = of_error(error)
            _output.complain(line)
        else:
            _output.write(f"removed {candidate}\n")
    return status


def can_ask() -> bool:
    """Whether there is a person at a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def has_consent(candidates: list[Candidate]) -> bool:
    """Whether the person at the terminal wants all of them removed."""
    for candidate in candidates:
        print(candidate, file=sys.stderr)
    return _output.ask(f"Remove these {len(candidates)} objects?")


@click.command(cls=SeveralObjects)
@named(*KINDS)
@click.option(
    "--all",
    "kinds",
    multiple=True,
    is_flag=False,
    flag_value="everything",
    metavar="[queue|set|segment]",
    type=click.Choice([*(kind.word for kind in KINDS), "everything"]),
    help="All of the caller's objects, or those of one kind.",
)
@click.option("--orphans", is_flag=True, help="Segments that nobody will miss, with the reasons.")
@click.option("--suspected", is_flag=True, help="Sets and queues whose known users are all dead.")
@click.option("--all-users", is_flag=True, help="Not only the caller's objects.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def command(
    *,
    objects: list[Named],
    kinds: tuple[str, ...],
    orphans: bool,
    suspected: bool,
    all_users: bool,
    dry_run: bool,
    yes: bool,
) -> Status:
    """Remove the objects that are named, or many.

    --all, --orphans and --suspected take objects that the calling user owns, unless --all-users;
    they ask on a terminal, and need --yes elsewhere. Before each removal it is looked again whether
    the object is still the same. Objects that others wait on or have attached are removed too, with
    a warning that names the processes; a segment is gone when the last of them has let go.
    """
    many = bool(kinds) or orphans or suspected
    if not objects and not many:
        raise click.UsageError("nothing to remove: name objects, or --all, --orphans, --suspected")
    if all_users and not many:
        raise click.UsageError("--all-users is for --all, --orphans and --suspected")
    needs_consent = many and not yes and not dry_run
    if needs_consent and not can_ask():
        raise click.UsageError("to remove many objects takes --yes where nobody can be asked")
    found, status = named_ones(objects)
    user = os.geteuid()
    found += (
        candidate
        for candidate in of_everyone(kinds, orphans, suspected)
        if all_users or candidate.stat.uid == user
    )
    found = once(found)
    users = users_of_all() if found else {}
    for candidate in found:
        warn_of_users(candidate, users)
    if dry_run:
        for candidate in found:
            _output.write(f"would remove {candidate}\n")
        return status
    if needs_consent and found and not has_consent(found):
        raise click.ClickException("nothing was removed")
    return remove_all(found, status)
