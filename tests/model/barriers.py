"""Scenarios of `Barrier`."""

from collections.abc import Sequence

from protocol import Protocol, get, load
from search import ASLEEP, DEAD, Call, Script, Search, State

BARRIER = load("Barrier")
STATE, ARRIVED, ROOM, LEADER, SLOTS = range(5)
BROKEN, RESET = 2, 3

ABORTING: Script = [Call("abort")]
RESETTING: Script = [Call("reset")]
ABORTING_AND_RESETTING: Script = [Call("abort", {"done": 1}), Call("reset")]


def waiting(turns: int, *, timed: bool = False, failing: bool = False) -> Script:
    """Waits at the barrier so often, and leads when it is the last; its action may fail."""
    script = []
    for number in range(0, 2 * turns, 2):
        again = {"done": number + 2} if number < 2 * turns - 2 else {}
        script.append(Call("wait", {"lead": number + 1, **again}, timed=timed))
        script.append(Call("fail" if failing else "release", again))
    return script


class Meeting(Search):
    """Processes at a barrier of so many parties.

    Where there are as many as parties, nobody passes before all have arrived as often.
    """

    def __init__(
        self,
        parties: int,
        scripts: Sequence[Script],
        *,
        protocol: Protocol = BARRIER,
        deaths: int = 1,
        signals: int = 0,
    ) -> None:
        self.parties = parties
        # One script stays one: its processes are alike.
        made = {
            id(script): [call._replace(numbers={"last_slot": parties - 1}) for call in script]
            for script in scripts
        }
        scripts = [made[id(script)] for script in scripts]
        super().__init__(
            protocol,
            [0, 0, parties, 1] + [1] * parties,
            scripts,
            deaths=deaths,
            signals=signals,
            raising=bool(signals),
        )

    def arrived(self, state: State) -> list[int]:
        return [n for n, process in enumerate(state.processes) if process.undo[ARRIVED] == -1]

    def check(self, state: State) -> None:
        arrived = self.arrived(state)
        slots = {get(state.processes[number].numbers, "slot") for number in arrived}
        assert len(slots) == len(arrived), "two have one index"
        assert state.values[ARRIVED] == len(arrived) <= self.parties, "counted wrong"
        assert state.values[ROOM] == self.parties - len(arrived), "counted wrong"
        leaders = [n for n, process in enumerate(state.processes) if process.undo[LEADER] == 1]
        assert state.values[LEADER] == 1 - len(leaders), "two lead, or nobody can"
        self.check_rounds(state, arrived)

    def check_rounds(self, state: State, arrived: list[int]) -> None:
        """Who is a round ahead of another must not have passed before that one has arrived."""
        if len(self.scripts) > self.parties or any(it.status == DEAD for it in state.processes):
            return
        passed, come = [], []
        for number, process in enumerate(state.processes):
            over = process.status == "ended"
            turn = len(self.scripts[number]) // 2 if over else process.call // 2
            passed.append(turn)
            come.append(turn + (number in arrived))
        assert max(passed) <= min(come), f"passed {passed}, arrived {come}"

    def at_rest(self, state: State) -> None:
        asleep = [n for n, process in enumerate(state.processes) if process.status == ASLEEP]
        arrived = self.arrived(state)
        assert set(asleep) <= set(arrived), "somebody can't arrive"
        assert len(asleep) < self.parties, "all have arrived, and nobody passes"
        assert not asleep or state.values[STATE] == 0, "somebody sleeps though it is over"
