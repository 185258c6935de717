"""The interlock segment of a running PostgreSQL: found, decoded, never written or kept attached."""

import os
import pwd
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from programs import program
from sysv_ipc_rs import raw, system
from sysv_ipc_rs.interop import PostgresInterlock, postgres_interlock


def server_user() -> int | None:
    """Who runs the server, which refuses to be run by root."""
    if os.geteuid():
        return None
    try:
        uid = pwd.getpwnam("postgres").pw_uid
    except KeyError:
        uid = support.NOBODY
    if not support.may_become(uid):
        pytest.skip("needs to be no root, or one who can become another user")
    return uid


def run(*command: str, user: int | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def data_directory() -> Iterator[Path]:
    user = server_user()
    initdb = program("initdb")
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    try:
        if user is not None:
            os.chown(folder, user, user)
        data = folder / "data"
        made = run(initdb, "-D", str(data), "-N", "-A", "trust", "-U", "tester", user=user)
        _, errors = made.communicate(timeout=120)
        assert made.returncode == 0, errors.decode()
        yield data
    finally:
        shutil.rmtree(folder)


Postmaster = subprocess.Popen[bytes]


@contextmanager
def running(data: Path) -> Iterator[Postmaster]:
    """A server that listens on a socket beside its data, and is ready."""
    switches = ["-D", str(data), "-k", str(data.parent), "-c", "listen_addresses=", "-F"]
    server = run(program("postgres"), *switches, user=server_user())
    try:
        support.wait_for(lambda: server.poll() is not None or is_ready(data, server), "it is ready")
        assert server.poll() is None, server.stderr and server.stderr.read().decode()
        yield server
    finally:
        server.send_signal(signal.SIGQUIT)
        try:
            server.communicate(timeout=30)
        finally:
            server.kill()
            server.wait()


def is_ready(data: Path, server: Postmaster) -> bool:
    with suppress(FileNotFoundError):
        lines = (data / "postmaster.pid").read_text().split()
        # It is made empty, and filled in steps.
        return (lines[:1], lines[-1:]) == ([str(server.pid)], ["ready"])
    return False


@pytest.fixture
def server(data_directory: Path) -> Iterator[Postmaster]:
    with running(data_directory) as postmaster:
        yield postmaster


def family(pid: int) -> set[int]:
    """The postmaster and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {pid, *map(int, children)}


def test_the_segment_is_found_and_decoded(data_directory: Path, server: Postmaster) -> None:
    found = postgres_interlock(data_directory)
    lines = (data_directory / "postmaster.pid").read_text().splitlines()
    assert f"{found.key % 2**64} {found.id}".split() == lines[6].split()
    status, stat = data_directory.stat(), raw.shmctl(found.id, raw.IPC_STAT)
    assert found == PostgresInterlock(
        data_directory=str(data_directory),
        pid=server.pid,
        key=stat.shm_perm.key,
        id=found.id,
        size=stat.shm_segsz,
        creator_pid=stat.shm_cpid,
        total_size=found.total_size,
        free_offset=stat.shm_segsz,
        dsm_control=found.dsm_control,
        device=status.st_dev,
        inode=status.st_ino,
        attached_processes=found.attached_processes,
    )
    # Its real size, of memory that is mapped otherwise, is many times the default shared_buffers.
    assert found.total_size > 128 * 2**20
    assert set(found.attached_processes) == family(server.pid)
    assert len(found.attached_processes) == stat.shm_nattch


def test_every_byte_is_accounted_for(data_directory: Path, server: Postmaster) -> None:
    found = postgres_interlock(str(data_directory))
    assert server.pid == found.creator_pid
    with ipc.SharedMemory.from_id(found.id).attach(readonly=True) as attachment:
        memory = attachment.read()
    index = struct.unpack_from("@P", memory, 32)[0]
    numbers = (found.total_size, found.free_offset, found.dsm_control, index)
    again = struct.pack("@iiNNIPQQ", 679834894, found.pid, *numbers, found.device, found.inode)
    assert memory == again


def test_it_is_neither_written_nor_kept_attached(data_directory: Path, server: Postmaster) -> None:
    found = postgres_interlock(data_directory)
    memory = ipc.SharedMemory.from_id(found.id)
    with memory.attach(readonly=True) as attachment:
        before = attachment.read()
    count = memory.stat().attached

    def attached_by_us() -> bool:
        return os.getpid() in system.attached_processes(memory)

    for _ in range(10):
        assert postgres_interlock(data_directory) == found
        assert not attached_by_us()
    assert (memory.stat().attached, memory.stat().ctime) == (count, memory.stat().ctime)
    with memory.attach(readonly=True) as attachment:
        assert attachment.read() == before
    assert server.poll() is None


def test_a_stopped_server_is_told(data_directory: Path) -> None:
    with running(data_directory) as server:
        found = postgres_interlock(data_directory)
        server.send_signal(signal.SIGINT)
        server.wait(60)
    with pytest.raises(ipc.NotFoundError, match="no server runs in "):
        postgres_interlock(data_directory)
    with pytest.raises(ipc.RemovedError):
        ipc.SharedMemory.from_id(found.id)


def test_a_crashed_server_leaves_a_segment_that_nobody_has(data_directory: Path) -> None:
    with running(data_directory) as server:
        whole = family(server.pid)
        found = postgres_interlock(data_directory)
        server.kill()
        server.wait()
        for pid in whole:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

        def gone() -> bool:
            return postgres_interlock(data_directory).attached_processes == ()

        support.wait_for(gone, "its processes are dead")
        assert postgres_interlock(data_directory) == found._replace(attached_processes=())
    # The next start removes it.
    with running(data_directory):
        assert postgres_interlock(data_directory).id != found.id
        with pytest.raises(ipc.RemovedError):
            ipc.SharedMemory.from_id(found.id)


def test_the_segment_of_another_directory_is_refused(
    data_directory: Path, server: Postmaster, tmp_path: Path
) -> None:
    shutil.copy(data_directory / "postmaster.pid", tmp_path)
    with pytest.raises(ipc.IPCError, match="not the one of this data directory") as caught:
        postgres_interlock(tmp_path)
    assert type(caught.value) is ipc.IPCError
    assert server.poll() is None


def test_a_server_in_another_namespace_is_not_taken_for_dead_or_ours(
    data_directory: Path, server: Postmaster
) -> None:
    assert server.poll() is None

    def elsewhere() -> type[BaseException]:
        with pytest.raises(ipc.IPCError) as caught:
            postgres_interlock(data_directory)
        assert "namespace" in str(caught.value) or caught.value.__notes__
        return type(caught.value)

    assert support.in_namespace(elsewhere) is ipc.RemovedError


def test_other_users_may_not_look(data_directory: Path, server: Postmaster) -> None:
    def as_other() -> type[BaseException]:
        with pytest.raises(PermissionError) as caught:
            postgres_interlock(data_directory)
        return type(caught.value)

    uid = support.NOBODY - 1
    assert support.in_child(as_other, uid) is PermissionError
    assert server.poll() is None
