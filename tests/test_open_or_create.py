"""Nobody ever works with uninitialised values, also when a creator dies in the middle."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from support import NOBODY
from sysv_ipc_rs import Semaphore, SemaphoreSet

CREATE = 0o1000

# Stops the process before its n-th semop or its first SETALL, as `STOP` says.
SHIM = r"""
#define _GNU_SOURCE
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

static int operations;

int semop(int id, struct sembuf *ops, size_t count) {
    const char *stop = getenv("STOP");
    if (stop && ++operations == atoi(stop))
        raise(SIGSTOP);
    return syscall(SYS_semop, id, ops, count);
}

int semctl(int id, int number, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    const char *stop = getenv("STOP");
    if (stop && command == SETALL && !strcmp(stop, "SETALL"))
        raise(SIGSTOP);
    return syscall(SYS_semctl, id, number, command, argument);
}
"""

# The ways in which C programs initialise a set of two.
PROGRAM = r"""
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>

int main(int count, char **arguments) {
    int id = semget(atoi(arguments[1]), 2, IPC_CREAT | IPC_EXCL | 0600);
    unsigned short values[2] = {3, 4}, zeros[2] = {0, 0};
    struct sembuf give[2] = {{0, 3, 0}, {1, 4, 0}}, nothing = {1, 0, 0};
    const char *how = arguments[2];
    if (id < 0 || count != 3)
        return 1;
    if (!strcmp(how, "SETALL"))
        return semctl(id, 0, SETALL, values);
    if (!strcmp(how, "SETALL to zero"))
        return semctl(id, 0, SETALL, zeros);
    if (!strcmp(how, "SETVAL"))
        return semctl(id, 1, SETVAL, 4);
    if (!strcmp(how, "SETVAL to zero"))
        return semctl(id, 1, SETVAL, 0);
    if (!strcmp(how, "semop"))
        return semop(id, give, 2);
    if (!strcmp(how, "semop that changes nothing"))
        return semop(id, &nothing, 1);
    return strcmp(how, "nothing");
}
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return support.compiled(tmp_path_factory.mktemp("shim"), SHIM, "-shared", "-fPIC")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return support.compiled(tmp_path_factory.mktemp("program"), PROGRAM)


@pytest.fixture
def key() -> Iterator[int]:
    """A free key; what is made with it is removed."""
    free = support.free_key()
    yield free
    with suppress(ipc.NotFoundError):
        SemaphoreSet.open(free).remove()


class Creator:
    """A process that makes a set by `call` and is stopped in the middle."""

    def __init__(self, shim: Path, stop: str, call: str) -> None:
        code = f"from sysv_ipc_rs import SemaphoreSet\nmade = SemaphoreSet.{call}\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code + "print(made.id, *made.values)"],
            env={**os.environ, "LD_PRELOAD": str(shim), "STOP": stop},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        support.wait_for(lambda: support.state(self.process.pid) == "T", "the creator's stop")

    def proceed(self) -> tuple[list[int], str]:
        """Id and values of what it made, and what it said on stderr."""
        self.process.send_signal(signal.SIGCONT)
        told, said = self.process.communicate(timeout=60)
        return list(map(int, told.split())), said

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def pristine(key: int, size: int = 1, mode: int = 0o600) -> int:
    """The id of a set that nobody has initialised."""
    return support.semget(key, size, CREATE | mode)


