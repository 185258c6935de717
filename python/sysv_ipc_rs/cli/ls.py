"""`sysv-ipc ls`: what `ipcs` shows, as text or as JSON."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import click

from .. import system
from . import _output, limits
from ._format import field_text
from ._objects import KINDS, QUEUE, SEGMENT, SET, Kind, Stat, as_dict

CREATORS = "perms=mode cuid=cuid cgid=cgid uid=uid gid=gid"
VIEWS = {
    "objects": {
        QUEUE: "key=key msqid=id owner=uid perms=mode used-bytes=current_bytes messages=messages",
        SEGMENT: "key=key shmid=id owner=uid perms=mode bytes=size nattch=attached status=status",
        SET: "key=key semid=id owner=uid perms=mode nsems=size",
    },
    "pids": {
        QUEUE: "msqid=id owner=uid lspid=last_send_pid lrpid=last_receive_pid",
        SEGMENT: "shmid=id owner=uid cpid=creator_pid lpid=last_pid",
    },
    "times": {
        QUEUE: "msqid=id owner=uid send=stime recv=rtime change=ctime",
        SEGMENT: "shmid=id owner=uid attached=atime detached=dtime changed=ctime",
        SET: "semid=id owner=uid last-op=otime last-changed=ctime",
    },
    "creators": {
        QUEUE: f"msqid=id {CREATORS}",
        SEGMENT: f"shmid=id {CREATORS}",
        SET: f"semid=id {CREATORS}",
    },
}
"""heading=field, for each switch; of who used a set last `ipcs` tells nothing."""

TITLES = {
    "objects": {
        QUEUE: "Message Queues",
        SEGMENT: "Shared Memory Segments",
        SET: "Semaphore Arrays",
    },
    "pids": {QUEUE: "Message Queues PIDs", SEGMENT: "Shared Memory Creator/Last-op PIDs"},
    "times": {
        QUEUE: "Message Queues Send/Recv/Change Times",
        SEGMENT: "Shared Memory Attach/Detach/Change Times",
        SET: "Semaphore Operation/Change Times",
    },
    "creators": {
        QUEUE: "Message Queues Creators/Owners",
        SEGMENT: "Shared Memory Segment Creators/Owners",
        SET: "Semaphore Arrays Creators/Owners",
    },
    "usage": {
        QUEUE: "Messages Status",
        SEGMENT: "Shared Memory Status",
        SET: "Semaphore Status",
    },
    "limits": {
        QUEUE: "Messages Limits",
        SEGMENT: "Shared Memory Limits",
        SET: "Semaphore Limits",
    },
}


def write_objects(view: str, found: dict[Kind, list[Stat]]) -> None:
    for kind, stats in found.items():
        if kind not in VIEWS[view]:
            continue
        columns = dict(column.split("=") for column in VIEWS[view][kind].split())
        rows = [[field_text(stat, field) for field in columns.values()] for stat in stats]
        _output.write_title(TITLES[view][kind])
        _output.write_table(list(columns), rows)
    _output.write("\n")


def usage_of(kind: Kind) -> dict[str, Any]:
    """What is in use of one kind, by the names of `system.usage`."""
    names = {
        QUEUE: ("message_queues", "messages", "message_bytes"),
        SEGMENT: ("segments", "segment_bytes", "resident_bytes", "swapped_bytes"),
        SET: ("semaphore_sets", "semaphores"),
    }[kind]
    usage = system.usage()._asdict()
    return {"kind": kind.name, **{name: usage[name] for name in names}}


def usage_lines(kind: Kind) -> list[str]:
    """As `ipcs -u` has them."""
    usage, page = usage_of(kind), os.sysconf("SC_PAGESIZE")
    if kind is QUEUE:
        return [
            f"allocated queues = {usage['message_queues']}",
            f"used headers = {usage['messages']}",
            f"used space = {usage['message_bytes']} bytes",
        ]
    if kind is SEGMENT:
        return [
            f"segments allocated {usage['segments']}",
            f"pages allocated {usage['segment_bytes'] // page}",
            f"pages resident  {usage['resident_bytes'] // page}",
            f"pages swapped   {usage['swapped_bytes'] // page}",
        ]
    return [
        f"used arrays = {usage['semaphore_sets']}",
        f"allocated semaphores = {usage['semaphores']}",
    ]


def limit_lines(kind: Kind) -> list[str]:
    """As `ipcs -l` has them."""
    limit = system.limits()
    if kind is QUEUE:
        return [
            f"max queues system wide = {limit.msgmni}",
            f"max size of message (bytes) = {limit.msgmax}",
            f"default max size of queue (bytes) = {limit.msgmnb}",
        ]
    if kind is SEGMENT:
        total = limit.shmall * os.sysconf("SC_PAGESIZE")
        return [
            f"max number of segments = {limit.shmmni}",
            f"max seg size (kbytes) = {limit.shmmax // 1024}",
            f"max total shared memory (kbytes) = {total // 1024}",
            f"min seg size (bytes) = {limit.shmmin}",
        ]
    return [
        f"max number of arrays = {limit.semmni}",
        f"max semaphores per array = {limit.semmsl}",
        f"max semaphores system wide = {limit.semmns}",
        f"max ops per semop call = {limit.semopm}",
        f"semaphore max value = {limit.semvmx}",
    ]


def write_lines(
    view: str, kinds: Iterable[Kind], lines_of: Callable[[Kind], Iterable[str]]
) -> None:
    for kind in kinds:
        _output.write_title(TITLES[view][kind])
        _output.write("".join(f"{line}\n" for line in lines_of(kind)))
    _output.write("\n")


def listed(kinds: Iterable[Kind], mine: bool, orphans: bool) -> dict[Kind, list[Stat]]:
    """The objects that are to be shown, by kind."""
    left = {orphan.segment for orphan in system.orphans()} if orphans else set()
    user = os.geteuid()
    return {
        kind: [
            stat
            for stat in kind.stats()
            if (not mine or stat.uid == user) and (not orphans or stat in left)
        ]
        for kind in kinds
        if not orphans or kind is SEGMENT
    }


@click.command
@click.option("-q", "--queues", is_flag=True, help="Message queues.")
@click.option("-m", "--shmems", is_flag=True, help="Shared memory segments.")
@click.option("-s", "--semaphores", is_flag=True, help="Semaphore sets.")
@click.option("-a", "--all", "everything", is_flag=True, help="All three kinds (the default).")
@click.option("-p", "--pid", "view", flag_value="pids", help="Creators' and last users' pids.")
@click.option("-t", "--time", "view", flag_value="times", help="Times of use and of change.")
@click.option("-c", "--creator", "view", flag_value="creators", help="Creators and owners.")
@click.option("-u", "--summary", "view", flag_value="usage", help="What is in use.")
@click.option("-l", "--limits", "view", flag_value="limits", help="Limits.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects, whatever -p -t -c say.")
@click.option("--mine", is_flag=True, help="Only what belongs to the calling user.")
@click.option("--orphans", is_flag=True, help="Only segments that nobody will miss.")
def command(
    *,
    queues: bool,
    shmems: bool,
    semaphores: bool,
    everything: bool,
    view: str | None,
    as_json: bool,
    mine: bool,
    orphans: bool,
) -> None:
    """List everyone's objects, with the switches and the headings of ipcs(1).

    Of -p -t -c -u -l the last one counts. Looking changes nothing of the objects.
    """
    wanted = {QUEUE: queues, SEGMENT: shmems, SET: semaphores}
    kinds = [kind for kind in KINDS if wanted[kind]]
    if everything or not kinds:
        kinds = list(KINDS)
    if view == "limits":
        if as_json:
            letters = {QUEUE: "msg", SEGMENT: "shm", SET: "sem"}
            starts = tuple(letters[kind] for kind in kinds)
            _output.write_json(row for row in limits.rows() if str(row["name"]).startswith(starts))
        else:
            write_lines(view, kinds, limit_lines)
    elif view == "usage":
        if as_json:
            _output.write_json(map(usage_of, kinds))
        else:
            write_lines(view, kinds, usage_lines)
    else:
        found = listed(kinds, mine, orphans)
        if as_json:
            _output.write_json(as_dict(stat) for stats in found.values() for stat in stats)
        else:
            write_objects(view or "objects", found)
