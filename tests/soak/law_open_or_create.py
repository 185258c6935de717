"""open_or_create among processes that race, die in the middle, and remove the set."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import support
import sysv_ipc_rs as ipc
from run import Law

VALUE = 100
PROCESSES = 6

# Makes the set as often as it can, and leaves each as it is born, or initialises it by SETALL.
PLANTER = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sem.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void end(int signal) { stop = signal; }

int main(int count, char **arguments) {
    int size = atoi(arguments[2]), left = 0, initialised = 0;
    unsigned short values[1000];
    for (int i = 0; i < size; i++)
        values[i] = 100;
    for (signal(SIGTERM, end); !stop && count == 3; usleep(100)) {
        int id = semget(atoi(arguments[1]), size, IPC_CREAT | IPC_EXCL | 0600);
        if (id < 0)
            continue;
        if ((left + initialised) % 4)
            left++;
        else if (!semctl(id, 0, SETALL, values))
            initialised++;
    }
    printf("%d %d", left, initialised);
}
"""


class Account:
    """What the workers count, in memory that they share: a killed one has counted too."""

    FIELDS = ("opened", "removed", "uninitialised", "lost")

    def __init__(self) -> None:
        self.segment = ipc.SharedMemory.create(size=8 * len(self.FIELDS))
        attachment = self.segment.attach()
        self.words = {
            field: attachment.atomic(8 * place, "u64") for place, field in enumerate(self.FIELDS)
        }

    def add(self, field: str) -> None:
        self.words[field].add(1)

    def told(self) -> dict[str, int]:
        return {field: word.load() for field, word in self.words.items()}


def race(key: int, size: int, account: Account) -> None:
    """Open or create, look, use, sometimes remove: until killed."""
    chance = random.Random(os.getpid())
    while True:
        made = ipc.SemaphoreSet.open_or_create(key, size, values=VALUE, timeout=0.003)
        account.add("opened")
        try:
            for _ in range(3):
                if set(made.values) != {VALUE}:
                    account.add("uninitialised")
                made.op((0, -1), (0, 1))
            if chance.random() < 0.3:
                made.remove()
                account.add("removed")
        except ipc.RemovedError:
            account.add("lost")


def raced(key: int, size: int, times: int, planter: Path) -> dict[str, int]:
    account = Account()
    chance = random.Random(size)

    def worker() -> support.Child:
        return support.Child(lambda: race(key, size, account))

    children = [worker() for _ in range(PROCESSES)]
    planting = subprocess.Popen([planter, str(key), str(size)], stdout=subprocess.PIPE, text=True)
    kills = 0
    try:
        while account.told()["opened"] < times or kills < times // 20:
            time.sleep(chance.random() * 0.002)
            place = chance.randrange(PROCESSES)
            children[place].kill()
            assert children[place].join() == -signal.SIGKILL
            kills += 1
            children[place] = worker()
    finally:
        planting.terminate()
        left, initialised = map(int, planting.communicate()[0].split())
        for child in children:
            child.__exit__()
        with suppress(ipc.NotFoundError):
            ipc.SemaphoreSet.open(key).remove()
        account.segment.remove()
    by_c = {"left pristine by C": left, "initialised by C": initialised}
    return {**account.told(), **by_c, "kills": kills}


def law_nobody_works_with_uninitialised_values(scale: float) -> Law:
    account: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        planter = support.compiled(Path(folder), PLANTER)
        for size, share in ((1, 0.4), (3, 0.4), (600, 0.2)):
            times = max(100, int(20_000 * scale * share))
            account.update(raced(support.free_key(), size, times, planter))
    return Law(
        "who opens or creates never sees values that are not initialised",
        f"{PROCESSES} processes, of which some are killed at random, and a C program",
        dict(account),
        account["uninitialised"] == 0 and account["opened"] > 0,
    )
