"""Semaphores, in one process."""

import contextlib
import multiprocessing
import threading
from collections.abc import Mapping

import posix_ipc
import sysv_ipc
import sysv_ipc_rs.system
from _timing import Run, c, python

from . import FLOOR, OURS, SYSV_IPC, C, Goal, work

SEM_UNDO = 0o10000
Stack = contextlib.ExitStack


def new_set(stack: Stack, size: int = 1) -> sysv_ipc_rs.SemaphoreSet:
    """A set with the value 1 in each member, removed at the end."""
    created = sysv_ipc_rs.SemaphoreSet.create(size=size, values=1)
    stack.callback(created.remove)
    return created


def incumbent(stack: Stack) -> sysv_ipc.Semaphore:
    semaphore = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX, initial_value=1)
    stack.callback(semaphore.remove)
    return semaphore


def posix(stack: Stack) -> posix_ipc.Semaphore:
    semaphore = posix_ipc.Semaphore(None, posix_ipc.O_CREX, initial_value=1)
    stack.callback(semaphore.close)
    semaphore.unlink()
    return semaphore


@work("acquire + release", Goal(calls=4))
def pair(stack: Stack) -> Mapping[str, Run]:
    semaphore = new_set(stack)[0]
    statement = "s.acquire(); s.release()"
    return {
        OURS: python(statement, s=semaphore),
        C: c("semop_pair", semaphore.id, 0),
        SYSV_IPC: python(statement, s=incumbent(stack)),
        "posix_ipc": python(statement, s=posix(stack)),
        "multiprocessing": python(statement, s=multiprocessing.get_context("fork").Lock()),
    }


@work("acquire + release, undo", Goal(calls=8))
def undo(stack: Stack) -> Mapping[str, Run]:
    semaphore = new_set(stack)[0]
    with_undo = incumbent(stack)
    with_undo.undo = True
    return {
        OURS: python("s.acquire(undo=True); s.release(undo=True)", s=semaphore),
        C: c("semop_pair", semaphore.id, SEM_UNDO),
        SYSV_IPC: python("s.acquire(); s.release()", s=with_undo),
    }


@work(
    "with semaphore.hold()",
    Goal(calls=10),
    reason="most instructions are CPython's own, for the bound methods that a `with` makes and "
    "drops; the floor is the pair in C, a `with` of threading.Lock, and a call that makes an "
    "object. Above it are PyO3's trampolines, which count their thread's attachments in "
    "thread-local memory, and the guard's object, one of the garbage collector's as all of its",
)
def hold(stack: Stack) -> Mapping[str, Run]:
    semaphore = new_set(stack)[0]
    parts = (
        c("semop_pair", semaphore.id, SEM_UNDO),
        python("with s: pass", s=threading.Lock()),
        python("copy()", copy={}.copy),
    )
    return {
        OURS: python("with s.hold(): pass", s=semaphore),
        C: c("semop_pair", semaphore.id, SEM_UNDO),
        FLOOR: lambda pieces: sum(part(pieces) for part in parts),
        SYSV_IPC: python("with s: pass", s=incumbent(stack)),
        "multiprocessing": python("with s: pass", s=multiprocessing.get_context("fork").Lock()),
    }


@work("with semaphore")
def enter(stack: Stack) -> Mapping[str, Run]:
    semaphore = new_set(stack)[0]
    return {
        OURS: python("with s: pass", s=semaphore),
        C: c("semop_pair", semaphore.id, SEM_UNDO),
    }


@work("acquire(timeout) + release", Goal(calls=4))
def timeout(stack: Stack) -> Mapping[str, Run]:
    semaphore = new_set(stack)[0]
    return {
        OURS: python("s.acquire(timeout=1.0); s.release()", s=semaphore),
        C: c("semtimedop_pair", semaphore.id),
        SYSV_IPC: python("s.acquire(1.0); s.release()", s=incumbent(stack)),
        "posix_ipc": python("s.acquire(1.0); s.release()", s=posix(stack)),
        "multiprocessing": python(
            "s.acquire(timeout=1.0); s.release()", s=multiprocessing.get_context("fork").Lock()
        ),
    }


@work("semaphore.value", Goal(calls=2.5))
def value(stack: Stack) -> Mapping[str, Run]:
    semaphore = new_set(stack)[0]
    return {
        OURS: python("s.value", s=semaphore),
        C: c("semctl_getval", semaphore.id),
        SYSV_IPC: python("s.value", s=incumbent(stack)),
        "posix_ipc": python("s.value", s=posix(stack)),
    }


@work("set.stat()", Goal(calls=5))
def stat(stack: Stack) -> Mapping[str, Run]:
    semaphores = new_set(stack)
    return {
        OURS: python("s.stat()", s=semaphores),
        C: c("semctl_stat", semaphores.id),
    }


@work("set.values of 16")
def values(stack: Stack) -> Mapping[str, Run]:
    semaphores = new_set(stack, 16)
    return {
        OURS: python("s.values", s=semaphores),
        C: c("semctl_getall", semaphores.id),
    }


@work("listing 32,000 sets, each", Goal(factor=1.5), seconds=2)
def listing(stack: Stack) -> Mapping[str, Run]:
    with open("/proc/sys/kernel/sem", encoding="ascii") as limits:
        most = int(limits.read().split()[3])
    count = most - sysv_ipc_rs.system.usage().semaphore_sets
    for _ in range(count):
        stack.callback(sysv_ipc_rs.SemaphoreSet.create().remove)
    listed = python("for _ in sets(): pass", sets=sysv_ipc_rs.system.semaphore_sets)
    walked = c("semctl_walk")
    return {
        OURS: lambda pieces: listed(1) * pieces / count,
        C: lambda pieces: walked(1) * pieces / count,
    }
