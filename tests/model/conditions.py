"""Scenarios of `Condition`: consumers wait for items, and producers put them there and notify."""

from collections.abc import Callable

from protocol import Protocol, get, load
from search import ASLEEP, READY, Call, Notes, Script, Search, State

CONDITION = load("Condition")

# Noted: the items that are there, and whether a producer died between an item and its notification.
ITEMS, UNTOLD = range(2)


def consume(notes: Notes) -> str:
    return "done" if notes[ITEMS] else "again"


def took(notes: Notes, end: str) -> Notes:
    return (notes[ITEMS] - (end == "done"), *notes[1:])


def puts(count: int) -> Callable[[Notes, str], Notes]:
    def note(notes: Notes, _end: str) -> Notes:
        return (notes[ITEMS] + count, *notes[1:])

    return note


HELD = {"done": 1, "died": 1}

# 0 take, 1 look, 2 enter, 3 give, 4 sleep, 5 take again, 6 confirm, 7 take again unsure, 8 leave,
# 9 give at the end.
CONSUMER: Script = [
    Call("take", HELD),
    Call("", {"done": 9, "again": 2}, took, decide=consume),
    Call("enter", {"done": 3}),
    Call("give", {"done": 4}),
    Call("sleep", {"done": 5, "expired": 7}),
    Call("take", {"done": 6, "died": 6}, steady=True),
    Call("confirm", {"done": 1}),
    Call("take", {"done": 8, "died": 8}, steady=True),
    Call("leave", {"done": 1, "expired": 1}),
    Call("give"),
]


def alone(notes: Notes, end: str) -> Notes:
    """Nobody else waits, so who is not notified has missed nothing."""
    missed = end == "expired" and notes[ITEMS] and not notes[UNTOLD]
    assert not missed, "the only waiter is not told that it was notified"
    return notes


def hasty(*, timed: bool, note: Callable[[Notes, str], Notes] | None = None) -> Script:
    """A consumer whose time can be up, or who is interrupted: then it goes without an item, unless
    it was notified."""
    return [
        *CONSUMER[:4],
        Call("sleep", {"done": 5, "expired": 7}, timed=timed),
        *CONSUMER[5:8],
        Call("leave", {"done": 1, "expired": 9}, note),
        CONSUMER[9],
    ]


# An event loop's, whose task is cancelled when it has a notification.
CANCELLED: Script = [
    *CONSUMER[:4],
    Call("sleep", {"done": 10, "expired": 7}),
    *CONSUMER[5:8],
    Call("leave", {"done": 9, "expired": 9}),
    CONSUMER[9],
    Call("put back", {"done": 7}),
]
TIMED = hasty(timed=True)
INTERRUPTED = hasty(timed=False)
ALONE = hasty(timed=True, note=alone)


def producer(count: int, notified: int | None = None) -> Script:
    """Puts so many items there at once, and notifies as many waiters."""
    return [
        Call("take", HELD),
        Call("", {"done": 2}, puts(count), decide=lambda _notes: "done"),
        Call("notify", {"done": 3}, numbers={"count": count if notified is None else notified}),
        Call("give"),
    ]


def several(count: int) -> Script:
    """Puts an item there and notifies one waiter, so often."""
    script: list[Call] = []
    for first in range(0, 4 * count, 4):
        script += [
            Call("take", {"done": first + 1, "died": first + 1}),
            Call("", {"done": first + 2}, puts(1), decide=lambda _notes: "done"),
            Call("notify", {"done": first + 3}, numbers={"count": 1}),
            Call("give", {"done": first + 4} if first < 4 * count - 4 else {}),
        ]
    return script


class Waiting(Search):
    """Consumers and producers."""

    def __init__(
        self,
        *scripts: Script,
        protocol: Protocol = CONDITION,
        deaths: int = 1,
        signals: int = 0,
        raising: bool = False,
        last_era: int = 32767,
    ) -> None:
        super().__init__(
            protocol,
            list(protocol.semaphores.values()),
            scripts,
            notes=(0, 0),
            deaths=deaths,
            signals=signals,
            raising=raising,
            last_era=last_era,
        )

    def died(self, state: State, number: int) -> State:
        process = state.processes[number]
        at = self.scripts[number][process.call] if process.status == READY else None
        if at is not None and at.program == "notify":
            return state._replace(notes=(state.notes[ITEMS], 1))
        return state

    def check(self, state: State) -> None:
        holders = sum(process.undo[0] == 1 for process in state.processes)
        assert holders <= 1, "two hold the lock"
        eras = {
            get(process.numbers, "era")
            for number, process in enumerate(state.processes)
            if process.status == ASLEEP and self.call(number, process).program == "sleep"
        }
        assert eras <= {state.values[4]}, "somebody sleeps in an era that is over"

    def at_rest(self, state: State) -> None:
        for number, process in enumerate(state.processes):
            if process.status != ASLEEP:
                continue
            program = self.call(number, process).program
            assert program == "sleep", f"{number} waits for a lock that is free"
        assert state.values[0] == 1, "the lock is not free"
        waiting = sum(process.status == ASLEEP for process in state.processes)
        assert state.values[2] == waiting, "waiters are counted wrong"
        if waiting and state.notes[ITEMS]:
            assert state.notes[UNTOLD], "a waiter sleeps, and an item is there"
