"""PHP on the other side: its queues (raw and serialized), segments and variables in them."""

import struct
from collections.abc import Iterator
from typing import Any

import programs
import pytest
import support
import sysv_ipc_rs as ipc
from programs import Peer

EVERY_BYTE = bytes(range(256))


@pytest.fixture
def php() -> Iterator[Peer]:
    with programs.php() as peer:
        yield peer


@pytest.fixture
def shared_queue() -> Iterator[ipc.MessageQueue]:
    queue = ipc.MessageQueue.create(support.free_key())
    yield queue
    queue.remove()


def test_it_is_php_8(php: Peer) -> None:
    assert php.ask("PHP_VERSION").startswith("8.")


def test_php_receives_raw_messages_byte_for_byte(php: Peer, shared_queue: ipc.MessageQueue) -> None:
    php.ask(f"$q = msg_get_queue({shared_queue.key})")
    for type_, data in ((1, EVERY_BYTE), (2**31, b"\0"), (7, b"x" * 8000)):
        shared_queue.send(data, type_)
        assert php.ask("msg_receive($q, 0, $type, 8192, $data, false)") is True
        assert php.ask("[$type, bin2hex($data)]") == [type_, data.hex()]


def test_php_sends_raw_messages_byte_for_byte(php: Peer, shared_queue: ipc.MessageQueue) -> None:
    php.ask(f"$q = msg_get_queue({shared_queue.key})")
    for type_, data in ((1, EVERY_BYTE), (2**31, b"\0"), (7, b"x" * 8000)):
        assert php.ask(f"msg_send($q, {type_}, hex2bin('{data.hex()}'), false)") is True
        assert shared_queue.receive(timeout=30) == ipc.Message(type_, data)


SERIALIZED = {
    "true": b"b:1;",
    "[1, 'two' => -2.5]": b'a:2:{i:0;i:1;s:3:"two";d:-2.5;}',
    r'"h\xe9\0"': b's:3:"h\xe9\0";',
}


@pytest.mark.parametrize("value", SERIALIZED)
def test_serialized_values_go_both_ways(
    php: Peer, shared_queue: ipc.MessageQueue, value: str
) -> None:
    php.ask(f"$q = msg_get_queue({shared_queue.key})")
    assert php.ask(f"msg_send($q, 3, {value})") is True
    assert shared_queue.receive(3, timeout=30).data == SERIALIZED[value]
    shared_queue.send(SERIALIZED[value], 4)
    assert php.ask("msg_receive($q, 4, $type, 8192, $data)") is True
    assert php.ask(f"$data === {value}") is True


def test_a_php_receiver_waits_for_us_and_we_for_it(
    php: Peer, shared_queue: ipc.MessageQueue
) -> None:
    php.ask(f"$q = msg_get_queue({shared_queue.key})")
    php.send("msg_receive($q, -5, $type, 8192, $data, false)")
    support.wait_blocked(php.pid)
    shared_queue.send(b"too high", 6)
    shared_queue.send(b"low enough", 5)
    assert php.answer() is True
    assert php.ask("$data") == "low enough"
    with support.Child(lambda: shared_queue.receive(9).data) as child:
        support.wait_blocked(child.pid)
        php.ask("msg_send($q, 9, 'hello', false)")
        assert child.result() == b"hello"


def test_what_php_says_of_a_queue_is_its_stat(php: Peer, shared_queue: ipc.MessageQueue) -> None:
    shared_queue.send(b"four")
    shared_queue.chmod(0o640)
    told = php.ask(f"msg_stat_queue(msg_get_queue({shared_queue.key}))")
    stat = shared_queue.stat()
    assert told["msg_perm.mode"] == stat.mode == 0o640
    assert (told["msg_perm.uid"], told["msg_perm.gid"]) == (stat.uid, stat.gid)
    assert (told["msg_qnum"], told["msg_qbytes"]) == (stat.messages, stat.max_bytes)
    assert (told["msg_lspid"], told["msg_stime"]) == (stat.last_send_pid, stat.stime)


def test_what_php_removes_is_gone(php: Peer) -> None:
    queue = ipc.MessageQueue.create(support.free_key())
    assert php.ask(f"msg_remove_queue(msg_get_queue({queue.key}))") is True
    with pytest.raises(ipc.RemovedError):
        queue.stat()


