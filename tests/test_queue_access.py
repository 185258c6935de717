"""Who may do what with a queue: mode, owner, `owner=`."""

import os
from collections.abc import Callable

import pytest
import support
import sysv_ipc_rs as ipc
from support import NOBODY
from sysv_ipc_rs import MessageQueue


def test_chmod_changes_the_mode_alone(queue: MessageQueue) -> None:
    before = queue.stat()
    queue.chmod(0o640)
    after = queue.stat()
    assert after == before._replace(mode=0o640, ctime=after.ctime)


@support.needs_other_users
def test_chown_changes_owner_and_group(queue: MessageQueue) -> None:
    queue.chown(1, 2)
    assert (queue.stat().uid, queue.stat().gid) == (1, 2)
    queue.chown(gid=3)
    queue.chown(uid=-1)
    assert (queue.stat().uid, queue.stat().gid) == (1, 3)
    assert (queue.stat().cuid, queue.stat().cgid) == (0, os.getegid())


CALLS: dict[str, Callable[[MessageQueue], object]] = {
    "send": lambda queue: queue.send(b"x"),
    "try_send": lambda queue: queue.try_send(b"x"),
    "send_many": lambda queue: queue.send_many([b"x"]),
    "receive": lambda queue: queue.receive(),
    "try_receive": lambda queue: queue.try_receive(),
    "receive_into": lambda queue: queue.receive_into(bytearray(9)),
    "receive_many": lambda queue: queue.receive_many(1),
    "messages": lambda queue: next(queue.messages()),
    "peek": lambda queue: queue.peek(),
    "chmod": lambda queue: queue.chmod(0o666),
    "chown": lambda queue: queue.chown(NOBODY),
    "max_bytes": lambda queue: setattr(queue, "max_bytes", 5),
    "remove": lambda queue: queue.remove(),
    "stat": lambda queue: queue.stat(),
    "qsize": lambda queue: queue.qsize(),
}
SENDING = {"send", "try_send", "send_many"}
RECEIVING = {"receive", "try_receive", "receive_into", "receive_many", "messages", "peek"}
# MSG_STAT_ANY tells everybody.
ALWAYS = {"stat", "qsize"}


@support.needs_other_users
@pytest.mark.parametrize(
    ("mode", "allowed"),
    [(0o600, ALWAYS), (0o622, ALWAYS | SENDING), (0o644, ALWAYS | RECEIVING)],
    ids=["0600", "0622", "0644"],
)
def test_the_mode_says_what_a_stranger_may_do(
    queue: MessageQueue, mode: int, allowed: set[str]
) -> None:
    queue.chmod(mode)
    queue.send_many([b"y"] * 20)

    def refused(call: Callable[[MessageQueue], object]) -> bool:
        try:
            call(queue)
        except PermissionError as error:
            return isinstance(error, ipc.AccessDeniedError) and error.errno in (1, 13)
        return False

    def try_all() -> set[str]:
        return {name for name, call in CALLS.items() if not refused(call)}

    assert support.in_child(try_all, NOBODY) == allowed


@support.needs_other_users
def test_a_stranger_may_open_but_not_use_a_queue() -> None:
    key = support.free_key()
    queue = MessageQueue.create(key)
    try:

        def stranger() -> tuple[int, bool]:
            found = MessageQueue.open(key)
            with pytest.raises(ipc.AccessDeniedError):
                found.try_receive()
            with pytest.raises(ipc.UntrustedOwnerError):
                MessageQueue.open(key, owner=NOBODY)
            return found.id, MessageQueue.from_id(found.id) == found

        assert support.in_child(stranger, NOBODY) == (queue.id, True)
    finally:
        queue.remove()


@support.needs_other_users
@pytest.mark.parametrize("given", ["uid", "cuid"])
def test_a_queue_of_another_owner_is_refused(given: str) -> None:
    key = support.free_key()
    planted = support.in_child(
        lambda: MessageQueue.create(key, mode=0o666), NOBODY if given == "cuid" else None
    )
    try:
        planted.chown(0 if given == "cuid" else NOBODY)
        stat = planted.stat()
        assert (stat.uid, stat.cuid) == ((0, NOBODY) if given == "cuid" else (NOBODY, 0))
        finds: list[Callable[[], object]] = [
            lambda: MessageQueue.open(key, owner=0),
            lambda: MessageQueue.open_or_create(key, owner=0),
            lambda: MessageQueue.from_id(planted.id, owner=0),
        ]
        for find in finds:
            with pytest.raises(ipc.UntrustedOwnerError) as caught:
                find()
            assert isinstance(caught.value, PermissionError)
        assert MessageQueue.open(key) == planted
    finally:
        planted.remove()
