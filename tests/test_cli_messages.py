"""`sysv-ipc send` and `receive`: every byte, and no message lost."""

import base64
import errno
import fcntl
import json
import os
import random
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import pytest
import support
import sysv_ipc_rs as ipc
from cli_support import (
    SYSV_IPC,
    Outcome,
    at_terminal,
    call,
    error,
    program,
    read_until,
    run_program,
    told,
)
from sysv_ipc_rs.cli import _output, receive
from sysv_ipc_rs.cli._status import OutputError, Status

ANY_BYTES = [b"", b"\n", b"\0", b"text", bytes(range(256)), b"\xff\xfe\r\n", b"x" * 8192]


# send


@pytest.mark.parametrize("data", ANY_BYTES, ids=support.name)
def test_stdin_is_sent_as_it_is(queue: ipc.MessageQueue, data: bytes) -> None:
    told("send", "-q", queue.id, data=data)
    assert queue.receive(timeout=0) == ipc.Message(1, data)


def test_a_file_is_sent_as_it_is(queue: ipc.MessageQueue, tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.write_bytes(b"\0\n\xff")
    told("send", "-q", queue.id, "--type", 2**63 - 1, file)
    assert queue.receive(timeout=0) == ipc.Message(2**63 - 1, b"\0\n\xff")


def test_lines_are_messages(queue: ipc.MessageQueue) -> None:
    told("send", "-q", queue.id, "--lines", "--type", 7, data=b"one\n\ntwo\r\n\0three")
    sent = list(queue.messages(timeout=0))
    assert sent == [ipc.Message(7, data) for data in (b"one", b"", b"two\r", b"\0three")]


def test_lines_are_sent_as_they_come(queue: ipc.MessageQueue) -> None:
    process = program("send", "-q", queue.id, "--lines")
    assert process.stdin
    for line in (b"first", b"second"):
        process.stdin.write(line + b"\n")
        process.stdin.flush()
        assert queue.receive(timeout=30).data == line
    process.communicate()
    assert process.returncode == 0


def test_a_file_that_is_not_there_is_one_line(queue: ipc.MessageQueue) -> None:
    assert error("send", "-q", queue.id, "/nowhere", status=1) == (
        f"/nowhere: {os.strerror(errno.ENOENT)}"
    )
    assert error("send", "-q", queue.id, "/", status=1) == f"/: {os.strerror(errno.EISDIR)}"
    assert queue.qsize() == 0


@pytest.mark.parametrize("source", ["/dev/zero", "-"])
def test_a_message_that_is_too_big_is_refused(queue: ipc.MessageQueue, source: str) -> None:
    line = error("send", "-q", queue.id, source, status=1, data=b"x" * 8193)
    assert "MSGMAX is 8192" in line
    assert queue.qsize() == 0


@pytest.mark.parametrize("lines", [(), ("--lines",)])
def test_a_message_that_is_too_big_is_given_no_wrong_length(
    queue: ipc.MessageQueue, lines: tuple[str, ...]
) -> None:
    """It is not read to its end, which may never come."""
    line = error("send", "-q", queue.id, *lines, status=1, data=b"x" * 20000)
    assert re.findall(r"\d+ bytes", line) == ["8192 bytes"]
    assert "/proc/sys/kernel/msgmax" in line


def test_a_message_of_msgmax_bytes_is_sent(queue: ipc.MessageQueue) -> None:
    told("send", "-q", queue.id, data=b"x" * 8192)
    assert queue.receive(timeout=0).data == b"x" * 8192
    told("send", "-q", queue.id, "--lines", data=b"y" * 8192 + b"\n")
    assert queue.receive(timeout=0).data == b"y" * 8192


def test_a_line_that_is_too_big_is_named_and_those_before_are_sent(
    queue: ipc.MessageQueue,
) -> None:
    data = b"short\n" + b"x" * 8193 + b"\nnever\n"
    assert error("send", "-q", queue.id, "--lines", status=1, data=data).startswith("line 2: ")
    assert [message.data for message in queue.messages(timeout=0)] == [b"short"]


@pytest.mark.parametrize("timeout", ["0", "0.01"])
def test_no_room_in_time_is_status_3(full: ipc.MessageQueue, timeout: str) -> None:
    error("send", "-q", full.id, "--timeout", timeout, status=3, data=b"x")
    assert full.qsize() == 1


def test_a_send_waits_for_room(full: ipc.MessageQueue) -> None:
    process = program("send", "-q", full.id)
    assert process.stdin
    process.stdin.write(b"waited")
    process.stdin.close()
    support.wait_blocked(process.pid)
    full.receive()
    assert process.wait(60) == 0
    assert full.receive(timeout=0).data == b"waited"


def test_ctrl_c_ends_a_send(full: ipc.MessageQueue) -> None:
    process = program("send", "-q", full.id)
    assert process.stdin
    process.stdin.write(b"x")
    process.stdin.close()
    support.wait_blocked(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr
    assert process.stderr.read() == b""
    assert full.qsize() == 1


# receive


@pytest.mark.parametrize("data", ANY_BYTES, ids=support.name)
def test_a_message_is_written_as_it_is(queue: ipc.MessageQueue, data: bytes) -> None:
    queue.send(data, 5)
    assert call("receive", "-q", queue.id) == Outcome(0, data, "")
    assert queue.qsize() == 0
    queue.send(data, 5)
    (line,) = call("receive", "-q", queue.id, "--json").stdout.splitlines()
    assert json.loads(line) == {"type": 5, "data": base64.b64encode(data).decode()}


@pytest.mark.parametrize("data", ANY_BYTES, ids=support.name)
def test_what_one_program_sends_another_receives(queue: ipc.MessageQueue, data: bytes) -> None:
    assert run_program("send", "-q", queue.id, data=data) == Outcome(0, b"", "")
    assert run_program("receive", "-q", queue.id, "--timeout", 0) == Outcome(0, data, "")


def filled(queue: ipc.MessageQueue) -> None:
    for type_ in (4, 3, 2, 1):
        queue.send(b"%d" % type_, type_)


@pytest.mark.parametrize(
    ("switches", "taken"),
    [
        ((), b"4"),
        (("--type", 3), b"3"),
        (("--type", -2), b"1"),
        (("--type", 4, "--exclude"), b"3"),
        (("--all",), b"4321"),
        (("--all", "--lines"), b"4\n3\n2\n1\n"),
        (("--all", "--type", -3), b"123"),
        (("--all", "--type", 3, "--exclude"), b"421"),
        (("--follow", "--timeout", 0.01), b"4321"),
    ],
)
def test_what_is_asked_for_is_taken_and_no_more(
    queue: ipc.MessageQueue, switches: tuple[object, ...], taken: bytes
) -> None:
    filled(queue)
    assert call("receive", "-q", queue.id, *switches) == Outcome(0, taken, "")
    assert queue.qsize() == 4 - len(taken.replace(b"\n", b""))


@pytest.mark.parametrize(
    "switches",
    [
        ("--timeout", 0),
        ("--timeout", 0.01),
        ("--all",),
        ("--all", "--timeout", 0.01),
        ("--follow", "--timeout", 0.01),
        ("--type", 9, "--timeout", 0),
    ],
)
def test_nothing_there_is_status_3(queue: ipc.MessageQueue, switches: tuple[object, ...]) -> None:
    queue.send(b"other", 2)
    if "--type" not in switches:
        queue.receive()
    outcome = call("receive", "-q", queue.id, *switches)
    assert (outcome.status, outcome.data) == (3, b"")


@pytest.mark.parametrize(
    "switches",
    [
        ("--exclude",),
        ("--exclude", "--type", -1),
        ("--type", "x"),
        ("--type", 2**63),
        ("--timeout", -1),
        ("--timeout", "nan"),
        ("--timeout", "soon"),
        ("--all", "--follow"),
        ("--json", "--lines"),
        ("-q", 1),
    ],
)
def test_what_is_not_clear_takes_nothing(
    queue: ipc.MessageQueue, switches: tuple[object, ...]
) -> None:
    queue.send(b"stays")
    error("receive", "-q", queue.id, *switches, status=2)
    assert queue.qsize() == 1


def test_a_receive_waits_for_its_message(queue: ipc.MessageQueue) -> None:
    process = program("receive", "-q", queue.id)
    support.wait_blocked(process.pid)
    queue.send(b"came")
    assert process.communicate(timeout=60) == (b"came", b"")
    assert process.returncode == 0


def test_each_message_is_flushed_before_the_next(queue: ipc.MessageQueue) -> None:
    process = program("receive", "-q", queue.id, "--follow")
    assert process.stdout
    for data in (b"first", b"second"):
        support.wait_blocked(process.pid)
        queue.send(data)
        assert process.stdout.read(len(data)) == data
    queue.remove()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"removed" in err
    assert err.count(b"\n") == 1


# Nothing is lost


def bytes_of(message: ipc.Message) -> bytes:
    return message.data


def assert_gone_back(queue: ipc.MessageQueue) -> None:
    """The one message that was taken is the last by now; nothing is missing, nothing twice."""
    left = [message.data for message in queue.messages(timeout=0)]
    assert left == [b"second", b"third", b"first"]


def three(queue: ipc.MessageQueue) -> None:
    for data in (b"first", b"second", b"third"):
        queue.send(data)


@pytest.mark.parametrize("switches", [(), ("--all",), ("--follow",), ("--json",)])
def test_a_full_disk_loses_no_message(queue: ipc.MessageQueue, switches: tuple[str, ...]) -> None:
    three(queue)
    with open("/dev/full", "wb") as full:
        outcome = run_program("receive", "-q", queue.id, *switches, stdout=full)
    assert outcome.status == 1
    assert outcome.stderr == "sysv-ipc receive: can't write: No space left on device\n"
    assert_gone_back(queue)


@pytest.mark.parametrize("switches", [(), ("--all",), ("--follow",), ("--json",)])
def test_a_reader_that_is_gone_loses_no_message(
    queue: ipc.MessageQueue, switches: tuple[str, ...]
) -> None:
    three(queue)
    reader, writer = os.pipe()
    os.close(reader)
    outcome = run_program("receive", "-q", queue.id, *switches, stdout=writer)
    os.close(writer)
    assert (outcome.status, outcome.stderr) == (1, "")
    assert_gone_back(queue)


def test_a_closed_stdout_takes_nothing(queue: ipc.MessageQueue) -> None:
    three(queue)
    command = shlex.join([*SYSV_IPC, "receive", "-q", str(queue.id)])
    outcome = subprocess.run(f"{command} >&-", shell=True, stderr=subprocess.PIPE, check=False)
    assert outcome.returncode == 1
    assert outcome.stderr == b"sysv-ipc receive: can't write: Bad file descriptor\n"
    assert [message.data for message in queue.messages(timeout=0)] == [
        b"first",
        b"second",
        b"third",
    ]


@contextmanager
def stuck(queue: ipc.MessageQueue, size: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A receive that has taken a message and can't write all of it: nobody reads the pipe."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    assert size > 4096
    process = program("receive", "-q", queue.id, stdout=writer)
    os.close(writer)
    try:
        support.wait_for(lambda: queue.qsize() == 0, "the message is taken")
        support.wait_for(lambda: "pipe" in channel(process.pid), "it waits for the reader")
        yield process
    finally:
        os.close(reader)
        process.kill()
        process.wait()


def channel(pid: int) -> str:
    """The kernel's function in which the process sleeps, or a pipe's by its system call."""
    number = Path(f"/proc/{pid}/syscall").read_text().split()[0]
    return "pipe" if number == {"x86_64": "1", "aarch64": "64"}[os.uname().machine] else number


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGHUP, -signal.SIGHUP),
    ],
)
def test_a_signal_while_it_writes_loses_no_message(
    queue: ipc.MessageQueue, number: int, status: int
) -> None:
    data = os.urandom(8000)
    queue.send(data, 3)
    with stuck(queue, len(data)) as process:
        process.send_signal(number)
        assert process.wait(60) == status
        assert process.stderr
        assert process.stderr.read() == b""
    assert queue.receive(timeout=0) == ipc.Message(3, data)


