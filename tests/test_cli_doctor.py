"""`sysv-ipc doctor`: each check finds what it is for, and its remedy helps."""

import io
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from doctor_support import apply, found, only, run
from sysv_ipc_rs import system

pytest.importorskip("rich")

from sysv_ipc_rs.cli import doctor
from sysv_ipc_rs.cli.doctor import _host
from sysv_ipc_rs.cli.doctor._finding import Severity

# Nothing and everything


def test_where_nothing_is_wrong_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch, queue: ipc.MessageQueue, memory: ipc.SharedMemory
) -> None:
    monkeypatch.setattr(_host, "INITIAL_IPC_NAMESPACE", system.ipc_namespace())
    queue.send(b"hello")
    with memory.attach():
        assert run() == (0, "")
        assert run("--json") == (0, "[]\n")


def test_the_worst_comes_first_and_what_is_less_severe_can_be_left_out() -> None:
    def inside() -> None:
        ipc.MessageQueue.create(mode=0o602)
        severities = [Severity[finding["severity"].upper()] for finding in found()]
        assert len(severities) == 2
        assert severities == sorted(severities, reverse=True)
        assert run("--least", "critical")[1].count("\n") == 2
        status, text = run("--least", "warning", "--json")
        assert (status, len(json.loads(text))) == (4, 2)
        Path("/proc/sys/kernel/msgmni").write_text("10")
        assert run("--least", "critical") == (0, "")

    support.in_namespace(inside, msgmni=1)


def test_text_names_the_object_and_the_remedy() -> None:
    def inside() -> None:
        queue = ipc.MessageQueue.create(mode=0o606)
        status, text = run("--least", "warning")
        assert status == 4
        first, second = text.splitlines()
        assert first.startswith(f"warning: world_writable: message queue {queue.id}: mode 0606")
        assert second.startswith("  python3 -c ")

    support.in_namespace(inside)


def test_a_person_gets_colours_and_whole_commands() -> None:
    from rich.console import Console  # noqa: PLC0415 - the extra may be missing

    def inside() -> None:
        ipc.MessageQueue.create(mode=0o606)
        console = Console(file=io.StringIO(), force_terminal=True, width=40, color_system="256")
        with console.capture() as shown:
            doctor.show(doctor.findings(), console)
        text = shown.get()
        assert "\x1b[" in text
        plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
        (world_writable,) = found()
        assert world_writable["remedy"] in plain
        assert max(map(len, plain.splitlines())) > 40, "a command is one line"
        with console.capture() as shown:
            doctor.show([], console)
        assert "Nothing found" in shown.get()

    support.in_namespace(inside)


# Limits


def make_queues() -> None:
    for _ in range(9):
        ipc.MessageQueue.create()


def make_sets() -> None:
    for _ in range(9):
        ipc.SemaphoreSet.create(values=[1])


def make_segments() -> None:
    for _ in range(9):
        ipc.SharedMemory.create(size=1)


@pytest.mark.parametrize(
    ("make", "limits", "kind", "name"),
    [
        (make_queues, {"msgmni": 10}, "message_queue", "msgmni"),
        (make_segments, {"shmmni": 10}, "shared_memory", "shmmni"),
        (make_segments, {"shmall": 10}, "shared_memory", "shmall"),
        (make_sets, {"sem": "20 1000 30 10"}, "semaphore_set", "semmni"),
        (make_sets, {"sem": "20 10 30 1000"}, "semaphore_set", "semmns"),
    ],
    ids=["msgmni", "shmmni", "shmall", "semmni", "semmns"],
)
def test_a_limit_that_is_nearly_used_up_is_told_and_how_to_raise_it(
    make: Callable[[], None], limits: dict[str, object], kind: str, name: str
) -> None:
    def inside() -> None:
        make()
        finding = only()
        assert (finding["check"], finding["kind"], finding["id"]) == ("limit", kind, None)
        assert finding["severity"] == "warning"
        assert f"9 of 10 {name} used (90%)" in finding["message"]
        before = system.limits()._asdict()
        apply(finding)
        assert found() == []
        after = system.limits()._asdict()
        assert after.pop(name) == 18
        assert before.pop(name) == 10
        assert after == before, "no other limit was changed"

    support.in_namespace(inside, **limits)


