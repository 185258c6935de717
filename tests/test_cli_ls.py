"""`sysv-ipc ls` and `limits` beside ipcs and lsipc of util-linux: every number agrees."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from cli_support import call, error, told
from sysv_ipc_rs.cli._objects import KINDS, Stat, kind_of

needs_ipcs = pytest.mark.skipif(
    not all(map(shutil.which, ("ipcs", "lsipc"))), reason="needs util-linux with its IPC tools"
)

Table = list[dict[str, str]]


def tool(*command: str) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return ended.stdout


def sections(text: str) -> dict[str, list[str]]:
    """The lines below each title of ipcs."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if title := re.fullmatch("-+ (.*) -+", line):
            lines = found[title[1]] = []
        elif line.strip():
            lines.append(line)
    return found


def tables(text: str) -> dict[str, Table]:
    """The rows of each table by heading; a status that is not there is `-`, as with us."""
    found = {}
    for title, (head, *lines) in sections(text).items():
        names = head.split()
        rows = [line.split() for line in lines]
        found[title] = [dict(zip(names, [*row, "-"], strict=False)) for row in rows]
    return found


def everything() -> list[Stat]:
    return [stat for kind in KINDS for stat in kind.stats()]


@pytest.fixture
def objects() -> Iterator[None]:
    """Some of each kind, used and unused, one with every mark."""
    key = support.free_key()
    queue, small = ipc.MessageQueue.create(key, mode=0o640), ipc.MessageQueue.create(max_bytes=99)
    queue.send(b"hello", 3)
    small.send(b"")
    small.receive()
    semaphores, one = ipc.SemaphoreSet.create(-key, 3), ipc.Semaphore.create(mode=0o666)
    one.acquire()
    segment, marked = ipc.SharedMemory.create(key, size=5000), ipc.SharedMemory.create(size=70_000)
    segment.lock_memory()
    with marked.attach() as attachment:
        attachment.write(b"x")
        marked.remove()
        yield
    for made in (queue, small, semaphores, one, segment):
        made.remove()


@needs_ipcs
@pytest.mark.usefixtures("objects")
@pytest.mark.parametrize("view", ["", "-p", "-c"])
@pytest.mark.parametrize("kinds", ["", "-q", "-m", "-s", "-qs", "-a"])
def test_every_cell_is_that_of_ipcs(kinds: str, view: str) -> None:
    switches = [switch for switch in (kinds, view) if switch]
    theirs, ours = tool("ipcs", *switches), told("ls", *switches)
    assert tables(ours) == tables(theirs)
    headings = [lines[0].split() for lines in sections(ours).values()]
    assert headings == [lines[0].split() for lines in sections(theirs).values()]
    if (kinds, view) != ("-s", "-p"):
        assert all(len(rows) == 2 for rows in tables(ours).values())
        assert len(headings) > 0


@needs_ipcs
@pytest.mark.usefixtures("objects")
def test_every_time_is_that_of_ipcs() -> None:
    ours = tables(told("ls", "-t"))
    theirs = sections(tool("ipcs", "-t"))
    assert ours.keys() == theirs.keys()
    for title, rows in ours.items():
        head, *lines = theirs[title]
        assert head.split() == list(rows[0])
        for row, line in zip(rows, lines, strict=True):
            number, owner, *times = row.values()
            assert line.split()[:2] == [number, owner]
            words = [
                f"{datetime.fromisoformat(text):%b %d %H:%M:%S}".replace(" 0", "  ", 1)
                if text != "-"
                else "Not set"
                for text in times
            ]
            # Of sets ipcs tells the weekday and the year too.
            shown = re.findall(r"Not set|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d", line)
            assert [re.sub(r" +", " ", word) for word in words] == [
                re.sub(r" +", " ", word) for word in shown
            ]


@needs_ipcs
@pytest.mark.usefixtures("objects")
@pytest.mark.parametrize("kind", ["-q", "-m", "-s", "-a"])
def test_the_summary_is_that_of_ipcs(kind: str) -> None:
    theirs = sections(tool("ipcs", "-u", kind))
    swaps = [line for line in theirs.get("Shared Memory Status", []) if "Swap perf" in line]
    for line in swaps:
        theirs["Shared Memory Status"].remove(line)
    assert sections(told("ls", "-u", kind)) == theirs
    assert theirs


@needs_ipcs
@pytest.mark.parametrize("kind", ["-q", "-m", "-s", "-a"])
def test_the_limits_are_those_of_ipcs(kind: str) -> None:
    def both() -> tuple[str, str]:
        return told("ls", "-l", kind), tool("ipcs", "-l", kind)

    # With their defaults, the total in kilobytes passes what ipcs can count.
    limits = {"shmall": 123_456, "shmmax": 7_654_321_024, "msgmni": 77, "sem": "250 32000 32 128"}
    ours, theirs = support.in_namespace(both, **limits)
    assert sections(ours) == sections(theirs)
    assert "77" in ours or kind not in {"-q", "-a"}


