"""What a check has found."""

import enum
from typing import Any, NamedTuple

from .._objects import Kind, Stat, kind_of


class Severity(enum.IntEnum):
    """How soon somebody should look."""

    INFO = enum.auto()
    """Worth knowing."""
    WARNING = enum.auto()
    """Will hurt, or is left over."""
    CRITICAL = enum.auto()
    """Hurts now."""

    def __str__(self) -> str:
        return self.name.lower()


class Finding(NamedTuple):
    """One thing that a check has found."""

    check: str
    severity: Severity
    kind: Kind | None
    """None: it is about no kind of objects."""
    id: int | None
    """None: it is about no single object."""
    message: str
    remedy: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            **self._asdict(),
            "severity": str(self.severity),
            "kind": self.kind and self.kind.name,
        }


def of_object(check: str, severity: Severity, stat: Stat, message: str, remedy: str) -> Finding:
    """A finding about one object."""
    return Finding(check, severity, kind_of(stat), stat.id, message, remedy)


def processes(pids: list[int] | tuple[int, ...]) -> str:
    """Names them in a sentence; those that can't be seen are not known."""
    if not pids:
        return "processes that can't be seen"
    return f"process{'es' * (len(pids) > 1)} {', '.join(map(str, pids))}"


def python(stat: Stat, call: str) -> str:
    """The command that does this to an object."""
    handle = kind_of(stat).handle.__name__
    return f"python3 -c 'import sysv_ipc_rs as i; i.{handle}.from_id({stat.id}){call}'"
