"""The system's own view: limits, what is used of them, everyone's objects, and who uses them.

All of it is about the IPC namespace of the calling process, and looking changes nothing.
"""

from ._core import (
    Limits,
    Orphan,
    Suspect,
    Usage,
    Use,
    Waiters,
    attached_processes,
    ipc_namespace,
    limit_source,
    limits,
    message_queues,
    orphans,
    semaphore_sets,
    shared_memory_segments,
    suspects,
    usage,
    uses,
    waiters,
    waiting_processes,
)

__all__ = [
    "Limits",
    "Orphan",
    "Suspect",
    "Usage",
    "Use",
    "Waiters",
    "attached_processes",
    "ipc_namespace",
    "limit_source",
    "limits",
    "message_queues",
    "orphans",
    "semaphore_sets",
    "shared_memory_segments",
    "suspects",
    "usage",
    "uses",
    "waiters",
    "waiting_processes",
]
