"""`sysv-ipc mk`, `show` and `dump`: objects are made as asked, and shown as they are."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import pytest
import support
import sysv_ipc_rs as ipc
from cli_support import call, error, run_program, told
from sysv_ipc_rs.cli import show

Handle = ipc.MessageQueue | ipc.SemaphoreSet | ipc.SharedMemory

needs_ipcs = pytest.mark.skipif(not shutil.which("ipcs"), reason="needs util-linux")
CLASSES: dict[str, type[Handle]] = {
    "queue": ipc.MessageQueue,
    "set": ipc.SemaphoreSet,
    "segment": ipc.SharedMemory,
}
SIZE = {"queue": [], "set": [], "segment": ["--size", 100]}


def details(letter: str, number: int) -> dict[str, str]:
    command = ["ipcs", f"-{letter}", "-i", str(number)]
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return support.ipcs_facts(ended.stdout)


@pytest.fixture
def mk() -> Iterator[Callable[..., Handle]]:
    """Runs `mk`; what it has made is removed later."""
    made: list[Handle] = []

    def make(kind: str, *arguments: object) -> Handle:
        out = told("mk", kind, *arguments)
        assert re.fullmatch(r"\d+\n", out)
        made.append(CLASSES[kind].from_id(int(out)))
        return made[-1]

    yield make
    for handle in made:
        with suppress(ipc.RemovedError):
            handle.remove()


@pytest.mark.parametrize("kind", CLASSES)
def test_an_object_is_private_and_ours_unless_asked(kind: str, mk: Callable[..., Handle]) -> None:
    stat = mk(kind, *SIZE[kind]).stat()
    assert (stat.key, stat.mode, stat.uid) == (ipc.IPC_PRIVATE, 0o600, os.geteuid())


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("mode", ["640", "0640", "0o640"])
def test_key_and_mode_are_as_asked(kind: str, mode: str, mk: Callable[..., Handle]) -> None:
    key = support.free_key()
    handle = mk(kind, *SIZE[kind], "--key", hex(key), "--mode", mode)
    assert (handle.key, handle.stat().mode) == (key, 0o640)
    line = error("mk", kind, *SIZE[kind], "--key", key, status=1)
    assert line.endswith("with this key exists already")


def test_sizes_are_as_asked(mk: Callable[..., Handle]) -> None:
    segment, small, queue, semaphores = (
        mk("segment", "--size", "64K"),
        mk("segment", "--size", 5000),
        mk("queue", "--size", "4KiB"),
        mk("set", "--count", 3),
    )
    assert isinstance(segment, ipc.SharedMemory)
    assert isinstance(small, ipc.SharedMemory)
    assert isinstance(queue, ipc.MessageQueue)
    assert isinstance(semaphores, ipc.SemaphoreSet)
    assert (segment.size, small.size, queue.max_bytes) == (65536, 5000, 4096)
    assert semaphores.values == (0, 0, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("elephant",),
        ("segment",),
        ("segment", "--size", 0),
        ("segment", "--size", "4X"),
        ("segment", "--size", "4iB"),
        ("segment", "--size", "-1"),
        ("segment", "--size", 10, "--count", 2),
        ("set", "--size", 3),
        ("set", "--count", 0),
        ("queue", "--count", 3),
        ("queue", "--mode", "900"),
        ("queue", "--mode", "01777"),
        ("queue", "--key", 0),
        ("queue", "--key", 2**32),
        ("queue", "--key", "name"),
    ],
)
def test_what_is_not_clear_makes_nothing(arguments: tuple[object, ...]) -> None:
    before = support.objects()
    error("mk", *arguments, status=2)
    assert support.objects() == before


def test_a_limit_that_is_hit_is_one_line() -> None:
    line = support.in_namespace(lambda: error("mk", "queue", status=1), msgmni=0)
    assert "MSGMNI is 0" in line


def test_an_id_that_cannot_be_told_leaves_no_object() -> None:
    before = support.objects()
    with open("/dev/full", "wb") as full:
        outcome = run_program("mk", "queue", stdout=full)
    assert outcome.status == 1
    assert outcome.stderr == "sysv-ipc mk: can't write: No space left on device\n"
    assert support.objects() == before


def test_json_is_the_object_as_ls_has_it() -> None:
    made = call("mk", "segment", "--size", 10, "--json").json
    memory = ipc.SharedMemory.from_id(made["id"])
    try:
        assert made == {"kind": "shared_memory", **memory.stat()._asdict()}
    finally:
        memory.remove()


# show


@needs_ipcs
def test_a_set_is_shown_with_the_numbers_of_ipcs(semaphore_set: ipc.SemaphoreSet) -> None:
    semaphore_set[1].acquire()
    waits = (lambda: semaphore_set[0].acquire(9), semaphore_set[2].wait_zero)
    with support.Child(waits[0]) as first, support.Child(waits[1]) as second:
        support.wait_blocked(first.pid)
        support.wait_blocked(second.pid)
        (shown,) = call("show", "-s", semaphore_set.id, "--json").json
        text = subprocess.run(
            ["ipcs", "-s", "-i", str(semaphore_set.id)], capture_output=True, text=True, check=True
        ).stdout
        lines = told("show", "-s", semaphore_set.id).splitlines()
    rows = [list(map(int, row.split())) for row in re.findall(r"^\d+(?:\s+\d+){4}", text, re.M)]
    names = ("index", "value", "waiting", "waiting_zero", "last_pid")
    assert [[row[name] for name in names] for row in shown["semaphores"]] == rows
    assert [row[2:4] for row in rows] == [[1, 0], [0, 0], [0, 1]]
    assert shown["waiting_processes"] == sorted([first.pid, second.pid])
    facts = details("s", semaphore_set.id)
    for ours, theirs in {"id": "semid", "size": "nsems", "otime": "otime", "uid": "uid"}.items():
        assert shown[ours] == int(facts[theirs])
    names = ("index", "value", "last_pid", "waiting", "waiting_zero")
    assert lines[-4].split() == list(names)
    assert [list(map(int, line.split())) for line in lines[-3:]] == [
        [row[name] for name in names] for row in shown["semaphores"]
    ]


@needs_ipcs
def test_a_queue_is_shown_with_its_head_and_the_numbers_of_ipcs(queue: ipc.MessageQueue) -> None:
    for number in range(12):
        queue.send(b"x" * number, number + 1)
    before = queue.stat()
    (shown,) = call("show", "-q", queue.id, "--json").json
    assert shown["head"] == [{"type": number + 1, "size": number} for number in range(10)]
    assert shown["waiting_processes"] == []
    facts = details("q", queue.id)
    names = {"id": "msqid", "messages": "qnum", "current_bytes": "cbytes", "max_bytes": "qbytes"}
    names |= {"last_send_pid": "lspid", "stime": "send_time", "rtime": "rcv_time"}
    for ours, theirs in names.items():
        assert shown[ours] == int(facts[theirs]), ours
    text = told("show", "-q", queue.id)
    assert text.endswith("10    9\nand 2 more\n")
    assert queue.stat() == before


@needs_ipcs
def test_a_segment_is_shown_with_those_who_have_it_attached(memory: ipc.SharedMemory) -> None:
    with memory.attach():
        (shown,) = call("show", "-m", memory.id, "--json").json
        facts = details("m", memory.id)
        text = told("show", "-m", memory.id)
    assert shown["attached_processes"] == [os.getpid()]
    names = {"id": "shmid", "size": "bytes", "attached": "nattch", "creator_pid": "cpid"}
    for ours, theirs in (names | {"last_pid": "lpid", "atime": "att_time"}).items():
        assert shown[ours] == int(facts[theirs]), ours
    comm = Path("/proc/self/comm").read_text().strip()
    assert re.search(rf"attached_processes +{os.getpid()} \({re.escape(comm)}\)\n", text)


def test_several_are_shown_and_missing_ones_told(
    queue: ipc.MessageQueue, semaphore_set: ipc.SemaphoreSet
) -> None:
    other = ipc.MessageQueue.create(-5)
    other.remove()
    outcome = call("show", "-q", other.id, queue.id, "-Q", "-5", "-s", semaphore_set.id, "--json")
    assert outcome.status == 1
    shown = re.findall(rb'"kind": "(\w+)".*?"id": (\d+)', outcome.data)
    assert shown == [
        (b"message_queue", b"%d" % queue.id),
        (b"semaphore_set", b"%d" % semaphore_set.id),
    ]
    by_id, by_key = outcome.stderr.splitlines()
    assert f"id {other.id}: no such object" in by_id
    assert "key 0xfffffffb: no message queue has this key" in by_key


@support.needs_other_users
def test_what_the_mode_hides_is_null(
    queue: ipc.MessageQueue, semaphore_set: ipc.SemaphoreSet
) -> None:
    queue.send(b"secret")

    def stranger() -> object:
        return call("show", "-q", queue.id, "-s", semaphore_set.id, "--json").json

    shown = support.in_child(stranger, support.NOBODY)
    assert isinstance(shown, list)
    assert (shown[0]["head"], shown[1]["semaphores"]) == (None, None)
    assert (shown[0]["messages"], shown[1]["size"]) == (1, 3)


def test_show_wants_an_object() -> None:
    assert "name an object" in error("show", status=2)


def test_what_vanishes_while_it_is_looked_at_is_one_line(queue: ipc.MessageQueue) -> None:
    def head(looked_at: ipc.MessageQueue) -> None:
        queue.remove()
        looked_at.peek()

    with mock.patch.object(show, "_head", head):
        assert "removed" in call("show", "-q", queue.id).stderr


def test_a_name_that_is_made_for_terminals_is_no_trouble(queue: ipc.MessageQueue) -> None:
    def wait() -> None:
        Path("/proc/self/comm").write_bytes(b"a\n\x1b[2J\xc3\xa4\xff")
        queue.receive()

    with support.Child(wait) as child:
        support.wait_blocked(child.pid)
        outcome = run_program("show", "-q", queue.id, env={"PYTHONIOENCODING": "ascii"})
    assert outcome.status == 0
    assert f"{child.pid} (a??[2J\\xe4\\ufffd)\n" in outcome.stdout


# dump


@pytest.fixture
def written(memory: ipc.SharedMemory) -> Iterator[bytes]:
    """What is in the segment of 5000 bytes."""
    data = bytes(range(256)) * 4
    with memory.attach() as attachment:
        attachment.write(data, 16)
        yield attachment.read()


def test_a_dump_is_every_byte(memory: ipc.SharedMemory, written: bytes) -> None:
    outcome = call("dump", "-m", memory.id)
    assert (outcome.status, outcome.data) == (0, written)
    assert len(written) == 5000


@pytest.mark.parametrize(
    ("switches", "part"),
    [
        (("--offset", 16), slice(16, None)),
        (("--size", 20), slice(20)),
        (("--offset", 1000, "--size", "1K"), slice(1000, 2024)),
        (("--offset", 4990, "--size", 999), slice(4990, 5000)),
        (("--offset", 5000), slice(0)),
        (("--offset", "0x10"), None),
        (("--offset", 5001), None),
    ],
)
def test_a_dump_is_the_part_that_is_asked_for(
    memory: ipc.SharedMemory, written: bytes, switches: tuple[object, ...], part: slice | None
) -> None:
    outcome = call("dump", "-m", memory.id, *switches)
    if part is None:
        assert outcome.status == 2
    else:
        assert outcome.data == written[part]


def test_a_dump_of_megabytes_is_every_byte() -> None:
    memory = ipc.SharedMemory.create(size=3 * 2**20 + 5)
    try:
        with memory.attach() as attachment:
            attachment.write(data := os.urandom(memory.size))
        assert call("dump", "-m", memory.id).data == data
    finally:
        memory.remove()


@pytest.mark.skipif(not shutil.which("hexdump"), reason="needs hexdump")
@pytest.mark.parametrize("size", [1, 15, 16, 17, 32, 33, 64, 4096, 5000])
def test_hex_is_that_of_hexdump(memory: ipc.SharedMemory, written: bytes, size: int) -> None:
    data = written[:size]
    theirs = subprocess.run(["hexdump", "-C"], input=data, capture_output=True, check=True).stdout
    assert told("dump", "-m", memory.id, "--hex", "--size", size) == theirs.decode()


def test_hex_can_be_turned_back(memory: ipc.SharedMemory, written: bytes) -> None:
    lines = told("dump", "-m", memory.id, "--hex", "--offset", 8).splitlines()
    data, before = b"", b""
    for line in lines:
        if line == "*":
            continue
        place = int(line[:8], 16) - 8
        while len(data) < place:
            data += before
        if before := bytes.fromhex(line[8:58]):
            data += before
    assert data == written[8:]


@support.needs_other_users
def test_a_segment_that_may_not_be_read_is_one_line(memory: ipc.SharedMemory) -> None:
    line = support.in_child(lambda: error("dump", "-m", memory.id, status=1), support.NOBODY)
    assert "mode" in str(line)


@pytest.mark.parametrize("command", ["dump", "show", "mk", "ls"])
def test_out_of_memory_is_one_line(command: str) -> None:
    with mock.patch("sysv_ipc_rs.cli._output._stdout", side_effect=MemoryError):
        memory = ipc.SharedMemory.create(size=10)
        arguments = {
            "dump": ("-m", memory.id),
            "show": ("-m", memory.id),
            "mk": ("queue",),
            "ls": (),
        }
        try:
            assert error(command, *arguments[command], status=1) == "out of memory"
        finally:
            memory.remove()
