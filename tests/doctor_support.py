"""What the tests of `sysv-ipc doctor` share."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from cli_support import call, told

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
