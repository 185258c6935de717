"""`sysv-ipc top`: details of an object, its removal, and the mouse."""

from pathlib import Path

import pytest
import support
import sysv_ipc_rs as ipc

pytest.importorskip("textual")

from sysv_ipc_rs.cli.top._app import Top
from sysv_ipc_rs.cli.top._screens import Details, Question, Window
from textual.pilot import Pilot
from top_support import again, drive, make_queues, notices, screen, table, until


def test_details_tell_all_and_are_kept_up_to_date() -> None:
    def inside() -> None:
        semaphore = ipc.Semaphore.create(0x77, value=0)
        with support.Child(semaphore.acquire) as waiter:
            support.wait_blocked(waiter.pid)

            async def act(app: Top, pilot: Pilot[None]) -> None:
                await pilot.press("enter")
                assert isinstance(app.screen, Details)
                name = Path(f"/proc/{waiter.pid}/comm").read_text().strip()
                await until(pilot, lambda: f"{waiter.pid} ({name})" in screen(app))
                text = screen(app)
                assert "0x00000077" in text
                assert "index 0, value 0" in text
                semaphore.release(3)
                waiter.join()
                await until(pilot, lambda: "index 0, value 2" in screen(app))
                semaphore.remove()
                await until(pilot, lambda: "removed" in screen(app))
                await pilot.press("escape")
                assert len(app.screen_stack) == 1
                assert table(app) == []

            drive(act, size=(120, 40))

    support.in_namespace(inside)


def test_details_can_be_scrolled_and_closed_in_every_way() -> None:
    def inside() -> None:
        ipc.MessageQueue.create()

        async def act(app: Top, pilot: Pilot[None]) -> None:
            for key in ("enter", "escape", "q"):
                await pilot.press("enter")
                assert isinstance(app.screen, Details)
                await pilot.press(key)
                assert len(app.screen_stack) == 1
            await pilot.press("enter")
            await pilot.click("#close")
            assert len(app.screen_stack) == 1
            await pilot.press("question_mark")
            assert type(app.screen) is Window
            assert "processes" not in screen(app)
            await pilot.press("end")
            await until(pilot, lambda: "processes" in screen(app))

        drive(act, size=(80, 24))

    support.in_namespace(inside)


def test_remove_asks_and_only_a_yes_removes() -> None:
    def inside() -> None:
        (queue,) = make_queues(10)

        async def act(app: Top, pilot: Pilot[None]) -> None:
            for keys in (("enter",), ("escape",), ("n",), ("q",), ("tab", "tab", "enter")):
                await pilot.press("delete")
                assert isinstance(app.screen, Question)
                assert f"Remove message queue {queue.id}?" in screen(app)
                await pilot.press(*keys)
                await until(pilot, lambda: len(app.screen_stack) == 1)
                await again(app, pilot)
                assert queue.stat()
            await pilot.press("d", "y")
            await until(pilot, lambda: "removed" in notices(app))
            with pytest.raises(ipc.RemovedError):
                queue.stat()
            await until(pilot, lambda: not table(app))

        drive(act)

    support.in_namespace(inside)


def test_remove_warns_of_those_who_use_it() -> None:
    def inside() -> None:
        (queue,) = make_queues(0)
        queue.receive()
        memory = ipc.SharedMemory.create(size=1)
        attachment = memory.attach()
        with support.Child(queue.receive) as receiver:
            support.wait_blocked(receiver.pid)

            async def act(app: Top, pilot: Pilot[None]) -> None:
                for row in app._objects.rows:
                    app._objects.cursor = list(app._objects.rows).index(row)
                    await pilot.press("delete")
                    text = " ".join(screen(app).split())
                    used = {"queue": "is waited on by process", "segment": "is used by process"}
                    assert used[row.kind.word] in text
                    assert str(receiver.pid) in text, "a fork has it attached, too"
                    await pilot.press("n")

            drive(act)
        attachment.detach()

    support.in_namespace(inside)


def test_what_is_another_object_by_now_is_kept() -> None:
    next_id = Path("/proc/sys/kernel/msg_next_id")

    def inside() -> None:
        try:
            next_id.write_text("4")
        except OSError:
            pytest.skip("can't choose the id of a new queue")
        queue = ipc.MessageQueue.create(0x55)

        async def act(app: Top, pilot: Pilot[None]) -> None:
            await pilot.press("space", "delete")
            queue.remove()
            next_id.write_text(str(queue.id))
            other = ipc.MessageQueue.create(0x56)
            assert other.id == queue.id
            await pilot.press("y")
            await until(pilot, lambda: "changed meanwhile" in notices(app))
            assert other.stat()

        drive(act)

    support.in_namespace(inside)


def test_what_can_not_be_removed_is_told() -> None:
    def inside() -> None:
        queue = ipc.MessageQueue.create(mode=0o644)

        async def gone(app: Top, pilot: Pilot[None]) -> None:
            await pilot.press("space", "delete")
            queue.remove()
            await pilot.press("y")
            await until(pilot, lambda: "removed" in notices(app))
            (notice,) = app._notifications
            assert notice.severity == "error"

        async def denied(app: Top, pilot: Pilot[None]) -> None:
            await pilot.press("delete", "y")
            await until(pilot, lambda: "only its owner" in notices(app))

        drive(gone)
        if support.may_become(support.NOBODY):
            other = ipc.MessageQueue.create(mode=0o644)
            support.in_child(lambda: drive(denied), uid=support.NOBODY)
            assert other.stat()

    support.in_namespace(inside)


# The mouse


def test_a_mouse_selects_opens_sorts_scrolls_and_removes() -> None:
    def inside() -> None:
        queues = make_queues(*range(90, 40, -1))

        async def act(app: Top, pilot: Pilot[None]) -> None:
            objects = app._objects
            await pilot.click(objects, offset=(5, 3))
            assert objects.cursor == 3
            await pilot.click(objects, offset=(5, 5), times=2)
            assert isinstance(app.screen, Details)
            await pilot.click("#close")
            assert objects.row
            assert objects.row.stat.id == queues[5].id

            objects.scroll_down(animate=False)
            await again(app, pilot)
            assert objects.scroll_offset.y == 1, "stays where it was scrolled to"
            await pilot.click(objects, offset=(5, 0))
            assert objects.cursor == 1

            id_ = next(place for place in app._headings.placed if place.column.heading == "id")
            await pilot.click(app._headings, offset=(id_.start + 1, 0))
            assert app._by == "id"
            assert objects.rows[0].stat.id == queues[-1].id
            await pilot.click(app._headings, offset=(id_.start + 1, 0))
            assert objects.rows[0].stat.id == queues[0].id

            await pilot.press("delete")
            await pilot.click("#keep")
            assert len(app.screen_stack) == 1
            await pilot.press("home", "delete")
            await pilot.click("#remove")
            await until(pilot, lambda: "removed" in notices(app))
            with pytest.raises(ipc.RemovedError):
                queues[0].stat()

        drive(act)

    support.in_namespace(inside)
