"""Scenarios of `RWLock`."""

from collections.abc import Sequence

from locks import told
from protocol import Protocol, load
from search import READY, Call, Script, Search, State

RWLOCK = load("RWLock")
GATE, READERS, WRITTEN = range(3)


def using(kind: str, turns: int, *, timed: bool = False, for_ever: bool = False) -> Script:
    """Takes it so (`read` or `write`) and gives it back, so often or for ever."""
    script = []
    for number in range(0, 2 * turns, 2):
        taken = {"done": number + 1, "died": number + 1}
        script.append(Call(f"take {kind}", taken, told, timed=timed))
        following = number + 2 if number < 2 * turns - 2 else 0
        more = for_ever or following
        script.append(Call(f"give {kind}", {"done": following} if more else {}))
    return script


class Sharing(Search):
    """Readers and writers. Noted: deaths of writers as such, and how often told."""

    def __init__(
        self,
        scripts: Sequence[Script],
        *,
        protocol: Protocol = RWLOCK,
        deaths: int = 1,
        signals: int = 0,
    ) -> None:
        values = list(protocol.semaphores.values())
        super().__init__(
            protocol,
            values,
            scripts,
            notes=(0, 0),
            deaths=deaths,
            signals=signals,
            raising=bool(signals),
        )

    def has(self, state: State, kind: str) -> list[int]:
        return [
            number
            for number, process in enumerate(state.processes)
            if process.status == READY and self.call(number, process).program == f"give {kind}"
        ]

    def died(self, state: State, number: int) -> State:
        deaths, tellings = state.notes
        return state._replace(notes=(deaths + (number in self.has(state, "write")), tellings))

    def check(self, state: State) -> None:
        writers, readers = self.has(state, "write"), self.has(state, "read")
        assert len(writers) <= 1, f"{writers} write at once"
        assert not (writers and readers), f"{readers} read while {writers} write"
        deaths, tellings = state.notes
        assert tellings <= deaths, "a death is told that was none, or twice"

    def at_rest(self, state: State) -> None:
        super().at_rest(state)
        deaths, tellings = state.notes
        assert state.values == (1, 0, deaths - tellings), "it is not free, or a death is not told"
