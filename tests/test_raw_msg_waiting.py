"""Waiting, as `raw.msgsnd` and `raw.msgrcv` have it from the kernel."""

import errno
import signal
import threading
from collections.abc import Callable

import pytest
import support
from support import Child, MakeQueue, fails, in_child, signal_when_blocked, wait_blocked, wait_for
from sysv_ipc_rs import raw
from sysv_ipc_rs.raw import IPC_NOWAIT, MSG_EXCEPT, MSG_NOERROR

Call = Callable[[int], object]

# Each on its full, or its empty, queue.
SEND: Call = lambda msqid: raw.msgsnd(msqid, 1, b"more")  # noqa: E731
RECEIVE: Call = lambda msqid: raw.msgrcv(msqid, 2**40)  # noqa: E731


@pytest.fixture(params=[SEND, RECEIVE], ids=["send", "receive"])
def waits(request: pytest.FixtureRequest, make_queue: MakeQueue) -> Callable[[], object]:
    """A call that has to wait."""
    msqid = make_queue(qbytes=4)
    if request.param is SEND:
        raw.msgsnd(msqid, 1, b"full")
    return lambda: request.param(msqid)


def received(msqid: int) -> tuple[int, bytes]:
    return raw.msgrcv(msqid, 100, 0, IPC_NOWAIT)


def test_runs_other_threads(make_queue: MakeQueue) -> None:
    msqid = make_queue(qbytes=4)
    got: list[object] = []
    receiver = threading.Thread(target=lambda: got.append(RECEIVE(msqid)))
    receiver.start()
    wait_blocked(receiver)
    raw.msgsnd(msqid, 7, b"full")
    receiver.join()
    assert got == [(7, b"full")]

    raw.msgsnd(msqid, 1, b"full")
    sender = threading.Thread(target=SEND, args=(msqid,))
    sender.start()
    wait_blocked(sender)
    assert received(msqid) == (1, b"full")
    sender.join()
    assert received(msqid) == (1, b"more")


@pytest.mark.parametrize("restart", [False, True])
def test_is_interrupted_once_the_handlers_have_run(
    waits: Callable[[], object], restart: bool
) -> None:
    ran: list[int] = []
    with support.handler(signal.SIGUSR1, lambda number, _: ran.append(number)):
        signal.siginterrupt(signal.SIGUSR1, not restart)
        with signal_when_blocked(), fails(errno.EINTR):
            waits()
    assert ran == [signal.SIGUSR1]


def test_raises_what_a_handler_raises(waits: Callable[[], object]) -> None:
    def refuse(*_: object) -> None:
        raise ZeroDivisionError

    with (
        support.handler(signal.SIGUSR1, refuse),
        signal_when_blocked(),
        pytest.raises(ZeroDivisionError),
    ):
        waits()


def test_an_interrupted_call_has_done_nothing(make_queue: MakeQueue) -> None:
    msqid = make_queue(qbytes=4)
    raw.msgsnd(msqid, 1, b"full")
    with support.handler(signal.SIGUSR1, lambda *_: None):
        with signal_when_blocked(), fails(errno.EINTR):
            SEND(msqid)
        assert received(msqid) == (1, b"full")
        with signal_when_blocked(), fails(errno.EINTR):
            RECEIVE(msqid)
    with fails(errno.ENOMSG):
        received(msqid)


def test_goes_on_after_a_stop(waits: Callable[[], object]) -> None:
    with Child(waits) as child:
        wait_blocked(child.pid)
        child.kill(signal.SIGSTOP)
        wait_for(lambda: support.state(child.pid) == "T")
        child.kill(signal.SIGCONT)
        wait_blocked(child.pid)


def test_ends_with_the_queue(make_queue: MakeQueue) -> None:
    empty, full = make_queue(qbytes=4), make_queue(qbytes=4)
    raw.msgsnd(full, 1, b"full")

    def end(call: Call, msqid: int) -> int | None:
        try:
            call(msqid)
        except OSError as error:
            return error.errno
        return None

    children = [Child(lambda: end(RECEIVE, empty)), Child(lambda: end(SEND, full))]
    for child in children:
        wait_blocked(child.pid)
    raw.msgctl(empty, raw.IPC_RMID)
    raw.msgctl(full, raw.IPC_RMID)
    assert [child.result() for child in children] == [errno.EIDRM] * 2