class TestCreatorsThatAreStopped:
    def test_are_waited_for(self, shim: Path, key: int) -> None:
        creator = Creator(shim, "1", f"create({key}, 2, values=[5, 6])")
        with support.Child(lambda: SemaphoreSet.open_or_create(key, 2, values=9)) as opener:
            support.wait_for(lambda: support.state(opener.pid) == "S")
            (number, *values), _ = creator.proceed()
            opened = opener.result()
        assert isinstance(opened, SemaphoreSet)
        assert opened.id == number
        assert opened.values == tuple(values) == (5, 6)

    @pytest.mark.parametrize("values", [0, 5, [0, 6], [6, 0]])
    def test_lose_their_set_and_start_over(self, shim: Path, key: int, values: Any) -> None:
        expected = [values] * 2 if isinstance(values, int) else values
        creator = Creator(shim, "1", f"open_or_create({key}, 2, values={values})")
        lost = SemaphoreSet.open(key)
        opened = SemaphoreSet.open_or_create(key, 2, values=values, timeout=0.02)
        assert opened != lost
        assert list(opened.values) == expected
        assert creator.proceed() == ([opened.id, *expected], "")
        assert list(opened.values) == expected

    def test_find_that_create_is_too_late(self, shim: Path, key: int) -> None:
        creator = Creator(shim, "1", f"create({key}, 2, values=5)")
        opened = SemaphoreSet.open_or_create(key, 2, values=6, timeout=0.02)
        told, said = creator.proceed()
        assert not told
        assert "AlreadyExistsError" in said
        assert opened.values == (6, 6)

    def test_create_anew_what_is_only_gone(self, shim: Path, key: int) -> None:
        creator = Creator(shim, "1", f"create({key}, 2, values=5)")
        lost = SemaphoreSet.open(key)
        lost.remove()
        (number, *values), _ = creator.proceed()
        assert number != lost.id
        assert values == [5, 5]

    @pytest.mark.parametrize(
        ("size", "stop"), [(500, "1"), (501, "1"), (501, "SETALL"), (1000, "SETALL")]
    )
    def test_of_large_sets_too(self, shim: Path, key: int, size: int, stop: str) -> None:
        creator = Creator(shim, stop, f"open_or_create({key}, {size}, values=range(1, {size + 1}))")
        lost = SemaphoreSet.open(key)
        opened = SemaphoreSet.open_or_create(key, size, values=range(1, size + 1), timeout=0.02)
        expected = list(range(1, size + 1))
        assert opened != lost
        assert creator.proceed() == ([opened.id, *expected], "")
        assert list(opened.values) == expected

    def test_of_large_sets_keep_what_has_its_values(self, shim: Path, key: int) -> None:
        """Between SETALL and the operation that tells the time it is ready."""
        creator = Creator(shim, "2", f"create({key}, 501, values=7)")
        opened = SemaphoreSet.open_or_create(key, 501, values=8, timeout=0)
        assert opened.values == (7,) * 501
        assert opened.stat().otime == 0
        opened[0].acquire(7)
        told, _ = creator.proceed()
        assert told == [opened.id, 0, *(7,) * 500]

    def test_keep_a_set_of_zeros_that_is_in_use(self, shim: Path, key: int) -> None:
        creator = Creator(shim, "1", f"create({key}, 1, values=0)")
        early = Semaphore.open(key)
        early.release(3)
        assert creator.proceed() == ([early.id, 3], "")

    @pytest.mark.parametrize("mode", [0, 0o400, 0o222])
    def test_with_a_mode_that_hinders_themselves(self, shim: Path, key: int, mode: int) -> None:
        creator = Creator(shim, "1", f"create({key}, 1, values=4, mode={mode})")
        creator.proceed()
        assert SemaphoreSet.open_or_create(key).values == (4,)
        assert SemaphoreSet.open(key).stat().mode == mode


class TestCreatorsThatDied:
    @pytest.mark.parametrize(
        ("size", "stop"), [(1, "1"), (2, "1"), (500, "1"), (501, "1"), (501, "SETALL")]
    )
    def test_leave_a_set_that_is_made_anew(
        self, shim: Path, key: int, size: int, stop: str
    ) -> None:
        creator = Creator(shim, stop, f"create({key}, {size}, values=5, mode=0o666)")
        creator.kill()
        left = SemaphoreSet.open(key)
        start = time.monotonic()
        opened = SemaphoreSet.open_or_create(key, size, values=6, timeout=0.1)
        assert time.monotonic() - start >= 0.1
        assert opened.id != left.id
        assert opened.values == (6,) * size
        assert opened.stat().mode == 0o600
        with pytest.raises(ipc.RemovedError):
            left.stat()

    def test_after_setall_leave_a_set_that_is_ready(self, shim: Path, key: int) -> None:
        Creator(shim, "2", f"create({key}, 501, values=5)").kill()
        left = SemaphoreSet.open(key)
        opened = SemaphoreSet.open_or_create(key, 501, values=6, timeout=0)
        assert opened == left
        assert opened.values == (5,) * 501

    @pytest.mark.parametrize("timeout", [0, 1e-9, 0.01])
    def test_any_timeout_will_do(self, key: int, timeout: float) -> None:
        left = pristine(key)
        opened = Semaphore.open_or_create(key, 3, timeout=timeout)
        assert opened.id != left
        assert opened.value == 3

    def test_without_a_timeout_are_waited_for(self, key: int) -> None:
        left = SemaphoreSet.from_id(pristine(key))
        opening = lambda: SemaphoreSet.open_or_create(key, timeout=None)  # noqa: E731
        with support.Child(opening) as opener:
            support.wait_for(lambda: support.state(opener.pid) == "S")
            left[0].release()
            assert opener.result() == left

    def test_a_set_that_vanishes_meanwhile_is_made_anew(self, key: int) -> None:
        left = SemaphoreSet.from_id(pristine(key, 2))
        opening = lambda: SemaphoreSet.open_or_create(key, 2, values=3)  # noqa: E731
        with support.Child(opening) as opener:
            support.wait_for(lambda: support.state(opener.pid) == "S")
            left.remove()
            opened = opener.result()
        assert isinstance(opened, SemaphoreSet)
        assert opened.values == (3, 3)

    def test_a_smaller_one_is_told_by_its_size(self, key: int) -> None:
        left = pristine(key, 1)
        with pytest.raises(ipc.IPCError, match=r"2 .* has 1"):
            SemaphoreSet.open_or_create(key, 2, timeout=0)
        assert SemaphoreSet.open(key).id == left


