"""`sysv-ipc top`: how numbers read, and where columns stand."""

import pytest
import support
import sysv_ipc_rs as ipc

pytest.importorskip("textual")

from sysv_ipc_rs.cli import top
from sysv_ipc_rs.cli._fullness import percent
from sysv_ipc_rs.cli.top._columns import BLOCKS, COLUMNS, bar, place, size_text, sort
from sysv_ipc_rs.cli.top._sample import Sampler


@pytest.mark.parametrize("width", [1, 9, 40])
def test_a_bar_is_as_full_as_its_share(width: int) -> None:
    before = 0
    for share in (0, 0.1, 0.25, 0.5, 0.9, 0.99, 1, 5):
        full, rest = bar(share, width)
        assert len(full) + len(rest) == width
        eighths = 8 * full.count("█") + sum(BLOCKS.index(last) for last in full if last != "█")
        assert before <= eighths
        assert abs(eighths - min(share, 1) * 8 * width) <= 0.5
        before = eighths


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (0.0001, "<1%"), (0.01, "1%"), (0.999, "99%"), (1, "100%"), (12.5, "1250%")],
)
def test_a_percentage_is_rounded_down(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (102_399, "100 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (3 * 1024**3, "3.0 GiB"),
        (2**64 - 1, "16.0 EiB"),
    ],
)
def test_sizes_read_in_the_largest_unit(size: int, text: str) -> None:
    assert size_text(size) == text
    assert len(text) <= 8


def test_columns_stand_side_by_side_and_fit() -> None:
    for width in range(80, 400):
        placed = place(width)
        shown = {one.column.heading for one in placed}
        assert shown >= {"kind", "id", "key", "full", "size", "wait", "att", "change"}
        end = 0
        for column, start, size in placed:
            assert start == end + 1
            assert size >= column.width
            end = start + size
        assert end <= width


def test_all_columns_can_be_sorted_by_and_are_told() -> None:
    assert tuple(column.heading for column in COLUMNS) == top.HEADINGS
    for heading in ("full", "wait", "att", "change", "used", "processes"):
        assert f"\n{heading}" in top.KEYS

    def inside() -> None:
        sampler = Sampler()
        sampler.take()
        ipc.MessageQueue.create(max_bytes=10).send(b"12345")
        ipc.SemaphoreSet.create(size=3)
        ipc.SharedMemory.create(size=1)
        rows = sampler.take().rows
        for heading in top.HEADINGS:
            there, back = sort(rows, heading, False), sort(rows, heading, True)
            column = next(column for column in COLUMNS if column.heading == heading)
            orders = [column.order(row) for row in there]
            assert orders in (sorted(orders), sorted(orders, reverse=True))
            assert [column.order(row) for row in back] == orders[::-1]
        assert sort(rows, "full", False)[0].kind.word == "queue"

    support.in_namespace(inside)
