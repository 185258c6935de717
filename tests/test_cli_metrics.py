"""`sysv-ipc metrics`: what Prometheus reads is what there is; once, in a file, and served."""

import contextlib
import errno
import gzip
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from cli_support import SYSV_IPC, call, run_program
from sysv_ipc_rs import system

pytest.importorskip("prometheus_client")

from prometheus_client import Metric, parser
from prometheus_client.openmetrics import parser as openmetrics
from sysv_ipc_rs.cli.metrics import _serve

PAGE = os.sysconf("SC_PAGESIZE")
Values = dict[str, float]


def run(*arguments: object) -> tuple[int, str, str]:
    """The exit status, stdout, stderr."""
    outcome = call("metrics", *arguments)
    return outcome.status, outcome.stdout, outcome.stderr


def parsed(text: str) -> list[Metric]:
    return list(parser.text_string_to_metric_families(text))


def values(text: str) -> Values:
    """By name and labels, as they are written."""
    found = {}
    for metric in parsed(text):
        assert metric.type == "gauge"
        assert metric.documentation
        for sample in metric.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in found
            found[name] = sample.value
    return found


def metrics(*arguments: object) -> Values:
    status, text, err = run(*arguments)
    assert (status, err) == (0, "")
    return values(text)


def of_one_each() -> str:
    """All metrics where there is one object of each kind, and each was used."""
    ipc.SemaphoreSet.create(values=[1])
    ipc.MessageQueue.create().send(b"x")
    ipc.SharedMemory.create(size=1).attach()
    return run("--per-object")[1]


# What is told


def test_every_number_is_that_of_the_system() -> None:
    def inside() -> None:
        ipc.SemaphoreSet.create(size=3)
        queue = ipc.MessageQueue.create(max_bytes=16)
        queue.send(b"four")
        queue.send(b"")
        support.in_child(lambda: ipc.SharedMemory.create(size=7))
        memory = ipc.SharedMemory.create(size=PAGE + 1)
        one, two = memory.attach(), memory.attach()
        one.write(b"x")
        memory.remove()
        limits = system.limits()
        assert metrics() == {
            "sysvipc_objects{kind=message_queue}": 1,
            "sysvipc_objects{kind=shared_memory}": 2,
            "sysvipc_objects{kind=semaphore_set}": 1,
            "sysvipc_semaphores": 3,
            "sysvipc_messages": 2,
            "sysvipc_message_bytes": 4,
            "sysvipc_shared_memory_bytes": 3 * PAGE,
            "sysvipc_shared_memory_resident_bytes": PAGE,
            "sysvipc_shared_memory_swapped_bytes": 0,
            "sysvipc_objects_limit{kind=message_queue}": 55,
            "sysvipc_objects_limit{kind=shared_memory}": limits.shmmni,
            "sysvipc_objects_limit{kind=semaphore_set}": 40,
            "sysvipc_semaphores_limit": 2000,
            "sysvipc_set_semaphores_limit": 100,
            "sysvipc_semop_operations_limit": 30,
            "sysvipc_semaphore_value_limit": 32767,
            "sysvipc_message_limit_bytes": limits.msgmax,
            "sysvipc_new_queue_limit_bytes": limits.msgmnb,
            "sysvipc_shared_memory_limit_bytes": 1000 * PAGE,
            "sysvipc_segment_limit_bytes": float(limits.shmmax),
            "sysvipc_fullest_queue_ratio": 0.25,
            "sysvipc_shared_memory_attachments": 2,
            "sysvipc_removed_segments": 1,
            "sysvipc_orphaned_segments": 1,
        }
        two.detach()

    support.in_namespace(inside, sem="100 2000 30 40", msgmni=55, shmall=1000)