class TestOfAnotherUser:
    def test_a_pristine_set_is_left_alone_and_named(self, key: int) -> None:
        left = support.in_child(lambda: pristine(key, mode=0o666), uid=NOBODY)
        start = time.monotonic()
        with pytest.raises(ipc.WaitTimeoutError, match=rf"id {left}\b.*another user") as caught:
            SemaphoreSet.open_or_create(key, timeout=0.1)
        assert time.monotonic() - start >= 0.1
        assert caught.value.errno == errno.ETIMEDOUT
        assert SemaphoreSet.open(key).id == left

    def test_a_creator_counts_who_has_given_it_away(self, key: int) -> None:
        left = SemaphoreSet.from_id(support.in_child(lambda: pristine(key, mode=0o666), uid=NOBODY))
        left.chown(os.geteuid())
        with pytest.raises(ipc.WaitTimeoutError, match=f"id {left.id}"):
            SemaphoreSet.open_or_create(key, timeout=0)
        assert left.stat().size == 1

    @support.needs_other_users
    def test_our_own_is_made_anew_though_given_away(self, key: int) -> None:
        left = SemaphoreSet.from_id(pristine(key))
        left.chown(NOBODY)
        assert SemaphoreSet.open_or_create(key, timeout=0).id != left.id

    def test_one_that_hides_its_values_is_waited_for(self, key: int) -> None:
        left = SemaphoreSet.from_id(pristine(key, mode=0o622))
        with support.Child(lambda: SemaphoreSet.open_or_create(key), uid=NOBODY) as opener:
            support.wait_for(lambda: support.state(opener.pid) == "S")
            left[0].release()
            assert opener.result() == left

    def test_one_that_hides_its_values_is_refused_in_the_end(self, key: int) -> None:
        left = SemaphoreSet.from_id(pristine(key, mode=0o622))
        left[0].value = 1
        with pytest.raises(ipc.AccessDeniedError, match="hides"):
            support.in_child(lambda: SemaphoreSet.open_or_create(key, timeout=0.01), uid=NOBODY)
        assert left.stat().size == 1


class TestSetsOfCPrograms:
    @pytest.mark.parametrize(
        "how",
        [
            "SETALL",
            "SETALL to zero",
            "SETVAL",
            "SETVAL to zero",
            "semop",
            "semop that changes nothing",
        ],
    )
    def test_that_are_initialised_are_opened_at_once(
        self, program: Path, key: int, how: str
    ) -> None:
        subprocess.run([program, str(key), how], check=True)
        made = SemaphoreSet.open(key)
        values = made.values
        opened = SemaphoreSet.open_or_create(key, 2, values=9, timeout=0)
        assert opened == made
        assert opened.values == values

    def test_that_are_not_are_made_anew(self, program: Path, key: int) -> None:
        subprocess.run([program, str(key), "nothing"], check=True)
        made = SemaphoreSet.open(key)
        opened = SemaphoreSet.open_or_create(key, 2, values=9, timeout=0)
        assert opened != made
        assert opened.values == (9, 9)

    @pytest.mark.skipif(not shutil.which("ipcmk"), reason="needs util-linux")
    @pytest.mark.parametrize("used", [False, True])
    def test_of_ipcmk_count_as_abandoned_until_used(self, used: bool, remove_later: Any) -> None:
        told = subprocess.run(["ipcmk", "-S", "2"], capture_output=True, check=True).stdout
        made = SemaphoreSet.from_id(int(told.split()[-1]))
        if used:
            made.try_op((0, 0))
        opened = remove_later(SemaphoreSet.open_or_create(made.key, 2, values=3, timeout=0.01))
        assert (opened == made) is used
        assert opened.values == ((0, 0) if used else (3, 3))


@pytest.mark.parametrize("kind", [Semaphore, SemaphoreSet])
def test_what_exists_keeps_its_values_and_mode(kind: Callable[..., Any], key: int) -> None:
    made = kind.open_or_create(key, mode=0o640)  # type: ignore[attr-defined]
    again = kind.open_or_create(key, 1, mode=0o666)  # type: ignore[attr-defined]
    assert again == made
    assert SemaphoreSet.open(key).stat().mode == 0o640


def test_an_opener_of_a_ready_set_needs_no_waiting(key: int) -> None:
    made = SemaphoreSet.create(key)
    assert SemaphoreSet.open_or_create(key, timeout=0) == made
    made[0].release()
    made[0].acquire()
    assert SemaphoreSet.open_or_create(key, timeout=0) == made
