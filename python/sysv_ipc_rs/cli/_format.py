"""How keys, modes, users and times read."""

import functools
import grp
import pwd
import time
from collections.abc import Callable
from typing import Any

from . import _output
from ._objects import Stat

NEVER = "-"


def key_text(key: int) -> str:
    return f"0x{key & 0xFFFFFFFF:08x}"


def mode_text(mode: int) -> str:
    return f"{mode:o}"


@functools.cache
def user_name(uid: int) -> str:
    """Its name, or the number of a user that has none here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


@functools.cache
def group_name(gid: int) -> str:
    """Its name, or the number of a group that has none here."""
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return str(gid)


def time_text(seconds: int) -> str:
    """Local time: short for a person, else ISO 8601 in one word."""
    if seconds == 0:
        return NEVER
    try:
        local = time.localtime(seconds)
    except (OverflowError, ValueError, OSError):
        return str(seconds)
    if not _output.is_terminal():
        return time.strftime("%Y-%m-%dT%H:%M:%S%z", local)
    if local.tm_year == time.localtime().tm_year:
        return time.strftime("%b %d %H:%M:%S", local)
    return time.strftime("%Y-%m-%d %H:%M", local)


def _status(stat: Any) -> str:
    """What `ipcs` calls the status of a segment."""
    marks = {"dest": stat.marked_for_removal, "locked": stat.locked}
    return ",".join(word for word, is_so in marks.items() if is_so) or NEVER


FORMATS: dict[str, Callable[[int], str]] = {
    "key": key_text,
    "mode": mode_text,
    **dict.fromkeys(("uid", "cuid"), user_name),
    **dict.fromkeys(("gid", "cgid"), group_name),
    **dict.fromkeys(("stime", "rtime", "ctime", "otime", "atime", "dtime"), time_text),
}


def field_text(stat: Stat, field: str) -> str:
    """A field of a stat as text; `status` is one too, of segments."""
    if field == "status":
        return _status(stat)
    value = getattr(stat, field)
    return FORMATS[field](value) if field in FORMATS else str(value)


def process_text(pid: int) -> str:
    """A process by pid and, while it lives, name; it may have chosen that for our terminal."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
            name = comm.read().removesuffix("\n")
    except OSError:
        return str(pid)
    return f"{pid} ({''.join(each if each.isprintable() else '?' for each in name)})"


def processes_text(pids: list[int]) -> str:
    """`process 5 (cat)`, or several."""
    several = "es" if len(pids) != 1 else ""
    return f"process{several} {', '.join(map(process_text, pids))}"