@needs_ipcs
@pytest.mark.usefixtures("objects")
@pytest.mark.parametrize("command", [("limits",), ("ls", "-l")])
def test_limits_are_those_of_lsipc(command: tuple[str, ...]) -> None:
    rows = {row["name"]: row for row in call(*command, "--json").json}
    theirs = json.loads(tool("lsipc", "--json", "--bytes"))["ipclimits"]
    assert len(rows) == len(theirs) == 12
    for row in theirs:
        our = rows[row["resource"].lower()]
        assert our["value"] == int(row["limit"])
        if our["used"] is not None:
            used = int(row["used"])
            if row["resource"] == "SEMMNS":
                # lsipc 2.38 takes every set for as large as the first; ipcs -u has the sum.
                assert our["used"] == 3 + 1
            elif row["resource"] == "SHMALL":
                # It divides all bytes by a page; the kernel counts whole pages for each segment.
                assert (our["used"], used) == (2 + 18, (5000 + 70_000) // 4096)
            else:
                assert our["used"] == used, row


def test_limits_name_the_files_that_set_them() -> None:
    for row in call("limits", "--json").json:
        assert list(row) == ["name", "value", "used", "source"]
        if row["source"]:
            assert str(row["value"]) in Path(row["source"]).read_text().split()
        else:
            assert row["name"] in {"semvmx", "shmmin"}
    text = told("limits").splitlines()
    assert text[0].split() == ["limit", "value", "used", "file"]
    assert all(len(line.split()) == 4 for line in text)
    assert len(text) == 13


@needs_ipcs
@pytest.mark.usefixtures("objects")
def test_json_has_the_numbers_of_lsipc() -> None:
    rows = call("ls", "--json").json
    theirs = {
        kind: {
            int(row["id"]): row
            for row in next(iter(json.loads(tool("lsipc", switch, "--json", "--bytes")).values()))
        }
        for kind, switch in (
            ("semaphore_set", "-s"),
            ("message_queue", "-q"),
            ("shared_memory", "-m"),
        )
    }
    assert len(rows) == sum(map(len, theirs.values())) == 6
    names = {
        "semaphore_set": {"size": "nsems"},
        "message_queue": {"current_bytes": "usedbytes", "messages": "msgs"},
        "shared_memory": {"size": "size", "attached": "nattch", "creator_pid": "cpid"},
    }
    names["message_queue"] |= {"last_send_pid": "lspid", "last_receive_pid": "lrpid"}
    names["shared_memory"] |= {"last_pid": "lpid"}
    for row in rows:
        their = theirs[row["kind"]][row["id"]]
        assert row["key"] % 2**32 == int(their["key"], 16)
        for ours, name in names[row["kind"]].items():
            assert row[ours] == int(their[name]), (ours, row, their)


@pytest.mark.usefixtures("objects")
def test_json_has_the_fields_of_the_stats_as_integers() -> None:
    rows = call("ls", "--json").json
    stats = everything()
    assert [{"kind": row.pop("kind"), **row}["kind"] for row in rows] == [
        *(["message_queue"] * 2),
        *(["shared_memory"] * 2),
        *(["semaphore_set"] * 2),
    ]
    assert rows == [stat._asdict() for stat in stats]
    assert all(isinstance(value, int) for row in rows for value in row.values())


def test_nothing_is_an_empty_list() -> None:
    def inside() -> list[str]:
        return [told("ls", *switches, "--json") for switches in ((), ("-q",), ("--orphans",))]

    assert support.in_namespace(inside) == ["[]\n"] * 3


def test_of_several_switches_the_last_counts_as_with_ipcs() -> None:
    assert "PIDs" in told("ls", "-c", "-t", "-p")
    assert "Times" in told("ls", "-pt")
    assert "Limits" in told("ls", "-ul")


@support.needs_other_users
def test_mine_is_what_belongs_to_the_caller() -> None:
    def create() -> int:
        return ipc.MessageQueue.create(mode=0o666).id

    ours = ipc.MessageQueue.create()
    other = ipc.MessageQueue.from_id(support.in_child(create, uid=support.NOBODY))
    given = ipc.MessageQueue.create()
    given.chown(uid=support.NOBODY)
    try:
        listed = {row["id"] for row in call("ls", "--mine", "--json").json}
        assert listed == {ours.id}
        theirs = support.in_child(lambda: call("ls", "--mine", "--json").json, support.NOBODY)
        assert isinstance(theirs, list)
        assert {row["id"] for row in theirs} == {other.id, given.id}
        assert len(call("ls", "--json").json) == 3
    finally:
        for queue in (ours, other, given):
            queue.remove()


def test_orphans_are_segments_that_nobody_will_miss(memory: ipc.SharedMemory) -> None:
    left = ipc.SharedMemory.from_id(support.in_child(lambda: ipc.SharedMemory.create(size=1).id))
    try:
        rows = call("ls", "--orphans", "--json").json
        assert [row["id"] for row in rows] == [left.id]
        assert len(call("ls", "-m", "--json").json) == 2
        assert call("ls", "-q", "--orphans", "--json").json == []
        assert memory.id != left.id
    finally:
        left.remove()


@pytest.mark.usefixtures("objects")
def test_looking_changes_nothing() -> None:
    before = everything()
    for switches in ((), ("-p",), ("-t",), ("-c",), ("-u",), ("-l",), ("--json",), ("--orphans",)):
        told("ls", *switches)
    for stat in before:
        told("show", f"-{kind_of(stat).letter}", stat.id)
    assert everything() == before


def test_a_user_without_a_name_is_a_number(queue: ipc.MessageQueue) -> None:
    if not support.may_become(support.NOBODY):
        pytest.skip("needs root")
    queue.chown(uid=54321, gid=54322)
    (row,) = tables(told("ls", "-c", "-q"))["Message Queues Creators/Owners"]
    assert (row["uid"], row["gid"]) == ("54321", "54322")


def test_a_wrong_switch_is_one_line() -> None:
    assert "--nothing" in error("ls", "--nothing", status=2)
