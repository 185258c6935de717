"""`sysv-ipc doctor`: each check finds what it is for, and its remedy helps."""

import contextlib
import ctypes
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from cli_support import call, told
from sysv_ipc_rs import system

pytest.importorskip("rich")

from sysv_ipc_rs.cli import doctor
from sysv_ipc_rs.cli.doctor import _host
from sysv_ipc_rs.cli.doctor._finding import Severity

CLONE_NEWNS = 0x00020000

Found = dict[str, Any]


def run(*arguments: str) -> tuple[int, str]:
    """The exit status, and what went to stdout."""
    status, out, err = call("doctor", *arguments)
    assert err == ""
    return status, out.decode()


def found() -> list[Found]:
    """What it finds, without the namespace that tests have for themselves."""
    status, text = run("--json")
    everything: list[Found] = json.loads(text)
    assert status == (4 if everything else 0)
    for finding in everything:
        assert list(finding) == ["check", "severity", "kind", "id", "message", "remedy"]
        assert finding["severity"] in {"info", "warning", "critical"}
        assert finding["message"]
        assert finding["remedy"]
    return [finding for finding in everything if finding["check"] != "namespace"]


def only() -> Found:
    (finding,) = found()
    return finding


def apply(finding: Found) -> None:
    """Do what it says: the commands after a condition, perhaps."""
    for command in finding["remedy"].rpartition(": ")[2].split(" && "):
        words = shlex.split(command)
        if words[:2] == ["sysctl", "-w"]:
            name, _, value = words[2].partition("=")
            Path("/proc/sys", name.replace(".", "/")).write_text(value)
        elif words[0] == "sysv-ipc":
            assert told(*words[1:])
        else:
            assert words[0] == "python3"
            subprocess.run([sys.executable, *words[1:]], check=True)


# Nothing and everything


def test_where_nothing_is_wrong_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch, queue: ipc.MessageQueue, memory: ipc.SharedMemory
) -> None:
    monkeypatch.setattr(_host, "INITIAL_IPC_NAMESPACE", system.ipc_namespace())
    queue.send(b"hello")
    with memory.attach():
        assert run() == (0, "")
        assert run("--json") == (0, "[]\n")


def test_our_own_namespace_is_told() -> None:
    def inside() -> None:
        status, text = run("--json")
        (finding,) = json.loads(text)
        assert status == 4
        assert (finding["check"], finding["severity"]) == ("namespace", "info")
        assert (finding["kind"], finding["id"]) == (None, None)
        assert str(system.ipc_namespace()) in finding["message"]

    support.in_namespace(inside)