def test_80_percent_is_not_nearly_and_all_is_critical() -> None:
    def inside() -> None:
        queues = [ipc.MessageQueue.create() for _ in range(8)]
        assert found() == []
        queues += [ipc.MessageQueue.create() for _ in range(2)]
        assert only()["severity"] == "critical"

    support.in_namespace(inside, msgmni=10)


def test_of_ids_no_more_are_asked_for_than_the_kernel_gives() -> None:
    limit = doctor._limits.MOST_IDS

    def inside() -> None:
        with pytest.raises(OSError, match="Invalid argument"):
            Path("/proc/sys/kernel/msgmni").write_text(str(limit + 1))
        Path("/proc/sys/kernel/msgmni").write_text(str(limit))
        raised = doctor._limits._raise("msgmni", limit - 1, limit - 1)
        assert raised == f"sysctl -w kernel.msgmni={limit}"
        assert "ipcmni_extend" in doctor._limits._raise("msgmni", limit, limit)

    support.in_namespace(inside)


def test_a_queue_that_is_nearly_full_is_told() -> None:
    def inside() -> None:
        queue = ipc.MessageQueue.create(max_bytes=10)
        queue.send(b"12345678")
        assert found() == []
        queue.send(b"9")
        finding = only()
        assert (finding["check"], finding["id"]) == ("queue", queue.id)
        assert finding["severity"] == "warning"
        assert "90%" in finding["message"]
        queue.send(b"0")
        assert only()["severity"] == "critical"
        apply(only())
        assert queue.max_bytes == 20
        assert found() == []

        queue.max_bytes = 10
        queue.receive()
        assert found() == []
        large = ipc.MessageQueue.create()
        for _ in range(2):
            large.send(bytes(system.limits().msgmax))
        assert only()["id"] == large.id
        apply(only())
        assert found() == []
        for _ in range(8):
            queue.send(b"")
        assert found(), "as many messages as bytes are allowed"

    support.in_namespace(inside)


# Objects


def test_an_orphan_is_told_and_its_command_removes_it() -> None:
    def inside() -> None:
        kept = ipc.SharedMemory.create(size=1)
        left = support.in_child(lambda: ipc.SharedMemory.create(size=4321).id)
        finding = only()
        assert (finding["check"], finding["kind"]) == ("orphan", "shared_memory")
        assert finding["id"] == left
        assert finding["remedy"] == f"sysv-ipc rm -m {left}"
        assert "4321 bytes" in finding["message"]
        assert "is dead" in finding["message"]
        apply(finding)
        assert found() == []
        assert kept.stat()

    support.in_namespace(inside)


def test_a_suspect_is_told_with_reasons() -> None:
    def inside() -> None:
        queue, semaphore = ipc.MessageQueue.create(), ipc.Semaphore.create()

        def use() -> None:
            queue.send(b"x")
            semaphore.acquire()

        support.in_child(use)
        by_kind = {finding["kind"]: finding for finding in found()}
        assert by_kind.keys() == {"message_queue", "semaphore_set"}
        for kind, letter, handle in (
            ("message_queue", "q", queue),
            ("semaphore_set", "s", semaphore),
        ):
            finding = by_kind[kind]
            assert (finding["check"], finding["severity"]) == ("suspect", "info")
            assert finding["id"] == handle.id
            assert "is dead" in finding["message"]
            assert finding["remedy"] == f"if nobody owns it: sysv-ipc rm -{letter} {handle.id}"

    support.in_namespace(inside)


