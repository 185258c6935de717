"""Perl on the other side: IPC::SysV, IPC::Msg, IPC::Semaphore, IPC::SharedMem."""

from collections.abc import Iterator
from typing import Any

import programs
import pytest
import support
import sysv_ipc_rs as ipc
from programs import Peer
from sysv_ipc_rs import raw

EVERY_BYTE = bytes(range(256))


@pytest.fixture
def perl() -> Iterator[Peer]:
    with programs.perl() as peer:
        yield peer


def test_messages_go_both_ways_byte_for_byte(perl: Peer, remove_later: Any) -> None:
    queue = remove_later(ipc.MessageQueue.create(support.free_key()))
    perl.ask(f"$q = IPC::Msg->new({queue.key}, 0) or die; 1")
    for type_, data in ((1, EVERY_BYTE), (2**40, b""), (7, b"x" * 8000)):
        queue.send(data, type_)
        assert int(perl.ask("$q->rcv($data, 8192, 0, 0)")) == type_
        assert perl.ask("unpack('H*', $data)") == data.hex()
        assert perl.ask(f"$q->snd({type_}, pack('H*', '{data.hex()}')) ? 1 : 0") == 1
        assert queue.receive(timeout=30) == ipc.Message(type_, data)
    queue.send(b"four")
    names = ("qnum", "qbytes", "lspid", "stime", "mode", "uid")
    told = perl.ask(f"$d = $q->stat; [{', '.join(f'$d->{name}' for name in names)}]")
    stat = queue.stat()
    wanted = (stat.messages, stat.max_bytes, stat.last_send_pid, stat.stime, 0o600, stat.uid)
    assert tuple(map(int, told)) == wanted


def test_a_queue_that_perl_made_is_ours(perl: Peer) -> None:
    key = support.free_key()
    perl.ask(f"$q = IPC::Msg->new({key}, S_IRUSR | S_IWUSR | IPC_CREAT | IPC_EXCL) or die; 1")
    queue = ipc.MessageQueue.open(key)
    perl.send("$q->rcv($data, 100, 2, 0)")
    support.wait_blocked(perl.pid)
    queue.send(b"hello", 2)
    assert int(perl.answer()) == 2
    assert perl.ask("$q->remove ? 1 : 0") == 1
    with pytest.raises(ipc.RemovedError):
        queue.stat()


def test_semaphores_are_the_same_ones(perl: Peer, remove_later: Any) -> None:
    key = support.free_key()
    perl.ask(f"$s = IPC::Semaphore->new({key}, 3, S_IRUSR | S_IWUSR | IPC_CREAT) or die; 1")
    semaphores = remove_later(ipc.SemaphoreSet.open(key, size=3))
    perl.ask("$s->setall(4, 0, 32767)")
    assert semaphores.values == (4, 0, 32767)
    semaphores.values = (1, 2, 3)
    assert [int(value) for value in perl.ask("[$s->getall]")] == [1, 2, 3]
    perl.ask("$s->op(0, -1, SEM_UNDO, 1, 5, 0) or die")
    assert semaphores.values == (0, 7, 3)
    assert (semaphores[1].last_pid, int(perl.ask("$s->getpid(1)"))) == (perl.pid, perl.pid)
    with support.Child(semaphores[0].acquire) as child:
        support.wait_blocked(child.pid)
        assert int(perl.ask("$s->getncnt(0)")) == semaphores[0].waiting == 1
        perl.kill()
        assert child.result() is True
    # What it held with SEM_UNDO alone went back.
    assert semaphores.values == (0, 7, 3)


def test_perl_gets_what_a_killed_holder_of_ours_had(perl: Peer, remove_later: Any) -> None:
    semaphore = remove_later(ipc.Semaphore.create(support.free_key()))
    perl.ask(f"$s = IPC::Semaphore->new({semaphore.key}, 1, 0) or die; 1")

    def hold() -> None:
        semaphore.acquire(undo=True)
        semaphore.wait_zero()
        semaphore.acquire()

    with support.Child(hold) as child:
        support.wait_blocked(child.pid)
        perl.send("$s->op(0, -1, SEM_UNDO) ? 1 : 0")
        support.wait_blocked(perl.pid)
        child.kill()
        assert perl.answer() == 1
        assert semaphore.value == 0


def test_segments_are_the_same_bytes(perl: Peer, remove_later: Any) -> None:
    key = support.free_key()
    perl.ask(f"$m = IPC::SharedMem->new({key}, 600, S_IRUSR | S_IWUSR | IPC_CREAT) or die; 1")
    memory = remove_later(ipc.SharedMemory.open(key))
    assert memory.size == 600
    perl.ask(f"$m->write(pack('H*', '{EVERY_BYTE.hex()}'), 10, 256) or die; 1")
    with memory.attach() as attachment:
        assert attachment.read() == bytes(10) + EVERY_BYTE + bytes(334)
        attachment.write(EVERY_BYTE[::-1], 344)
    assert perl.ask("unpack('H*', $m->read(344, 256))") == EVERY_BYTE[::-1].hex()
    perl.ask("$m->attach or die; 1")
    assert memory.stat().attached == int(perl.ask("$m->stat->nattch")) == 1
    perl.ask("$m->detach; $m->remove or die; 1")
    with pytest.raises(ipc.RemovedError):
        memory.stat()


def test_ftok_and_constants_are_ours(perl: Peer) -> None:
    assert int(perl.ask("ftok('/usr', 82)")) == ipc.ftok("/usr", 82)
    names = ["IPC_CREAT", "IPC_EXCL", "IPC_NOWAIT", "SEM_UNDO", "GETALL", "SHM_RDONLY"]
    told = perl.ask(f"[{', '.join(f'{name}()' for name in names)}]")
    assert list(map(int, told)) == [getattr(raw, name) for name in names]
