"""The main job: it is right, it notices when it is not, and it leaves nothing behind."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import support

DEMO = Path(__file__).parent.parent / "examples" / "demo.py"
JOBS = "--jobs=2000"

# Runs the demo with one thing changed in the parent.
SABOTAGED = f"""if True:
    import sys
    sys.path.insert(0, {str(DEMO.parent)!r})
    import demo
    demo.__file__ = {str(DEMO)!r}
    sys.argv = ["demo.py", {JOBS!r}]
    {{sabotage}}
    sys.exit(demo.main())
"""


@contextmanager
def running(*options: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, *options, str(DEMO), JOBS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], part: str) -> str:
    assert process.stdout
    told = ""
    while part not in told:
        line = process.stdout.readline()
        assert line, told
        told += line
    return told


def gone(pid: int) -> bool:
    try:
        return support.state(pid) == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("options", [(), ("-OO",)], ids=["plain", "optimised"])
def test_all_jobs_are_done_although_two_workers_are_killed(options: tuple[str, ...]) -> None:
    for _ in range(2):
        with running(*options) as process:
            out, err = process.communicate()
        assert (process.returncode, err) == (0, "")
        assert "is killed while holding the lock" in out
        assert "is killed while at work" in out
        assert re.search(r"\d+ jobs/s, \d+ messages/s, \d+ locks/s", out)
        assert out.endswith("checked 2000 results: 0 wrong or missing\n0 objects left behind\n")


def test_progress_is_shown_on_a_terminal_only() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, str(DEMO), JOBS], stdout=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:  # nobody writes any more
            break
    os.close(ours)
    assert process.wait() == 0
    assert re.search(rb"\r\x1b\[K\[#+ *\] \d+ of 2000 jobs", shown)
    with running() as piped:
        assert b"\x1b" not in piped.communicate()[0].encode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("after", ["MessageQueue", "worker 0", "worker 7", "is killed", "jobs/s"])
def test_an_interrupt_leaves_nothing_behind(number: signal.Signals, after: str) -> None:
    with running() as process:
        told = read_until(process, after)
        process.send_signal(number)
        out, err = process.communicate()
    assert (process.returncode, err) == (128 + number, "")
    assert (told + out).endswith(f"interrupted by {number.name}\n0 objects left behind\n")
    workers = [int(pid) for pid in re.findall(r"worker \d has pid (\d+)", told + out)]
    assert all(map(gone, workers))


def test_workers_killed_by_others_are_replaced_by_those_who_live() -> None:
    with running() as process:
        told = read_until(process, "worker 7")
        victims = [int(pid) for pid in re.findall(r"worker [03] has pid (\d+)", told)]
        read_until(process, "is killed")
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        out, _ = process.communicate()
    assert process.returncode == 0, out
    assert "checked 2000 results: 0 wrong or missing\n0 objects left behind\n" in out


@pytest.mark.parametrize(
    "spoil",
    ["self.table.finish(77, 1, 42)", "self.table.claim(77, 1)"],
    ids=["a wrong result", "a missing result"],
)
def test_wrong_results_are_noticed(spoil: str) -> None:
    sabotage = (
        "end = demo.Boss.dismiss_workers; "
        f"demo.Boss.dismiss_workers = lambda self: (end(self), {spoil})"
    )
    ended = support.run_python(SABOTAGED.format(sabotage=sabotage))
    assert ended.returncode == 1, ended.stdout
    assert "checked 2000 results: 1 wrong or missing" in ended.stdout


def test_leftovers_are_noticed() -> None:
    sabotage = (
        "callback = demo.ExitStack.callback; demo.ExitStack.callback = lambda self, call: "
        "'MessageQueue' in repr(call) or callback(self, call)"
    )
    # Nobody removes it: it goes with the namespace.
    ended = support.in_namespace(lambda: support.run_python(SABOTAGED.format(sabotage=sabotage)))
    assert ended.returncode == 1, ended.stdout
    assert ended.stdout.endswith("1 objects left behind\n")
