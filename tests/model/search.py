"""Searches through every interleaving of a few processes, with deaths, timeouts and signals.

A state is everything there is: the values, who sleeps in the kernel in which order, and of each
process where it is in its script, what it knows, and what would be undone. One transition is one
system call of one process with all that the kernel does in it, or one event: a process is killed,
its time is up, or a signal interrupts its sleep. States are visited once, so the search ends though
there are far more interleavings than states.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from kernel import AGAIN, DONE, SLEEP, Ops, Values, alters, perform, reverse
from protocol import NUMBERS, Numbers, Program, Protocol, Step, get, put

READY, ASLEEP, ENDED, DEAD = "ready", "asleep", "ended", "dead"


class Process(NamedTuple):
    """Where a process is."""

    status: str
    call: int
    step: int
    numbers: Numbers
    undo: Values
    # As `Run` in the crate has them: the steps that have been tried are one a bit.
    tried: int = 0
    slots: int = 0
    # Whether it still goes as far as it can without sleeping.
    probing: bool = True
    # Whether the time that it waits at most is up.
    late: bool = False


class State(NamedTuple):
    values: Values
    processes: tuple[Process, ...]
    # Who sleeps, longest first.
    queue: tuple[int, ...]
    # What the scenario counts.
    notes: tuple[int, ...]
    deaths: int
    signals: int


Notes: TypeAlias = tuple[int, ...]


class Call(NamedTuple):
    """A program that a process runs, what comes after each of its ends, and what is noted then.

    An end that isn't named ends the script. A call without a program is a decision.
    """

    program: str
    after: dict[str, int] = {}  # noqa: RUF012 (it is never changed)
    note: Callable[[Notes, str], Notes] | None = None
    timed: bool = False
    # Whether it goes on though a signal handler raises.
    steady: bool = False
    # What the numbers are when it begins, where they aren't those of the calls before.
    numbers: dict[str, int] = {}  # noqa: RUF012
    decide: Callable[[Notes], str] | None = None


Script: TypeAlias = Sequence[Call]


class Broken(AssertionError):
    """The protocol does not hold; with the way that leads there."""


class Search:
    """One protocol in one scenario."""

    def __init__(
        self,
        protocol: Protocol,
        values: Sequence[int],
        scripts: Sequence[Script],
        *,
        notes: Notes = (),
        deaths: int = 1,
        signals: int = 0,
        raising: bool = False,
        last_era: int = 32767,
    ) -> None:
        self.protocol = protocol
        self.scripts = scripts
        self.raising = raising
        self.last_era = last_era
        self.alike = all(script is scripts[0] for script in scripts)
        nothing = (0,) * len(values)
        first = (0,) * len(NUMBERS)
        processes = tuple(
            self.begin(Process(READY, 0, 0, first, nothing), number)
            for number in range(len(scripts))
        )
        self.ways: dict[State, list[State]] = {}
        self.start = State(tuple(values), processes, (), notes, deaths, signals)

    # What a scenario is asked about each state.

    def check(self, state: State) -> None:
        """Raises AssertionError in a state that must not be."""

    def at_rest(self, state: State) -> None:
        """Raises AssertionError in a state in which nobody can go on."""
        asleep = [number for number, it in enumerate(state.processes) if it.status == ASLEEP]
        assert not asleep, f"{asleep} sleep for ever"

    def died(self, state: State, _number: int) -> State:
        """Notes a death, before the kernel undoes anything."""
        return state

    # Where a process is.

    def call(self, number: int, process: Process) -> Call:
        return self.scripts[number][process.call]

    def program(self, number: int, process: Process) -> Program:
        return self.protocol.programs[self.call(number, process).program]

    def step(self, number: int, process: Process) -> Step:
        return self.program(number, process)[process.step]

    def is_at(self, state: State, number: int, *calls: int) -> bool:
        process = state.processes[number]
        return process.status in {READY, ASLEEP} and process.call in calls

    def ops(self, state: State, number: int) -> Ops:
        process = state.processes[number]
        return self.step(number, process).concrete(process.numbers)

    # How it goes on.

    def begin(self, process: Process, number: int) -> Process:
        """At the first step of a call."""
        numbers = process.numbers
        for name, value in self.call(number, process).numbers.items():
            numbers = put(numbers, name.replace("_", " "), value)
        return process._replace(step=0, numbers=numbers, tried=0, slots=0, probing=True, late=False)

    def go(self, state: State, number: int, to: int | str) -> State:
        """The process goes to a step, or ends its call so."""
        process = state.processes[number]._replace(status=READY)
        if isinstance(to, int):
            return replaced(state, number, process._replace(step=to))
        call = self.call(number, process)
        if call.note:
            state = state._replace(notes=call.note(state.notes, to))
        after = call.after.get(to)
        if after is None:
            # Nothing is left of it but what the kernel would undo.
            over = Process(ENDED, 0, 0, (0,) * len(NUMBERS), process.undo)
            return replaced(state, number, over)
        state = replaced(state, number, self.begin(process._replace(call=after), number))
        decide = self.scripts[number][after].decide
        return self.go(state, number, decide(state.notes)) if decide else state

    def answer(self, state: State, number: int, code: int) -> State:
        """The process has the kernel's answer to its step."""
        process = state.processes[number]
        step = self.step(number, process)
        if step.act == "wait":
            tried = 0 if code == DONE else process.tried | 1 << process.step
            state = replaced(state, number, process._replace(tried=tried))
        return self.go(state, number, step.done if code == DONE else step.again)

    def move(self, state: State, number: int) -> State:
        """The process goes on with one system call."""
        process = state.processes[number]
        step = self.step(number, process)
        if step.act == "next slot":
            last = get(process.numbers, "last slot")
            slot = get(process.numbers, "slot")
            slots = process.slots + 1
            process = process._replace(
                numbers=put(process.numbers, "slot", slot + 1 if slot < last else 0),
                slots=min(slots, last + 1),
                tried=process.tried if slots > last else 0,
            )
            return self.move(self.go(replaced(state, number, process), number, step.done), number)
        if step.act == "wait" and process.tried >> process.step & 1:
            if process.late:
                return self.go(state, number, step.expired)
            process = process._replace(probing=False)
            state = replaced(state, number, process)
        if step.read:
            index, name, most = step.read
            value = state.values[index]
            if most:
                value = min(value, get(process.numbers, most))
            numbers = put(process.numbers, name, value, self.last_era)
            state = replaced(state, number, process._replace(numbers=numbers))
            return self.go(state, number, step.done if value else step.again)
        ops = step.concrete(process.numbers)
        now = step.act == "try" or process.late or process.probing
        code, values, undo = perform(state.values, process.undo, ops, now)
        if code == SLEEP:
            state = replaced(state, number, process._replace(status=ASLEEP))
            return state._replace(queue=(*state.queue, number))
        state = replaced(state, number, process._replace(undo=undo))._replace(values=values)
        if code == DONE and alters(ops):
            state = self.wake(state)
        return self.answer(state, number, code)

    def wake(self, state: State) -> State:
        """The kernel looks who of those asleep can go on, in the order in which they came; first
        who only waits for zeros; and again from the start after each that changed something."""
        while True:
            state = self.wake_first(state, False)[0]
            state, woken = self.wake_first(state, True)
            if not woken:
                return state

    def wake_first(self, state: State, altering: bool) -> tuple[State, bool]:
        for number in state.queue:
            ops = self.ops(state, number)
            if alters(ops) != altering:
                continue
            process = state.processes[number]
            code, values, undo = perform(state.values, process.undo, ops, False)
            if code == SLEEP:
                continue
            queue = tuple(other for other in state.queue if other != number)
            state = replaced(state, number, process._replace(undo=undo))
            state = state._replace(values=values, queue=queue)
            state = self.answer(state, number, code)
            if altering and code == DONE:
                return state, True
        return state, False

    # What happens to it.

    def kill(self, state: State, number: int) -> State:
        state = self.died(state, number)._replace(deaths=state.deaths - 1)
        process = state.processes[number]
        nothing = (0,) * len(state.values)
        dead = Process(DEAD, 0, 0, (0,) * len(NUMBERS), nothing)
        queue = tuple(other for other in state.queue if other != number)
        values = reverse(state.values, process.undo)
        state = replaced(state, number, dead)._replace(queue=queue, values=values)
        return self.wake(state)

    def leave_sleep(self, state: State, number: int) -> State:
        return state._replace(queue=tuple(other for other in state.queue if other != number))

    def transitions(self, state: State) -> Iterator[tuple[str, State]]:
        for number, process in enumerate(state.processes):
            if process.status == READY:
                name = self.step(number, process).name
                after = self.move(state, number)
                it = after.processes[number]
                went_back = it.call == process.call and it.step <= process.step
                if went_back and it.status == READY and after.values == state.values:
                    self.check_spinning(after, number)
                yield f"{number}: {name}", after

    def check_spinning(self, state: State, number: int) -> None:
        """Nobody may be busy with waiting: a process that goes on alone must come to an end."""
        seen, call = set(), state.processes[number].call
        while (it := state.processes[number]).status == READY and it.call == call:
            assert state not in seen, f"{number} spins"
            seen.add(state)
            state = self.move(state, number)

    def events(self, state: State) -> Iterator[tuple[str, State]]:
        for number, process in enumerate(state.processes):
            if process.status in {DEAD, ENDED} and not any(process.undo):
                continue
            if state.deaths:
                yield f"{number} is killed", self.kill(state, number)
            if process.status in {DEAD, ENDED}:
                continue
            step = self.step(number, process)
            if self.call(number, process).timed and not process.late:
                late = replaced(state, number, process._replace(late=True))
                if process.status == ASLEEP:
                    late = self.answer(self.leave_sleep(late, number), number, AGAIN)
                yield f"{number}: the time is up", late
            if state.signals and process.status == ASLEEP:
                after = self.leave_sleep(state, number)._replace(signals=state.signals - 1)
                tried = process.tried | 1 << process.step
                again = process._replace(status=READY, tried=tried)
                yield f"{number}: a signal", replaced(after, number, again)
                if self.raising and not self.call(number, process).steady:
                    yield f"{number}: a handler raises", self.go(after, number, step.interrupted)

    # All of it.

    def canonical(self, state: State) -> State:
        """Processes with one script are told apart by nothing but where they are."""
        if not self.alike:
            return state
        place = {number: index for index, number in enumerate(state.queue)}
        key = lambda number: (state.processes[number], place.get(number, -1))  # noqa: E731
        order = sorted(range(len(state.processes)), key=key)
        new = {number: index for index, number in enumerate(order)}
        return state._replace(
            processes=tuple(state.processes[number] for number in order),
            queue=tuple(new[number] for number in state.queue),
        )

    def run(self, at_most: int = 2_000_000) -> int:
        """Visits every state that can be reached; how many there are."""
        start = self.canonical(self.start)
        came: dict[State, tuple[State, str] | None] = {start: None}
        todo = [start]
        while todo:
            state = todo.pop()
            try:
                self.check(state)
                ways = list(self.transitions(state))
                if not ways:
                    self.at_rest(state)
                ways += self.events(state)
            except AssertionError as error:
                raise Broken(f"{error}\n{self.way(came, state)}") from error
            self.ways[state] = []
            for label, after in ways:
                after = self.canonical(after)  # noqa: PLW2901
                self.ways[state].append(after)
                if after not in came:
                    came[after] = (state, label)
                    todo.append(after)
            assert len(came) < at_most, "too many states: the scenario has to be smaller"
        return len(came)

    def starves(self, number: int) -> bool:
        """Whether the others can go on for ever while this process sleeps; after `run`."""
        assert not self.alike, "the processes are not told apart"
        asleep = {it for it in self.ways if it.processes[number].status == ASLEEP}
        ends = {state for state in asleep if not any(way in asleep for way in self.ways[state])}
        before: dict[State, list[State]] = {state: [] for state in asleep}
        left = dict.fromkeys(asleep, 0)
        for state in asleep:
            for way in asleep.intersection(self.ways[state]):
                before[way].append(state)
                left[state] += 1
        # What leads only to ends is one; what is left over goes in circles.
        todo = list(ends)
        while todo:
            for state in before[todo.pop()]:
                left[state] -= 1
                if not left[state]:
                    ends.add(state)
                    todo.append(state)
        return len(ends) < len(asleep)

    @staticmethod
    def way(came: dict[State, tuple[State, str] | None], state: State) -> str:
        lines = [f"    values {state.values}, asleep {state.queue}, noted {state.notes}"]
        while before := came[state]:
            state, label = before
            lines.append(f"    {label}")
        return "\n".join(reversed(lines))


def replaced(state: State, number: int, process: Process) -> State:
    processes = state.processes
    return state._replace(processes=(*processes[:number], process, *processes[number + 1 :]))