def test_single_objects_are_told_when_asked_for() -> None:
    def inside() -> None:
        semaphores = ipc.SemaphoreSet.create(0xDEADBEEF, size=3, values=[1, 1, 1])
        queue = ipc.MessageQueue.create(5, max_bytes=100)
        queue.send(b"four")
        memory = ipc.SharedMemory.create(size=10)
        with memory.attach():
            told = metrics("--per-object")
        of_queue = f"{{id={queue.id},key=0x00000005}}"
        of_set = f"{{id={semaphores.id},key=0xdeadbeef}}"
        of_segment = f"{{id={memory.id},key=0x00000000}}"
        expected = {
            f"sysvipc_queue_messages{of_queue}": 1,
            f"sysvipc_queue_message_bytes{of_queue}": 4,
            f"sysvipc_queue_limit_bytes{of_queue}": 100,
            f"sysvipc_queue_last_send_timestamp_seconds{of_queue}": queue.stat().stime,
            f"sysvipc_segment_size_bytes{of_segment}": 10,
            f"sysvipc_segment_attachments{of_segment}": 1,
            f"sysvipc_segment_last_attach_timestamp_seconds{of_segment}": memory.stat().atime,
            f"sysvipc_set_semaphores{of_set}": 3,
            f"sysvipc_set_last_operation_timestamp_seconds{of_set}": semaphores.stat().otime,
            **{f"sysvipc_objects_omitted{{kind={kind}}}": 0 for kind in KINDS},
        }
        plain = metrics()
        assert {name: value for name, value in told.items() if name not in plain} == expected

    support.in_namespace(inside)


KINDS = ("message_queue", "shared_memory", "semaphore_set")


def test_no_more_single_objects_than_allowed_and_what_is_left_out_is_told() -> None:
    def inside() -> None:
        ids = [ipc.MessageQueue.create().id for _ in range(1500)]
        ipc.SharedMemory.create(size=1)

        def told(*arguments: object) -> tuple[set[str], float]:
            found = metrics("--per-object", *arguments)
            messages = [name for name in found if name.startswith("sysvipc_queue_messages")]
            assert found["sysvipc_objects{kind=message_queue}"] == 1500
            assert found["sysvipc_objects_omitted{kind=shared_memory}"] == 0
            return set(messages), found["sysvipc_objects_omitted{kind=message_queue}"]

        shown, omitted = told()
        assert (len(shown), omitted) == (1000, 500)
        assert told()[0] == shown, "the same at each scrape"
        ids.sort()
        some, omitted = told("--max-objects", 10)
        assert (len(some), omitted) == (10, 1490)
        assert some < shown
        assert len(told("--max-objects", 2000)[0]) == 1500
        assert metrics("--per-object", "--max-objects", 0)

    support.in_namespace(inside)


def test_names_and_units_are_as_prometheus_recommends() -> None:
    text = support.in_namespace(of_one_each)
    for metric in parsed(text):
        assert re.fullmatch("sysvipc_[a-z_]+", metric.name)
        for unit in ("bytes", "seconds", "ratio"):
            assert unit not in metric.name.split("_")[:-1]
        # Of counters, and of units that are no base units.
        assert not re.search("_(total|count|pages|kilobytes|percent|milliseconds)", metric.name)
        assert {name for sample in metric.samples for name in sample.labels} <= {
            "kind",
            "id",
            "key",
        }


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")
def test_promtool_has_nothing_to_say() -> None:
    text = support.in_namespace(of_one_each)
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_queue_that_takes_nothing_is_full(make_queue: support.MakeQueue) -> None:
    make_queue(qbytes=0)
    assert metrics()["sysvipc_fullest_queue_ratio"] == 1


# Into a file