@contextmanager
def without_room(queue: ipc.MessageQueue, data: bytes) -> Iterator["subprocess.Popen[bytes]"]:
    """A receive that was interrupted, and waits for room to give the message back."""
    queue.send(data)
    with stuck(queue, len(data)) as process:
        while queue.try_send(b"x" * 8000):
            pass
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert b"goes back as soon as the queue has room" in process.stderr.readline()
        yield process


def test_a_message_waits_for_room_to_go_back(queue: ipc.MessageQueue) -> None:
    data = os.urandom(8000)
    with without_room(queue, data) as process:
        others = [queue.receive(), queue.receive()]
        assert process.wait(60) == 130
    assert {message.data for message in others} == {b"x" * 8000}
    assert queue.receive(timeout=0).data == data


def test_what_can_never_go_back_is_on_stderr(queue: ipc.MessageQueue) -> None:
    data = os.urandom(8000)
    queue.send(data, 9)
    with stuck(queue, len(data)) as process:
        queue.remove()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr
        line = process.stderr.read().decode()
    kept = json.loads(line[line.index("{") :])
    assert (kept["type"], base64.b64decode(kept["data"])) == (9, data)


def test_a_second_ctrl_c_ends_the_wait_for_room(queue: ipc.MessageQueue) -> None:
    data = os.urandom(8000)
    with without_room(queue, data) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr
        line = process.stderr.read().decode()
    assert base64.b64decode(json.loads(line[line.index("{") :])["data"]) == data


