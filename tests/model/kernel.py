"""`semop` as the kernel does it, over plain tuples: all or nothing, SEM_UNDO, who is woken when."""

from typing import NamedTuple, TypeAlias

SEMVMX = 32767
DONE, SLEEP, AGAIN = range(3)

Values: TypeAlias = tuple[int, ...]


class Op(NamedTuple):
    """A `struct sembuf`."""

    place: int
    delta: int
    undo: bool
    now: bool


Ops: TypeAlias = tuple[Op, ...]


class OutOfRange(AssertionError):
    """ERANGE, which no protocol may ever see."""


def perform(values: Values, undo: Values, ops: Ops, now: bool) -> tuple[int, Values, Values]:
    """What comes of the operations, and the values and the process's semadj after them.

    The first that can't proceed decides whether the caller sleeps.
    """
    after, adjusted = list(values), list(undo)
    for op in ops:
        value = after[op.place] + op.delta
        if value < 0 or (op.delta == 0 and value):
            return (AGAIN if now or op.now else SLEEP), values, undo
        if op.undo:
            adjusted[op.place] -= op.delta
            if not -SEMVMX - 1 <= adjusted[op.place] <= SEMVMX:
                raise OutOfRange(f"semadj {adjusted}")
        if value > SEMVMX:
            raise OutOfRange(f"value {value} of semaphore {op.place}")
        after[op.place] = value
    return DONE, tuple(after), tuple(adjusted)


def reverse(values: Values, undo: Values) -> Values:
    """The values after the process with this semadj has ended: all at one moment, clamped."""
    pairs = zip(values, undo, strict=True)
    return tuple(min(max(value + change, 0), SEMVMX) for value, change in pairs)


def alters(ops: Ops) -> bool:
    return any(op.delta for op in ops)
