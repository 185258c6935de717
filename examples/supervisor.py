"""A supervisor whose workers are killed, and a record that is right all the same.

    python examples/supervisor.py [TRANSFERS]

Workers move money between two accounts in shared memory, under a lock. Now and then one of them is
killed in the middle. The kernel gives its lock back, the next holder is told (`owner_died`) and
takes the unfinished transfer back, and the supervisor starts another worker.
"""

from __future__ import annotations

import os
import random
import signal
import sys

from sysv_ipc_rs import AtomicInteger, Attachment, SharedMemory
from sysv_ipc_rs.sync import Lock

WORKERS = 4
MONEY = 1000
KILLED = 0.01  # the share of transfers in which the worker is killed


class Bank:
    """What lies in shared memory. Whoever changes it holds the lock."""

    def __init__(self, memory: Attachment) -> None:
        def word(index: int) -> AtomicInteger:
            return memory.atomic(8 * index, "i64")

        self.accounts = word(0), word(1)
        self.before = word(2), word(3)
        self.unfinished, self.done, self.taken_back = word(4), word(5), word(6)

    def transfer(self, amount: int, killed: bool) -> None:
        for account, before in zip(self.accounts, self.before, strict=True):
            before.store(account.load())
        self.unfinished.store(1)
        self.accounts[0].sub(amount)
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)
        self.accounts[1].add(amount)
        self.unfinished.store(0)
        self.done.add(1)

    def take_back(self) -> None:
        for account, before in zip(self.accounts, self.before, strict=True):
            account.store(before.load())
        self.unfinished.store(0)
        self.taken_back.add(1)


def work(lock: Lock, bank: Bank, transfers: int) -> None:
    chance = random.Random()
    while True:
        with lock:
            if lock.owner_died and bank.unfinished.load():
                bank.take_back()
            if bank.done.load() >= transfers:
                return
            bank.transfer(chance.randrange(-100, 101), chance.random() < KILLED)


def start(lock: Lock, bank: Bank, transfers: int) -> None:
    if os.fork() == 0:
        try:
            work(lock, bank, transfers)
            os._exit(0)
        finally:
            os._exit(1)


def main() -> int:
    transfers = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    lock, memory = Lock.create(), SharedMemory.create(size=56, auto_remove=True)
    bank = Bank(memory.attach())
    bank.accounts[0].store(MONEY)
    deaths, running = 0, WORKERS
    try:
        for _ in range(WORKERS):
            start(lock, bank, transfers)
        while running:
            _, status = os.wait()
            if os.WIFSIGNALED(status):
                deaths += 1
                start(lock, bank, transfers)
            else:
                running -= 1
    finally:
        lock.remove()
    money = sum(account.load() for account in bank.accounts)
    print(f"{bank.done.load()} transfers done, {deaths} workers killed,")
    print(f"{bank.taken_back.load()} transfers taken back, {money} of {MONEY} are there")
    return int(money != MONEY)


if __name__ == "__main__":
    sys.exit(main())
