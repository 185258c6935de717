"""`PHPSemaphore` and PHP's own exclude each other, whoever starts or dies first."""

import os
import random
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

import programs
import pytest
import support
import sysv_ipc_rs as ipc
from programs import PHP_MODULES, Peer, program
from sysv_ipc_rs.interop import PHPSemaphore


@pytest.fixture
def key() -> Iterator[int]:
    """A free key, whose set is removed after the test."""
    free = support.free_key()
    yield free
    with suppress(ipc.NotFoundError):
        ipc.SemaphoreSet.open(free).remove()


@pytest.fixture
def php() -> Iterator[Peer]:
    with programs.php() as peer:
        yield peer


def get(php: Peer, key: int, *arguments: object) -> None:
    """PHP has it in $s."""
    listed = ", ".join(map(str, (key, *arguments)))
    assert php.ask(f"is_object($s = sem_get({listed}))") is True


def users(key: int) -> int:
    return ipc.SemaphoreSet.open(key).values[1]


def test_the_first_user_says_how_many_tokens_there_are(php: Peer, key: int) -> None:
    get(php, key, 2)
    with_us = PHPSemaphore.open_or_create(key, 5)
    assert (with_us.value, with_us.users) == (2, 2)
    php.ask("$s = null")
    assert with_us.users == 1
    get(php, key, 7)
    assert (with_us.value, with_us.users) == (2, 2)
    php.ask("$s = null")
    with_us.close()
    get(php, key, 3)
    again = PHPSemaphore.open_or_create(key, 9)
    assert (again.value, again.users) == (3, 2)


def test_php_waits_for_us(php: Peer, key: int) -> None:
    ours = PHPSemaphore.open_or_create(key)
    get(php, key)
    ours.acquire()
    assert php.ask("sem_acquire($s, true)") is False
    php.send("sem_acquire($s)")
    support.wait_blocked(php.pid)
    ours.release()
    assert php.answer() is True
    assert not ours.try_acquire()


def test_we_wait_for_php(php: Peer, key: int) -> None:
    get(php, key)
    ours = PHPSemaphore.open_or_create(key)
    assert php.ask("sem_acquire($s)") is True
    assert not ours.try_acquire()
    with pytest.raises(ipc.WaitTimeoutError):
        ours.acquire(timeout=0.001)

    def release_later() -> None:
        support.wait_blocked(main)
        php.ask("sem_release($s)")

    main = threading.get_native_id()
    releaser = threading.Thread(target=release_later)
    releaser.start()
    with ours as guard:
        releaser.join()
        assert guard.held
        assert php.ask("sem_acquire($s, true)") is False
    assert php.ask("sem_acquire($s, true)") is True


@pytest.mark.parametrize("auto_release", ["true", "false"])
def test_a_killed_php_gives_all_back(php: Peer, key: int, auto_release: str) -> None:
    ours = PHPSemaphore.open_or_create(key, 2)
    get(php, key, 2, "0666", auto_release)
    php.ask("sem_acquire($s) && sem_acquire($s)")
    assert (ours.value, ours.users) == (0, 2)
    with support.Child(lambda: PHPSemaphore.open_or_create(key).acquire()) as child:
        support.wait_blocked(child.pid)
        php.kill()
        assert child.result() is True
    assert (ours.value, ours.users) == (2, 1)


@pytest.mark.parametrize("auto_release", [True, False])
def test_what_a_killed_python_held_is_phps(php: Peer, key: int, auto_release: bool) -> None:
    def hold() -> None:
        ours = PHPSemaphore.open_or_create(key, 2, auto_release=auto_release)
        with ours.hold():
            ours.acquire()
            threading.Event().wait()

    with support.Child(hold) as child:
        support.wait_for(lambda: key_has(key, (0, 1, 0)), "it holds both")
        get(php, key)
        php.send("sem_acquire($s)")
        support.wait_blocked(php.pid)
        child.kill()
        assert php.answer() is True
    assert ipc.SemaphoreSet.open(key).values == (1, 1, 0)


def key_has(key: int, values: tuple[int, ...]) -> bool:
    with suppress(ipc.NotFoundError):
        return ipc.SemaphoreSet.open(key).values == values
    return False


@pytest.mark.parametrize("theirs", [True, False])
def test_a_death_while_coming_in_keeps_nobody_out(php: Peer, key: int, theirs: bool) -> None:
    entered = ipc.SemaphoreSet.create(key, 3)

    def half() -> None:
        # The first step of the protocol, after which it is killed.
        entered.op((2, 0), (2, 1, True), (1, 1, True))
        threading.Event().wait()

    def ours() -> int:
        return PHPSemaphore.open_or_create(key, 3).value

    with support.Child(half) as child:
        support.wait_for(lambda: entered.values == (0, 1, 1), "it comes in")
        with pytest.raises(ipc.WaitTimeoutError, match="coming in"):
            PHPSemaphore.open_or_create(key, timeout=0.001)
        if theirs:
            php.send(f"is_object($s = sem_get({key}, 3))")
            support.wait_blocked(php.pid)
            child.kill()
            assert php.answer() is True
        else:
            with support.Child(ours) as newcomer:
                support.wait_blocked(newcomer.pid)
                child.kill()
                assert newcomer.result() == 3
    assert entered.values == (3, int(theirs), 0)


