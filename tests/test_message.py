"""Message: what a queue's call gives, as a value."""

import copy
import mmap
import pickle
from array import array
from typing import Any

import numpy as np
import pytest
from sysv_ipc_rs import Message, MessageQueue


def test_a_message_is_type_and_data() -> None:
    message = Message(3, b"abc")
    assert (message.type, message.data) == (3, b"abc")
    assert Message(type=3, data=b"abc") == message
    assert Message(2**63 - 1, b"").type == 2**63 - 1


def test_it_unpacks() -> None:
    mtype, data = Message(3, b"abc")
    assert (mtype, data) == (3, b"abc")
    assert list(Message(1, b"")) == [1, b""]


def test_it_is_equal_by_both_parts() -> None:
    message = Message(3, b"abc")
    assert message == Message(3, b"abc")
    assert (message != Message(3, b"abc")) is False
    assert message != Message(4, b"abc")
    assert message != Message(3, b"abd")
    assert message != (3, b"abc")
    assert (message == None) is False  # noqa: E711
    assert message != object()


def test_equal_ones_have_one_hash() -> None:
    assert hash(Message(3, b"abc")) == hash(Message(3, bytearray(b"abc")))
    assert len({Message(3, b"abc"), Message(3, b"abc"), Message(4, b"abc")}) == 2


def test_it_can_be_matched() -> None:
    match Message(3, b"abc"):
        case Message(3, data):
            assert data == b"abc"
        case _:
            pytest.fail("no match")
    match Message(3, b"abc"):
        case Message(type=4):
            pytest.fail("a wrong match")
        case Message(data=b"abc", type=mtype):
            assert mtype == 3


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_pickles(protocol: int) -> None:
    message = Message(3, b"abc")
    assert pickle.loads(pickle.dumps(message, protocol)) == message


def test_it_copies() -> None:
    message = Message(3, b"abc")
    assert copy.copy(message) == copy.deepcopy(message) == message


def test_it_is_frozen_and_final() -> None:
    message: Any = Message(3, b"abc")
    with pytest.raises(AttributeError):
        message.type = 4
    with pytest.raises(AttributeError):
        message.data = b""
    with pytest.raises(AttributeError):
        message.other = 1
    with pytest.raises(TypeError):
        type("Mine", (Message,), {})


def test_repr_can_be_evaluated() -> None:
    message = Message(3, b"a\0c")
    assert repr(message) == "Message(type=3, data=b'a\\x00c')"
    assert eval(repr(message)) == message


@pytest.mark.parametrize("bad", [0, -1, 2**63])
def test_a_type_below_1_is_refused(bad: int) -> None:
    with pytest.raises((ValueError, OverflowError), match="1 to 9223372036854775807"):
        Message(bad, b"")


@pytest.mark.parametrize(
    "data",
    [
        bytearray(b"abc"),
        memoryview(b"abc"),
        memoryview(b"xabcx")[1:4],
        array("B", b"abc"),
        np.frombuffer(b"abc", dtype=np.uint8),
    ],
    ids=lambda data: type(data).__name__,
)
def test_data_is_copied_from_any_buffer(data: Any) -> None:
    assert type(Message(1, data).data) is bytes
    assert Message(1, data).data == b"abc"


def test_later_changes_of_the_buffer_do_not_show() -> None:
    data = bytearray(b"abc")
    message = Message(1, data)
    data[:] = b"xyzuvw"
    assert message.data == b"abc"


def test_much_data_is_copied_whole() -> None:
    with mmap.mmap(-1, 300_000) as data:
        data[:] = bytes(range(250)) * 1200
        assert Message(1, data).data == data[:]


@pytest.mark.parametrize("bad", ["abc", 3, None, [1], 1.5])
def test_data_is_a_buffer(bad: Any) -> None:
    with pytest.raises(TypeError, match="bytes-like"):
        Message(1, bad)


def test_both_parts_are_required() -> None:
    make: Any = Message
    for arguments in ((), (1,), (1, b"", 3)):
        with pytest.raises(TypeError):
            make(*arguments)


def test_what_a_queue_gives_is_a_message(queue: MessageQueue) -> None:
    queue.send(b"abc", 3)
    message = queue.receive()
    assert type(message) is Message
    assert type(message.data) is bytes
    assert message == Message(3, b"abc")


def test_messages_can_be_made_and_dropped_in_any_number(queue: MessageQueue) -> None:
    kept = []
    for number in range(1, 1000):
        queue.send(b"%d" % number, number)
        kept.append(queue.receive())
        if number % 3 == 0:
            del kept[::2]
    assert all(message.data == b"%d" % message.type for message in kept)
