"""sysv_ipc_rs.system: limits, usage, lists of everyone's objects, and who uses them."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc
from sysv_ipc_rs import system

PAGE = os.sysconf("SC_PAGESIZE")


@pytest.fixture
def queue() -> Iterator[ipc.MessageQueue]:
    made = ipc.MessageQueue.create()
    yield made
    with suppress(ipc.RemovedError):
        made.remove()


@pytest.fixture
def segment() -> Iterator[ipc.SharedMemory]:
    made = ipc.SharedMemory.create(size=10)
    yield made
    with suppress(ipc.RemovedError):
        made.remove()


def table(kind: str) -> dict[int, dict[str, int]]:
    """/proc/sysvipc/KIND by id."""
    head, *lines = Path("/proc/sysvipc", kind).read_text().splitlines()
    rows = [dict(zip(head.split(), line.split(), strict=True)) for line in lines]
    ids = {"sem": "semid", "msg": "msqid", "shm": "shmid"}
    return {
        int(row[ids[kind]]): {
            name: int(value, 8 if name == "perms" else 10) for name, value in row.items()
        }
        for row in rows
    }


# Limits and usage


def test_limits_are_those_of_proc() -> None:
    def inside() -> None:
        limits = system.limits()

        def told(name: str) -> list[int]:
            return [int(number) for number in Path("/proc/sys/kernel", name).read_text().split()]

        assert told("sem") == [limits.semmsl, limits.semmns, limits.semopm, limits.semmni]
        assert limits.semopm == 30
        for name in ("msgmni", "msgmax", "msgmnb", "shmmni", "shmall", "shmmax"):
            assert told(name) == [getattr(limits, name)]
        assert (limits.semvmx, limits.shmmin) == (32767, 1)

    support.in_namespace(inside, sem="100 2000 30 40", msgmax=777, shmmax=2**63, shmall=5)


def test_every_limit_tells_its_file() -> None:
    for name, value in system.limits()._asdict().items():
        source = system.limit_source(name)
        if name in ("semvmx", "shmmin"):
            assert source is None
        else:
            assert source is not None
            assert str(value) in Path(source).read_text().split()
    with pytest.raises(ValueError, match="semmsl, semmns"):
        system.limit_source("SEMMSL?")


def test_usage_counts_what_there_is() -> None:
    def inside() -> None:
        assert set(system.usage()._asdict().values()) == {0}
        ipc.SemaphoreSet.create(size=3)
        queue = ipc.MessageQueue.create()
        queue.send(b"four")
        queue.send(b"")
        memory = ipc.SharedMemory.create(size=PAGE + 1)
        attachment = memory.attach()
        attachment.write(b"x")
        memory.remove()
        assert system.usage() == system.Usage(1, 3, 1, 2, 4, 1, 2 * PAGE, PAGE, 0)

    support.in_namespace(inside)


# Lists


def test_lists_agree_with_proc(
    semaphore_set: ipc.SemaphoreSet, queue: ipc.MessageQueue, segment: ipc.SharedMemory
) -> None:
    queue.send(b"hello")
    sets = {stat.id: stat for stat in system.semaphore_sets()}
    assert sets.keys() == table("sem").keys()
    row, stat = table("sem")[semaphore_set.id], sets[semaphore_set.id]
    assert stat == semaphore_set.stat()
    assert [row[name] for name in ("key", "perms", "nsems", "uid", "cgid", "otime", "ctime")] == [
        stat.key,
        stat.mode,
        stat.size,
        stat.uid,
        stat.cgid,
        stat.otime,
        stat.ctime,
    ]
    queues = {stat.id: stat for stat in system.message_queues()}
    assert queues.keys() == table("msg").keys()
    assert queues[queue.id] == queue.stat()
    assert table("msg")[queue.id]["cbytes"] == queues[queue.id].current_bytes == 5
    with segment.attach():
        segments = {stat.id: stat for stat in system.shared_memory_segments()}
        assert segments.keys() == table("shm").keys()
        assert segments[segment.id] == segment.stat()
        row = table("shm")[segment.id]
        assert (row["nattch"], row["cpid"], row["size"]) == (1, os.getpid(), 10)


def test_everyones_objects_are_listed_for_anybody(
    semaphore_set: ipc.SemaphoreSet, queue: ipc.MessageQueue, segment: ipc.SharedMemory
) -> None:
    def stranger() -> None:
        with pytest.raises(ipc.AccessDeniedError):
            queue.receive()
        assert semaphore_set.id in {stat.id for stat in system.semaphore_sets()}
        assert queue.id in {stat.id for stat in system.message_queues()}
        assert segment.id in {stat.id for stat in system.shared_memory_segments()}

    support.in_child(stranger, uid=support.NOBODY)


def test_a_list_is_an_iterator_taken_at_the_call(queue: ipc.MessageQueue) -> None:
    queues = system.message_queues()
    assert iter(queues) is queues
    queue.remove()
    assert queue.id in [stat.id for stat in queues]
    assert list(queues) == []
    assert queue.id not in [stat.id for stat in system.message_queues()]


@pytest.mark.parametrize(
    ("create", "lists"),
    [
        (ipc.SemaphoreSet.create, system.semaphore_sets),
        (ipc.MessageQueue.create, system.message_queues),
        (lambda: ipc.SharedMemory.create(size=1), system.shared_memory_segments),
    ],
    ids=["sets", "queues", "segments"],
)
def test_what_exists_throughout_is_listed_exactly_once_while_others_churn(
    create: Callable[[], ipc.SemaphoreSet | ipc.MessageQueue | ipc.SharedMemory],
    lists: Callable[[], Iterator[ipc.SemaphoreSetStat]],
) -> None:
    def churn() -> None:
        while True:
            some = [create() for _ in range(20)]
            for made in some:
                made.remove()

    def inside() -> None:
        stable = {create().id for _ in range(300)}
        churned: set[int] = set()
        with support.Child(churn), support.Child(churn):
            listings = 0
            # A busy machine may let the others run later.
            while listings < 200 or len(churned) <= 20:
                seen = Counter(stat.id for stat in lists())
                assert [seen[number] for number in stable] == [1] * 300
                churned |= seen.keys() - stable
                listings += 1

    support.in_namespace(inside)


def test_a_listing_lets_other_threads_run() -> None:
    def inside() -> None:
        for _ in range(5000):
            ipc.MessageQueue.create()
        done = threading.Event()

        def lists() -> None:
            while not done.is_set():
                assert len(list(system.message_queues())) == 5000

        threads = [threading.Thread(target=lists) for _ in range(4)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 0.5
        rounds = 0
        while time.monotonic() < end:
            rounds += 1
        done.set()
        for thread in threads:
            thread.join()
        assert rounds > 100

    support.in_namespace(inside)


# Values


def test_values_are_frozen_picklable_and_compare(semaphore_set: ipc.SemaphoreSet) -> None:
    waiters = system.Waiters(0, 1, 2, (3, 4))
    orphan = system.Orphan(
        ipc.SharedMemoryStat(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, False, True),
        ("a", "b"),
    )
    suspect = system.Suspect(semaphore_set.stat(), ["why"])
    for value in (system.limits(), system.usage(), waiters, orphan, suspect):
        again = pickle.loads(pickle.dumps(value))
        assert again == value
        assert hash(again) == hash(value)
        assert list(value._asdict()) == list(value.__match_args__)
        for name in value.__match_args__:
            with pytest.raises(AttributeError):
                setattr(value, name, getattr(value, name))
    assert suspect.reasons == ("why",)
    assert waiters._replace(pids=[5]).pids == (5,)
    assert orphan.segment.locked
    with pytest.raises(TypeError):
        system.Suspect(3, ())  # type: ignore[arg-type]


# Who uses them


def test_nothing_waits_on_a_set_at_rest(semaphore_set: ipc.SemaphoreSet) -> None:
    assert system.waiters(semaphore_set) == []
    assert system.waiting_processes(semaphore_set) == []


def test_waiters_are_counted_where_they_wait_and_named() -> None:
    semaphores = ipc.SemaphoreSet.create(size=3, values=[0, 1, 5])
    try:
        with (
            support.Child(semaphores[0].acquire) as takes,
            support.Child(lambda: semaphores[0].acquire(timeout=60)) as timed,
            support.Child(semaphores[1].wait_zero) as zero,
            support.Child(lambda: semaphores.op((2, -1), (0, -1))) as both,
        ):
            for child in (takes, timed, zero, both):
                support.wait_blocked(child.pid)
            expected = [
                system.Waiters(0, 3, 0, sorted([takes.pid, timed.pid, both.pid])),
                system.Waiters(1, 0, 1, [zero.pid]),
            ]
            assert system.waiters(semaphores) == expected
            assert system.waiters(semaphores.stat()) == expected
            assert system.waiters(semaphores.id) == expected
            everybody = sorted(child.pid for child in (takes, timed, zero, both))
            assert system.waiting_processes(semaphores) == everybody
            assert system.waiting_processes(semaphores.stat()) == everybody
        assert system.waiters(semaphores) == []
    finally:
        semaphores.remove()


def test_a_thread_of_ours_that_waits_is_named() -> None:
    semaphore = ipc.Semaphore.create(value=0)
    threads = [threading.Thread(target=semaphore.acquire) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        support.wait_blocked(thread)
    (found,) = system.waiters(semaphore.semaphore_set)
    assert (found.waiting, found.pids) == (3, (os.getpid(),))
    semaphore.release(3)
    for thread in threads:
        thread.join()
    semaphore.remove()


def test_senders_and_receivers_that_wait_are_named(queue: ipc.MessageQueue) -> None:
    with support.Child(lambda: queue.receive(timeout=60)) as receiver:
        support.wait_blocked(receiver.pid)
        assert system.waiting_processes(queue) == [receiver.pid]
    queue.max_bytes = 1
    queue.send(b"x")
    with support.Child(lambda: queue.send(b"y")) as sender:
        support.wait_blocked(sender.pid)
        assert system.waiting_processes(queue.stat()) == [sender.pid]
    assert system.waiting_processes(queue) == []


def test_a_stranger_sees_no_pids_of_others() -> None:
    semaphores = ipc.SemaphoreSet.create(values=0, mode=0o666)
    try:
        with support.Child(semaphores[0].acquire) as waiter:
            support.wait_blocked(waiter.pid)

            def stranger() -> list[system.Waiters]:
                return system.waiters(semaphores)

            found = support.in_child(stranger, uid=support.NOBODY)
            assert found == [system.Waiters(0, 1, 0, [])]
        semaphores.chmod(0o600)
        with pytest.raises(ipc.AccessDeniedError):
            support.in_child(lambda: system.waiters(semaphores), uid=support.NOBODY)
    finally:
        semaphores.remove()


def attach_and_sleep(segment: ipc.SharedMemory) -> None:
    _one, _two = segment.attach(), segment.attach(readonly=True)
    time.sleep(60)


def test_attached_processes_are_named_until_the_last_is_gone(segment: ipc.SharedMemory) -> None:
    assert system.attached_processes(segment) == []
    with (
        support.Child(lambda: attach_and_sleep(segment)) as one,
        support.Child(lambda: attach_and_sleep(segment)) as other,
    ):
        support.wait_for(lambda: segment.stat().attached == 4)
        pids = sorted([one.pid, other.pid])
        for named in (segment, segment.stat(), segment.id):
            assert system.attached_processes(named) == pids
        attachment = segment.attach()
        assert system.attached_processes(segment) == sorted([*pids, os.getpid()])
        segment.remove()
        assert len(system.attached_processes(segment)) == 3, "marked for removal"
        attachment.detach()
        one.kill()
        one.join()
        assert system.attached_processes(segment) == [other.pid]
    with pytest.raises(ipc.RemovedError):
        system.attached_processes(segment)


def test_the_same_id_in_another_namespace_is_another_segment() -> None:
    def create() -> tuple[ipc.SharedMemory, ipc.Attachment]:
        memory = ipc.SharedMemory.create(size=10)
        return memory, memory.attach()

    def inside() -> None:
        outer, _kept = create()

        def inner() -> tuple[int, list[int]]:
            support.unshare_ipc()
            memory, _kept = create()
            return memory.id, system.attached_processes(memory)

        with support.Child(inner) as child:
            assert child.result() == (outer.id, [child.pid])
        assert system.attached_processes(outer) == [os.getpid()]

    support.in_namespace(inside)


def test_a_memfd_of_the_same_name_is_no_segment(segment: ipc.SharedMemory) -> None:
    with segment.attach():
        name = f"SYSV{segment.key:08x}"
        descriptor = os.memfd_create(name)
        assert system.attached_processes(segment) == [os.getpid()]
        os.close(descriptor)


def test_processes_that_vanish_meanwhile_are_no_error(segment: ipc.SharedMemory) -> None:
    def spawns() -> None:
        while True:
            if not (pid := os.fork()):
                os._exit(0)
            os.waitpid(pid, 0)

    with support.Child(spawns), support.Child(spawns), segment.attach():
        for _ in range(50):
            assert os.getpid() in system.attached_processes(segment)
            system.orphans()
            system.suspects()


@pytest.mark.parametrize("wrong", ["1", 1.0, None, object()])
def test_what_names_no_object_is_a_type_error(wrong: object) -> None:
    functions: list[Callable[..., object]] = [
        system.waiters,
        system.attached_processes,
        system.waiting_processes,
    ]
    for function in functions:
        with pytest.raises(TypeError):
            function(wrong)


def test_objects_of_another_kind_are_refused(
    queue: ipc.MessageQueue, semaphore_set: ipc.SemaphoreSet
) -> None:
    with pytest.raises(TypeError):
        system.waiters(queue)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        system.attached_processes(semaphore_set)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2147483647"):
        system.waiters(-1)
    with pytest.raises(ValueError, match="2147483647"):
        system.attached_processes(2**31)


def test_removed_objects_are_told(
    queue: ipc.MessageQueue, segment: ipc.SharedMemory, semaphore_set: ipc.SemaphoreSet
) -> None:
    queue.remove()
    segment.remove()
    semaphore_set.remove()
    for look in (
        lambda: system.waiters(semaphore_set),
        lambda: system.waiting_processes(semaphore_set),
        lambda: system.waiting_processes(queue),
        lambda: system.attached_processes(segment),
    ):
        with pytest.raises(ipc.RemovedError) as caught:
            look()
        assert caught.value.errno == errno.EIDRM


def test_looking_changes_neither_attachments_nor_times(
    queue: ipc.MessageQueue, segment: ipc.SharedMemory, semaphore_set: ipc.SemaphoreSet
) -> None:
    with segment.attach():
        before = (queue.stat(), segment.stat(), semaphore_set.stat(), semaphore_set.values)
        list(system.semaphore_sets())
        list(system.message_queues())
        list(system.shared_memory_segments())
        system.usage()
        system.waiters(semaphore_set)
        system.waiting_processes(queue)
        system.attached_processes(segment)
        system.orphans()
        system.suspects()
        after = (queue.stat(), segment.stat(), semaphore_set.stat(), semaphore_set.values)
        assert after == before


# Orphans


def is_orphan(segment: ipc.SharedMemory) -> bool:
    found = [orphan for orphan in system.orphans() if orphan.segment.id == segment.id]
    for orphan in found:
        assert orphan.segment == segment.stat()
        assert len(orphan.reasons) == 3
        assert all(isinstance(reason, str) for reason in orphan.reasons)
    return bool(found)


def use(segment: ipc.SharedMemory) -> None:
    segment.attach().detach()


def left(used: bool = True) -> ipc.SharedMemory:
    """A segment whose creator is dead, who has used it or not."""

    def create() -> int:
        made = ipc.SharedMemory.create(size=10)
        if used:
            use(made)
        return made.id

    return ipc.SharedMemory.from_id(support.in_child(create))


def test_orphans_truth_table(remove_later: Callable[[ipc.SharedMemory], ipc.SharedMemory]) -> None:
    alive, used, unused = map(
        remove_later, (ipc.SharedMemory.create(size=1), left(), left(used=False))
    )
    assert not is_orphan(alive), "its creator lives and nobody has used it"
    assert is_orphan(used), "left by its creator"
    assert is_orphan(unused), "left by its creator before anybody used it"

    support.in_child(lambda: use(alive))
    assert not is_orphan(alive), "its creator lives, its last user is dead"

    support.in_child(lambda: use(unused))
    assert is_orphan(unused), "both are dead, and were two"

    with used.attach():
        assert not is_orphan(used), "attached"
        support.in_child(lambda: use(used))
        assert not is_orphan(used), "attached, though creator and last user are dead"
    assert not is_orphan(used), "its last user lives"


def test_a_killed_creator_leaves_an_orphan_and_a_live_one_does_not() -> None:
    reader, writer = os.pipe()

    def creator() -> None:
        made = ipc.SharedMemory.create(size=10)
        use(made)
        os.write(writer, str(made.id).encode())
        signal.pause()

    with support.Child(creator) as child:
        made = ipc.SharedMemory.from_id(int(os.read(reader, 20)))
        assert not is_orphan(made)
        child.kill(signal.SIGSTOP)
        assert not is_orphan(made), "a stopped process lives"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_orphan(made), "a zombie does not"
    assert is_orphan(made)
    made.remove()
    os.close(reader)
    os.close(writer)


def test_a_later_user_that_lives_keeps_it() -> None:
    made = left()
    reader, writer = os.pipe()

    def user() -> None:
        use(made)
        os.write(writer, b".")
        signal.pause()

    time.sleep(2.1)  # it starts in a later second than the segment's
    with support.Child(user):
        os.read(reader, 1)
        assert not is_orphan(made)
    assert is_orphan(made)
    made.remove()
    os.close(reader)
    os.close(writer)


def test_a_pid_that_is_another_process_by_now_is_dead() -> None:
    last_pid = Path("/proc/sys/kernel/ns_last_pid")
    try:
        last_pid.write_text(last_pid.read_text())
    except OSError:
        pytest.skip("can't choose the pid of a new process")
    made = left()
    dead = made.stat().creator_pid
    time.sleep(2.1)
    for _ in range(100):
        last_pid.write_text(str(dead - 1))
        with support.Child(signal.pause) as child:
            if child.pid == dead:
                assert is_orphan(made)
                (orphan,) = system.orphans()
                assert any("another process" in reason for reason in orphan.reasons)
                break
    else:
        made.remove()
        pytest.skip("somebody else was always faster")
    made.remove()


def test_an_idle_masters_set_and_queue_are_never_orphans() -> None:
    def inside() -> None:
        semaphore, queue = ipc.Semaphore.create(), ipc.MessageQueue.create(mode=0o666)
        assert system.suspects() == [], "we live"

        def worker() -> None:
            semaphore.acquire()
            queue.send(b"job")

        support.in_child(worker)
        assert system.orphans() == []
        by_kind = {type(suspect.object): suspect for suspect in system.suspects()}
        assert by_kind.keys() == {ipc.SemaphoreSetStat, ipc.MessageQueueStat}
        assert {suspect.object.id for suspect in by_kind.values()} == {semaphore.id, queue.id}
        semaphore.release()
        queue.receive()
        assert system.suspects() == []

    support.in_namespace(inside)


def test_what_somebody_waits_on_is_not_suspected() -> None:
    def inside() -> None:
        semaphore, queue = ipc.Semaphore.create(), ipc.MessageQueue.create()

        def worker() -> None:
            semaphore.acquire()
            queue.send(b"", 2)

        support.in_child(worker)
        assert len(system.suspects()) == 2
        with (
            support.Child(semaphore.acquire) as taker,
            support.Child(lambda: queue.receive(1)) as receiver,
        ):
            support.wait_blocked(taker.pid)
            support.wait_blocked(receiver.pid)
            assert system.suspects() == []

    support.in_namespace(inside)


# Namespaces and the rest


def test_the_namespace_is_that_of_proc() -> None:
    ours = system.ipc_namespace()
    assert ours == Path("/proc/self/ns/ipc").stat().st_ino
    assert support.in_namespace(system.ipc_namespace) != ours


def test_a_list_of_thousands_is_quick() -> None:
    def inside() -> float:
        for _ in range(10_000):
            ipc.MessageQueue.create()
        begin = time.perf_counter()
        assert len(list(system.message_queues())) == 10_000
        return time.perf_counter() - begin

    assert support.in_namespace(inside) < 1.0


def test_every_name_is_documented() -> None:
    for name in system.__all__:
        assert getattr(system, name).__doc__, name
    assert system.__doc__


def test_the_module_can_be_imported_alone() -> None:
    code = "import sysv_ipc_rs.system as s; print(s.limits().semvmx)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert told.stdout == b"32767\n"
