"""`BoundedSemaphore`, `Event`, `Condition`, `Barrier`: who is woken, and what a death changes."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from support import Holder
from sync_support import values
from sysv_ipc_rs import sync

Later = Callable[[Any], Any]
WAITING, NOTICES, ERA = 2, 3, 4
BROKEN = threading.BrokenBarrierError


@pytest.fixture
def tokens(remove_later: Later) -> sync.BoundedSemaphore:
    made: sync.BoundedSemaphore = remove_later(sync.BoundedSemaphore.create(value=2))
    return made


@pytest.fixture
def event(remove_later: Later) -> sync.Event:
    made: sync.Event = remove_later(sync.Event.create())
    return made


@pytest.fixture(params=[None, sync.Lock, sync.RLock])
def condition(request: pytest.FixtureRequest, remove_later: Later) -> sync.Condition:
    lock = request.param and remove_later(request.param.create())
    made: sync.Condition = remove_later(sync.Condition.create(lock=lock))
    return made


def barrier_of(parties: int, later: Later, **arguments: Any) -> sync.Barrier:
    made: sync.Barrier = later(sync.Barrier.create(parties=parties, **arguments))
    return made


def asleep(condition: sync.Condition) -> int:
    return ipc.Semaphore.from_id(condition.id, index=NOTICES).waiting


class Thread(threading.Thread):
    """A thread whose answer, or error, is asked for."""

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__()
        self._function = function
        self.start()

    def run(self) -> None:
        try:
            self.answer: object = self._function()
        except Exception as error:
            self.answer = error

    def result(self) -> object:
        self.join()
        return self.answer


def waiter(condition: sync.Condition, timeout: float | None = None) -> Callable[[], bool]:
    def wait() -> bool:
        with condition:
            return condition.wait(timeout)

    return wait


def raise_(*_: object) -> None:
    raise KeyError


def test_there_are_so_many_tokens(tokens: sync.BoundedSemaphore) -> None:
    with Holder(tokens.acquire, tokens.release):
        assert tokens.acquire()
        assert tokens.get_value() == 0
        assert not tokens.acquire(False)
        tokens.release()
        with pytest.raises(ValueError, match="too often"):
            tokens.release()
        assert tokens.get_value() == 1


def test_the_tokens_of_a_killed_process_go_to_who_waits(tokens: sync.BoundedSemaphore) -> None:
    def both() -> None:
        tokens.acquire()
        tokens.acquire()

    with Holder(both, lambda: None) as holder:
        waiting = Thread(lambda: tokens.acquire(timeout=30))
        support.wait_blocked(waiting)
        holder.child.kill()
        assert waiting.result() is True
    tokens.release()
    assert values(tokens) == (2, 0, 2)


def test_setting_an_event_wakes_all_also_if_it_is_cleared_at_once(event: sync.Event) -> None:
    threads = [Thread(event.wait) for _ in range(3)]
    for thread in threads:
        support.wait_blocked(thread)
    event.set()
    event.clear()
    assert [thread.result() for thread in threads] == [True] * 3
    assert not event.is_set()
    assert not event.wait(0.01)
    event.set()
    event.set()
    assert event.is_set()
    assert event.wait(0)


def test_no_death_matters_to_an_event(event: sync.Event) -> None:
    with support.Child(event.wait) as child:
        support.wait_blocked(child.pid)
        child.kill()
    support.in_child(event.set)
    assert event.wait(0)
    assert values(event) == (0,)


def test_as_many_are_notified_as_was_said_in_the_order_of_waiting(
    condition: sync.Condition,
) -> None:
    order: list[int] = []

    def wait(number: int) -> Callable[[], None]:
        def body() -> None:
            with condition:
                assert condition.wait()
                order.append(number)

        return body

    threads = []
    for number in range(5):
        threads.append(Thread(wait(number)))
        support.wait_for(lambda: asleep(condition) == number + 1, "it sleeps")  # noqa: B023
    for first, count in ((0, 1), (1, 2)):
        with condition:
            condition.notify(count)
        woken = threads[first : first + count]
        assert [thread.result() for thread in woken] == [None] * count
        assert asleep(condition) == 5 - first - count
    with condition:
        condition.notify_all()
    for thread in threads:
        thread.join()
    # Who is woken at once takes the lock in any order.
    assert [order[0], {*order[1:3]}, {*order[3:]}] == [0, {1, 2}, {3, 4}]
    assert values(condition)[WAITING : ERA + 1] == (0, 0, 0)


def test_nobody_is_notified_who_comes_later(condition: sync.Condition) -> None:
    with condition:
        condition.notify(3)
        condition.notify_all()
        condition.notify(0)
        assert not condition.wait(0.02)


def test_a_notification_goes_on_if_a_killed_waiter_had_it(condition: sync.Condition) -> None:
    with support.Child(waiter(condition)) as first:
        support.wait_blocked(first.pid)
        second = Thread(waiter(condition, 30))
        support.wait_for(lambda: asleep(condition) == 2, "both sleep")
        with condition:
            condition.notify()
            support.wait_for(lambda: asleep(condition) == 1, "the first has it")
            # It waits for the lock that we hold, and has not come back.
            first.kill()
            first.join()
        assert second.result() is True
    assert values(condition)[WAITING : NOTICES + 1] == (0, 0)


def test_a_waiter_whose_time_is_up_while_it_is_notified_is_told(
    condition: sync.Condition,
) -> None:
    waiting = Thread(waiter(condition, 0.05))
    support.wait_for(lambda: values(condition)[WAITING], "it is registered")
    with condition:
        support.wait_for(lambda: asleep(condition) == 0, "its time is up")
        condition.notify()
    assert waiting.result() is True


def test_a_stopped_waiter_is_notified_and_keeps_nobody_else_waiting(
    condition: sync.Condition,
) -> None:
    with support.Child(waiter(condition)) as stopped:
        support.wait_blocked(stopped.pid)
        stopped.kill(signal.SIGSTOP)
        support.wait_for(lambda: support.state(stopped.pid) == "T", "it is stopped")
        with condition:
            condition.notify()
        # A new waiter must not take what is the stopped one's, and be notified itself.
        with condition:
            assert not condition.wait(0.02)
        other = Thread(waiter(condition, 30))
        support.wait_for(lambda: asleep(condition) == 1, "another sleeps")
        with condition:
            condition.notify()
        assert other.result() is True
        stopped.kill(signal.SIGCONT)
        assert stopped.result() is True


def test_the_lock_is_held_again_after_a_handler_has_raised(condition: sync.Condition) -> None:
    with support.handler(signal.SIGUSR1, raise_), condition:
        with support.signal_when_blocked(), pytest.raises(KeyError):
            condition.wait()
        condition.notify()
        assert values(condition)[WAITING] == 0


def test_an_rlock_is_given_however_deep_and_taken_as_deep(remove_later: Later) -> None:
    condition: sync.Condition = remove_later(sync.Condition.create())
    with condition, condition, condition:
        notifying = Thread(lambda: notify_when_asleep(condition))
        assert condition.wait(30)
    assert notifying.result() is None
    with pytest.raises(RuntimeError):
        condition.release()


def notify_when_asleep(condition: sync.Condition) -> None:
    support.wait_for(lambda: asleep(condition) == 1, "it sleeps")
    with condition:
        condition.notify()


def test_wait_for_looks_again_after_each_notification(condition: sync.Condition) -> None:
    answers = iter([0, "", "yes"])

    def notify() -> None:
        for _ in range(2):
            notify_when_asleep(condition)

    notifying = Thread(notify)
    with condition:
        assert condition.wait_for(lambda: next(answers), 30) == "yes"
    notifying.join()
    with condition:
        assert condition.wait_for(list, 0.02) == []


def test_the_death_of_who_holds_a_conditions_lock_is_told_to_a_waiter(
    condition: sync.Condition,
) -> None:
    def wait() -> tuple[bool, bool]:
        with condition:
            return condition.wait(30), condition.owner_died

    def notify() -> None:
        condition.acquire()
        condition.notify()

    waiting = Thread(wait)
    support.wait_for(lambda: asleep(condition) == 1, "it sleeps")
    with Holder(notify, lambda: None) as holder:
        holder.child.kill()
    assert waiting.result() == (True, True)


def test_a_conditions_lock_may_have_two(remove_later: Later) -> None:
    lock = remove_later(sync.Lock.create())
    one, two = (remove_later(sync.Condition.create(lock=lock)) for _ in range(2))
    waiting = Thread(waiter(one, 30))
    support.wait_for(lambda: asleep(one) == 1, "it sleeps")
    with two:
        assert lock.locked()
        two.notify_all()
        assert asleep(one) == 1
        one.notify()
    assert waiting.result() is True


def test_each_has_an_index_and_one_acts_for_all(remove_later: Later) -> None:
    acted: list[int] = []

    def act() -> None:
        acted.append(sync.Barrier.from_id(number).n_waiting)

    barrier = barrier_of(3, remove_later, action=act)
    number: int = barrier.id
    rounds = [Thread(lambda: [barrier.wait(30) for _ in range(50)]) for _ in range(3)]
    indices = [thread.result() for thread in rounds]
    assert [sorted(each) for each in zip(*indices, strict=True)] == [[0, 1, 2]] * 50
    assert acted == [3] * 50
    assert (barrier.n_waiting, barrier.broken, barrier.parties) == (0, False, 3)


def test_processes_do_not_pass_before_all_have_come(remove_later: Later) -> None:
    barrier = barrier_of(3, remove_later)
    counter = remove_later(ipc.Semaphore.create(value=0))

    def work() -> bool:
        good = True
        for number in range(30):
            counter.release()
            barrier.wait(30)
            good &= counter.value >= 3 * (number + 1)
            barrier.wait(30)
        return good

    with support.Child(work) as first, support.Child(work) as second:
        assert work()
        assert first.result() is second.result() is True


def test_who_is_killed_before_it_passes_is_not_counted(remove_later: Later) -> None:
    barrier = barrier_of(3, remove_later)
    with support.Child(barrier.wait) as child:
        support.wait_blocked(child.pid)
        assert barrier.n_waiting == 1
        child.kill()
        child.join()
    assert barrier.n_waiting == 0
    threads = [Thread(lambda: barrier.wait(30)) for _ in range(2)]
    support.wait_for(lambda: barrier.n_waiting == 2, "two wait")
    assert sorted([barrier.wait(30), *(thread.result() for thread in threads)]) == [0, 1, 2]  # type: ignore[type-var]


def test_a_leader_that_is_killed_in_its_action_is_replaced(remove_later: Later) -> None:
    told = os.pipe()
    parent = os.getpid()

    def act() -> None:
        if os.getpid() != parent:
            os.write(told[1], b"x")
            signal.pause()

    barrier = barrier_of(2, remove_later, action=act)
    waiting = Thread(lambda: barrier.wait(30))
    support.wait_for(lambda: barrier.n_waiting == 1, "one waits")
    with support.Child(barrier.wait) as leader:
        os.read(told[0], 1)
        leader.kill()
        leader.join()
    assert {barrier.wait(30), waiting.result()} == {0, 1}
    for number in told:
        os.close(number)


def test_when_the_time_of_one_is_up_the_barrier_is_broken_for_all(remove_later: Later) -> None:
    barrier = barrier_of(3, remove_later, timeout=30)
    waiting = Thread(barrier.wait)
    support.wait_for(lambda: barrier.n_waiting == 1, "one waits")
    with pytest.raises(BROKEN):
        barrier.wait(0.02)
    assert isinstance(waiting.result(), BROKEN)
    assert barrier.broken
    with pytest.raises(BROKEN):
        barrier.wait()
    barrier.reset()
    assert not barrier.broken


@pytest.mark.parametrize("method", ["abort", "reset"])
def test_who_waits_is_told_that_the_barrier_is_broken(remove_later: Later, method: str) -> None:
    barrier = barrier_of(3, remove_later)
    threads = [Thread(lambda: barrier.wait(30)) for _ in range(2)]
    support.wait_for(lambda: barrier.n_waiting == 2, "two wait")
    for thread in threads:
        support.wait_blocked(thread)
    getattr(barrier, method)()
    assert all(isinstance(thread.result(), BROKEN) for thread in threads)
    assert barrier.broken == (method == "abort")
    barrier.reset()
    threads = [Thread(lambda: barrier.wait(30)) for _ in range(3)]
    assert sorted(thread.result() for thread in threads) == [0, 1, 2]  # type: ignore[type-var]


def test_an_action_that_raises_breaks_the_barrier(remove_later: Later) -> None:
    barrier = barrier_of(2, remove_later, action=raise_)
    waiting = Thread(lambda: barrier.wait(30))
    support.wait_for(lambda: barrier.n_waiting == 1, "one waits")
    with pytest.raises(KeyError):
        barrier.wait()
    assert isinstance(waiting.result(), BROKEN)
    assert barrier.broken
    assert values(barrier) == (2, 0, 2, 1, 1, 1)


def test_a_handler_that_raises_is_as_if_it_had_not_come(remove_later: Later) -> None:
    barrier = barrier_of(2, remove_later)
    handled = support.handler(signal.SIGUSR1, raise_)
    with handled, support.signal_when_blocked(), pytest.raises(KeyError):
        barrier.wait()
    assert (barrier.n_waiting, barrier.broken) == (0, False)


def test_more_than_the_parties_wait_for_the_next_round(remove_later: Later) -> None:
    barrier = barrier_of(2, remove_later)
    threads = [Thread(lambda: barrier.wait(30)) for _ in range(8)]
    assert sorted(thread.result() for thread in threads) == [0] * 4 + [1] * 4  # type: ignore[type-var]


def test_a_barrier_of_many(remove_later: Later) -> None:
    barrier = barrier_of(600, remove_later)
    assert barrier.parties == sync.Barrier.from_id(barrier.id).parties == 600
    with pytest.raises(BROKEN):
        barrier.wait(0)
