"""Scenarios of `BoundedSemaphore` and `Event`."""

from collections.abc import Callable, Sequence

from protocol import Protocol, load
from search import ASLEEP, READY, Call, Notes, Script, Search, State

BOUNDED = load("BoundedSemaphore")
EVENT = load("Event")


class Tokens(Search):
    """Processes that take one of `bound` tokens and give it back."""

    def __init__(
        self,
        bound: int = 2,
        processes: int = 3,
        turns: int = 2,
        *,
        protocol: Protocol = BOUNDED,
        timed: bool = False,
        deaths: int = 1,
    ) -> None:
        script = []
        for number in range(0, 2 * turns, 2):
            script.append(Call("take", {"done": number + 1}, timed=timed))
            script.append(Call("give", {"done": number + 2} if number < 2 * turns - 2 else {}))
        self.bound = bound
        super().__init__(protocol, [bound, 0, bound], [script] * processes, deaths=deaths)

    def check(self, state: State) -> None:
        holders = sum(
            process.status == READY and self.call(number, process).program == "give"
            for number, process in enumerate(state.processes)
        )
        free, taken, bound = state.values
        assert (free, taken) == (self.bound - holders, holders), "tokens are lost or made"
        assert bound == self.bound

    def at_rest(self, state: State) -> None:
        super().at_rest(state)
        assert state.values[0] == self.bound, "a token is lost"


def noted(is_set: int) -> Callable[[Notes, str], Notes]:
    return lambda _notes, _end: (is_set,)


WAITER: Script = [Call("wait")]
SETTER: Script = [Call("set", {}, noted(1))]
SET_AND_CLEAR: Script = [Call("set", {"done": 1}, noted(1)), Call("clear", {}, noted(0))]
TWICE: Script = [
    SET_AND_CLEAR[0],
    Call("clear", {"done": 2}, noted(0)),
    Call("set", {}, noted(1)),
]


class Events(Search):
    """Processes that wait for an event, set and clear it. Noted: whether it should be set."""

    def __init__(
        self,
        scripts: Sequence[Script],
        *,
        protocol: Protocol = EVENT,
        deaths: int = 1,
        signals: int = 0,
    ) -> None:
        super().__init__(protocol, [1], scripts, notes=(0,), deaths=deaths, signals=signals)

    def check(self, state: State) -> None:
        asleep = any(process.status == ASLEEP for process in state.processes)
        assert state.values[0] or not asleep, "the event is set, and somebody sleeps"

    def at_rest(self, state: State) -> None:
        if state.notes[0]:
            super().at_rest(state)