@pytest.mark.parametrize(
    "create",
    [
        lambda: ipc.MessageQueue.create(mode=0o666),
        lambda: ipc.SemaphoreSet.create(mode=0o666),
        lambda: ipc.SharedMemory.create(size=1, mode=0o666),
    ],
    ids=["queue", "set", "segment"],
)
def test_a_world_writable_object_is_told_and_its_command_closes_it(
    create: Callable[[], ipc.MessageQueue | ipc.SemaphoreSet | ipc.SharedMemory],
) -> None:
    def inside() -> None:
        made = create()
        finding = only()
        assert (finding["check"], finding["id"]) == ("world_writable", made.id)
        assert "0666" in finding["message"]
        apply(finding)
        assert found() == []
        assert made.stat().mode == 0o664

    support.in_namespace(inside)


def test_a_removed_segment_that_is_still_attached_is_told() -> None:
    def inside() -> None:
        memory = ipc.SharedMemory.create(size=100)
        attachment = memory.attach()
        memory.remove()
        finding = only()
        assert (finding["check"], finding["id"]) == ("marked_for_removal", memory.id)
        assert f"process {os.getpid()}" in finding["message"]
        attachment.detach()
        assert found() == []

    support.in_namespace(inside)


def test_waiters_behind_a_dead_process_are_told_and_can_be_freed() -> None:
    def inside() -> None:
        semaphores = ipc.SemaphoreSet.create(size=2, values=[1, 1])
        semaphore = semaphores[1]
        with support.Child(semaphore.acquire) as holder:
            holder.join()
            with support.Child(semaphore.acquire) as waiter:
                support.wait_blocked(waiter.pid)
                finding = only()
                assert (finding["check"], finding["id"]) == ("waiters", semaphores.id)
                assert finding["severity"] == "critical"
                assert f"process {waiter.pid}" in finding["message"]
                assert f"process, {holder.pid}, is dead" in finding["message"]
                apply(finding)
                assert waiter.join() == 0
        assert semaphore.value == 0

    support.in_namespace(inside)


def test_waiters_for_zero_behind_a_dead_process_can_be_freed() -> None:
    def inside() -> None:
        semaphore = ipc.Semaphore.create(value=0)
        support.in_child(semaphore.release)
        with support.Child(semaphore.wait_zero) as waiter:
            support.wait_blocked(waiter.pid)
            finding = only()
            assert finding["check"] == "waiters"
            apply(finding)
            assert waiter.join() == 0

    support.in_namespace(inside)


def test_waiters_behind_a_process_that_lives_are_well() -> None:
    def inside() -> None:
        semaphore = ipc.Semaphore.create()
        semaphore.acquire()
        with support.Child(semaphore.acquire) as waiter:
            support.wait_blocked(waiter.pid)
            assert found() == []

    support.in_namespace(inside)


def test_a_zombie_is_dead_and_a_stopped_process_is_not() -> None:
    def inside() -> None:
        semaphore = ipc.Semaphore.create()

        def holds() -> None:
            semaphore.acquire()
            signal.pause()

        with support.Child(holds) as holder:
            support.wait_for(lambda: not semaphore.value)
            with support.Child(semaphore.acquire) as waiter:
                support.wait_blocked(waiter.pid)
                holder.kill(signal.SIGSTOP)
                support.wait_for(lambda: support.state(holder.pid) == "T")
                assert found() == []
                holder.kill()
                support.wait_for(lambda: support.state(holder.pid) == "Z")
                assert only()["check"] == "waiters"

    support.in_namespace(inside)


def test_what_may_not_be_read_is_left_out() -> None:
    def inside() -> None:
        semaphore = ipc.Semaphore.create()
        support.in_child(semaphore.acquire)
        with support.Child(semaphore.acquire) as waiter:
            support.wait_blocked(waiter.pid)
            assert only()["check"] == "waiters"
            if support.may_become(support.NOBODY):
                assert support.in_child(found, uid=support.NOBODY) == []

    support.in_namespace(inside)
