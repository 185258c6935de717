"""All works."""

from . import (
    WORKS,
    compat,
    free_threaded,
    handing,
    memory,
    package,
    processes,
    queues,
    semaphores,
    sync,
)

__all__ = [
    "WORKS",
    "compat",
    "free_threaded",
    "handing",
    "memory",
    "package",
    "processes",
    "queues",
    "semaphores",
    "sync",
]
