"""What is in `sync` goes to other processes by pickle, id and key, and to nobody else."""

from __future__ import annotations

import base64
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import support
import sysv_ipc_rs as ipc
from support import NOBODY, name
from sync_support import CREATE, OPEN_OR_CREATE, values
from sysv_ipc_rs import sync

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

kinds = pytest.mark.parametrize("kind", CREATE, ids=name)


def use(handle: Any) -> tuple[object, ...]:
    """Something that changes nothing in the end."""
    match handle:
        case sync.RWLock():
            with handle.reader():
                pass
            with handle.writer():
                return (handle.id, "write")
        case sync.Event():
            return (handle.id, handle.is_set())
        case sync.Barrier():
            return (handle.id, handle.parties, handle.n_waiting, handle.broken)
        case sync.BoundedSemaphore():
            with handle:
                return (handle.id, handle.get_value())
        case _:
            with handle:
                return (handle.id, handle.owner_died)


class TestPickled:
    @kinds
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize("keyed", [False, True])
    def test_it_is_the_same_object(
        self, remove_later: Any, kind: Any, protocol: int, keyed: bool
    ) -> None:
        made = remove_later(CREATE[kind](support.free_key() if keyed else ipc.IPC_PRIVATE))
        again = pickle.loads(pickle.dumps(made, protocol))
        assert type(again) is kind
        assert (again, hash(again), again.id, again.key) == (made, hash(made), made.id, made.key)
        assert use(again) == use(made)

    @kinds
    def test_what_is_gone_is_not_opened(self, remove_later: Any, kind: Any) -> None:
        made = CREATE[kind](support.free_key())
        told = pickle.dumps(made)
        made.remove()
        with pytest.raises(ipc.RemovedError):
            pickle.loads(told)
        remove_later(CREATE[kind](made.key))
        with pytest.raises(ipc.RemovedError):
            pickle.loads(told)

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_it_goes_to_other_processes(self, remove_later: Any, method: str) -> None:
        handles = [remove_later(create()) for create in CREATE.values()]
        before = [values(handle) for handle in handles]
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            for handle in handles:
                assert pool.submit(use, handle).result() == use(handle)
                assert pool.submit(type, handle).result() is type(handle)
        assert [values(handle) for handle in handles] == before

    def test_it_goes_to_unrelated_processes(self, remove_later: Any) -> None:
        handles = [remove_later(create()) for create in CREATE.values()]
        told = base64.b64encode(pickle.dumps(handles)).decode()
        code = """if True:
            import base64, pickle, sys
            for handle in pickle.loads(base64.b64decode(sys.argv[1])):
                print(type(handle).__name__, handle.id)
        """
        expected = [f"{type(handle).__name__} {handle.id}" for handle in handles]
        assert support.python_prints(code, told).splitlines() == expected

    def test_a_barriers_action_and_timeout_go_along(self, remove_later: Any) -> None:
        made = remove_later(sync.Barrier.create(parties=1, action=os.getpid, timeout=7.5))
        again = pickle.loads(pickle.dumps(made))
        assert again.parties == 1
        assert again.wait() == 0
        two = remove_later(sync.Barrier.create(parties=2, timeout=0.001))
        with pytest.raises(threading.BrokenBarrierError):
            pickle.loads(pickle.dumps(two)).wait()

    @pytest.mark.parametrize("kind", [sync.Lock, sync.RLock], ids=name)
    def test_a_conditions_lock_goes_along(self, remove_later: Any, kind: Any) -> None:
        lock = remove_later(kind.create())
        condition = remove_later(sync.Condition.create(lock=lock))
        with pickle.loads(pickle.dumps(condition)):
            assert lock.locked()
            assert not support.in_child(lambda: lock.acquire(False))
        assert not lock.locked()


class TestOtherWays:
    @kinds
    def test_by_id_and_by_key(self, remove_later: Any, kind: Any) -> None:
        made = remove_later(CREATE[kind](support.free_key()))
        for again in (
            kind.open(made.key),
            kind.from_id(made.id),
            OPEN_OR_CREATE[kind](made.key),
            kind.open(made.key, owner=os.geteuid()),
            kind.from_id(made.id, owner=os.geteuid()),
            OPEN_OR_CREATE[kind](made.key, owner=os.geteuid()),
        ):
            assert again == made
            assert again.key == made.key
            assert use(again) == use(made)

    @kinds
    def test_by_name_from_unrelated_processes(self, remove_later: Any, kind: Any) -> None:
        made = remove_later(CREATE[kind](support.free_key()))
        code = f"import sys; from sysv_ipc_rs.sync import {kind.__name__} as kind; " + (
            "print(kind.open(int(sys.argv[1])).id)"
        )
        assert support.python_prints(code, made.key) == f"{made.id}\n"

    @kinds
    def test_what_is_there_is_not_created_again(self, remove_later: Any, kind: Any) -> None:
        made = remove_later(CREATE[kind](support.free_key()))
        with pytest.raises(ipc.AlreadyExistsError):
            CREATE[kind](made.key)
        made.remove()
        with pytest.raises(ipc.NotFoundError):
            kind.open(made.key)
        again = remove_later(OPEN_OR_CREATE[kind](made.key))
        assert again != made
        assert use(again)


class TestStrangers:
    @kinds
    def test_are_kept_out_by_default(self, remove_later: Any, kind: Any) -> None:
        made = remove_later(CREATE[kind](support.free_key()))
        told = pickle.dumps(made)
        assert made.stat().mode == 0o600

        def stranger() -> None:
            with pytest.raises(ipc.AccessDeniedError):
                use(kind.open(made.key))
            with pytest.raises(ipc.AccessDeniedError):
                use(pickle.loads(told))
            with pytest.raises(ipc.AccessDeniedError):
                made.remove()

        before = values(made)
        support.in_child(stranger, uid=NOBODY)
        assert values(made) == before

    @kinds
    def test_come_in_by_the_mode(self, remove_later: Any, kind: Any) -> None:
        made = remove_later(CREATE[kind](support.free_key(), mode=0o666))
        assert support.in_child(lambda: use(kind.open(made.key)), uid=NOBODY) == use(made)

    @kinds
    def test_are_not_trusted_as_owners(self, remove_later: Any, kind: Any) -> None:
        made = remove_later(CREATE[kind](support.free_key(), mode=0o666))

        def stranger() -> None:
            ours = os.geteuid()
            calls: list[Callable[[], object]] = [
                lambda: kind.open(made.key, owner=ours),
                lambda: kind.from_id(made.id, owner=ours),
                lambda: OPEN_OR_CREATE[kind](made.key, owner=ours),
            ]
            for call in calls:
                with pytest.raises(ipc.UntrustedOwnerError):
                    call()
            assert kind.open(made.key, owner=made.stat().uid) == made

        support.in_child(stranger, uid=NOBODY)

    @kinds
    def test_make_nothing_for_others(self, kind: Any) -> None:
        before = support.objects()
        with pytest.raises(ipc.NotFoundError):
            OPEN_OR_CREATE[kind](support.free_key(), owner=os.geteuid() + 1)
        assert support.objects() == before
