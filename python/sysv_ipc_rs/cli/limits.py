"""`sysv-ipc limits`: every limit, its value, what is used of it, and the file that sets it."""

import os

import click

from .. import system
from . import _output


def rows() -> list[dict[str, str | int | None]]:
    """Each limit: its name, value, use (None where nothing adds up), and file (None: fixed)."""
    usage = system.usage()
    used = {
        "semmni": usage.semaphore_sets,
        "semmns": usage.semaphores,
        "msgmni": usage.message_queues,
        "shmmni": usage.segments,
        "shmall": usage.segment_bytes // os.sysconf("SC_PAGESIZE"),
    }
    return [
        {"name": name, "value": value, "used": used.get(name), "source": system.limit_source(name)}
        for name, value in system.limits()._asdict().items()
    ]


@click.command
@click.option("--json", "as_json", is_flag=True, help="A list of {name, value, used, source}.")
def command(as_json: bool) -> None:
    """Show the kernel's limits, what is used of them, and the files that set them."""
    if as_json:
        _output.write_json(rows())
        return
    lines = [[row[name] for name in ("name", "value", "used", "source")] for row in rows()]
    for line in lines:
        line[2:] = ("-" if line[2] is None else line[2], line[3] or "fixed")
    _output.write_table(("limit", "value", "used", "file"), lines)
