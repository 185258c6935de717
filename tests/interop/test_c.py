"""C programs on the other side, compiled here: structs in messages, SEM_UNDO, C11 atomics."""

import struct
import threading
from pathlib import Path
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from programs import Peer, program

JOB = struct.Struct("@id24sQ3h")

QUEUE = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>

struct job { int id; double weight; char name[24]; uint64_t bits; short parts[3]; };
struct message { long type; struct job job; };

/* Takes jobs of type 1, says what is in memory and in the fields, sends the opposites as type 2. */
int main(int argc, char **argv)
{
    struct message message;
    int queue = msgget(atoi(argv[1]), 0);
    printf("%zu\n", sizeof message.job);
    while (msgrcv(queue, &message, sizeof message.job, 1, 0) == sizeof message.job) {
        struct job *job = &message.job;
        for (size_t i = 0; i < sizeof *job; i++)
            printf("%02x", ((unsigned char *)job)[i]);
        printf(" %d %a %s %llx %d %d %d\n", job->id, job->weight, job->name,
               (unsigned long long)job->bits, job->parts[0], job->parts[1], job->parts[2]);
        fflush(stdout);
        memset(&message, 0, sizeof message);
        message.type = 2;
        job->id = -7;
        job->weight = 0.1;
        strcpy(job->name, "from C");
        job->bits = 0xfedcba9876543210;
        job->parts[0] = -1; job->parts[1] = 2; job->parts[2] = -32768;
        if (msgsnd(queue, &message, sizeof *job, 0))
            return 1;
    }
    return 0;
}
"""


def test_structs_go_through_a_queue_byte_for_byte(
    queue: ipc.MessageQueue, tmp_path: Path, remove_later: Any
) -> None:
    key = support.free_key()
    queue = remove_later(ipc.MessageQueue.create(key))
    size = JOB.size + -JOB.size % 8
    padded = struct.Struct(f"{JOB.format}{size - JOB.size}x")
    sent = padded.pack(42, -2.5, b"from Python", 2**64 - 1, 1, -2, 32767)
    with Peer(support.compiled(tmp_path, QUEUE), str(key)) as c:
        for _ in range(3):
            queue.send(sent, 1)
        assert c.line() == str(size)
        for _ in range(3):
            memory, *fields = c.line().split()
            assert bytes.fromhex(memory) == sent
            told = ["42", "-0x1.4p+1", "from", "Python", "ffffffffffffffff", "1", "-2", "32767"]
            assert fields == told
            answer = queue.receive(2, timeout=30).data
            name = b"from C".ljust(24, b"\0")
            wanted = (-7, 0.1, name, 0xFEDCBA9876543210, -1, 2, -32768)
            assert padded.unpack(answer) == wanted
            assert answer == padded.pack(*wanted)


HOLDER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/sem.h>
#include <unistd.h>

/* Takes one of semaphore 1 and two of semaphore 2 with SEM_UNDO, and keeps them. */
int main(int argc, char **argv)
{
    struct sembuf take[] = {{1, -1, SEM_UNDO}, {2, -2, SEM_UNDO}};
    if (semop(atoi(argv[1]), take, 2))
        return 1;
    puts("taken");
    fflush(stdout);
    pause();
    return 0;
}
"""


@pytest.fixture
def holder(tmp_path: Path) -> Path:
    return support.compiled(tmp_path, HOLDER)


def test_what_a_killed_c_program_held_is_free(
    semaphore_set: ipc.SemaphoreSet, holder: Path
) -> None:
    semaphore_set.values = (1, 1, 2)
    with Peer(holder, str(semaphore_set.id)) as c:
        assert c.line() == "taken"
        assert semaphore_set.values == (1, 0, 0)
        assert [semaphore.last_pid for semaphore in semaphore_set][1:] == [c.pid, c.pid]
        with support.Child(lambda: semaphore_set.op((1, -1), (2, -2), undo=True)) as waiter:
            support.wait_blocked(waiter.pid)
            c.kill()
            waiter.result()
    assert semaphore_set.values == (1, 1, 2)


