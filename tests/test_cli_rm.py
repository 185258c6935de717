"""`sysv-ipc rm` removes what it was asked to, and nothing else."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import support
import sysv_ipc_rs as ipc
from cli_support import at_terminal, call, error, read_until, told
from sysv_ipc_rs.cli import rm

Handle = ipc.MessageQueue | ipc.SemaphoreSet | ipc.SharedMemory
Later = Callable[[Handle], Handle]

MAKE: dict[str, Callable[..., Handle]] = {
    "q": ipc.MessageQueue.create,
    "s": ipc.SemaphoreSet.create,
    "m": lambda *key: ipc.SharedMemory.create(*key, size=10),
}
WORDS = {"q": "queue", "s": "set", "m": "segment"}


def is_there(handle: Handle) -> bool:
    try:
        handle.stat()
    except ipc.RemovedError:
        return False
    return True


def of_each_kind() -> list[Handle]:
    return [make() for make in MAKE.values()]


@pytest.fixture(params=MAKE)
def letter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(letter: str, remove_later: Later) -> Callable[..., Handle]:
    return lambda *key: remove_later(MAKE[letter](*key))


def test_only_the_named_object_is_removed(letter: str, make: Callable[..., Handle]) -> None:
    before, named, after = make(), make(), make()
    out = told("rm", f"-{letter}", named.id)
    assert re.fullmatch(rf"removed \w+ \w+ {named.id} \(key 0x00000000, owner \w+\)\n", out)
    assert [is_there(each) for each in (before, named, after)] == [True, False, True]


@pytest.mark.parametrize("text", ["{}", "{:#x}", "negative", "0{:o}"])
def test_keys_are_written_as_for_ipcrm(letter: str, make: Callable[..., Handle], text: str) -> None:
    key = support.free_key()
    if text == "negative":
        key, text = -key, "{}"
    named, other = make(key), make()
    told("rm", f"-{letter.upper()}", text.format(key))
    assert (is_there(named), is_there(other)) == (False, True)


def test_an_unsigned_key_is_the_negative_one(make: Callable[..., Handle], letter: str) -> None:
    key = -support.free_key()
    named = make(key)
    told("rm", f"-{letter.upper()}", key % 2**32)
    assert not is_there(named)


def test_several_are_removed_and_missing_ones_told(
    letter: str, make: Callable[..., Handle]
) -> None:
    first, gone, last, kept = make(), make(), make(), make()
    gone.remove()
    outcome = call("rm", f"-{letter}", first.id, gone.id, f"-{letter}", last.id)
    assert outcome.status == 1
    assert outcome.stderr.count("\n") == 1
    assert f"id {gone.id}: " in outcome.stderr
    assert [is_there(each) for each in (first, last, kept)] == [False, False, True]
    assert outcome.stdout.count("removed") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--all-users",),
        ("-q", "five"),
        ("-q", "-1"),
        ("-q", 2**31),
        ("-Q", "0"),
        ("-Q", 2**32),
        ("-Q", "09"),
        ("--all", "elephants", "--yes"),
        ("--all",),
        ("--orphans",),
        ("--suspected",),
        ("5",),
    ],
)
def test_what_is_not_clear_removes_nothing(
    arguments: tuple[object, ...], remove_later: Later
) -> None:
    kept = [remove_later(each) for each in of_each_kind()]
    error("rm", *arguments, status=2)
    assert all(map(is_there, kept))


def test_all_of_a_kind_leaves_the_others(letter: str) -> None:
    def inside() -> list[tuple[str, bool]]:
        made = [(each, handle) for each in MAKE for handle in (MAKE[each](), MAKE[each]())]
        assert told("rm", "--all", WORDS[letter], "--yes").count("removed") == 2
        return [(each, is_there(handle)) for each, handle in made]

    left = support.in_namespace(inside)
    assert left == [(each, each != letter) for each in MAKE for _ in range(2)]


def test_all_is_all_three_kinds() -> None:
    def inside() -> int:
        of_each_kind()
        told("rm", "--all", "--yes")
        return len(support.objects())

    assert support.in_namespace(inside) == 0


@support.needs_other_users
def test_all_is_the_callers_own_unless_all_users() -> None:
    def inside() -> list[int]:
        given = MAKE["q"]()
        given.chown(uid=support.NOBODY)
        of_each_kind()
        support.in_child(lambda: len(of_each_kind()), support.NOBODY)
        left = [len(support.objects())]
        told("rm", "--all", "--yes")
        left.append(len(support.objects()))
        told("rm", "--all", "--all-users", "--yes")
        return [*left, len(support.objects())]

    assert support.in_namespace(inside) == [7, 4, 0]


@support.needs_other_users
def test_what_is_not_ours_to_remove_is_told_and_the_rest_removed() -> None:
    queue = ipc.MessageQueue.create(mode=0o666)

    def other() -> tuple[int, str, bool]:
        own = ipc.MessageQueue.create()
        outcome = call("rm", "-q", queue.id, own.id)
        return outcome.status, outcome.stderr, is_there(own)

    try:
        status, line, own_is_there = support.in_child(other, support.NOBODY)
        assert (status, own_is_there) == (1, False)
        assert "only its owner" in line
        assert is_there(queue)
    finally:
        queue.remove()


def test_dry_run_removes_nothing_and_needs_no_consent() -> None:
    def inside() -> tuple[str, int]:
        made = of_each_kind()
        out = told("rm", "--all", "--dry-run")
        out += told("rm", "-q", made[0].id, "--dry-run")
        return out, len(support.objects())

    out, count = support.in_namespace(inside)
    assert (out.count("would remove"), count) == (4, 3)


def test_orphans_are_removed_and_nothing_else() -> None:
    def inside() -> tuple[bool, ...]:
        kept = of_each_kind()
        attached, left = (
            ipc.SharedMemory.from_id(support.in_child(lambda: MAKE["m"]().id)) for _ in range(2)
        )
        with attached.attach():
            out = told("rm", "--orphans", "--yes")
            assert out.count("\n") == 1
            assert "nobody ever attached it" in out
            return (*map(is_there, kept), is_there(attached), is_there(left))

    assert support.in_namespace(inside) == (True, True, True, True, False)


def test_suspects_are_removed_and_nothing_else() -> None:
    def inside() -> tuple[bool, ...]:
        used, unused = ipc.MessageQueue.create(), ipc.MessageQueue.create()
        support.in_child(lambda: used.send(b"job"))
        out = told("rm", "--suspected", "--yes")
        assert "last sender" in out
        return is_there(used), is_there(unused)

    assert support.in_namespace(inside) == (False, True)


def between_looking_and_removing(act: Callable[[], object]) -> "mock._patch[object]":
    """Has something happen when all is decided and nothing yet removed."""

    def changed(candidates: list[rm.Candidate], status: object) -> object:
        act()
        return remove_all(candidates, status)  # type: ignore[arg-type]

    remove_all = rm.remove_all
    return mock.patch.object(rm, "remove_all", changed)


def test_another_object_with_the_same_id_is_kept() -> None:
    """The kernel can be told which id comes next."""

    def inside() -> tuple[int, str, bool]:
        queue = ipc.MessageQueue.create(5)

        def replace() -> None:
            queue.remove()
            Path("/proc/sys/kernel/msg_next_id").write_text(str(queue.id))
            assert ipc.MessageQueue.create(6).id == queue.id

        with between_looking_and_removing(replace):
            outcome = call("rm", "--all", "--yes")
        return outcome.status, outcome.stderr, is_there(queue)

    status, line, is_kept = support.in_namespace(inside)
    assert (status, is_kept) == (1, True)
    assert "has changed meanwhile" in line


def test_what_is_used_again_is_no_orphan_any_more() -> None:
    def inside() -> tuple[int, bool]:
        left = ipc.SharedMemory.from_id(support.in_child(lambda: MAKE["m"]().id))
        with between_looking_and_removing(lambda: left.attach().detach()):
            outcome = call("rm", "--orphans", "--yes")
        return outcome.status, is_there(left)

    assert support.in_namespace(inside) == (1, True)


def test_what_vanishes_meanwhile_is_told(queue: ipc.MessageQueue) -> None:
    with between_looking_and_removing(queue.remove):
        assert "removed" in error("rm", "-q", queue.id, status=1)


def test_those_who_wait_are_named() -> None:
    queue, semaphore = ipc.MessageQueue.create(), ipc.Semaphore.create(value=0)
    for switch, made, wait in (
        ("-q", queue, queue.receive),
        ("-s", semaphore, semaphore.acquire),
    ):
        with support.Child(wait) as child:
            support.wait_blocked(child.pid)
            dry = call("rm", switch, made.id, "--dry-run")
            outcome = call("rm", switch, made.id)
            name = Path(f"/proc/{child.pid}/comm").read_text().strip()
            with pytest.raises(ipc.RemovedError):
                child.result()
        for each in (dry, outcome):
            assert each.status == 0
            assert f"warning: on {each.stdout.split(' (')[0].split('remove')[1].strip('d ')}" in (
                each.stderr
            )
            assert f"waits process {child.pid} ({name})" in each.stderr


def test_those_who_have_it_attached_are_named(memory: ipc.SharedMemory) -> None:
    reader, writer = os.pipe()

    def hold() -> None:
        with memory.attach():
            os.write(writer, b".")
            signal.pause()

    with support.Child(hold) as child:
        os.read(reader, 1)
        outcome = call("rm", "-m", memory.id)
        assert f"is attached by process {child.pid} (" in outcome.stderr
        assert memory.stat().marked_for_removal
        # It is as good as gone: no mass removal touches it again.
        assert "shared" not in call("rm", "--all", "segment", "--dry-run").stdout
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    ("answer", "status", "is_kept"),
    [
        (b"y\n", 0, False),
        (b"yes\n", 0, False),
        (b"\n", 1, True),
        (b"n\n", 1, True),
        (b"\4", 1, True),
    ],
)
def test_a_terminal_is_asked(answer: bytes, status: int, is_kept: bool) -> None:
    def inside() -> tuple[int | None, bool, str]:
        queue = ipc.MessageQueue.create()
        with at_terminal("rm", "--all") as (process, terminal):
            shown = read_until(terminal, "[y/N] ")
            os.write(terminal, answer)
            shown += read_until(terminal, "")
            process.wait(60)
        return process.returncode, is_there(queue), shown

    ended, left, shown = support.in_namespace(inside)
    assert (ended, left) == (status, is_kept)
    assert "message queue" in shown
    assert "Remove these 1 objects?" in shown


def test_ctrl_c_at_the_question_removes_nothing() -> None:
    def inside() -> tuple[int | None, bool, str]:
        queue = ipc.MessageQueue.create()
        with at_terminal("rm", "--all") as (process, terminal):
            read_until(terminal, "[y/N] ")
            process.send_signal(signal.SIGINT)
            shown = read_until(terminal, "")
            process.wait(60)
        return process.returncode, is_there(queue), shown

    ended, is_kept, shown = support.in_namespace(inside)
    assert (ended, is_kept) == (130, True)
    assert "Traceback" not in shown


def test_what_changes_while_one_thinks_is_kept() -> None:
    def inside() -> tuple[int | None, bool]:
        changed, same = ipc.SemaphoreSet.create(), ipc.SemaphoreSet.create()
        with at_terminal("rm", "--all") as (process, terminal):
            read_until(terminal, "[y/N] ")
            before = changed.stat().ctime

            def is_newer() -> bool:
                changed.values = [1]
                return changed.stat().ctime > before

            support.wait_for(is_newer, "a ctime of a later second")
            os.write(terminal, b"y\n")
            read_until(terminal, "")
            process.wait(60)
        assert not is_there(same)
        return process.returncode, is_there(changed)

    assert support.in_namespace(inside) == (1, True)


@pytest.mark.skipif(not shutil.which("ipcmk"), reason="needs util-linux")
def test_what_ipcmk_made_is_removed_and_ipcrm_knows_no_more_of_it(letter: str) -> None:
    size = {"q": [], "s": ["3"], "m": ["5000"]}[letter]
    out = subprocess.run(
        ["ipcmk", f"-{letter.upper()}", *size], capture_output=True, text=True, check=True
    ).stdout
    (number,) = re.findall(r"\d+", out)
    told("rm", f"-{letter}", number)
    again = subprocess.run(["ipcrm", f"-{letter}", number], capture_output=True, check=False)
    assert again.returncode != 0


def test_a_named_object_may_have_been_used_meanwhile(queue: ipc.MessageQueue) -> None:
    """As long as it is the same, it is what was asked for."""
    before = queue.stat().ctime

    def use() -> None:
        def is_newer() -> bool:
            queue.chmod(0o600)
            return queue.stat().ctime > before

        support.wait_for(is_newer, "a ctime of a later second")
        queue.send(b"used")

    with between_looking_and_removing(use):
        told("rm", "-q", queue.id)
    assert not is_there(queue)
