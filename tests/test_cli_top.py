"""`sysv-ipc top`, driven by textual's own pilot: what it shows, and what keys and the mouse do."""

import asyncio
import os
import threading
import time

import pytest
import support
import sysv_ipc_rs as ipc

pytest.importorskip("textual")

from sysv_ipc_rs.cli._format import user_name
from sysv_ipc_rs.cli.top import _sample
from sysv_ipc_rs.cli.top._app import Top
from textual.pilot import Pilot
from top_support import again, drive, fill, ids, make_queues, notices, screen, table, until

# What is shown


def test_objects_stand_by_fill_level_with_bars() -> None:
    def inside() -> None:
        low, high, middle = make_queues(10, 96, 50)
        ipc.SharedMemory.create(0x1234, size=5 * 1024 * 1024, mode=0o640)
        ipc.SemaphoreSet.create(size=17)

        async def act(app: Top, _: Pilot[None]) -> None:
            text = screen(app)
            assert "5 objects" in text
            assert "5.0 MiB" in text
            assert "17 of" in text, "semaphores"
            rows = table(app)
            assert [row[1] for row in rows[:3]] == [str(q.id) for q in (high, middle, low)]
            assert [row[0] for row in rows[:3]] == ["queue"] * 3
            full = {row[1]: row[5].count("█") for row in rows[:3]}
            assert full[str(high.id)] > full[str(middle.id)] > full[str(low.id)]
            assert "96%" in rows[0]
            assert "50%" in rows[1]
            segment = next(row for row in rows if row[0] == "segment")
            assert segment[2:5] == ["0x00001234", user_name(os.getuid()), "640"]

        drive(act)

    support.in_namespace(inside)


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10), (10, 3)])
def test_every_size_of_a_terminal_is_filled(size: tuple[int, int]) -> None:
    def inside() -> None:
        make_queues(10, 96, 50)

        async def act(app: Top, pilot: Pilot[None]) -> None:
            screen(app)
            if size[0] >= 80:
                await until(pilot, lambda: "q Quit" in screen(app) and "96%" in screen(app))
            await pilot.press("enter")
            screen(app)
            await pilot.press("escape", "question_mark")
            screen(app)

        drive(act, size=size)

    support.in_namespace(inside)


def test_changes_since_the_sample_before_are_told() -> None:
    def inside() -> None:
        queue, semaphore = ipc.MessageQueue.create(), ipc.Semaphore.create()
        memory = ipc.SharedMemory.create(size=1)
        sampler = _sample.Sampler()

        def changes() -> dict[str, str]:
            return {row.kind.word: row.change for row in sampler.take().rows if row.change}

        assert changes() == {}
        assert changes() == {}
        queue.send(b"a")
        queue.send(b"b")
        attachment = memory.attach()
        assert changes() == {"queue": "+2 msg", "segment": "+1 att"}
        queue.receive()
        attachment.detach()
        assert changes() == {"queue": "-1 msg", "segment": "-1 att"}
        queue.chmod(0o644)
        assert changes() == {"queue": "set"}
        semaphore.acquire()
        time.sleep(1.1)  # the kernel's times are seconds
        semaphore.release()
        assert changes() == {"set": "used"}
        with support.Child(lambda: semaphore.acquire(2)) as waiter:
            support.wait_blocked(waiter.pid)
            assert changes()["set"] == "+1 wait"
        assert changes()["set"] == "-1 wait"
        ipc.SharedMemory.create(size=1)
        assert changes() == {"segment": "new"}

    support.in_namespace(inside)


def test_waiters_and_attached_processes_are_told() -> None:
    def inside() -> None:
        semaphore, queue = ipc.Semaphore.create(value=0), ipc.MessageQueue.create()
        memory = ipc.SharedMemory.create(size=1)
        with (
            support.Child(semaphore.acquire) as taker,
            support.Child(queue.receive) as receiver,
            memory.attach(),
            memory.attach(),
        ):
            support.wait_blocked(taker.pid)
            support.wait_blocked(receiver.pid)

            async def act(app: Top, _: Pilot[None]) -> None:
                rows = {row.kind.word: row for row in app._objects.rows}
                assert (rows["set"].waiting, rows["set"].pids) == (1, (taker.pid,))
                assert (rows["queue"].waiting, rows["queue"].pids) == (1, (receiver.pid,))
                assert (rows["segment"].attached, rows["segment"].pids) == (2, (os.getpid(),))
                shown = {words[0]: words for words in table(app)}
                assert shown["set"][-1] == str(taker.pid)
                assert shown["segment"][-1] == str(os.getpid())

            drive(act)

    support.in_namespace(inside)


