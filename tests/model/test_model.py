"""Every interleaving of a few processes, with a death at every step: each protocol holds, and the
search finds what is wrong with one that was broken on purpose.

Bounds: three processes (four for RWLock, and where a barrier has a spare one), one to two turns
each, one death (two where it says so), one signal. Timeouts can come at any moment.
"""

from collections.abc import Callable

import pytest
from barriers import (
    ABORTING,
    ABORTING_AND_RESETTING,
    BARRIER,
    RESETTING,
    Meeting,
    waiting,
)
from conditions import (
    ALONE,
    CANCELLED,
    CONDITION,
    CONSUMER,
    INTERRUPTED,
    TIMED,
    Waiting,
    producer,
    several,
)
from kernel import AGAIN, DONE, SLEEP, Op, OutOfRange, perform, reverse
from locks import ABANDONED, LOCK, Locking, rounds
from rwlocks import RWLOCK, Sharing, using
from search import Broken, Search
from tokens import BOUNDED, EVENT, SET_AND_CLEAR, SETTER, TWICE, WAITER, Events, Tokens

READ, WRITE = using("read", 1), using("write", 1)
TIMED_READ, TIMED_WRITE = using("read", 1, timed=True), using("write", 1, timed=True)
ONCE, AGAIN_AND_AGAIN = waiting(1), waiting(2)

HOLDS: dict[str, Callable[[], Search]] = {
    "lock": Locking,
    "lock, two deaths": lambda: Locking(deaths=2),
    "lock, timeouts": lambda: Locking(timed=True),
    "lock, a signal": lambda: Locking(timed=True, signals=1, deaths=2),
    "lock, abandoned": lambda: Locking(scripts=[ABANDONED, rounds(1), rounds(2)], deaths=2),
    "rwlock, two of each": lambda: Sharing([READ, READ, WRITE, WRITE], deaths=2),
    "rwlock, three writers": lambda: Sharing([WRITE, WRITE, WRITE, READ]),
    "rwlock, three readers": lambda: Sharing([READ, READ, READ, using("write", 2)]),
    "rwlock, timeouts": lambda: Sharing([TIMED_READ, READ, TIMED_WRITE, WRITE]),
    "rwlock, a signal": lambda: Sharing([READ, WRITE, WRITE, READ], signals=1),
    "tokens": lambda: Tokens(deaths=2),
    "tokens, timeouts": lambda: Tokens(timed=True),
    "event": lambda: Events([WAITER, WAITER, SETTER], signals=1),
    "event, cleared": lambda: Events([WAITER, WAITER, SET_AND_CLEAR]),
    "event, set again": lambda: Events([WAITER, WAITER, TWICE]),
    "condition, one item": lambda: Waiting(CONSUMER, CONSUMER, producer(1)),
    "condition, two items": lambda: Waiting(CONSUMER, CONSUMER, producer(2)),
    "condition, twice": lambda: Waiting(CONSUMER, CONSUMER, several(2)),
    "condition, two producers": lambda: Waiting(CONSUMER, producer(1), producer(1)),
    "condition, timeouts": lambda: Waiting(CONSUMER, TIMED, several(2)),
    "condition, one waiter": lambda: Waiting(ALONE, producer(1), producer(1)),
    "condition, a signal": lambda: Waiting(CONSUMER, CONSUMER, producer(1), signals=1),
    "condition, put back": lambda: Waiting(CONSUMER, CANCELLED, several(2)),
    "condition, a handler raises": lambda: Waiting(
        CONSUMER, INTERRUPTED, producer(1), signals=1, raising=True
    ),
    "barrier, two rounds": lambda: Meeting(3, [AGAIN_AND_AGAIN] * 3, deaths=0),
    "barrier, a death": lambda: Meeting(3, [ONCE] * 3),
    "barrier, a spare process": lambda: Meeting(2, [AGAIN_AND_AGAIN, ONCE, ONCE]),
    "barrier, aborted": lambda: Meeting(2, [ONCE, ONCE, ABORTING]),
    "barrier, reset": lambda: Meeting(2, [ONCE, ONCE, RESETTING]),
    "barrier, aborted and reset": lambda: Meeting(2, [ONCE, ONCE, ABORTING_AND_RESETTING]),
    "barrier, timeouts": lambda: Meeting(2, [waiting(1, timed=True), ONCE, ONCE]),
    "barrier, the action fails": lambda: Meeting(2, [waiting(1, failing=True), ONCE, ONCE]),
    "barrier, a signal": lambda: Meeting(2, [ONCE] * 3, signals=1),
}


@pytest.mark.parametrize("search", HOLDS.values(), ids=HOLDS)
def test_a_protocol_holds_in_every_interleaving(search: Callable[[], Search]) -> None:
    assert search().run() > 20


def broken_condition(program: str, step: int, op: int) -> Search:
    protocol = CONDITION.without(program, step, op)
    return Waiting(CONSUMER, CONSUMER, several(2), protocol=protocol)


def broken_barrier(program: str, step: int, op: int) -> Search:
    protocol = BARRIER.without(program, step, op)
    return Meeting(2, [ONCE] * 3, protocol=protocol)