def test_what_a_killed_python_program_held_is_free(
    semaphore_set: ipc.SemaphoreSet, holder: Path
) -> None:
    semaphore_set.values = (1, 1, 2)

    def hold() -> None:
        semaphore_set.op((1, -1), (2, -2), undo=True)
        threading.Event().wait()

    with support.Child(hold) as child:
        support.wait_for(lambda: semaphore_set.values == (1, 0, 0), "it is taken")
        with Peer(holder, str(semaphore_set.id)) as c:
            support.wait_blocked(c.pid)
            child.kill()
            assert c.line() == "taken"
            assert semaphore_set.values == (1, 0, 0)
    assert semaphore_set.values == (1, 1, 2)


def test_a_guard_and_a_c_program_exclude_each_other(
    semaphore_set: ipc.SemaphoreSet, holder: Path
) -> None:
    semaphore_set.values = (1, 1, 2)
    with semaphore_set[1].hold(), Peer(holder, str(semaphore_set.id)) as c:
        support.wait_blocked(c.pid)
        assert semaphore_set.values == (1, 0, 2)
    assert semaphore_set.values == (1, 1, 2)


ATOMICS = r"""
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>

struct shared {
    char name[12];
    _Atomic int32_t signed_sum;
    _Atomic uint64_t sum;
    _Atomic uint32_t lock;
    double ratio;
    _Atomic int64_t lowest;
    long guarded;
};

int main(int argc, char **argv)
{
    struct shared *shared = shmat(atoi(argv[1]), NULL, 0);
    long rounds = atol(argv[2]);
    printf("%zu %zu %zu %zu %zu %zu %zu\n", sizeof *shared, offsetof(struct shared, signed_sum),
           offsetof(struct shared, sum), offsetof(struct shared, lock),
           offsetof(struct shared, ratio), offsetof(struct shared, lowest),
           offsetof(struct shared, guarded));
    printf("%s %a\n", shared->name, shared->ratio);
    fflush(stdout);
    getchar();
    for (long i = 0; i < rounds; i++) {
        uint32_t free = 0;
        int64_t seen = atomic_load(&shared->lowest);
        atomic_fetch_add(&shared->sum, 3);
        atomic_fetch_sub(&shared->signed_sum, 1);
        while (seen > -i && !atomic_compare_exchange_weak(&shared->lowest, &seen, -i))
            ;
        while (!atomic_compare_exchange_weak(&shared->lock, &free, 1))
            free = 0;
        shared->guarded++;
        atomic_store(&shared->lock, 0);
    }
    shared->ratio = 0.1;
    puts("done");
    return 0;
}
"""


def test_c11_atomics_and_ours_are_the_same_words(tmp_path: Path, remove_later: Any) -> None:
    layout = struct.Struct("@12siQIdqq")
    theirs, ours = 200_000, 20_000
    memory = remove_later(ipc.SharedMemory.create(size=layout.size))
    attachment = memory.attach()
    attachment.write(layout.pack(b"from Python", 5, 2**64 - 7, 0, -2.5, 0, 0))
    binary = support.compiled(tmp_path, ATOMICS)
    with Peer(binary, str(memory.id), str(theirs)) as c:
        offsets = (12, 16, 24, 32, 40, 48)
        assert tuple(map(int, c.line().split())) == (layout.size, *offsets)
        assert c.line() == "from Python -0x1.4p+1"
        signed_sum = attachment.atomic(12, "i32")
        total = attachment.atomic(16, "u64")
        lock = attachment.atomic(24, "u32")
        lowest = attachment.atomic(40, "i64")
        guarded = slice(48, 56)
        c.send("")
        for i in range(ours):
            total.add(3)
            signed_sum.sub(1)
            while (seen := lowest.load()) > -5 * i:
                lowest.compare_exchange(seen, -5 * i)
            while lock.compare_exchange(0, 1):
                pass
            count = int.from_bytes(attachment[guarded], "little")
            attachment[guarded] = (count + 1).to_bytes(8, "little")
            lock.store(0)
        assert c.line() == "done"
    least = -max(theirs - 1, 5 * (ours - 1))
    both = theirs + ours
    wanted = (b"from Python\0", 5 - both, (3 * both - 7) % 2**64, 0, 0.1, least, both)
    assert layout.unpack(attachment.read()) == wanted
    assert attachment.read() == layout.pack(*wanted)
    attachment.detach()


def test_a_compiler_is_there() -> None:
    assert program("cc")