def test_the_kernel_counts_waiters_whom_proc_hides() -> None:
    def inside() -> None:
        semaphore = ipc.Semaphore.create(value=0, mode=0o644)
        with support.Child(semaphore.acquire) as waiter:
            support.wait_blocked(waiter.pid)

            def stranger() -> tuple[int, tuple[int, ...]]:
                (row,) = _sample.Sampler().take().rows
                return row.waiting, row.pids

            assert stranger() == (1, (waiter.pid,))
            assert support.in_child(stranger, uid=support.NOBODY) == (1, ())
            semaphore.semaphore_set.chmod(0o600)
            assert support.in_child(stranger, uid=support.NOBODY) == (0, ())

    support.in_namespace(inside)


def test_the_summary_tells_limits() -> None:
    def inside() -> None:
        make_queues(1, 2, 3, 4)

        async def act(app: Top, _: Pilot[None]) -> None:
            line = screen(app).splitlines()[1]
            assert "80%" in line
            assert "4 of 5" in line
            assert "4 messages of 10 B" in line

        drive(act)

    support.in_namespace(inside, msgmni=5)


# Order and filter


def test_keys_sort_by_other_columns_and_reverse() -> None:
    def inside() -> None:
        one, two, three = map(str, (queue.id for queue in make_queues(30, 10, 20)))

        async def act(app: Top, pilot: Pilot[None]) -> None:
            assert ids(app) == [one, three, two]
            await pilot.press("r")
            assert ids(app) == [two, three, one]
            for _ in range(4):  # full, mode, owner, key, id
                await pilot.press("left")
            assert app._by == "id"
            assert ids(app) == [three, two, one]
            await pilot.press("r")
            assert ids(app) == [one, two, three]
            await pilot.press(*["left"] * 12)
            assert app._by == "id", "once round"

        drive(act)

    support.in_namespace(inside)


def test_a_filter_leaves_what_has_all_words() -> None:
    def inside() -> None:
        one, two = ipc.MessageQueue.create(0xABC), ipc.MessageQueue.create(0xABD)
        semaphore = ipc.Semaphore.create(0xABC, value=0)
        memory = ipc.SharedMemory.create(size=1)
        with support.Child(semaphore.acquire) as waiter:
            support.wait_blocked(waiter.pid)

            async def act(app: Top, pilot: Pilot[None]) -> None:
                async def filtered(text: str) -> set[tuple[str, str]]:
                    await pilot.press("slash")
                    app._line.value = text
                    await pilot.press("enter")
                    found = {(words[0], words[1]) for words in table(app)}
                    if text:
                        assert f"{len(found)} of 4 objects" in screen(app)
                    await again(app, pilot)
                    assert {(words[0], words[1]) for words in table(app)} == found
                    await pilot.press("escape")
                    assert len(table(app)) == 4
                    return found

                queues = {("queue", str(one.id)), ("queue", str(two.id))}
                set_ = ("set", str(semaphore.id))
                assert await filtered("queue") == queues
                assert await filtered("0x00000abc") == {("queue", str(one.id)), set_}
                assert await filtered("abc que") == {("queue", str(one.id))}
                assert await filtered(str(waiter.pid)) == {set_}
                assert await filtered("shared") == {("segment", str(memory.id))}
                assert await filtered("nothing") == set()

            drive(act)

    support.in_namespace(inside)


def test_a_filter_can_be_given_from_the_start() -> None:
    def inside() -> None:
        ipc.MessageQueue.create()
        ipc.Semaphore.create()

        async def act(app: Top, pilot: Pilot[None]) -> None:
            assert [words[0] for words in table(app)] == ["set"]
            assert app._line.display
            await pilot.press("escape")
            assert len(table(app)) == 2
            assert not app._line.display

        drive(act, words="set")

    support.in_namespace(inside)


def test_the_cursor_stays_with_its_object() -> None:
    def inside() -> None:
        one, two, three = make_queues(30, 20, 10)

        async def act(app: Top, pilot: Pilot[None]) -> None:
            assert app._objects.row is not None
            await pilot.press("down")
            assert app._objects.row.stat.id == two.id
            fill(three, 80)
            await again(app, pilot)
            assert ids(app) == [str(queue.id) for queue in (three, one, two)]
            assert app._objects.row.stat.id == two.id
            two.remove()
            await again(app, pilot)
            assert app._objects.row.stat.id == one.id, "the last that is left"
            one.remove()
            three.remove()
            await again(app, pilot)
            assert app._objects.row is None
            await pilot.press("down", "enter", "delete", "pagedown", "end")
            assert len(app.screen_stack) == 1

        drive(act)

    support.in_namespace(inside)


