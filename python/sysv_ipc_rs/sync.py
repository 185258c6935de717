"""Locks and the like between processes, which survive the death of any of them at any moment.

They have the methods, arguments and return values of `multiprocessing`'s, each on one semaphore
set, and are found by key, by id or by pickle: also by unrelated programs, and by those in C. Timed
waits return `bool` here, as there.

    lock = sync.Lock.open_or_create(key_from_name("accounts"))
    with lock:
        if lock.owner_died:
            repair()
        ...
"""

from ._core import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, RWLock

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "RWLock"]