@pytest.mark.parametrize("switches", [(), ("--timeout", 60), ("--follow",)])
def test_ctrl_c_while_it_waits_is_status_130(
    queue: ipc.MessageQueue, switches: tuple[object, ...]
) -> None:
    process = program("receive", "-q", queue.id, *switches)
    support.wait_blocked(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 130


def test_ctrl_c_at_a_terminal(queue: ipc.MessageQueue) -> None:
    with at_terminal("receive", "-q", queue.id, "--follow", "--lines") as (process, terminal):
        queue.send(b"shown")
        assert read_until(terminal, "shown\r\n")
        support.wait_blocked(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert read_until(terminal, "") == ""


def test_a_signal_at_any_moment_neither_loses_nor_doubles_a_message(
    queue: ipc.MessageQueue,
) -> None:
    """Runs that are interrupted at moments spread over their whole life."""
    runs, took, back = 40, 0.0, 0
    for run in range(runs):
        queue.send(data := os.urandom(20))
        began = time.monotonic()
        process = program("receive", "-q", queue.id)
        if run:
            with suppress(subprocess.TimeoutExpired):
                process.wait(took * 1.1 * run / runs)
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        took = took or time.monotonic() - began
        left = queue.try_receive()
        back += left is not None
        assert (out == data) != (left == ipc.Message(1, data)), (run, out, left, err)
        assert queue.qsize() == 0
        # Before and after the command's own time it is Python that ends, in ways of its own.
        assert process.returncode in {0, 130, 1, -signal.SIGINT}
    assert 0 < back < runs


@contextmanager
def bombarded() -> Iterator[None]:
    """SIGINT comes at random moments, thousands of times a second."""
    ours = os.getpid()

    def bombard() -> None:
        while True:
            os.kill(ours, signal.SIGINT)
            time.sleep(random.random() * 2e-4)

    with support.handler(signal.SIGINT, lambda *_: None), support.Child(bombard):
        yield


@pytest.mark.parametrize("is_full", [False, True])
def test_no_signal_finds_a_message_between_the_kernel_and_us(
    queue: ipc.MessageQueue, is_full: bool
) -> None:
    """In thousands of takings; also when the message is on its way back already."""
    ended, written = 0, bytearray()

    def write(data: memoryview) -> int:
        if is_full:
            raise OSError(errno.ENOSPC, "full")
        written.extend(data)
        return len(data)

    with bombarded(), mock.patch.object(_output, "unbuffered", return_value=write):
        for number in range(10_000):
            data = b"%d" % number
            queue.send(data)
            written.clear()
            try:
                status = receive.take_all(queue, queue.messages(timeout=0), bytes_of, False)
            except OutputError:
                assert is_full
                status = Status.FAILED
            left = [message.data for message in queue.messages(timeout=0)]
            assert data in [bytes(written), *left], (number, status)
            ended += status == 130
    assert 0 < ended < 10_000