BREAKS: dict[str, Callable[[], Search]] = {
    "a lock taken without undo": lambda: Locking(LOCK.without_undo("take", 0)),
    "a lock recovered without undo": lambda: Locking(LOCK.without_undo("take", 1), deaths=2),
    "a lock given without undo": lambda: Locking(LOCK.without_undo("give", 0)),
    "a lock's look before its take": lambda: Locking(LOCK.swapped("take", 0, 0, 1)),
    "a lock dirty before the look": lambda: Locking(LOCK.swapped("take", 0, 1, 2)),
    "a lock never dirty": lambda: Locking(LOCK.without("take", 0, 2)),
    "a death told twice": lambda: Locking(LOCK.without("take", 1, 1)),
    "a death never told": lambda: Locking(LOCK.without("take", 0, 1)),
    "a token taken without undo": lambda: Tokens(protocol=BOUNDED.without_undo("take", 0, 1)),
    "an event that is never set": lambda: Events(
        [WAITER, WAITER, TWICE], protocol=EVENT.replace("set", 0, ops=())
    ),
    "a gate closed without undo": lambda: Sharing(
        [READ, WRITE, WRITE], protocol=RWLOCK.without_undo("take write", 1)
    ),
    "a gate left closed": lambda: Sharing(
        [READ, TIMED_WRITE, READ],
        protocol=RWLOCK.replace("take write", 2, expired="expired"),
    ),
    "readers that are not waited for": lambda: Sharing(
        [READ, WRITE, READ], protocol=RWLOCK.without("take write", 2, 0)
    ),
    "readers without a gate": lambda: Sharing(
        [READ, WRITE, READ], protocol=RWLOCK.without("take read", 0, 0).without("take read", 0, 0)
    ),
    "a reader not told": lambda: Sharing(
        [READ, WRITE, WRITE], protocol=RWLOCK.without("take read", 1, 2)
    ),
    "a notification without an era": lambda: broken_condition("notify", 4, 3),
    "sleep in any era": lambda: broken_condition("sleep", 0, 1),
    "a notification that dies with its waiter": lambda: Waiting(
        CONSUMER, CONSUMER, producer(1), protocol=CONDITION.without_undo("sleep", 0, 3)
    ),
    "a waiter that is never counted out": lambda: broken_condition("sleep", 0, 4),
    "a notification forgotten at the end of the time": lambda: Waiting(
        ALONE,
        producer(1),
        producer(1),
        protocol=CONDITION.replace("leave", 1, done="expired"),
    ),
    "a barrier that counts the dead": lambda: Meeting(
        2, [ONCE] * 3, protocol=BARRIER.without_undo("wait", 1, 2, 4)
    ),
    "a barrier whose room is lost": lambda: Meeting(
        2, [ONCE] * 3, protocol=BARRIER.without_undo("wait", 1, 1, 4)
    ),
    "a leader that can't be replaced": lambda: Meeting(
        2, [ONCE] * 3, protocol=BARRIER.without_undo("wait", 6)
    ),
    "a new round before the last is over": lambda: Meeting(
        3, [AGAIN_AND_AGAIN] * 3, deaths=0, protocol=BARRIER.without("wait", 2, 2)
    ),
    "a barrier that two lead": lambda: broken_barrier("wait", 6, 2),
    "a barrier led before all are there": lambda: Meeting(
        3, [ONCE] * 3, deaths=0, protocol=BARRIER.without("wait", 6, 1)
    ),
    "a barrier that breaks unheard": lambda: Meeting(
        2, [ONCE, ONCE, ABORTING], protocol=BARRIER.patient("wait", 7, 1)
    ),
}


@pytest.mark.parametrize("search", BREAKS.values(), ids=BREAKS)
def test_a_protocol_broken_on_purpose_is_found(search: Callable[[], Search]) -> None:
    with pytest.raises((Broken, OutOfRange)):
        search().run()


def test_nobody_starves_for_a_lock() -> None:
    for_ever = rounds(1)
    for_ever[1] = for_ever[1]._replace(after={"done": 0})
    search = Locking(scripts=[for_ever, [*for_ever], rounds(1)], deaths=0)
    search.run()
    assert not search.starves(2)


@pytest.mark.parametrize("kind", ["read", "write"])
def test_neither_readers_nor_writers_starve(kind: str) -> None:
    other = using("write" if kind == "read" else "read", 1, for_ever=True)
    search = Sharing([other, [*other], using(kind, 1)], deaths=0)
    search.run()
    assert not search.starves(2)


def test_a_writer_that_does_not_close_the_gate_starves() -> None:
    at_once = RWLOCK.programs["take write"][0].ops
    ungated = RWLOCK.replace("take write", 1, ops=at_once, done="done")
    readers = using("read", 1, for_ever=True)
    search = Sharing([readers, [*readers], WRITE], deaths=0, protocol=ungated)
    search.run()
    assert search.starves(2)


def test_the_model_of_semop_is_all_or_nothing() -> None:
    take, give = Op(0, -1, True, False), Op(1, 1, False, False)
    assert perform((1, 0), (0, 0), (give, take), False) == (DONE, (0, 1), (1, 0))
    assert perform((0, 0), (0, 0), (give, take), False) == (SLEEP, (0, 0), (0, 0))
    assert perform((0, 0), (0, 0), (give, take), True) == (AGAIN, (0, 0), (0, 0))


def test_in_the_model_the_first_that_cannot_proceed_decides() -> None:
    patient, hasty = Op(0, -1, False, False), Op(1, -1, False, True)
    assert perform((0, 0), (0, 0), (patient, hasty), False)[0] == SLEEP
    assert perform((0, 0), (0, 0), (hasty, patient), False)[0] == AGAIN
    assert perform((1, 0), (0, 0), (patient, hasty), False)[0] == AGAIN


def test_in_the_model_undo_is_clamped() -> None:
    assert reverse((1, 32767, 5), (-3, 1, -2)) == (0, 32767, 3)
    with pytest.raises(OutOfRange):
        perform((32767,), (0,), (Op(0, 1, False, False),), False)
