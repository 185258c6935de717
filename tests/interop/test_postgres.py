"""The interlock segment of a running PostgreSQL: found, decoded, never written or kept attached."""

import os
import shutil
import signal
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from postgres import Postmaster, initialised, running
from sysv_ipc_rs import raw, system
from sysv_ipc_rs.interop import PostgresInterlock, postgres_interlock


@pytest.fixture(scope="module")
def data_directory() -> Iterator[Path]:
    with initialised() as data:
        yield data


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
