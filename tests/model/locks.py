"""Scenarios of `Lock`, which are those of `RLock` too."""

from protocol import Protocol, load
from search import READY, Call, Notes, Search, State

LOCK = load("Lock")


def told(notes: Notes, end: str) -> Notes:
    """Counts that a death was told, which is to be told to the next."""
    deaths, tellings = notes
    assert end != "done" or deaths == tellings, "a death is not told to the next"
    return (deaths, tellings + (end == "died"))


TAKE, GIVE = range(2)


def rounds(count: int, *, timed: bool = False) -> list[Call]:
    """Takes and gives so often."""
    script = []
    for number in range(0, 2 * count, 2):
        taken = {"done": number + 1, "died": number + 1}
        script.append(Call("take", taken, told, timed=timed))
        script.append(Call("give", {"done": number + 2} if number < 2 * count - 2 else {}))
    return script


class Locking(Search):
    """Processes that take the lock in turn. Noted: deaths of holders, and how often told."""

    def __init__(
        self,
        protocol: Protocol = LOCK,
        processes: int = 3,
        turns: int = 2,
        *,
        deaths: int = 1,
        signals: int = 0,
        timed: bool = False,
    ) -> None:
        values = list(protocol.semaphores.values())
        script = rounds(turns, timed=timed)
        super().__init__(
            protocol,
            values,
            [script] * processes,
            notes=(0, 0),
            deaths=deaths,
            signals=signals,
            raising=bool(signals),
        )

    def holds(self, state: State, number: int) -> bool:
        process = state.processes[number]
        return process.status == READY and process.call % 2 == GIVE

    def died(self, state: State, number: int) -> State:
        deaths, tellings = state.notes
        return state._replace(notes=(deaths + self.holds(state, number), tellings))

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
