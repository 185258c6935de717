"""All works."""

from . import WORKS, memory, package, processes, queues, semaphores, sync

__all__ = ["WORKS", "memory", "package", "processes", "queues", "semaphores", "sync"]
