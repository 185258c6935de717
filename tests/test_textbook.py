"""The textbook's programs print what they say that they print, and leave nothing behind.

What a program prints is the last section of its docstring. Some words in capitals there (`ID`,
`PID`, `N`, ...) are numbers of the run, the same where it is the same word again, but for `N`.
"""

import ast
import importlib.util
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import support

TEXTBOOK = Path(__file__).parent.parent / "examples" / "textbook"
PROGRAMS = sorted(path for path in TEXTBOOK.glob("*/*.py") if "lock" not in path.name)
# The children of who_waits would wait for ever, and another two seconds are not worth it.
LEAVING = [
    path
    for path in PROGRAMS
    if '"leave"' in path.read_text() and not path.stem.startswith(("who_waits", "critical"))
]
NEEDS_ROOT = {"ipc_perm", "who_may", "private_no_rights", "hit"}
LABELS = {
    **dict.fromkeys(["ID", "ID2", "PID", "CHILD", "ONE", "TWO"], r"\d+"),
    **dict.fromkeys(["KEY", "K"], r"[0-9a-f]+"),
    "OWNER": r"\w+",
}


def said(path: Path) -> str:
    """The section `Prints` of the docstring, which is the last one."""
    doc = ast.get_docstring(ast.parse(path.read_text())) or ""
    _, head, lines = doc.partition("\nPrints:\n")
    assert head, f"{path.name} does not say what it prints"
    return textwrap.dedent(lines)


def pattern(text: str) -> str:
    """Matches the text with any number for its labels, the same one for the same label."""
    met = set()

    def label(found: re.Match[str]) -> str:
        word = found[2]
        if word == "N":
            return found[1] + r"\d+"
        if word in met:
            return f"{found[1]}(?P={word})"
        met.add(word)
        return f"{found[1]}(?P<{word}>{LABELS[word]})"

    words = sorted([*LABELS, "N"], key=len, reverse=True)
    return re.sub(rf"(\b|0x)({'|'.join(words)})\b", label, re.escape(text).replace(r"\ ", " "))


def compare(printed: str, path: Path) -> None:
    """Without blank lines, and with one blank between the columns of listings."""
    plain = [
        "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
        for text in (printed, said(path))
    ]
    assert re.fullmatch(pattern(plain[1]), plain[0]), f"{plain[0]}\n\nbut not\n\n{plain[1]}"


def run(path: Path, *arguments: str) -> str:
    options = ["-W", "ignore:This process:DeprecationWarning"]
    ended = subprocess.run(
        [sys.executable, *options, str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def check_possible(path: Path) -> None:
    name = path.stem.removesuffix("_raw")
    if name in NEEDS_ROOT and not support.may_become(support.NOBODY):
        pytest.skip("needs root, to be another user")
    if name == "ipcs_and_ipcrm" and not importlib.util.find_spec("sysv_ipc_rs.__main__"):
        pytest.skip("needs the command sysv-ipc")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_prints_what_it_says(path: Path) -> None:
    check_possible(path)
    compare(run(path), path)


SWITCH = {"msg": "-q", "sem": "-s", "shm": "-m"}


@pytest.mark.parametrize("path", LEAVING, ids=lambda path: path.stem)
def test_a_program_leaves_its_objects_if_told_to(path: Path) -> None:
    check_possible(path)
    before = support.objects()
    run(path, "leave")
    left = support.objects() - before
    for kind, number in left:
        subprocess.run(["ipcrm", SWITCH[kind], str(number)], check=True)
    assert left


@pytest.mark.parametrize("column", ["", "_raw"])
def test_ctrl_c_gives_the_lock_back(column: str) -> None:
    lock, unlock = (TEXTBOOK / "semaphores" / f"{name}{column}.py" for name in ("lock", "unlock"))
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(lock)], stdout=pipe, text=True) as holder:
        try:
            assert holder.stdout
            compare(holder.stdout.readline(), lock)
            with subprocess.Popen([sys.executable, str(unlock)], stdout=pipe, text=True) as waiter:
                try:
                    support.wait_blocked(waiter.pid)
                    holder.send_signal(signal.SIGINT)
                    assert holder.wait() == -signal.SIGINT
                    compare(waiter.communicate(timeout=30)[0], unlock)
                    assert waiter.returncode == 0
                finally:
                    waiter.kill()
        finally:
            holder.kill()


def test_every_program_stands_in_the_table() -> None:
    text = (TEXTBOOK / "README.md").read_text()
    linked = re.findall(r"\]\((\w+/\w+\.py)\)", text)
    assert set(linked) == {str(path.relative_to(TEXTBOOK)) for path in TEXTBOOK.glob("*/*.py")}


def test_the_comparison_notices_what_differs(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text('"""Says.\n\nPrints:\n    id ID, again ID, N of N\n"""\n')
    compare("id 5, again 5, 1 of 2\n", program)
    for wrong in ("id 5, again 6, 1 of 2", "id 5, again 5, x of 2", "id 5, again 5, 1 of 2\nmore"):
        with pytest.raises(AssertionError):
            compare(wrong, program)
