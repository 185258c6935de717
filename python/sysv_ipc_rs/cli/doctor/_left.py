"""Objects that are left over, open to everybody, or waited on in vain."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ... import AccessDeniedError, RemovedError, SemaphoreSet, SemaphoreSetStat, system
from .._objects import KINDS, Stat, kind_of
from ._finding import Finding, Severity, of_object, processes, python

WRITE_BY_OTHERS = 0o002


def orphans() -> Iterator[Finding]:
    """Segments that nobody can be using."""
    for orphan in system.orphans():
        reasons = "; ".join(orphan.reasons)
        message = f"{orphan.segment.size} bytes are left over: {reasons}"
        yield of_object(
            "orphan", Severity.WARNING, orphan.segment, message, _removes(orphan.segment)
        )


def suspects() -> Iterator[Finding]:
    """Sets and queues whose known users are all dead."""
    for suspect in system.suspects():
        message = f"perhaps left over: {'; '.join(suspect.reasons)}"
        remedy = f"if nobody owns it: {_removes(suspect.object)}"
        yield of_object("suspect", Severity.INFO, suspect.object, message, remedy)


def world_writable() -> Iterator[Finding]:
    """Objects that every user may change."""
    for kind in KINDS:
        for stat in kind.stats():
            if stat.mode & WRITE_BY_OTHERS:
                safe = stat.mode & ~WRITE_BY_OTHERS
                yield of_object(
                    "world_writable",
                    Severity.WARNING,
                    stat,
                    f"mode {stat.mode:04o}: every user may write (owner: uid {stat.uid})",
                    python(stat, f".chmod(0o{safe:o})"),
                )


def marked_but_attached() -> Iterator[Finding]:
    """Segments that were removed but whose memory is still in use."""
    for stat in system.shared_memory_segments():
        if stat.marked_for_removal and stat.attached:
            try:
                pids = system.attached_processes(stat)
            except RemovedError:
                continue
            who = processes(pids)
            yield of_object(
                "marked_for_removal",
                Severity.INFO,
                stat,
                f"removed, but {stat.attached} times attached by {who}: {stat.size} bytes",
                f"goes when detached or ended by {who}",
            )


def waiters_behind_the_dead() -> Iterator[Finding]:
    """Semaphores that are waited on, and whose last process is dead: perhaps it had taken them."""
    for stat in system.semaphore_sets():
        # It may be gone meanwhile; one that may not be read tells nothing of its waiters.
        with suppress(RemovedError, AccessDeniedError):
            yield from _waited_on(stat)


def _waited_on(stat: SemaphoreSetStat) -> Iterator[Finding]:
    semaphores = SemaphoreSet.from_id(stat.id)
    for found in system.waiters(semaphores):
        semaphore = semaphores[found.index]
        pid = semaphore.last_pid
        if pid and _is_dead(pid):
            waiting = found.waiting + found.waiting_zero
            goal = "it to grow" if found.waiting else "0"
            yield of_object(
                "waiters",
                Severity.CRITICAL,
                stat,
                f"semaphore {found.index} is {semaphore.value}; {waiting} "
                f"wait{'s' * (waiting == 1)} for {goal} ({processes(found.pids)}), and its last "
                f"process, {pid}, is dead",
                f"if {pid} died holding it: {_frees(stat, found)}",
            )


def _frees(stat: SemaphoreSetStat, found: system.Waiters) -> str:
    change = ".release()" if found.waiting else ".value = 0"
    return python(stat, f"[{found.index}]{change}")


def _is_dead(pid: int) -> bool:
    """Whether no process has this pid now, or only what nobody has waited for.

    A pid that is another process by now is not told from the one that it was.
    """
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return True
    except OSError:
        # Another user's process, alive; or one that /proc hides.
        return False
    return status.rpartition(")")[2].split()[0] in "ZX"


def _removes(stat: Stat) -> str:
    return f"sysv-ipc rm -{kind_of(stat).letter} {stat.id}"
