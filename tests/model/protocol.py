"""The tables of operations that the package performs, as the model takes them.

They come out of the extension module: there is no second copy of them.
"""

from functools import cache
from typing import Any, NamedTuple, TypeAlias

from kernel import Op, Ops
from sysv_ipc_rs import _core

NUMBERS = ("slot", "last slot", "count", "left", "era", "next era")
Numbers: TypeAlias = tuple[int, ...]


class Step(NamedTuple):
    """One step of a program; see `sysv_ipc_rs::sync::protocols` in the crate."""

    name: str
    act: str
    ops: tuple[Any, ...]
    done: int | str
    again: int | str
    expired: int | str
    interrupted: int | str
    read: tuple[int, str, str | None] | None = None

    def concrete(self, numbers: Numbers) -> Ops:
        return concrete(self.ops, numbers)


@cache
def concrete(ops: tuple[Any, ...], numbers: Numbers) -> Ops:
    """The operations, with the numbers that the table leaves open."""
    made = []
    for index, slot, delta, number, undo, now in ops:
        place = index + (get(numbers, "slot") if slot else 0)
        change = delta * get(numbers, number) if number else delta
        made.append(Op(place, change, undo, now))
    return tuple(made)


def get(numbers: Numbers, name: str) -> int:
    return numbers[NUMBERS.index(name)]


def put(numbers: Numbers, name: str, value: int, last_era: int = 32767) -> Numbers:
    changed = list(numbers)
    changed[NUMBERS.index(name)] = value
    if name == "era":
        changed[NUMBERS.index("next era")] = 0 if value == last_era else value + 1
    return tuple(changed)


def numbers(**known: int) -> Numbers:
    made = (0,) * len(NUMBERS)
    for name, value in known.items():
        made = put(made, name.replace("_", " "), value)
    return made


Program: TypeAlias = tuple[Step, ...]


class Protocol(NamedTuple):
    """A class of `sysv_ipc_rs.sync`."""

    semaphores: dict[str, int]
    programs: dict[str, Program]

    def replace(self, program: str, step: int, **changes: Any) -> "Protocol":
        """The protocol, broken on purpose."""
        steps = list(self.programs[program])
        steps[step] = steps[step]._replace(**changes)
        return self._replace(programs={**self.programs, program: tuple(steps)})

    def without_undo(self, program: str, step: int, *indices: int) -> "Protocol":
        """Without SEM_UNDO in operations on these semaphores; on all if none is named."""
        ops = tuple(
            (*op[:4], op[4] and bool(indices) and op[0] not in indices, op[5])
            for op in self.programs[program][step].ops
        )
        return self.replace(program, step, ops=ops)

    def swapped(self, program: str, step: int, first: int, second: int) -> "Protocol":
        """With two operations of a step in each other's place."""
        ops = list(self.programs[program][step].ops)
        ops[first], ops[second] = ops[second], ops[first]
        return self.replace(program, step, ops=tuple(ops))

    def patient(self, program: str, step: int, op: int) -> "Protocol":
        """Without IPC_NOWAIT in one operation of a step."""
        ops = list(self.programs[program][step].ops)
        ops[op] = (*ops[op][:5], False)
        return self.replace(program, step, ops=tuple(ops))

    def without(self, program: str, step: int, op: int) -> "Protocol":
        """Without one operation of a step."""
        ops = self.programs[program][step].ops
        return self.replace(program, step, ops=ops[:op] + ops[op + 1 :])


def load(name: str) -> Protocol:
    told: dict[str, Any] = _core.sync_protocols()[name]
    programs = {
        program: tuple(Step(**step) for step in steps)
        for program, steps in told["programs"].items()
    }
    return Protocol(told["semaphores"], programs)
