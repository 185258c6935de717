"""ipcs, ipcrm, ipcmk and lsipc of util-linux agree with what the package says."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress

import programs
import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import system

Handle = ipc.SemaphoreSet | ipc.MessageQueue | ipc.SharedMemory
Stat = ipc.SemaphoreSetStat | ipc.MessageQueueStat | ipc.SharedMemoryStat

LETTERS: dict[str, type[Handle]] = {
    "s": ipc.SemaphoreSet,
    "q": ipc.MessageQueue,
    "m": ipc.SharedMemory,
}
MAKE = {"s": ("-S", "3"), "q": ("-Q",), "m": ("-M", "5000")}


def run(name: str, *arguments: str) -> str:
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    command = [programs.program(name), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return ended.stdout


def made_by_ipcmk(letter: str, mode: int = 0o640) -> Handle:
    told = run("ipcmk", *MAKE[letter], "-p", f"{mode:o}")
    number = re.search(r"id: (\d+)", told)
    assert number
    return LETTERS[letter].from_id(int(number[1]))


@pytest.fixture(params=LETTERS)
def letter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(letter: str) -> Iterator[Handle]:
    """An object that ipcmk has made."""
    handle = made_by_ipcmk(letter)
    yield handle
    with suppress(ipc.RemovedError):
        handle.remove()


def details(letter: str, number: int) -> dict[str, str]:
    return support.ipcs_facts(run("ipcs", f"-{letter}", "-i", str(number)))


def same(facts: dict[str, str], stat: Stat, **names: str) -> None:
    """Each field of the stat is what ipcs says under the other name."""
    for field, name in names.items():
        assert int(facts[name]) == getattr(stat, field), field
    assert int(facts["mode"], 8) & 0o777 == stat.mode
    for field in ("uid", "gid", "cuid", "cgid"):
        assert int(facts[field]) == getattr(stat, field)


@support.needs_other_users
def test_a_set_is_what_ipcs_says(semaphore_set: ipc.SemaphoreSet) -> None:
    semaphore_set.chmod(0o640)
    semaphore_set.chown(gid=7)
    semaphore_set[1].acquire()
    told = run("ipcs", "-s", "-i", str(semaphore_set.id))
    facts, stat = details("s", semaphore_set.id), semaphore_set.stat()
    same(facts, stat, id="semid", size="nsems", otime="otime", ctime="ctime")
    assert stat.otime > 0
    rows = [list(map(int, row)) for row in re.findall(r"^(\d+)" + r"\s+(\d+)" * 4, told, re.M)]
    assert rows == [
        [s.index, s.value, s.waiting, s.waiting_zero, s.last_pid] for s in semaphore_set
    ]


def test_a_queue_is_what_ipcs_says() -> None:
    queue = ipc.MessageQueue.create(mode=0o622)
    try:
        queue.send(b"hello")
        queue.send(b"gone")
        queue.receive()
        same(
            details("q", queue.id),
            queue.stat(),
            id="msqid",
            current_bytes="cbytes",
            max_bytes="qbytes",
            messages="qnum",
            last_send_pid="lspid",
            last_receive_pid="lrpid",
            stime="send_time",
            rtime="rcv_time",
            ctime="change_time",
        )
        assert queue.stat().rtime > 0
    finally:
        queue.remove()


def test_a_segment_is_what_ipcs_says() -> None:
    memory = ipc.SharedMemory.create(size=5000, mode=0o600)
    try:
        with memory.attach():
            same(
                details("m", memory.id),
                memory.stat(),
                id="shmid",
                size="bytes",
                last_pid="lpid",
                creator_pid="cpid",
                attached="nattch",
                atime="att_time",
                dtime="det_time",
                ctime="change_time",
            )
            assert memory.stat().attached == 1
            memory.remove()
            status = next(row for row in listed("m") if int(row["shmid"]) == memory.id)
            assert status["status"] == "dest"
            assert memory.stat().marked_for_removal
    finally:
        with suppress(ipc.RemovedError):
            memory.remove()


def listed(letter: str) -> list[dict[str, str]]:
    """The rows of `ipcs -q`, `-m` or `-s`."""
    head, *rows = run("ipcs", f"-{letter}").split("\n\n")[0].strip().splitlines()[1:]
    return [dict(zip(head.split(), row.split(), strict=False)) for row in rows]


def test_lists_are_those_of_ipcs() -> None:
    handles: list[Handle] = [made_by_ipcmk(letter, mode) for letter in "sqm" for mode in (0, 0o666)]
    try:
        for letter, name, stats in (
            ("s", "semid", list(system.semaphore_sets())),
            ("q", "msqid", list(system.message_queues())),
            ("m", "shmid", list(system.shared_memory_segments())),
        ):
            rows = [(int(r["key"], 16), int(r[name]), int(r["perms"], 8)) for r in listed(letter)]
            ours = [(s.key % 2**32, s.id, s.mode) for s in stats]
            assert sorted(ours) == sorted(rows)
            assert len(ours) >= 2
    finally:
        for handle in handles:
            handle.remove()


def lsipc(letter: str) -> list[dict[str, str]]:
    (rows,) = json.loads(run("lsipc", f"-{letter}", "--json", "--bytes")).values()
    return list(rows)


def test_lists_are_those_of_lsipc(made: Handle, letter: str) -> None:
    row = next(row for row in lsipc(letter) if int(row["id"]) == made.id)
    stat = made.stat()
    assert int(row["key"], 16) == stat.key % 2**32
    if isinstance(stat, ipc.SemaphoreSetStat):
        assert int(row["nsems"]) == stat.size == 3
    elif isinstance(stat, ipc.MessageQueueStat):
        assert (int(row["msgs"]), int(row["lspid"])) == (stat.messages, stat.last_send_pid)
    else:
        assert (int(row["size"]), int(row["cpid"])) == (stat.size, stat.creator_pid)


def test_limits_are_those_of_lsipc_and_ipcs() -> None:
    rows = json.loads(run("lsipc", "--json", "--bytes"))["ipclimits"]
    limits = system.limits()._asdict()
    told = {row["resource"].lower(): int(row["limit"]) for row in rows}
    assert told == {name: limits[name] for name in told}
    assert set(told) == set(limits)
    text = run("ipcs", "-l")
    for words, name in (
        ("max queues system wide", "msgmni"),
        ("max size of message (bytes)", "msgmax"),
        ("default max size of queue (bytes)", "msgmnb"),
        ("max number of segments", "shmmni"),
        ("min seg size (bytes)", "shmmin"),
        ("max number of arrays", "semmni"),
        ("max semaphores per array", "semmsl"),
        ("max semaphores system wide", "semmns"),
        ("max ops per semop call", "semopm"),
        ("semaphore max value", "semvmx"),
    ):
        assert f"{words} = {limits[name]}\n" in text


def test_usage_is_that_of_ipcs(semaphore_set: ipc.SemaphoreSet) -> None:
    queue = ipc.MessageQueue.create()
    memory = ipc.SharedMemory.create(size=10_000)
    try:
        queue.send(b"four")
        queue.send(b"")
        with memory.attach() as attachment:
            attachment.write(b"x")
            text = run("ipcs", "-u")
            usage, page = system.usage(), os.sysconf("SC_PAGESIZE")
        assert len(semaphore_set) == 3
        for words, number in (
            ("allocated queues = ", usage.message_queues),
            ("used headers = ", usage.messages),
            ("used space = ", usage.message_bytes),
            ("segments allocated ", usage.segments),
            ("pages allocated ", usage.segment_bytes // page),
            ("pages resident  ", usage.resident_bytes // page),
            ("pages swapped   ", usage.swapped_bytes // page),
            ("used arrays = ", usage.semaphore_sets),
            ("allocated semaphores = ", usage.semaphores),
        ):
            assert re.search(f"^{words}{number}( bytes)?$", text, re.M), (words, number, text)
    finally:
        queue.remove()
        memory.remove()


def test_what_ipcmk_made_opens_by_id_and_key(made: Handle, letter: str) -> None:
    stat = made.stat()
    assert made.key == stat.key != ipc.IPC_PRIVATE
    assert type(made).open(made.key).id == made.id
    assert stat.mode == 0o640
    if isinstance(made, ipc.SemaphoreSet):
        assert made.values == (0, 0, 0)
    if isinstance(made, ipc.SharedMemory):
        assert made.size == 5000
    assert letter in LETTERS


@pytest.mark.parametrize("by_key", [False, True])
def test_what_ipcrm_removes_is_gone(made: Handle, letter: str, by_key: bool) -> None:
    if by_key:
        run("ipcrm", f"-{letter.upper()}", f"{made.key % 2**32:#x}")
    else:
        run("ipcrm", f"-{letter}", str(made.id))
    with pytest.raises(ipc.RemovedError):
        made.stat()
    with pytest.raises(ipc.NotFoundError):
        type(made).open(made.key)


def test_what_we_remove_is_unknown_to_ipcrm(made: Handle, letter: str) -> None:
    made.remove()
    with pytest.raises(subprocess.CalledProcessError):
        run("ipcrm", f"-{letter}", str(made.id))


def test_ipcrm_ends_a_wait_by_removed_error() -> None:
    semaphore, queue = ipc.Semaphore.create(value=0), ipc.MessageQueue.create()
    waits: list[tuple[Callable[[], object], str, int]] = [
        (semaphore.acquire, "-s", semaphore.id),
        (queue.receive, "-q", queue.id),
    ]
    for wait, option, number in waits:
        with support.Child(wait) as child:
            support.wait_blocked(child.pid)
            run("ipcrm", option, str(number))
            with pytest.raises(ipc.RemovedError):
                child.result()


def test_a_negative_key_is_that_of_ipcrm() -> None:
    with suppress(ipc.NotFoundError):
        ipc.MessageQueue.open(0xDEADBEEF).remove()
    queue = ipc.MessageQueue.create(0xDEADBEEF)
    assert queue.key == -559038737
    run("ipcrm", "-Q", "0xdeadbeef")
    with pytest.raises(ipc.RemovedError):
        queue.remove()
