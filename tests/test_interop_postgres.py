"""`postgres_interlock` of directories that are made up; of a real server it is in tests/interop."""

import os
import pickle
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs.interop import PostgresInterlock, postgres_interlock

Serve = Callable[..., ipc.SharedMemory]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Makes a segment and a postmaster.pid in tmp_path, as a server does."""
    made = []

    def make(*, size: int = 56, magic: int = 679834894, pid: int = 4321) -> ipc.SharedMemory:
        # The inode, as an int, is the key that a server tries first.
        memory = ipc.SharedMemory.create(support.free_key() - 2**31, size=size)
        made.append(memory)
        status = tmp_path.stat()
        header = (magic, 4321, 10_000, 56, 99, 0, status.st_dev, status.st_ino)
        with memory.attach() as attachment:
            attachment.write(struct.pack("@iiNNIPQQ", *header)[:size])
        lines = (pid, tmp_path, 1_700_000_000, 5432, "/tmp", "")
        text = "".join(f"{line}\n" for line in lines)
        shared = f"{memory.key % 2**64:9} {memory.id:9}"
        (tmp_path / "postmaster.pid").write_text(f"{text}{shared}\nready   \n")
        return memory

    yield make
    for memory in made:
        with suppress(ipc.RemovedError):
            memory.remove()


def test_it_is_decoded(serve: Serve, tmp_path: Path) -> None:
    memory = serve()
    status = tmp_path.stat()
    found = postgres_interlock(tmp_path)
    assert found == PostgresInterlock(
        data_directory=str(tmp_path),
        pid=4321,
        key=memory.key,
        id=memory.id,
        size=56,
        creator_pid=4321,
        total_size=10_000,
        free_offset=56,
        dsm_control=99,
        device=status.st_dev,
        inode=status.st_ino,
        attached_processes=(),
    )
    assert found.key < 0
    assert pickle.loads(pickle.dumps(found)) == found
    assert found._asdict()["dsm_control"] == 99


def test_who_is_attached_is_told(serve: Serve, tmp_path: Path) -> None:
    with serve().attach():
        assert postgres_interlock(str(tmp_path)).attached_processes == (os.getpid(),)
    assert postgres_interlock(tmp_path).attached_processes == ()


def test_a_standalone_backend_is_told_by_its_sign(serve: Serve, tmp_path: Path) -> None:
    serve(pid=-4321)
    assert postgres_interlock(tmp_path).pid == -4321


def test_nothing_is_written(serve: Serve, tmp_path: Path) -> None:
    memory = serve()
    memory.chmod(0o400)
    before = memory.stat().ctime
    postgres_interlock(tmp_path)
    assert (memory.stat().ctime, memory.stat().attached) == (before, 0)


def test_a_directory_that_is_not_there_is_an_ordinary_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        postgres_interlock(tmp_path / "missing")
    assert not isinstance(caught.value, ipc.IPCError)
    with pytest.raises(TypeError):
        postgres_interlock(None)  # type: ignore[arg-type]


def test_a_directory_without_a_server_is_told(tmp_path: Path) -> None:
    with pytest.raises(ipc.NotFoundError, match="no server runs in"):
        postgres_interlock(tmp_path)


@pytest.mark.parametrize("text", ["", "4321\n", "a\nb\nc\nd\ne\nf\n1 2\n", "1\n2\n3\n4\n5\n6\n\n"])
def test_a_server_that_is_starting_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "postmaster.pid").write_text(text)
    with pytest.raises(ipc.NotFoundError, match="names no segment"):
        postgres_interlock(tmp_path)


def test_a_segment_that_is_gone_is_told(serve: Serve, tmp_path: Path) -> None:
    serve().remove()
    with pytest.raises(ipc.RemovedError) as caught:
        postgres_interlock(tmp_path)
    assert "left by a server that is dead" in caught.value.__notes__[0]


@pytest.mark.parametrize("what", [{"magic": 1}, {"size": 55}])
def test_a_segment_of_another_program_is_refused(
    serve: Serve, tmp_path: Path, what: dict[str, int]
) -> None:
    memory = serve(**what)
    with pytest.raises(ipc.IPCError, match="not the one of this data directory"):
        postgres_interlock(tmp_path)
    assert memory.stat().attached == 0


def test_a_segment_of_another_directory_is_refused(serve: Serve, tmp_path: Path) -> None:
    serve()
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "postmaster.pid").rename(other / "postmaster.pid")
    with pytest.raises(ipc.IPCError, match="not the one of this data directory"):
        postgres_interlock(other)


def test_an_id_that_is_another_key_s_by_now_is_refused(serve: Serve, tmp_path: Path) -> None:
    memory = serve()
    path = tmp_path / "postmaster.pid"
    path.write_text(path.read_text().replace(str(memory.key % 2**64), str(memory.key % 2**64 + 1)))
    with pytest.raises(ipc.IPCError, match="not PostgreSQL's"):
        postgres_interlock(tmp_path)