def test_before_it_is_moved_the_cursor_stays_on_top() -> None:
    def inside() -> None:
        one, two = make_queues(30, 20)

        async def act(app: Top, pilot: Pilot[None]) -> None:
            assert app._objects.row is not None
            assert app._objects.row.stat.id == one.id
            fill(two, 70)
            await again(app, pilot)
            assert app._objects.row.stat.id == two.id

        drive(act)

    support.in_namespace(inside)


def test_a_pause_lets_all_stand_still() -> None:
    def inside() -> None:
        (queue,) = make_queues(10)

        async def act(app: Top, pilot: Pilot[None]) -> None:
            await pilot.press("space")
            assert "paused" in screen(app)
            before = screen(app)
            fill(queue, 50)
            await asyncio.sleep(0.5)
            await pilot.pause()
            assert screen(app) == before
            await pilot.press("space")
            await until(pilot, lambda: "60%" in screen(app))

        drive(act)

    support.in_namespace(inside)


def test_keys_change_how_often_it_looks() -> None:
    async def act(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("minus")
        assert "every 2 s" in screen(app)
        await pilot.press("plus", "plus")
        assert "every 0.5 s" in screen(app)
        await pilot.press(*["plus"] * 3)
        assert "every 0.1 s" in screen(app)
        await pilot.press(*["minus"] * 10)
        assert "every 60 s" in screen(app)

    drive(act, interval=1.0)


# Ten thousand


def test_ten_thousand_objects_stay_fluid() -> None:
    def inside() -> None:
        for _ in range(5000):
            ipc.MessageQueue.create()
            ipc.Semaphore.create()

        async def act(app: Top, pilot: Pilot[None]) -> None:
            assert "10000 objects" in screen(app)
            assert app._objects.virtual_size.height == 10_000
            drawn: list[int] = []
            render = app._objects.render_line
            app._objects.render_line = lambda y: (drawn.append(y), render(y))[1]  # type: ignore[method-assign, func-returns-value]
            await again(app, pilot, 2)
            await pilot.press("pagedown", "end", "pageup", "home", "down")
            assert app._objects.cursor == 1
            assert max(drawn) < app._objects.size.height
            assert len(drawn) < 30 * app._objects.size.height, "only what is seen is drawn"

            late = []
            end = time.monotonic() + 2
            while time.monotonic() < end:
                begin = time.monotonic()
                await asyncio.sleep(0.005)
                late.append(time.monotonic() - begin)
            late.sort()
            assert late[len(late) // 2] < 0.1, "keys are answered while samples are taken"

            await pilot.press("slash", *"set", "enter")
            assert "5000 of 10000" in screen(app)

        drive(act, interval=0.2)

    support.in_namespace(inside)


def test_what_looks_as_before_is_not_drawn_again() -> None:
    def inside() -> None:
        queues = [ipc.MessageQueue.create() for _ in range(10)]

        async def act(app: Top, pilot: Pilot[None]) -> None:
            await again(app, pilot)
            drawn: list[int] = []
            render = app._objects.render_line
            app._objects.render_line = lambda y: (drawn.append(y), render(y))[1]  # type: ignore[method-assign, func-returns-value]
            await again(app, pilot, 5)
            assert drawn == []
            queues[7].chmod(0o644)
            await again(app, pilot)
            assert set(drawn) == {7}

        drive(act)

    support.in_namespace(inside)


def test_samples_are_taken_in_a_thread_that_ends_with_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    takers: set[threading.Thread] = set()
    take = _sample.Sampler.take

    def watched(self: _sample.Sampler) -> _sample.Sample:
        takers.add(threading.current_thread())
        return take(self)

    monkeypatch.setattr(_sample.Sampler, "take", watched)

    async def act(app: Top, pilot: Pilot[None]) -> None:
        await again(app, pilot)
        await pilot.press("q")

    drive(act)
    (taker,) = takers
    assert taker is not threading.main_thread()
    taker.join(10)
    assert not taker.is_alive()


def test_a_look_that_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    take = _sample.Sampler.take
    fails = False

    def sometimes(self: _sample.Sampler) -> _sample.Sample:
        if fails:
            raise OSError(5, "no /proc")  # its text begins with [Errno 5]
        return take(self)

    monkeypatch.setattr(_sample.Sampler, "take", sometimes)

    async def act(app: Top, pilot: Pilot[None]) -> None:
        nonlocal fails
        fails = True
        await until(pilot, lambda: "[Errno 5] no /proc" in notices(app))
        fails = False
        await again(app, pilot)

    drive(act)