def test_in_the_hosts_namespace_none_is_told() -> None:
    for namespace in Path("/proc").glob("[0-9]*/ns/ipc"):
        with contextlib.suppress(OSError):
            if namespace.stat().st_ino == _host.INITIAL_IPC_NAMESPACE:
                break
    else:
        pytest.skip("sees no process in the host's namespace")
    code = "from sysv_ipc_rs.cli.doctor import _host; print(list(_host.own_namespace()))"
    shown = subprocess.run(
        ["nsenter", f"--ipc={namespace}", sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout == "[]\n"


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


# The host


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a system that runs systemd, where we are the user 12345."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    monkeypatch.setattr(_host, "ROOT", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    return tmp_path


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_remove_ipc_is_systemds_default(root: Path) -> None:
    (finding,) = _host.remove_ipc()
    assert (finding.check, finding.severity) == ("remove_ipc", Severity.WARNING)
    assert "12345" in finding.message
    assert "default" in finding.message
    put(root, "etc/systemd/logind.conf", "[Login]\n#RemoveIPC=no\n")
    assert list(_host.remove_ipc())


@pytest.mark.parametrize(
    ("files", "removes"),
    [
        ({"etc/systemd/logind.conf": "[Login]\nRemoveIPC=no\n"}, False),
        ({"etc/systemd/logind.conf": "[Login]\n RemoveIPC = Off \n"}, False),
        ({"etc/systemd/logind.conf": "[Login]\nRemoveIPC=no\nRemoveIPC=1\n"}, True),
        ({"etc/systemd/logind.conf": "[Login]\nRemoveIPC=perhaps\n"}, True),
        ({"etc/systemd/logind.conf": "[Other]\nRemoveIPC=no\n"}, True),
        ({"etc/systemd/logind.conf": "[Other]\n[Login]\n; a\nRemoveIPC=\\\n#b\nno\n"}, False),
        ({"usr/lib/systemd/logind.conf": "[Login]\nRemoveIPC=no\n"}, False),
        (
            {
                "etc/systemd/logind.conf": "[Login]\n",
                "usr/lib/systemd/logind.conf": "[Login]\nRemoveIPC=no\n",
            },
            True,
        ),
        (
            {
                "etc/systemd/logind.conf": "[Login]\nRemoveIPC=yes\n",
                "usr/lib/systemd/logind.conf.d/10-a.conf": "[Login]\nRemoveIPC=no\n",
            },
            False,
        ),
        (
            {
                "run/systemd/logind.conf.d/20-b.conf": "[Login]\nRemoveIPC=yes\n",
                "etc/systemd/logind.conf.d/10-a.conf": "[Login]\nRemoveIPC=no\n",
            },
            True,
        ),
        (
            {
                "run/systemd/logind.conf.d/10-a.conf": "[Login]\nRemoveIPC=yes\n",
                "etc/systemd/logind.conf.d/10-a.conf": "[Login]\nRemoveIPC=no\n",
            },
            False,
        ),
        ({"etc/systemd/logind.conf.d/10-a.txt": "[Login]\nRemoveIPC=no\n"}, True),
    ],
)
def test_remove_ipc_is_read_as_systemd_reads_it(
    root: Path, files: dict[str, str], removes: bool
) -> None:
    for path, text in files.items():
        put(root, path, text)
    assert bool(list(_host.remove_ipc())) == removes
    found, source = _host.removes_ipc(root)
    assert found == removes
    assert source == "systemd's default" or Path(source).is_file()


def test_a_drop_in_that_is_masked_masks_the_vendors(root: Path) -> None:
    put(root, "usr/lib/systemd/logind.conf.d/keep.conf", "[Login]\nRemoveIPC=no\n")
    assert not list(_host.remove_ipc())
    (root / "etc/systemd/logind.conf.d").mkdir(parents=True)
    (root / "etc/systemd/logind.conf.d/keep.conf").symlink_to("/dev/null")
    assert list(_host.remove_ipc())


def test_remove_ipc_spares_system_users_those_who_linger_and_hosts_without_systemd(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(_host.remove_ipc())
    monkeypatch.setattr(os, "geteuid", lambda: 999)
    assert not list(_host.remove_ipc())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert list(_host.remove_ipc())
    put(root, "var/lib/systemd/linger/1000", "")
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert list(_host.remove_ipc())
    put(root, "var/lib/systemd/linger/54321", "")
    assert not list(_host.remove_ipc())
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    (root / "run/systemd/system").rmdir()
    assert not list(_host.remove_ipc())


def doctor_finds(*mounts: str, uid: int) -> dict[str, Found]:
    """What it finds as this user where these mounts are made, for nobody else, by check."""

    def inside() -> dict[str, Found]:
        if ctypes.CDLL(None).unshare(CLONE_NEWNS):
            pytest.skip("needs the right to mount")
        for mount in ("mount --make-rprivate /", *mounts):
            subprocess.run(shlex.split(mount), check=True)
        return support.in_child(lambda: {finding["check"]: finding for finding in found()}, uid)

    if not support.may_become(uid):
        pytest.skip(f"needs root, to be user {uid}")
    found()  # what is imported now, the other user need not be able to read
    return support.in_child(inside)


def test_remove_ipc_is_found_by_the_command_for_the_user_that_runs_it(tmp_path: Path) -> None:
    (tmp_path / "systemd/system").mkdir(parents=True)
    tmp_path.chmod(0o755)
    mounts = [f"mount --bind {tmp_path} /run"]
    if Path("/etc/systemd").is_dir():
        mounts.append("mount -t tmpfs none /etc/systemd")
    remove_ipc = doctor_finds(*mounts, uid=4242)["remove_ipc"]
    assert remove_ipc["severity"] == "warning"
    assert "user 4242" in remove_ipc["message"]
    assert "RemoveIPC=no" in remove_ipc["remedy"]
    assert "remove_ipc" not in doctor_finds(*mounts, uid=42)
    assert "remove_ipc" not in doctor_finds(*mounts, uid=0)


MOUNT = "22 27 0:21 / /proc rw,relatime{optional} - proc proc rw{options}"


@pytest.mark.parametrize(
    ("options", "hides"),
    [
        ("", ""),
        (",hidepid=0", ""),
        (",hidepid=off", ""),
        (",hidepid=1", "hidepid=1"),
        (",hidepid=2", "hidepid=2"),
        (",hidepid=invisible", "hidepid=invisible"),
        (",gid=5,hidepid=invisible", "gid=5,hidepid=invisible"),
        (",hidepid=ptraceable", "hidepid=ptraceable"),
        (",gid=5", ""),
    ],
)
def test_hidepid_is_read_from_the_mount(options: str, hides: str) -> None:
    other = "30 22 0:50 / /proc/sys rw,hidepid=2 - proc proc rw,hidepid=2"
    for optional in ("", " shared:13 master:1"):
        line = MOUNT.format(options=options, optional=optional)
        assert _host.hidepid(f"{other}\n{line}\n") == hides


def test_the_topmost_proc_counts() -> None:
    hidden, plain = (MOUNT.format(options=options, optional="") for options in (",hidepid=2", ""))
    assert _host.hidepid(f"{hidden}\n{plain}\n") == ""
    assert _host.hidepid(f"{plain}\n{hidden}\n") == "hidepid=2"


def test_a_hidden_proc_is_found_by_the_command_for_those_from_whom_it_hides() -> None:
    hidden = "mount -t proc -o hidepid=2,gid=4243 proc /proc"
    finding = doctor_finds(hidden, uid=4242)["hidden_processes"]
    assert finding["severity"] == "warning"
    assert "hidepid=" in finding["message"]
    assert "hidden_processes" not in doctor_finds(hidden, uid=4243), "is in the group"
    assert "hidden_processes" not in doctor_finds(hidden, uid=0), "root sees all"
    assert "hidden_processes" not in doctor_finds("mount -t proc proc /proc", uid=4242)
