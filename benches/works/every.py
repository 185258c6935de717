"""All works."""

from . import WORKS, compat, memory, package, processes, queues, semaphores, sync

__all__ = ["WORKS", "compat", "memory", "package", "processes", "queues", "semaphores", "sync"]
