"""The model does what the kernel does: random operations of three processes, in both."""

import os
import pickle
import random
import signal
from typing import Any

import kernel
import pytest
import support
import sysv_ipc_rs as ipc
from kernel import AGAIN, DONE, SLEEP, Op, Ops, Values, alters, perform, reverse
from sysv_ipc_rs import raw

SIZE, PROCESSES = 3, 3


class Model:
    """The rules of `search`, over operations that are not part of a protocol."""

    def __init__(self) -> None:
        self.values: Values = (1, 0, 1)
        self.undo: list[Values] = [(0,) * SIZE for _ in range(PROCESSES)]
        self.asleep: dict[int, Ops] = {}
        self.answers: dict[int, int] = {}

    def call(self, number: int, ops: Ops) -> None:
        code, self.values, self.undo[number] = perform(self.values, self.undo[number], ops, False)
        if code == SLEEP:
            self.asleep[number] = ops
            return
        self.answers[number] = code
        if code == DONE and alters(ops):
            self.wake()

    def kill(self, number: int) -> None:
        self.asleep.pop(number, None)
        self.values = reverse(self.values, self.undo[number])
        self.undo[number] = (0,) * SIZE
        self.wake()

    def wake(self) -> None:
        while self.wake_first(False) or self.wake_first(True):
            pass

    def wake_first(self, altering: bool) -> bool:
        for number, ops in self.asleep.items():
            if alters(ops) != altering:
                continue
            code, values, undo = perform(self.values, self.undo[number], ops, False)
            if code != SLEEP:
                self.values, self.undo[number], self.answers[number] = values, undo, code
                del self.asleep[number]
                return True
        return False


class Caller:
    """A process that makes one call after the other, and tells what came of it."""

    def __init__(self, semid: int) -> None:
        self.calls, self.told = os.pipe(), os.pipe()

        def serve() -> None:
            while ops := pickle.loads(os.read(self.calls[0], 4096)):
                try:
                    raw.semop(semid, ops)
                    code = DONE
                except BlockingIOError:
                    code = AGAIN
                os.write(self.told[1], bytes([code]))

        self.child = support.Child(serve)

    def call(self, ops: Ops) -> None:
        flags = [raw.SEM_UNDO * op.undo | raw.IPC_NOWAIT * op.now for op in ops]
        calls = [(op.place, op.delta, flag) for op, flag in zip(ops, flags, strict=True)]
        os.write(self.calls[1], pickle.dumps(calls))

    def answer(self) -> int:
        return os.read(self.told[0], 1)[0]

    def end(self) -> None:
        self.child.__exit__()
        for number in (*self.calls, *self.told):
            os.close(number)


def random_ops(chance: random.Random) -> Ops:
    """A few operations, most of them by one."""
    deltas = (-1, -1, -1, 0, 0, 1, 1, -2)
    return tuple(
        Op(
            chance.randrange(SIZE),
            chance.choice(deltas),
            chance.random() < 0.5,
            chance.random() < 0.3,
        )
        for _ in range(chance.choice((1, 1, 2, 3, 4)))
    )


@pytest.mark.parametrize("seed", range(25))
def test_the_model_agrees_with_the_kernel(seed: int, make_set: support.MakeSet) -> None:
    chance = random.Random(seed)
    semid = make_set(1, 0, 1)
    kernels = ipc.SemaphoreSet.from_id(semid)
    model = Model()
    callers: dict[int, Any] = {number: Caller(semid) for number in range(PROCESSES)}
    try:
        for _ in range(25):
            idle = [number for number in callers if number not in model.asleep]
            if len(callers) > 1 and (not idle or chance.random() < 0.05):
                victim = chance.choice(sorted(callers))
                callers[victim].child.kill(signal.SIGKILL)
                callers[victim].end()
                del callers[victim]
                model.kill(victim)
            elif idle:
                number = chance.choice(idle)
                ops = random_ops(chance)
                if any(value > 20 for value in model.values):
                    break
                model.call(number, ops)
                callers[number].call(ops)
            else:
                break
            for number, code in model.answers.items():
                assert callers[number].answer() == code
            model.answers.clear()
            for number in model.asleep:
                support.wait_blocked(callers[number].child.pid)
            assert kernels.values == model.values
    finally:
        for caller in callers.values():
            caller.end()


def test_the_model_has_the_kernels_limit() -> None:
    assert kernel.SEMVMX == raw.SEMVMX
