"""`sysv-ipc doctor`: what it finds out about namespaces, systemd and /proc."""

import contextlib
import ctypes
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import support
from doctor_support import Found, found, run
from sysv_ipc_rs import system

pytest.importorskip("rich")

from sysv_ipc_rs.cli.doctor import _host
from sysv_ipc_rs.cli.doctor._finding import Severity

CLONE_NEWNS = 0x00020000


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
        assert _host.hidepid(f"{other}\n{line}\n{other}\n") == hides


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
