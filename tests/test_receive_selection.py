"""Which message a receiving call takes: `type` and `exclude`."""

from collections.abc import Callable

import pytest
import sysv_ipc_rs as ipc
from sysv_ipc_rs import Message, MessageQueue

LONG_MAX = 2**63 - 1
LONG_MIN = -(2**63)

Take = Callable[..., Message | None]


def into(queue: MessageQueue, *, wait: bool) -> Take:
    def take(wanted: int = 0, *, exclude: bool = False) -> Message | None:
        buffer = bytearray(100)
        if wait:
            mtype, size = queue.receive_into(buffer, wanted, exclude=exclude)
        else:
            taken = queue.try_receive_into(buffer, wanted, exclude=exclude)
            if taken is None:
                return None
            mtype, size = taken
        return Message(mtype, buffer[:size])

    return take


TAKES: dict[str, Callable[[MessageQueue], Take]] = {
    "receive": lambda queue: queue.receive,
    "timed receive": lambda queue: lambda *args, **kw: queue.receive(*args, timeout=5, **kw),
    "try_receive": lambda queue: queue.try_receive,
    "receive_into": lambda queue: into(queue, wait=True),
    "try_receive_into": lambda queue: into(queue, wait=False),
    "receive_many": lambda queue: lambda *args, **kw: queue.receive_many(1, *args, **kw)[0],
    "messages": lambda queue: lambda *args, **kw: next(queue.messages(*args, **kw)),
}


@pytest.fixture(params=TAKES)
def take(request: pytest.FixtureRequest, queue: MessageQueue) -> Take:
    """Each of the calls that take a message."""
    return TAKES[request.param](queue)


def fill(queue: MessageQueue, *types: int) -> None:
    """Messages of these types, each with its place as its data."""
    for place, mtype in enumerate(types):
        queue.send(b"%d" % place, mtype)


def test_0_takes_the_first(queue: MessageQueue, take: Take) -> None:
    fill(queue, 4, 2, 3)
    assert [take(), take(0), take()] == [Message(4, b"0"), Message(2, b"1"), Message(3, b"2")]


def test_above_0_takes_the_first_of_that_type(queue: MessageQueue, take: Take) -> None:
    fill(queue, 4, 2, 3, 2)
    assert [take(2), take(2), take(3)] == [Message(2, b"1"), Message(2, b"3"), Message(3, b"2")]
    assert queue.qsize() == 1


def test_below_0_takes_the_first_of_the_lowest_type_up_to_it(
    queue: MessageQueue, take: Take
) -> None:
    fill(queue, 4, 3, 1, 2, 1)
    assert [take(-2), take(-2), take(-2)] == [Message(1, b"2"), Message(1, b"4"), Message(2, b"3")]
    assert queue.try_receive(-2) is None
    assert take(-4) == Message(3, b"1")


def test_the_ends_of_the_range_are_types_too(queue: MessageQueue, take: Take) -> None:
    fill(queue, LONG_MAX, 5, 2)
    assert take(LONG_MIN) == Message(2, b"2")
    assert take(-LONG_MAX) == Message(5, b"1")
    assert take(LONG_MAX) == Message(LONG_MAX, b"0")
    fill(queue, LONG_MAX)
    assert take(LONG_MIN) == Message(LONG_MAX, b"0")
    fill(queue, LONG_MAX)
    assert take(-LONG_MAX) == Message(LONG_MAX, b"0")


def test_exclude_takes_the_first_of_any_other_type(queue: MessageQueue, take: Take) -> None:
    fill(queue, 1, 2, 1, 3)
    assert take(1, exclude=True) == Message(2, b"1")
    assert take(1, exclude=True) == Message(3, b"3")
    assert queue.try_receive(1, exclude=True) is None
    assert take(LONG_MAX, exclude=True) == Message(1, b"0")


@pytest.mark.parametrize("wanted", [0, -1, LONG_MIN])
def test_exclude_needs_a_type_above_0(queue: MessageQueue, take: Take, wanted: int) -> None:
    fill(queue, 1)
    with pytest.raises(ValueError, match="exclude"):
        take(wanted, exclude=True)
    assert queue.qsize() == 1


@pytest.mark.parametrize("wanted", [LONG_MAX + 1, LONG_MIN - 1, 10**30])
def test_a_type_beyond_long_is_refused(queue: MessageQueue, take: Take, wanted: int) -> None:
    fill(queue, 1)
    with pytest.raises((ValueError, OverflowError), match="9223372036854775807"):
        take(wanted)
    assert queue.qsize() == 1


def test_exclude_is_checked_when_the_iterator_is_made(queue: MessageQueue) -> None:
    with pytest.raises(ValueError, match="exclude"):
        queue.messages(exclude=True)
    with pytest.raises(ValueError, match="exclude"):
        queue.readiness(-1, exclude=True)


def test_exclude_is_anything_true_or_false(queue: MessageQueue) -> None:
    fill(queue, 1, 2)
    assert queue.receive(1, exclude=[1]).type == 2
    assert queue.receive(1, exclude=[]).type == 1


def test_what_is_not_selected_is_no_reason_to_take(queue: MessageQueue) -> None:
    fill(queue, 5)
    for wanted, exclude in ((4, False), (-4, False), (5, True)):
        with pytest.raises(ipc.WaitTimeoutError):
            queue.receive(wanted, exclude=exclude, timeout=0.001)
        assert queue.try_receive(wanted, exclude=exclude) is None
    assert queue.qsize() == 1
