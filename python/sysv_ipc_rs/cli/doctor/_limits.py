"""Limits that are nearly used up, and queues that are nearly full."""

from collections.abc import Iterator
from pathlib import Path

from ... import MessageQueueStat, system
from .. import limits
from .._fullness import fullness, percent
from .._objects import QUEUE, SEGMENT, SET, Kind
from ._finding import Finding, Severity, of_object, python

NEARLY = 0.8
KINDS: dict[str, Kind] = {"sem": SET, "msg": QUEUE, "shm": SEGMENT}
IDS = ("semmni", "msgmni", "shmmni")
MOST_IDS = 32768
"""IPCMNI. A kernel that was booted with `ipcmni_extend` takes 512 times as many."""


def nearly_used_up() -> Iterator[Finding]:
    """Limits of the namespace of which more than 80 % is used."""
    for row in limits.rows():
        name, value, used = row["name"], row["value"], row["used"]
        assert isinstance(name, str)
        assert isinstance(value, int)
        if isinstance(used, int) and used > NEARLY * value:
            share = used / value if value else 1.0
            yield Finding(
                "limit",
                Severity.CRITICAL if used >= value else Severity.WARNING,
                KINDS[name[:3]],
                None,
                f"{used} of {value} {name} used ({percent(share)})",
                _raise(name, value, used),
            )


def nearly_full() -> Iterator[Finding]:
    """Queues of which more than 80 % is full: of their bytes, or of as many empty messages."""
    for stat in system.message_queues():
        full = fullness(stat)
        if full > NEARLY:
            yield of_object(
                "queue",
                Severity.CRITICAL if full >= 1 else Severity.WARNING,
                stat,
                f"{stat.messages} messages of together {stat.current_bytes} bytes fill "
                f"{percent(full)} of {stat.max_bytes} bytes: senders will wait",
                _empties(stat),
            )


def _empties(stat: MessageQueueStat) -> str:
    pid = stat.last_receive_pid
    who = f"process {pid} did last" if pid else "nobody ever has"
    wanted = 2 * max(stat.max_bytes, stat.current_bytes)
    more = python(stat, f".max_bytes = {wanted}")
    # Not even root may set more, unless it has CAP_SYS_RESOURCE.
    if wanted > system.limits().msgmnb:
        more = f"sysctl -w kernel.msgmnb={wanted} && {more}"
    return f"see that somebody receives ({who}), or: {more}"


def _raise(name: str, value: int, used: int) -> str:
    """The command that sets the limit to twice what is used, or what else to do."""
    wanted = max(2 * used, value)
    if name in IDS:
        wanted = min(wanted, MOST_IDS)
        if wanted <= value:
            return (
                "remove what nobody needs (sysv-ipc ls); more are had only by a kernel that is "
                "booted with ipcmni_extend"
            )
    source = system.limit_source(name)
    assert source is not None
    sysctl = ".".join(Path(source).parts[-2:])
    if sysctl == "kernel.sem":
        values = system.limits()._asdict() | {name: wanted}
        return f"sysctl -w {sysctl}='{' '.join(str(values[part]) for part in SEM)}'"
    return f"sysctl -w {sysctl}={wanted}"


SEM = ("semmsl", "semmns", "semopm", "semmni")
"""The numbers of kernel.sem."""
