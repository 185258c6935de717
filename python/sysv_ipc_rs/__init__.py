"""System V IPC for Python: semaphore sets, message queues, shared memory.

A handle is not the kernel object: creating or opening one attaches nothing, dropping it removes
nothing; `remove()` does. Errors are `IPCError` and its family, each an `OSError` with errno.
"""

import importlib
import sys
import types

from . import _core
from ._core import (
    IPC_PRIVATE,
    AccessDeniedError,
    AlreadyExistsError,
    AtomicInteger,
    Attachment,
    ExistenceError,
    IPCError,
    LimitExceededError,
    Message,
    MessageQueue,
    MessageQueueStat,
    MessageTooBigError,
    NotFoundError,
    Readiness,
    RemovedError,
    Semaphore,
    SemaphoreGuard,
    SemaphoreSet,
    SemaphoreSetStat,
    SharedMemory,
    SharedMemoryStat,
    UntrustedOwnerError,
    WaitTimeoutError,
    ftok,
    key_from_name,
)

__version__ = _core.__version__

__all__ = [
    "IPC_PRIVATE",
    "AccessDeniedError",
    "AlreadyExistsError",
    "AtomicInteger",
    "Attachment",
    "ExistenceError",
    "IPCError",
    "LimitExceededError",
    "Message",
    "MessageQueue",
    "MessageQueueStat",
    "MessageTooBigError",
    "NotFoundError",
    "Readiness",
    "RemovedError",
    "Semaphore",
    "SemaphoreGuard",
    "SemaphoreSet",
    "SemaphoreSetStat",
    "SharedMemory",
    "SharedMemoryStat",
    "UntrustedOwnerError",
    "WaitTimeoutError",
    "ftok",
    "key_from_name",
    "wakeup_signal",
]

# Type checkers take it for true. `typing` would take longer to import than all of this package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import aio as aio
    from . import compat as compat
    from . import interop as interop
    from . import raw as raw
    from . import sync as sync
    from . import system as system

wakeup_signal: int | None
"""The real-time signal that ends the timed waits of queues inside the kernel.

Chosen when first needed: from SIGRTMAX down, without those that the kernel refuses, that have a
handler or are ignored, and that some threads block. None where no signal is free: timed waits are
then rows of tries with short pauses, and say so once in a RuntimeWarning.

Set it before the first timed wait to choose: a program that takes signals by `sigwait` or
`signalfd` should, since a thread that blocks every signal does not tell which of them it waits for.
A program that resets all handlers while another thread waits is killed by the signal.
"""


class _Module(types.ModuleType):
    """The package, of which one attribute can be set."""

    @property
    def wakeup_signal(self) -> int | None:
        return _core.wakeup_signal()

    @wakeup_signal.setter
    def wakeup_signal(self, signal: int) -> None:
        _core.set_wakeup_signal(signal)

    def __getattr__(self, name: str) -> types.ModuleType:
        # Imported when first used: most programs need none of them, and asyncio is slow to import.
        if name in {"aio", "compat", "interop", "raw", "sync", "system"}:
            return importlib.import_module(f"{self.__name__}.{name}")
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


sys.modules[__name__].__class__ = _Module
