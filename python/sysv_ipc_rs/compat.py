"""A drop-in for `sysv_ipc` 1.2.0: its names, positions, defaults, units, return types and texts.

    from sysv_ipc_rs import compat as sysv_ipc

or, for code of others that imports that name, before it does:

    import sysv_ipc_rs.compat
    sysv_ipc_rs.compat.install()

Its faults are mended: timeouts work, a signal doesn't end a wait, nothing is truncated, and no call
crashes. `docs/migrating.md` lists every difference. New code is better off with the classes of
`sysv_ipc_rs` itself.
"""

import sys

from ._core.compat import (
    MessageQueue,
    Semaphore,
    SharedMemory,
    attach,
    ftok,
    remove_message_queue,
    remove_semaphore,
    remove_shared_memory,
)
from ._core.raw import (
    IPC_CREAT,
    IPC_EXCL,
    IPC_PRIVATE,
    SEMVMX,
    SHM_HUGETLB,
    SHM_NORESERVE,
    SHM_RDONLY,
    SHM_REMAP,
    SHM_RND,
    SHMLBA,
)

__all__ = [
    "IPC_CREAT",
    "IPC_CREX",
    "IPC_EXCL",
    "IPC_PRIVATE",
    "KEY_MAX",
    "KEY_MIN",
    "PAGE_SIZE",
    "SEMAPHORE_TIMEOUT_SUPPORTED",
    "SEMAPHORE_VALUE_MAX",
    "SHM_HUGETLB",
    "SHM_NORESERVE",
    "SHM_RDONLY",
    "SHM_REMAP",
    "SHM_RND",
    "VERSION",
    "BusyError",
    "Error",
    "ExistentialError",
    "InternalError",
    "MessageQueue",
    "NotAttachedError",
    "PermissionsError",
    "Semaphore",
    "SharedMemory",
    "attach",
    "ftok",
    "install",
    "remove_message_queue",
    "remove_semaphore",
    "remove_shared_memory",
]

VERSION = __version__ = "1.2.0"
__author__ = "The sysv_ipc_rs authors"
__copyright__ = "The sysv_ipc_rs authors"
__license__ = "MIT OR Apache-2.0"

IPC_CREX = IPC_CREAT | IPC_EXCL
KEY_MIN = -(2**31)
KEY_MAX = 2**31 - 1
PAGE_SIZE = SHMLBA
SEMAPHORE_VALUE_MAX = SEMVMX
SEMAPHORE_TIMEOUT_SUPPORTED = True


class Error(OSError):
    """The base of this module's errors, with `errno`.

    Attributes:
        errno: The error's number, as in the module `errno`.
        strerror: The text, which is what `str()` gives too.
    """

    def __str__(self) -> str:
        return super().__str__() if self.strerror is None else str(self.strerror)


class InternalError(Error):
    """Never raised; `sysv_ipc` has it."""


class PermissionsError(Error, PermissionError):
    """The object's mode or owner forbids it (EACCES, EPERM)."""


class ExistentialError(Error):
    """The object doesn't exist, or exists and should not (ENOENT, EEXIST, EIDRM)."""


class BusyError(Error):
    """The call would have to wait, or the time was up (EAGAIN, ENOMSG)."""


class NotAttachedError(Error):
    """The shared memory is not attached."""


def install() -> None:
    """Makes `import sysv_ipc` give this module, in this process, from now on.

    Raises:
        RuntimeError: The real `sysv_ipc` has been imported already: its classes are in use, and
            their objects know nothing of these.
    """
    ours = sys.modules[__name__]
    found = sys.modules.setdefault("sysv_ipc", ours)
    if found is not ours:
        raise RuntimeError(
            f"the real sysv_ipc has been imported already, from "
            f"{getattr(found, '__file__', 'an unknown place')}: call "
            "sysv_ipc_rs.compat.install() before anything imports it"
        )
