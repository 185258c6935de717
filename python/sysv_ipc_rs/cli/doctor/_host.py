"""What the system around is set up to do: systemd, namespaces, /proc."""

import os
import pwd
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ... import system
from ._finding import Finding, Severity

ROOT = Path("/")
INITIAL_IPC_NAMESPACE = 0xEFFFFFFF
"""PROC_IPC_INIT_INO."""
LAST_SYSTEM_UID = 999
"""Built into systemd, which spares these users' objects."""
CAP_SYS_PTRACE = 19

# The first main file counts; then every drop-in, by its name, the first of each name.
FOLDERS = ("etc", "run", "usr/local/lib", "usr/lib")


def remove_ipc() -> Iterator[Finding]:
    """Whether systemd removes our objects when we log out."""
    uid = os.geteuid()
    if uid <= LAST_SYSTEM_UID or not (ROOT / "run/systemd/system").is_dir():
        return
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    removes, source = removes_ipc(ROOT)
    if removes and not (ROOT / "var/lib/systemd/linger" / user).exists():
        yield Finding(
            "remove_ipc",
            Severity.WARNING,
            None,
            None,
            f"systemd removes all objects of user {user} when their last session ends: "
            f"RemoveIPC=yes ({source})",
            f"loginctl enable-linger {user}, or run as a system user, or for all users: "
            "mkdir -p /etc/systemd/logind.conf.d && printf '[Login]\\nRemoveIPC=no\\n' "
            ">/etc/systemd/logind.conf.d/keep-ipc.conf && systemctl restart systemd-logind",
        )


def removes_ipc(root: Path) -> tuple[bool, str]:
    """logind's RemoveIPC, and where it comes from. See logind.conf(5)."""
    removes, source = True, "systemd's default"
    for path in _files(root):
        with suppress(OSError):
            for value in _values(path.read_text(errors="replace"), "Login", "RemoveIPC"):
                # What is neither is ignored, by systemd too.
                if value.lower() in {"1", "yes", "y", "true", "t", "on"}:
                    removes, source = True, str(path)
                elif value.lower() in {"0", "no", "n", "false", "f", "off"}:
                    removes, source = False, str(path)
    return removes, source


def _files(root: Path) -> list[Path]:
    """What logind reads, in the order in which it reads it."""
    folders = [root / folder / "systemd" for folder in FOLDERS]
    mains = [folder / "logind.conf" for folder in folders]
    dropins: dict[str, Path] = {}
    for folder in folders:
        for path in (folder / "logind.conf.d").glob("*.conf"):
            dropins.setdefault(path.name, path)
    return [
        *[path for path in mains if path.exists()][:1],
        *(dropins[name] for name in sorted(dropins)),
    ]


def _values(text: str, section: str, name: str) -> Iterator[str]:
    """The values of a setting in a file of systemd's."""
    inside = False
    # A backslash at the end goes on with the next line that is no comment.
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("#", ";"))]
    for raw_line in "\n".join(lines).replace("\\\n", " ").splitlines():
        line = raw_line.strip()
        if line.startswith("["):
            inside = line == f"[{section}]"
        elif inside and "=" in line:
            key, value = line.split("=", 1)
            if key.strip() == name:
                yield value.strip()


def own_namespace() -> Iterator[Finding]:
    """Whether we see a container's objects instead of the host's."""
    namespace = system.ipc_namespace()
    if namespace != INITIAL_IPC_NAMESPACE:
        yield Finding(
            "namespace",
            Severity.INFO,
            None,
            None,
            f"this is IPC namespace {namespace}, not the host's first one: a container has its "
            "own objects, limits and ids, and they end with it",
            "to share them: docker run --ipc=host or --ipc=container:NAME; from the host: "
            "nsenter --ipc --target PID",
        )


def hidden_processes() -> Iterator[Finding]:
    """Whether /proc keeps other users' processes from us."""
    hides = hidepid((ROOT / "proc/self/mountinfo").read_text(errors="replace"))
    if hides and not _sees_all(hides):
        yield Finding(
            "hidden_processes",
            Severity.WARNING,
            None,
            None,
            f"/proc hides other users' processes ({hides}): who waits and who has attached is "
            "told incompletely",
            "run as root, or in the group of the mount option gid=, or: "
            "mount -o remount,hidepid=0 /proc",
        )


def hidepid(mountinfo: str) -> str:
    """The options by which the topmost /proc hides processes; nothing if it doesn't."""
    hides = ""
    for line in mountinfo.splitlines():
        mount, _, filesystem = line.partition(" - ")
        if mount.split()[4] == "/proc":
            options = ",".join([mount.split()[5], filesystem.split()[-1]])
            found = re.findall(r"\b(?:hidepid=(?!0\b|off\b)|gid=)\w+", options)
            hides = ",".join(dict.fromkeys(found)) if "hidepid" in "".join(found) else ""
    return hides


def _sees_all(options: str) -> bool:
    group = re.search(r"\bgid=(\d+)", options)
    if group and "ptraceable" not in options and int(group[1]) in {os.getegid(), *os.getgroups()}:
        return True
    status = (ROOT / "proc/self/status").read_text()
    capabilities = int(status.split("CapEff:")[1].split()[0], 16)
    return bool(capabilities >> CAP_SYS_PTRACE & 1)
