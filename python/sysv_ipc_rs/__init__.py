"""System V IPC for Python: semaphore sets, message queues, shared memory.

A handle is not the kernel object: creating or opening one attaches nothing, dropping it removes
nothing; `remove()` does. Errors are `IPCError` and its family, each an `OSError` with errno.
"""

from ._core import (
    IPC_PRIVATE,
    AccessDeniedError,
    AlreadyExistsError,
    ExistenceError,
    IPCError,
    LimitExceededError,
    Message,
    MessageQueue,
    MessageQueueStat,
    MessageTooBigError,
    NotFoundError,
    RemovedError,
    Semaphore,
    SemaphoreGuard,
    SemaphoreSet,
    SemaphoreSetStat,
    UntrustedOwnerError,
    WaitTimeoutError,
    ftok,
    key_from_name,
)

__all__ = [
    "IPC_PRIVATE",
    "AccessDeniedError",
    "AlreadyExistsError",
    "ExistenceError",
    "IPCError",
    "LimitExceededError",
    "Message",
    "MessageQueue",
    "MessageQueueStat",
    "MessageTooBigError",
    "NotFoundError",
    "RemovedError",
    "Semaphore",
    "SemaphoreGuard",
    "SemaphoreSet",
    "SemaphoreSetStat",
    "UntrustedOwnerError",
    "WaitTimeoutError",
    "ftok",
    "key_from_name",
]