@pytest.mark.parametrize(
    ("msgtyp", "msgflg", "ignored", "taken"),
    [(2, 0, 1, 2), (-3, 0, 4, 3), (5, MSG_EXCEPT, 5, 4)],
)
def test_is_for_the_type_that_is_wanted(
    make_queue: MakeQueue, msgtyp: int, msgflg: int, ignored: int, taken: int
) -> None:
    msqid = make_queue()
    with Child(lambda: raw.msgrcv(msqid, 100, msgtyp, msgflg)) as child:
        wait_blocked(child.pid)
        raw.msgsnd(msqid, ignored, b"no")
        raw.msgsnd(msqid, taken, b"yes")
        assert child.result() == (taken, b"yes")
    assert received(msqid) == (ignored, b"no")


def test_with_too_little_room_ends_and_leaves_the_message(make_queue: MakeQueue) -> None:
    msqid = make_queue()
    with Child(lambda: raw.msgrcv(msqid, 2)) as child:
        wait_blocked(child.pid)
        raw.msgsnd(msqid, 1, b"longer")
        with fails(errno.E2BIG):
            child.result()
    assert received(msqid) == (1, b"longer")


@pytest.mark.parametrize(
    ("msgsz", "msgflg", "taken"), [(2**40, 0, 200_000), (150_000, MSG_NOERROR, 150_000)]
)
def test_for_a_message_larger_than_the_room_made_at_first(
    msgsz: int, msgflg: int, taken: int
) -> None:
    def inside() -> None:
        msqid = raw.msgget(raw.IPC_PRIVATE, 0o600)
        with Child(lambda: raw.msgrcv(msqid, msgsz, 0, msgflg)) as child:
            wait_blocked(child.pid)
            raw.msgsnd(msqid, 1, b"x" * 200_000)
            assert child.result() == (1, b"x" * taken)

    support.in_namespace(inside, msgmax=2**20, msgmnb=2**20)


def test_more_room_wakes_senders(make_queue: MakeQueue) -> None:
    msqid = make_queue(qbytes=4)
    raw.msgsnd(msqid, 1, b"full")
    with Child(lambda: SEND(msqid)) as child:
        wait_blocked(child.pid)
        ds = raw.msgctl(msqid, raw.IPC_STAT)
        raw.msgctl(msqid, raw.IPC_SET, ds._replace(msg_qbytes=8))
        child.result()
    assert [received(msqid), received(msqid)] == [(1, b"full"), (1, b"more")]


def test_a_message_that_never_fits_waits_for_ever(make_queue: MakeQueue) -> None:
    msqid = make_queue(qbytes=4)
    with Child(lambda: raw.msgsnd(msqid, 1, b"never")) as child:
        wait_blocked(child.pid)


@pytest.mark.skipif(not support.may_become(support.NOBODY), reason="needs root")
def test_ends_with_the_permission(make_queue: MakeQueue) -> None:
    msqid = make_queue(mode=0o666)
    with Child(lambda: RECEIVE(msqid), support.NOBODY) as child:
        wait_blocked(child.pid)
        ds = raw.msgctl(msqid, raw.IPC_STAT)
        perm = ds.msg_perm._replace(mode=0o600)
        raw.msgctl(msqid, raw.IPC_SET, ds._replace(msg_perm=perm))
        with fails(errno.EACCES):
            child.result()


def test_a_call_that_need_not_wait_is_never_interrupted(make_queue: MakeQueue) -> None:
    msqid = make_queue()

    def inside() -> None:
        with support.handler(signal.SIGALRM, lambda *_: None):
            signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
            for _ in range(20_000):
                raw.msgsnd(msqid, 1, b"m", IPC_NOWAIT)
                raw.msgrcv(msqid, 1)
            signal.setitimer(signal.ITIMER_REAL, 0)

    in_child(inside)
