"""Scenarios of `Lock`, which are those of `RLock` too."""

from collections.abc import Sequence

from protocol import Protocol, load
from search import READY, Call, Notes, Script, Search, State

LOCK = load("Lock")


def told(notes: Notes, end: str) -> Notes:
    """Counts that a death was told, which is to be told to the next."""
    deaths, tellings = notes
    assert end != "done" or deaths == tellings, "a death is not told to the next"
    return (deaths, tellings + (end == "died"))


def rounds(count: int, *, timed: bool = False) -> list[Call]:
    """Takes and gives so often."""
    script = []
    for number in range(0, 2 * count, 2):
        taken = {"done": number + 1, "died": number + 1}
        script.append(Call("take", taken, told, timed=timed))
        script.append(Call("give", {"done": number + 2} if number < 2 * count - 2 else {}))
    return script


# An event loop that has no use any more for what its thread has got.
ABANDONED = [
    Call("take", {"done": 1, "died": 2}),
    Call("give"),
    Call("pass on"),
]


class Locking(Search):
    """Processes that take the lock in turn. Noted: deaths of holders, and how often told."""

    def __init__(
        self,
        protocol: Protocol = LOCK,
        processes: int = 3,
        turns: int = 2,
        *,
        scripts: Sequence[Script] | None = None,
        deaths: int = 1,
        signals: int = 0,
        timed: bool = False,
    ) -> None:
        values = list(protocol.semaphores.values())
        script: Script = rounds(turns, timed=timed)
        super().__init__(
            protocol,
            values,
            scripts or [script] * processes,
            notes=(0, 0),
            deaths=deaths,
            signals=signals,
            raising=bool(signals),
        )

    def holds(self, state: State, number: int) -> bool:
        process = state.processes[number]
        return process.status == READY and self.call(number, process).program != "take"

    def died(self, state: State, number: int) -> State:
        deaths, tellings = state.notes
        holder = self.holds(state, number)
        # One that passes on is not told of, but what it was told.
        passes_on = self.call(number, state.processes[number]).program == "pass on"
        return state._replace(notes=(deaths + (holder and not passes_on), tellings))

    def check(self, state: State) -> None:
        holders = [number for number in range(len(self.scripts)) if self.holds(state, number)]
        assert len(holders) <= 1, f"{holders} hold it"
        deaths, tellings = state.notes
        assert tellings <= deaths, "a death is told that was none, or twice"

    def at_rest(self, state: State) -> None:
        super().at_rest(state)
        lock, dirty = state.values
        deaths, tellings = state.notes
        assert lock == 1, "it is not free"
        assert dirty == deaths - tellings, "a death is told to nobody"
