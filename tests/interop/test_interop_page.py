"""Each example of docs/interop.md does what the page says, with the other program beside it."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import postgres
import pytest
import support
import sysv_ipc_rs as ipc
from chrony import chronyd, only_ours
from programs import PHP_MODULES, Peer, program

PAGE = (Path(__file__).parents[2] / "docs" / "interop.md").read_text()
SECTIONS = {
    section.split("\n", 1)[0]: re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)
    for section in re.split(r"^###? ", PAGE, flags=re.M)[1:]
}
# What the examples leave for others to use.
LEFT: dict[str, Callable[[], object]] = {
    "Semaphores": lambda: ipc.SemaphoreSet.open(0x5EED0003).remove(),
}
IN_TURN = {"Segments", "util-linux"}
OTHER = ("C", "Queues", "Semaphores", "Segments", "Perl", "util-linux", "sysv_ipc")


def blocks(section: str) -> dict[str, str]:
    """By language; the second of one language is the other program's."""
    found: dict[str, str] = {}
    for language, code in SECTIONS[section]:
        found["other" if language in found or (found and language != "text") else language] = code
    return found


def other(section: str, code: str, folder: Path) -> list[str | Path]:
    """The command that runs it."""
    if section == "C":
        return [support.compiled(folder, code)]
    if section == "Perl":
        return [program("perl"), "-w", "-e", code]
    if section == "util-linux":
        assert all(map(program, ("ipcs", "ipcrm")))
        return ["sh", "-c", code]
    if section == "sysv_ipc":
        pytest.importorskip("sysv_ipc")
        return [sys.executable, "-c", code]
    return [program("php"), "-n", *PHP_MODULES, "-r", code]


@pytest.mark.parametrize("section", OTHER)
def test_the_two_sides_print_what_is_promised(section: str, tmp_path: Path) -> None:
    code = blocks(section)
    assert code.keys() == {"python", "other", "text"}
    command = other(section, code["other"], tmp_path)
    with Peer(sys.executable, "-c", code["python"]) as ours:
        if section in IN_TURN:
            assert ours.end() == 0, ours.errors()
        with Peer(*command) as theirs:
            assert theirs.end() == 0, theirs.errors()
            assert ours.end() == 0, ours.errors()
            printed = theirs.rest() + ours.rest()
            assert (theirs.errors(), ours.errors()) == ("", "")
    assert sorted(printed.splitlines()) == sorted(code["text"].splitlines())
    LEFT.get(section, lambda: None)()


def test_chronyd_takes_the_clock_of_the_example() -> None:
    section = dict(SECTIONS["chrony, ntpd, gpsd"])
    with (
        only_ours(2),
        chronyd(section["conf"]) as (_, sources),
        Peer(sys.executable, "-c", section["python"]),
    ):
        support.wait_for(lambda: "#,*,PY," in sources(), "it is the source")


def test_the_interlock_of_the_example_is_found() -> None:
    code = dict(SECTIONS["PostgreSQL"])["python"]
    with postgres.initialised() as data, postgres.running(data) as server:
        printed = support.python_prints(code.replace("/var/lib/postgresql/15/main", str(data)))
        number = (data / "postmaster.pid").read_text().splitlines()[6].split()[1]
        assert printed == f"{number} True\n"
        assert server.poll() is None


def test_every_example_is_run() -> None:
    run = {*OTHER, "chrony, ntpd, gpsd", "PostgreSQL"}
    assert {name for name, found in SECTIONS.items() if found} == run
