"""All works."""

from . import WORKS, memory, package, processes, queues, semaphores

__all__ = ["WORKS", "memory", "package", "processes", "queues", "semaphores"]