def test_a_textfile_is_for_everybody_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sysvipc.prom"
    path.write_text("old")
    path.chmod(0o600)
    before = os.umask(0o077)
    try:
        assert run("--textfile", path) == (0, "", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert values(path.read_text()).keys() == metrics().keys()
    assert os.listdir(tmp_path) == [path.name]


def test_whoever_reads_a_textfile_sees_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "sysvipc.prom"
    run("--textfile", path)
    whole = values(path.read_text()).keys()
    done = threading.Event()
    seen = 0

    def read() -> None:
        nonlocal seen
        while not done.is_set():
            assert values(path.read_text()).keys() == whole
            # What node_exporter would read.
            assert list(tmp_path.glob("*.prom")) == [path]
            seen += 1

    def write() -> None:
        for _ in range(100):
            assert run("--textfile", path)[0] == 0

    with support.Child(write) as writer:
        reader = threading.Thread(target=read)
        reader.start()
        assert writer.result() is None
        done.set()
        reader.join()
    assert seen > 10


def test_a_textfile_that_can_not_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    status, out, err = run("--textfile", tmp_path / "missing" / "sysvipc.prom")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "No such file" in err
    folder = tmp_path / "sysvipc.prom"
    folder.mkdir()
    assert run("--textfile", folder)[0] == 2


def test_a_full_disk_leaves_the_old_textfile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sysvipc.prom"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    status, _, err = run("--textfile", path)
    assert status == 1
    assert "No space left" in err
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_a_link_in_the_way_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    path = tmp_path / "sysvipc.prom"
    path.symlink_to(target)
    assert run("--textfile", path)[0] == 0
    assert target.read_text() == "precious"
    assert not path.is_symlink()


# Served


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The command in a process of its own, and its address."""
    command = [*SYSV_IPC, "metrics", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            line = process.stderr.readline()
            assert line.startswith("serving http://"), line
            yield line.split()[1], process
        finally:
            process.kill()


def get(url: str, **headers: str) -> tuple[str, bytes]:
    """The type of the content, and the content."""
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.headers["Content-Type"], answer.read()


def test_metrics_are_served_on_loopback_at_one_path(queue: ipc.MessageQueue) -> None:
    with serving("--listen", ":0", "--per-object") as (url, process):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", url)
        queue.send(b"12345")
        kind, text = get(url)
        assert kind.startswith("text/plain; version=")
        found = values(text.decode())
        assert found["sysvipc_message_bytes"] == 5
        queue.receive()
        again = values(get(url)[1].decode())
        assert again["sysvipc_message_bytes"] == 0, "collected anew"

        kind, text = get(url, Accept="application/openmetrics-text; version=1.0.0")
        assert kind.startswith("application/openmetrics-text")
        families = openmetrics.text_string_to_metric_families(text.decode())  # type: ignore[no-untyped-call]
        plain = parsed(get(url)[1].decode())
        assert {metric.name for metric in families} == {metric.name for metric in plain}
        zipped = get(url, **{"Accept-Encoding": "gzip"})[1]
        assert values(gzip.decompress(zipped).decode()).keys() == again.keys()
        only = values(get(f"{url}?name[]=sysvipc_messages")[1].decode())
        assert only == {"sysvipc_messages": 0}

        for path in ("/", "/metrics/more", "/other"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                get(url.removesuffix("/metrics") + path)
            assert refused.value.code == 404
            refused.value.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr
        assert process.stderr.read() == ""


def test_a_client_that_says_nothing_or_goes_away_harms_no_other() -> None:
    with serving("--listen", "0") as (url, process):
        port = int(url.split(":")[2].split("/")[0])
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for connection in silent[:10]:
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            # It has not read the answer: the end is a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        assert values(get(url)[1].decode())
        for connection in silent[10:]:
            connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9999", "127.0.0.1", 9999),
        (":9999", "127.0.0.1", 9999),
        ("9999", "127.0.0.1", 9999),
        ("[::1]:9999", "::1", 9999),
        ("0.0.0.0:1", "0.0.0.0", 1),
        ("localhost:0", "localhost", 0),
    ],
)
def test_addresses_are_read(text: str, host: str, port: int) -> None:
    assert _serve.Address.parse(text) == (host, port)


@pytest.mark.parametrize("text", ["", ":", "host", "host:", ":65536", ":-1", ":1x", "::1"])
def test_an_address_without_a_port_is_a_usage_error(text: str) -> None:
    status, out, err = run("--listen", text)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1


def test_ipv6_is_served() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6")
    with serving("--listen", "[::1]:0") as (url, _):
        assert url.startswith("http://[::1]:")
        assert values(get(url)[1].decode())


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, out, err = run("--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "in use" in err


def test_where_to_is_said_once() -> None:
    status, _, err = run("--listen", ":0", "--textfile", "x.prom")
    assert status == 2
    assert "either" in err


def test_a_full_stdout_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        ended = run_program("metrics", stdout=full)
    assert ended.status == 1
    assert ended.stderr.count("\n") == 1
    assert "No space left" in ended.stderr
