"""`AsyncMessageQueue`: waiting for room, and what has been sent."""

import asyncio
import threading
import time

import pytest
import sysv_ipc_rs as ipc
from aio_support import Run, turns
from sysv_ipc_rs.aio import AsyncMessageQueue

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_send_waits_for_room(run: Run[None], full: ipc.MessageQueue) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(full) as messages:
            data = bytearray(b"first")
            tasks = [asyncio.create_task(messages.send(data, 2))]
            tasks += [asyncio.create_task(messages.send(b"%d" % n, 2)) for n in range(20)]
            await turns()
            data[:] = b"wrong"
            await asyncio.sleep(0.02)
            assert full.qsize() == 1
            reader = threading.Thread(
                target=lambda: received.extend(full.receive(timeout=30).data for _ in range(22))
            )
            received: list[bytes] = []
            reader.start()
            await asyncio.gather(*tasks)
            while reader.is_alive():
                await asyncio.sleep(0.001)
            assert received == [b"0123456789", b"first", *(b"%d" % n for n in range(20))]

    run(main())


def test_an_expired_or_cancelled_send_has_sent_nothing(
    run: Run[None], full: ipc.MessageQueue
) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(full) as messages:
            for seconds in (0, 1e-9, 0.0004, 0.03):
                for call in (
                    messages.send(b"x", timeout=seconds),
                    messages.send_many([b"x"], timeout=seconds),
                ):
                    started = time.monotonic()
                    with pytest.raises(ipc.WaitTimeoutError) as caught:
                        await call
                    assert seconds <= time.monotonic() - started < seconds + 5
                    assert caught.value.call == "msgsnd"
            head, second = (asyncio.create_task(messages.send(b"%d" % n)) for n in range(2))
            await asyncio.sleep(0.01)
            head.cancel()
            await asyncio.wait([head])
            assert full.receive(timeout=0).data == b"0123456789"
            await second
            assert full.receive(timeout=0).data == b"1"
            assert full.qsize() == 0

    run(main())


def test_a_waiting_send_hears_of_what_its_loop_receives(
    run: Run[None], full: ipc.MessageQueue
) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(full) as messages:
            for _ in range(20):
                task = asyncio.create_task(messages.send(b"0123456789"))
                await turns()
                await messages.receive()
                await turns(2)
                assert task.done(), "without a pause"

    run(main())


def test_messages_that_can_never_fit_are_refused(run: Run[None], full: ipc.MessageQueue) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(full) as messages:
            waiting = asyncio.create_task(messages.send(b"x"))
            behind = asyncio.create_task(messages.send(b"x" * 11))
            await turns()
            with pytest.raises(ipc.MessageTooBigError):
                await messages.send(b"x" * 11, timeout=0)
            with pytest.raises(ipc.MessageTooBigError):
                await messages.send_many([b"x", b"x" * 11])
            full.receive()
            await waiting
            with pytest.raises(ipc.MessageTooBigError):
                await behind
            assert full.qsize() == 1

    run(main())


def test_send_many_sends_in_order_as_there_is_room(run: Run[None], full: ipc.MessageQueue) -> None:
    async def main() -> None:
        async with AsyncMessageQueue(full) as messages:
            many = [b"%d" % number for number in range(10, 500)]
            task = asyncio.create_task(messages.send_many(iter(many), 4))
            late = asyncio.create_task(messages.send_many([(5, b"late")]))
            reader = threading.Thread(
                target=lambda: received.extend(full.receive(timeout=30) for _ in range(492))
            )
            received: list[ipc.Message] = []
            reader.start()
            assert await task == 490
            assert await late == 1
            while reader.is_alive():
                await asyncio.sleep(0.001)
            assert received[1:-1] == [ipc.Message(4, data) for data in many]
            assert received[-1] == ipc.Message(5, b"late")
            assert await messages.send_many([]) == 0

    run(main())


def test_send_many_tells_how_many_went(run: Run[None], full: ipc.MessageQueue) -> None:
    async def main() -> None:
        full.receive()
        async with AsyncMessageQueue(full) as messages:
            assert await messages.send_many([b"12345"] * 3, timeout=0.02) == 2
            with pytest.raises(ipc.WaitTimeoutError):
                await messages.send_many([b"12345"] * 3, timeout=0.001)
            full.receive()
            task = asyncio.create_task(messages.send_many([b"12345"] * 3))
            await turns()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert caught.value.sent == 1  # type: ignore[attr-defined]
            full.receive()
            task = asyncio.create_task(messages.send_many([b"12345"] * 3))
            await turns()
            full.remove()
            assert await task == 1, "the error comes with the next call"
            with pytest.raises(ipc.RemovedError):
                await messages.send_many([b"12345"])

    run(main())