def test_the_end_of_php_gives_back_and_leaves(php: Peer, key: int) -> None:
    ours = PHPSemaphore.open_or_create(key)
    get(php, key)
    php.ask("sem_acquire($s)")
    assert (ours.value, ours.users) == (0, 2)
    php.ask("$s = null")
    assert (ours.value, ours.users) == (1, 1)
    assert php.end() == 0
    assert (ours.value, ours.users) == (1, 1)


def test_without_auto_release_only_phps_end_gives_back(php: Peer, key: int) -> None:
    ours = PHPSemaphore.open_or_create(key)
    get(php, key, 1, "0666", "false")
    php.ask("sem_acquire($s)")
    php.ask("$s = null")
    assert (ours.value, ours.users) == (0, 2)
    assert php.end() == 0
    assert (ours.value, ours.users) == (1, 1)


def test_removal_ends_the_waits_of_both(php: Peer, key: int) -> None:
    ours = PHPSemaphore.open_or_create(key)
    get(php, key)
    ours.acquire()
    php.send("sem_acquire($s)")
    support.wait_blocked(php.pid)
    ours.remove()
    assert php.answer() is False
    assert "Identifier removed" in php.errors()
    with pytest.raises(ipc.RemovedError):
        ours.try_acquire()
    get(php, key)
    ours = PHPSemaphore.open_or_create(key)
    php.ask("sem_acquire($s)")
    with support.Child(lambda: PHPSemaphore.open_or_create(key).acquire()) as child:
        support.wait_blocked(child.pid)
        assert php.ask("sem_remove($s)") is True
        with pytest.raises(ipc.RemovedError):
            child.result()
    with pytest.raises(ipc.RemovedError):
        ours.remove()


# Who is in, how often somebody was, and how often two were at once.
SHARED = struct.Struct("@3q")

WORKER = r"""
[, $key, $memory] = $argv;
$m = shmop_open((int)$memory, 'w', 0, 0);
function word($at) { global $m; return unpack('q', shmop_read($m, $at, 8))[1]; }
function put($at, $value) { global $m; shmop_write($m, pack('q', $value), $at); }
function lives($pid) {
    $stat = @file_get_contents("/proc/$pid/stat");
    return $stat !== false && !preg_match('/\) [ZX] /', $stat);
}
$me = getmypid();
for (;;) {
    $s = sem_get((int)$key);
    for ($i = 0; $i < 50; $i++) {
        sem_acquire($s);
        for ($was = word(0); $was && lives($was);)
            if (word(0) != $was) { put(16, word(16) + 1); break; }
        put(0, $me);
        put(8, word(8) + 1);
        if (word(0) != $me) put(16, word(16) + 1);
        put(0, 0);
        sem_release($s);
    }
    $s = null;
}
"""


def lives(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return support.state(pid) not in "ZX"
    return False


def work(key: int, memory: ipc.SharedMemory) -> None:
    """The same in Python. A killed process may be inside still, but then it is dying."""
    me = os.getpid()
    with memory.attach() as attachment:

        def word(at: int) -> int:
            return int.from_bytes(attachment[at : at + 8], "little")

        def put(at: int, value: int) -> None:
            attachment[at : at + 8] = value.to_bytes(8, "little")

        while True:
            semaphore = PHPSemaphore.open_or_create(key)
            for _ in range(50):
                with semaphore:
                    was = word(0)
                    while was and lives(was):
                        if word(0) != was:
                            put(16, word(16) + 1)
                            break
                    put(0, me)
                    put(8, word(8) + 1)
                    if word(0) != me:
                        put(16, word(16) + 1)
                    put(0, 0)
            semaphore.close()


def test_exclusion_holds_through_start_and_death_of_either(key: int) -> None:
    php = program("php")
    memory = ipc.SharedMemory.create(support.free_key(), size=SHARED.size)
    command = [php, "-n", *PHP_MODULES, "-r", WORKER, "--", str(key), str(memory.key)]
    workers: list[Peer | support.Child] = []
    chance = random.Random(1)
    try:
        with memory.attach() as attachment:

            def rounds() -> int:
                return int(SHARED.unpack(attachment.read())[1])

            def go_on() -> None:
                goal = rounds() + 20
                support.wait_for(lambda: rounds() > goal, "they go on")

            for step in range(60):
                ours = step % 3 != 2
                workers.append(support.Child(lambda: work(key, memory)) if ours else Peer(*command))
                go_on()
                # Now and then all at once: the next one is the first user.
                dying = workers[:] if step % 12 == 11 else chance.sample(workers, len(workers) // 4)
                for worker in dying:
                    workers.remove(worker)
                    worker.kill()
                    worker.__exit__()
            assert SHARED.unpack(attachment.read())[2] == 0
        for worker in workers:
            worker.__exit__()
        workers.clear()
        assert ipc.SemaphoreSet.open(key).values == (1, 0, 0)
    finally:
        for worker in workers:
            worker.__exit__()
        memory.remove()
