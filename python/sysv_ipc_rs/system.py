"""The system's own view: limits, what is used of them, everyone's objects, and who uses them.

All of it is about the IPC namespace of the calling process, and looking changes nothing.
"""

from ._core import (
    Limits,
    Suspect,
    Usage,
    Waiters,
    ipc_namespace,
    limit_source,
    limits,
    message_queues,
    semaphore_sets,
    suspects,
    usage,
    waiters,
    waiting_processes,
)

__all__ = [
    "Limits",
    "Suspect",
    "Usage",
    "Waiters",
    "ipc_namespace",
    "limit_source",
    "limits",
    "message_queues",
    "semaphore_sets",
    "suspects",
    "usage",
    "waiters",
    "waiting_processes",
]
