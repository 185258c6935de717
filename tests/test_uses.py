"""`system.uses()`: who waits on what, and who has what attached, in one look."""

import os
import signal

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import system

NONE: list[system.Use] = []


def test_uses_are_those_that_each_object_tells(
    queue: ipc.MessageQueue, full: ipc.MessageQueue, empty: ipc.Semaphore, memory: ipc.SharedMemory
) -> None:
    assert system.uses() == NONE
    reader, writer = os.pipe()

    def attach() -> None:
        with memory.attach(), memory.attach():
            os.write(writer, b".")
            signal.pause()

    with (
        support.Child(queue.receive) as receiver,
        support.Child(queue.receive) as second,
        support.Child(lambda: full.send(b"more")) as sender,
        support.Child(empty.acquire) as taker,
        support.Child(attach) as attached,
    ):
        for child in (receiver, second, sender, taker):
            support.wait_blocked(child.pid)
        os.read(reader, 1)
        uses = system.uses()
        assert {(used.kind, used.id, used.pid) for used in uses} == {
            ("message_queue", queue.id, receiver.pid),
            ("message_queue", queue.id, second.pid),
            ("message_queue", full.id, sender.pid),
            ("semaphore_set", empty.id, taker.pid),
            ("shared_memory", memory.id, attached.pid),
        }
        assert len(uses) == 5, "two attachments are one use"
        assert [used.pid for used in uses] == sorted(used.pid for used in uses)

        def of(kind: str, number: int) -> list[int]:
            return [used.pid for used in uses if (used.kind, used.id) == (kind, number)]

        assert of("message_queue", queue.id) == system.waiting_processes(queue)
        assert of("message_queue", full.id) == system.waiting_processes(full)
        assert of("semaphore_set", empty.id) == system.waiting_processes(empty.semaphore_set)
        assert of("shared_memory", memory.id) == system.attached_processes(memory)
    os.close(reader)
    os.close(writer)
    assert system.uses() == NONE


@support.needs_other_users
def test_a_stranger_sees_no_uses_of_others(memory: ipc.SharedMemory) -> None:
    def others() -> list[system.Use]:
        # A fork has what its parent had attached.
        return [used for used in system.uses() if used.pid != os.getpid()]

    with memory.attach():
        assert len(support.in_child(others)) == 1
        assert support.in_child(others, support.NOBODY) == NONE


def test_a_use_is_made_of_its_fields() -> None:
    used = system.Use(kind="message_queue", id=1, pid=2)
    assert used._asdict() == {"kind": "message_queue", "id": 1, "pid": 2}
    assert used == used._replace(pid=2) != used._replace(pid=3)


@pytest.mark.parametrize("wrong", [{"id": "1"}, {"pid": 2**31}])
def test_a_use_of_no_numbers_is_refused(wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"kind": "message_queue", "id": 1, "pid": 2, **wrong}
    with pytest.raises((TypeError, OverflowError)):
        system.Use(**fields)  # type: ignore[arg-type]
