"""The module `sysv_ipc` in another process, on all three kinds."""

from collections.abc import Iterator
from typing import Any

import programs
import pytest
import support
import sysv_ipc_rs as ipc
from programs import Peer

EVERY_BYTE = bytes(range(256))


@pytest.fixture
def other() -> Iterator[Peer]:
    with programs.incumbent() as peer:
        assert peer.ask("sysv_ipc.VERSION") == "1.2.0"
        yield peer


def test_messages_go_both_ways_byte_for_byte(other: Peer, remove_later: Any) -> None:
    queue = remove_later(ipc.MessageQueue.create(support.free_key()))
    other.ask(f"[q := sysv_ipc.MessageQueue({queue.key})]")
    for type_, data in ((1, EVERY_BYTE), (2**31 - 1, b"\0"), (7, b"x" * 2048)):
        queue.send(data, type_)
        assert other.ask("[m.hex() if type(m) is bytes else m for m in q.receive()]") == [
            data.hex(),
            type_,
        ]
        other.ask(f"q.send(bytes.fromhex('{data.hex()}'), type={type_})")
        assert queue.receive(timeout=30) == ipc.Message(type_, data)
    other.send("q.receive(type=3)[0].hex()")
    support.wait_blocked(other.pid)
    queue.send(b"late", 3)
    assert other.answer() == b"late".hex()
    assert other.ask("q.id") == queue.id
    other.ask("q.remove()")
    with pytest.raises(ipc.RemovedError):
        queue.stat()


def test_semaphores_exclude_each_other(other: Peer, remove_later: Any) -> None:
    key = support.free_key()
    other.ask(f"[s := sysv_ipc.Semaphore({key}, sysv_ipc.IPC_CREX, 0o600, 1)]")
    semaphore = remove_later(ipc.Semaphore.open_or_create(key))
    assert semaphore.id == other.ask("s.id")
    with semaphore:
        assert other.ask("s.value") == 0
        other.send("s.acquire()")
        support.wait_blocked(other.pid)
        assert semaphore.waiting == 1
    assert other.answer() is None
    assert not semaphore.try_acquire()
    with support.Child(semaphore.acquire) as child:
        support.wait_blocked(child.pid)
        assert other.ask("s.waiting_for_nonzero") == 1
        other.ask("s.release()")
        assert child.result() is True
    assert other.ask("s.last_pid") == child.pid == semaphore.last_pid


def test_undo_of_either_lets_the_other_in(other: Peer, remove_later: Any) -> None:
    semaphore = remove_later(ipc.Semaphore.create(support.free_key()))
    other.ask(f"[s := sysv_ipc.Semaphore({semaphore.key})]")
    other.ask("[setattr(s, 'undo', True), s.acquire()]")
    assert semaphore.value == 0
    with support.Child(lambda: semaphore.acquire(undo=True)) as child:
        support.wait_blocked(child.pid)
        other.kill()
        assert child.result() is True
    assert semaphore.value == 1


def test_segments_are_the_same_bytes(other: Peer, remove_later: Any) -> None:
    memory = remove_later(ipc.SharedMemory.create(support.free_key(), size=1000))
    other.ask(f"[m := sysv_ipc.SharedMemory({memory.key})]")
    with memory.attach() as attachment:
        attachment.write(EVERY_BYTE, 100)
        assert other.ask("m.read(256, 100).hex()") == EVERY_BYTE.hex()
        other.ask("m.write(bytes(range(256)), 744)")
        assert attachment.read(256, 744) == EVERY_BYTE
        assert other.ask("[m.size, m.number_attached]") == [1000, memory.stat().attached]
        assert memory.stat().attached == 2
        assert other.ask("bytes(memoryview(m)).hex()") == attachment.read().hex()


def test_keys_and_ftok_are_the_same(other: Peer) -> None:
    assert other.ask("sysv_ipc.ftok('/usr', 82, True)") == ipc.ftok("/usr", 82)


@pytest.mark.parametrize("flags", ["IPC_CREAT", "IPC_CREX"])
def test_its_new_semaphores_count_as_initialised(
    other: Peer, remove_later: Any, flags: str
) -> None:
    key = support.free_key()
    other.ask(f"[s := sysv_ipc.Semaphore({key}, sysv_ipc.{flags}), s.id]")
    semaphore = remove_later(ipc.Semaphore.open_or_create(key, 5, timeout=0))
    assert (semaphore.id, semaphore.value) == (other.ask("s.id"), 0)


def test_it_sets_a_value_again_when_it_may_create(other: Peer, remove_later: Any) -> None:
    semaphore = remove_later(ipc.Semaphore.create(support.free_key(), 3))
    other.ask(f"[sysv_ipc.Semaphore({semaphore.key})]")
    assert semaphore.value == 3
    other.ask(f"[sysv_ipc.Semaphore({semaphore.key}, sysv_ipc.IPC_CREAT)]")
    assert semaphore.value == 0