def test_a_segment_of_shmop_is_ours_byte_for_byte(php: Peer, remove_later: Any) -> None:
    key = support.free_key()
    assert php.ask(f"is_object($m = shmop_open({key}, 'n', 0640, 1000))") is True
    memory = remove_later(ipc.SharedMemory.open(key))
    assert (memory.size, memory.stat().mode) == (1000, 0o640)
    assert php.ask(f"shmop_write($m, hex2bin('{EVERY_BYTE.hex()}'), 100)") == 256
    with memory.attach() as attachment:
        assert attachment.read(256, 100) == EVERY_BYTE
        assert attachment.read(100) == bytes(100)
        attachment.write(EVERY_BYTE[::-1], 744)
    assert php.ask("bin2hex(shmop_read($m, 744, 256))") == EVERY_BYTE[::-1].hex()
    assert php.ask("shmop_size($m)") == memory.size


def test_php_opens_what_we_created(php: Peer, remove_later: Any) -> None:
    memory = remove_later(ipc.SharedMemory.create(support.free_key(), size=300))
    with memory.attach() as attachment:
        attachment.write(EVERY_BYTE)
    assert php.ask(f"is_object($m = shmop_open({memory.key}, 'a', 0, 0))") is True
    assert php.ask("bin2hex(shmop_read($m, 0, 300))") == (EVERY_BYTE + bytes(44)).hex()
    assert memory.stat().attached == 1
    assert php.ask("shmop_delete($m)") is True
    assert memory.stat().marked_for_removal


# php_sysvshm.h: magic, start, end, free, total; then chunks of key, length, distance to the next.
HEAD = struct.Struct("@8s4q")
CHUNK = struct.Struct("@3q")


def variables(memory: bytes) -> dict[int, bytes]:
    """The serialized variables in a segment of `shm_attach`."""
    magic, at, end, free, total = HEAD.unpack_from(memory)
    assert (magic, free, total) == (b"PHP_SM\0\0", total - end, len(memory))
    found = {}
    while at < end:
        key, length, step = CHUNK.unpack_from(memory, at)
        found[key] = memory[at + CHUNK.size :][:length]
        at += step
    return found


def segment_of(values: dict[int, bytes], total: int) -> bytes:
    """A segment as `shm_attach` makes it, with these serialized variables."""
    chunks = b""
    for key, value in values.items():
        step = (CHUNK.size + 8 + len(value) - 1) // 8 * 8 + 8
        chunks += (CHUNK.pack(key, len(value), step) + value).ljust(step, b"\0")
    end = HEAD.size + len(chunks)
    return (HEAD.pack(b"PHP_SM", HEAD.size, end, total - end, total) + chunks).ljust(total, b"\0")


VALUES = {5: ("'abc'", b's:3:"abc";'), -6: ("[1, null]", b"a:2:{i:0;i:1;i:1;N;}")}


def test_variables_of_sysvshm_are_read(php: Peer, remove_later: Any) -> None:
    key = support.free_key()
    assert php.ask(f"is_object($s = shm_attach({key}, 1000, 0600))") is True
    memory = remove_later(ipc.SharedMemory.open(key))
    for name, (value, _) in VALUES.items():
        assert php.ask(f"shm_put_var($s, {name}, {value})") is True
    with memory.attach(readonly=True) as attachment:
        found = attachment.read()
    assert variables(found) == {name: raw for name, (_, raw) in VALUES.items()}
    assert found == segment_of(variables(found), 1000)
    assert php.ask("shm_remove_var($s, 5)") is True
    with memory.attach(readonly=True) as attachment:
        assert variables(attachment.read()) == {-6: VALUES[-6][1]}


def test_variables_of_sysvshm_are_written(php: Peer, remove_later: Any) -> None:
    memory = remove_later(ipc.SharedMemory.create(support.free_key(), size=1000))
    with memory.attach() as attachment:
        written = segment_of({name: raw for name, (_, raw) in VALUES.items()}, 1000)
        attachment.write(written)
        php.ask(f"$s = shm_attach({memory.key}, 1000)")
        for name, (value, _) in VALUES.items():
            assert php.ask(f"shm_get_var($s, {name}) === {value}") is True
        assert php.ask("shm_has_var($s, 7)") is False
        assert attachment.read() == written


def test_ftok_of_php_is_ours(php: Peer) -> None:
    assert php.ask("ftok('/usr', 'R')") == ipc.ftok("/usr", ord("R"))
