"""The manual of `sysv-ipc`: what it shows is what the commands print; the man page is made of it.

    UPDATE_DOCS=1 python -m pytest tests/test_cli_docs.py

writes what they print now into `docs/cli.md`, and the man page anew.
"""

import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import support
from cli_support import SYSV_IPC
from sysv_ipc_rs import system
from sysv_ipc_rs.cli import _app

ROOT = Path(__file__).parent.parent
MANUAL = ROOT / "docs" / "cli.md"
MAN_PAGE = ROOT / "docs" / "sysv-ipc.1"
UPDATE = "UPDATE_DOCS" in os.environ

# What is another number in each run, and who it stands beside.
VARYING = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", "TIME"),
    (r'("\w*(?:time|pid)": )\d+', r"\1N"),
    (r"(\w+_pid +)\d+", r"\1N"),
    (r"(_seconds\{.*\} )\S+", r"\1N"),
    (r"(process )\d+( \([\w.-]+\))?", r"\1N"),
    (r"^(\d+ +\d+ +)\d+( +\d+ +\d+)$", r"\1N\2"),
    # Columns are as wide as what is in them.
    (r"  +", "  "),
]


def commands() -> list[str]:
    """All that the manual shows, in its order."""
    return re.findall(r"^\$ (.*)$", MANUAL.read_text(), re.M)


def outputs(path: str) -> list[str]:
    """What the commands print, one after the other, in a namespace of their own."""
    environment = {**os.environ, "PATH": path, "TZ": "UTC", "LC_ALL": "C.UTF-8", "COLUMNS": "80"}
    found = []
    for command in commands():
        ended = subprocess.run(
            ["bash", "-c", f"exec 2>&1; {command}"],
            stdout=subprocess.PIPE if not command.endswith("&") else subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env=environment,
            text=True,
            check=False,
        )
        if command.endswith("&"):
            support.wait_for(system.uses, "it waits")
        found.append(ended.stdout or "")
    return found


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The manual as it has to be."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "sysv-ipc"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(SYSV_IPC)} "$@"\n')
    command.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    printed = iter(support.in_namespace(lambda: outputs(path)))

    def block(match: "re.Match[str]") -> str:
        shown = (
            f"$ {command}\n{next(printed)}" for command in re.findall(r"(?m)^\$ (.*)", match[0])
        )
        return "```console\n" + "".join(shown) + "```\n"

    text = re.sub(r"(?ms)^```console\n\$ .*?^```\n", block, MANUAL.read_text())
    if UPDATE:
        MANUAL.write_text(text)
        subprocess.run(
            [sys.executable, ROOT / "tools" / "man_page.py", MANUAL, MAN_PAGE], check=True
        )
    return text


def steady(text: str) -> str:
    for pattern, stand_in in VARYING:
        text = re.sub(pattern, stand_in, text, flags=re.M)
    return text


def test_the_manual_shows_what_is_printed(manual: str) -> None:
    shown, printed = (steady(text).splitlines() for text in (MANUAL.read_text(), manual))
    changes = list(difflib.unified_diff(shown, printed, "the manual", "what is printed", n=0))
    assert not changes, "UPDATE_DOCS=1 writes it anew"


def test_every_command_and_switch_is_in_the_manual(manual: str) -> None:
    for name in _app.COMMANDS:
        assert f"$ sysv-ipc {name} --help\nUsage: sysv-ipc {name} " in manual
        assert re.search(rf"^### .*\b{name}\b", manual, re.M)
    assert "Traceback" not in manual


def test_the_man_page_is_made_of_the_manual(tmp_path: Path) -> None:
    made = tmp_path / "sysv-ipc.1"
    tool = ROOT / "tools" / "man_page.py"
    subprocess.run([sys.executable, tool, MANUAL, made], check=True)
    assert made.read_text() == MAN_PAGE.read_text()


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
def test_the_man_page_is_well_formed_and_says_all_that_the_manual_does() -> None:
    groff = ["groff", "-man", "-Tutf8", "-ww", "-rHY=0", "-P-cbou", str(MAN_PAGE)]
    ended = subprocess.run(groff, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    shown = " ".join(ended.stdout.split())
    assert re.search(r"NAME sysv-ipc \S See, make, use and remove", shown)
    for command in commands():
        assert " ".join(command.split()) in shown, command
    for heading in re.findall(r"^##+ (.*)$", MANUAL.read_text(), re.M):
        assert heading.upper() in shown.upper()
