"""`postgres_interlock`: the segment that keeps two servers out of one PostgreSQL data directory."""

import errno
import os
import struct
from pathlib import Path
from typing import NamedTuple

from .._core import IPCError, NotFoundError, RemovedError, SharedMemory, attached_processes

_MAGIC = 679834894

# struct PGShmemHeader: magic, creatorPID, totalsize, freeoffset, dsm_control, index (a pointer),
# device, inode. The same from version 9.4 on.
_HEADER = struct.Struct("@iiNNIPQQ")

# The lines of postmaster.pid, from 0.
_PID_LINE, _SEGMENT_LINE = 0, 6


class PostgresInterlock(NamedTuple):
    """The interlock segment of a PostgreSQL data directory, and who is attached to it.

    The server and all its processes are; as long as one is, a new server refuses to start there.
    After a crash the segment is left, with nobody attached, until the next start removes it.
    """

    data_directory: str
    pid: int
    key: int
    id: int
    size: int
    creator_pid: int
    total_size: int
    free_offset: int
    dsm_control: int
    device: int
    inode: int
    attached_processes: tuple[int, ...]


for _name, _doc in {
    "data_directory": "The directory that was asked for.",
    "pid": "The server's process id, by postmaster.pid; below 0 for a standalone backend.",
    "key": "The segment's key.",
    "id": "The kernel's number for it.",
    "size": "Its size in bytes, by the kernel.",
    "creator_pid": "The process that made it, by its header.",
    "total_size": "Its size in bytes, by its header.",
    "free_offset": "Where its unused part begins.",
    "dsm_control": "The handle of the control segment of dynamic shared memory.",
    "device": "The device that the data directory is on, by its header.",
    "inode": "The inode of the data directory, by its header.",
    "attached_processes": "The ids of the processes that have it attached; empty after a crash.",
}.items():
    getattr(PostgresInterlock, _name).__doc__ = _doc


def postgres_interlock(data_directory: str | os.PathLike[str]) -> PostgresInterlock:
    """Find and decode the interlock segment of a PostgreSQL data directory.

    It is attached read-only, for the moment of one copy, and never written.

    Args:
        data_directory: The server's data directory (`SHOW data_directory`).

    Returns:
        What the segment says, and the processes that have it attached: of the other users' those
        alone that we may look at.

    Raises:
        NotFoundError: No server runs there: there is no postmaster.pid, or it names no segment yet.
        RemovedError: The segment is gone: the server died, and postmaster.pid was left.
        IPCError: The segment is not PostgreSQL's, or another data directory's: the server died, or
            runs in another IPC namespace.
        OSError: The directory is not there, or we may not read it.

    See shmget(2), shmop(2).
    """
    directory = Path(data_directory)
    status = directory.stat()
    pid, key, number = _lock_file(directory)
    try:
        segment = SharedMemory.from_id(number)
        if segment.size < _HEADER.size:
            raise _wrong(segment, f"it has {segment.size} bytes only")
        with segment.attach(readonly=True) as attachment:
            header = attachment.read(_HEADER.size)
    except RemovedError as error:
        error.add_note(f"{directory / 'postmaster.pid'} was left by a server that is dead")
        raise
    magic, creator, total, free, dsm, _, device, inode = _HEADER.unpack(header)
    if magic != _MAGIC or segment.key != key:
        raise _wrong(segment, "it is not PostgreSQL's")
    if (device, inode) != (status.st_dev, status.st_ino):
        raise _wrong(segment, f"it is of the data directory with inode {inode} on device {device}")
    return PostgresInterlock(
        data_directory=str(directory),
        pid=pid,
        key=segment.key,
        id=segment.id,
        size=segment.size,
        creator_pid=creator,
        total_size=total,
        free_offset=free,
        dsm_control=dsm,
        device=device,
        inode=inode,
        attached_processes=tuple(attached_processes(segment)),
    )


def _lock_file(directory: Path) -> tuple[int, int, int]:
    """The server's process id, and the segment's key and id."""
    path = directory / "postmaster.pid"
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        text = f"no server runs in {directory}: it has no postmaster.pid"
        raise NotFoundError(errno.ENOENT, text) from None
    try:
        key, number = map(int, lines[_SEGMENT_LINE].split())
        pid = int(lines[_PID_LINE])
    except (IndexError, ValueError):
        text = f"{path} names no segment: the server is starting, or has none"
        raise NotFoundError(errno.ENOENT, text) from None
    # The key, an int, was printed as an unsigned long.
    return pid, (key + 2**31) % 2**32 - 2**31, number


def _wrong(segment: SharedMemory, why: str) -> IPCError:
    text = (
        f"the segment with id {segment.id}, which postmaster.pid names, is not the one of this "
        f"data directory: {why}; the server is dead, or in another IPC namespace"
    )
    return IPCError(errno.EINVAL, text)
