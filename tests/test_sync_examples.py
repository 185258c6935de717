"""The examples of `sync` do what their first lines promise."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc

EXAMPLES = Path(__file__).parent.parent / "examples"


@contextmanager
def started(example: str, *arguments: str, **names: str) -> Iterator[subprocess.Popen[str]]:
    """The example as a process, which is killed at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{example}.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **names},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """How it ended, and what it said."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def line(process: subprocess.Popen[str]) -> str:
    """The next one that it prints."""
    assert process.stdout
    return process.stdout.readline()


@pytest.fixture
def own_name() -> str:
    """One that no other program uses."""
    return f"test/{os.getpid()}/{os.urandom(8).hex()}"


class TestSupervisor:
    def test_the_money_is_all_there_although_workers_are_killed_in_the_middle(self) -> None:
        with started("supervisor", "3000") as process:
            status, out, err = told(process)
        assert (status, err) == (0, "")
        found = re.fullmatch(
            r"3000 transfers done, (\d+) workers killed,\n"
            r"(\d+) transfers taken back, 1000 of 1000 are there\n",
            out,
        )
        assert found, out
        # Each that was killed in the middle was told to the next.
        assert found[1] == found[2] != "0"

    def test_workers_may_be_killed_at_any_moment(self) -> None:
        with started("supervisor", "20000") as process:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            support.wait_for(lambda: children.read_text() or process.poll() is not None)
            for _ in range(50):
                for pid in children.read_text().split()[:1]:
                    subprocess.run(["kill", "-9", pid], check=False, stderr=subprocess.DEVNULL)
            status, out, err = told(process)
        assert (status, err) == (0, "")
        assert out.endswith("1000 of 1000 are there\n")


class TestSingleInstance:
    @pytest.fixture
    def name(self, own_name: str) -> Iterator[str]:
        yield own_name
        ipc.SemaphoreSet.open(ipc.key_from_name(own_name)).remove()

    def test_one_runs_and_a_killed_one_is_no_obstacle(self, name: str) -> None:
        running = "running as process {}; the instance before {}\n".format
        with started("single_instance", name) as first:
            assert line(first) == running(first.pid, "ended well")
            with started("single_instance", name) as second:
                assert told(second) == (1, f"already running as process {first.pid}\n", "")
            first.kill()
            first.wait()
            with started("single_instance", name) as third:
                assert line(third) == running(third.pid, "was killed")
                third.terminate()
                assert told(third) == (0, "ended well\n", "")
            with started("single_instance", name) as fourth:
                assert line(fourth) == running(fourth.pid, "ended well")


class TestJobServer:
    TOKENS = 2

    @staticmethod
    def call(server: str, *arguments: str) -> tuple[int, str, str]:
        with started("job_server", *arguments, JOB_SERVER=server) as process:
            return told(process)

    @pytest.fixture
    def server(self, own_name: str) -> Iterator[str]:
        assert self.call(own_name, "start", str(self.TOKENS)) == (0, "", "")
        yield own_name
        assert self.call(own_name, "stop") == (0, "", "")

    def free(self, server: str) -> int:
        status, out, err = self.call(server, "status")
        assert (status, err) == (0, "")
        return int(out.removesuffix(" tokens free\n"))

    def test_no_more_jobs_run_than_there_are_tokens(self, server: str, tmp_path: Path) -> None:
        script = f"mkdir {tmp_path}/$$ && ls {tmp_path} | wc -l && rmdir {tmp_path}/$$"
        with ExitStack() as stack:
            jobs = [
                stack.enter_context(
                    started("job_server", "run", "sh", "-c", script, JOB_SERVER=server)
                )
                for _ in range(6)
            ]
            for job in jobs:
                status, out, err = told(job)
                assert (status, err) == (0, "")
                assert 1 <= int(out) <= self.TOKENS
        assert self.free(server) == self.TOKENS

    def test_the_tokens_of_killed_jobs_come_back(self, server: str) -> None:
        forever = "run", "sh", "-c", "echo $$; exec sleep 600"
        with ExitStack() as stack:
            for _ in range(self.TOKENS):
                job = stack.enter_context(started("job_server", *forever, JOB_SERVER=server))
                # It is the command itself that holds the token.
                assert line(job) == f"{job.pid}\n"
            assert self.free(server) == 0
            waiting = stack.enter_context(
                started("job_server", "run", "echo", "my turn", JOB_SERVER=server)
            )
            support.wait_blocked(waiting.pid)
            job.kill()
            assert told(waiting) == (0, "my turn\n", "")
            assert self.free(server) == 1
        assert self.free(server) == self.TOKENS

    def test_a_jobs_children_have_no_part_in_its_token(self, server: str, tmp_path: Path) -> None:
        leaves = f"sleep 600 >/dev/null 2>&1 & echo $! > {tmp_path}/child"
        assert self.call(server, "run", "sh", "-c", leaves) == (0, "", "")
        child = (tmp_path / "child").read_text().strip()
        try:
            support.wait_for(lambda: support.state(int(child)) == "S", "it sleeps")
            assert self.free(server) == self.TOKENS
        finally:
            subprocess.run(["kill", "-9", child], check=True)

    def test_without_a_server_it_says_so(self, own_name: str) -> None:
        status, out, err = self.call(own_name, "run", "true")
        assert (status, out) == (1, "")
        assert f"{ipc.key_from_name(own_name):#010x}" in err
        assert "Traceback" not in err

    def test_wrong_use_shows_how(self, own_name: str) -> None:
        status, out, err = self.call(own_name, "unknown")
        assert (status, out) == (2, "")
        assert "python examples/job_server.py start 4" in err
