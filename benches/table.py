"""`make bench`: measures everything in one run, prints one table, and keeps it as JSON."""

import argparse
import contextlib
import json
import os
import platform
import sys
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path

import charts
from _timing import call_price, fastest
from works import FLOOR, OURS, C, NotHereError, Work, package
from works.every import WORKS

EXTENSION_MAX = 1_000_000
HEADINGS = ("work", "ours", "C", "calls over C", "best peer", "goal", "met?")


@dataclass
class Row:
    """One line of the table; times are nanoseconds a piece."""

    work: str
    times: dict[str, float]
    call: float
    goals: list[tuple[str, float, bool]]
    error: str = ""
    reason: str = ""


def measure(work: Work, patience: float) -> Row:
    """Measures one piece of work, and the price of a plain call among its contenders."""
    try:
        with contextlib.ExitStack() as stack:
            contenders = {**work.make(stack), "call": call_price()}
            times = fastest(contenders, work.seconds * patience)
    except NotHereError as error:
        return Row(work.name, {}, 0, [], f"left out: {error}")
    except Exception as error:
        return Row(work.name, {}, 0, [], f"{type(error).__name__}: {error}")
    call = times.pop("call")
    limits = [(str(goal), goal.limit(times, call)) for goal in work.goals]
    goals = [(text, limit, times[OURS] <= limit) for text, limit in limits]
    return Row(work.name, times, call, goals, reason=work.reason)


def duration(nanoseconds: float) -> str:
    for unit, size in (("ms", 1e6), ("us", 1e4)):
        if nanoseconds >= size:
            return f"{nanoseconds / (1e6 if unit == 'ms' else 1e3):.2f} {unit}"
    return f"{nanoseconds:.0f} ns"


def cells(row: Row) -> list[list[str]]:
    """A line for each goal; the first one has the times."""
    if row.error:
        return [[row.work, "", "", "", "", "", row.error]]
    ours, in_c = row.times[OURS], row.times.get(C)
    others = {
        name: time for name, time in row.times.items() if name not in (OURS, C, FLOOR, "quiet")
    }
    best = min(others, key=others.__getitem__, default=None)
    first = [
        row.work,
        duration(ours),
        "" if in_c is None else duration(in_c),
        "" if in_c is None else f"{(ours - in_c) / row.call:+.1f} ({ours / in_c:.2f} C)",
        "" if best is None else f"{best} {duration(others[best])} ({ours / others[best]:.2f})",
    ]
    lines = [[text, "yes" if met else f"NO: {ours / limit:.2f}"] for text, limit, met in row.goals]
    starts = [first] + [[""] * len(first)] * (len(lines) - 1)
    return [start + line for start, line in zip(starts, lines or [["", ""]], strict=True)]


def why_missed(row: Row) -> str:
    """Why a goal is missed, and what the same would cost at least; empty if none is."""
    if all(met for *_, met in row.goals) or not (row.reason or FLOOR in row.times):
        return ""
    floor = row.times.get(FLOOR)
    least = [] if floor is None else [f"ours {duration(row.times[OURS])}, floor {duration(floor)}"]
    return f"{row.work}: " + "; ".join(filter(None, [*least, row.reason]))


def table(lines: list[list[str]]) -> str:
    rows = [list(HEADINGS), *lines]
    widths = [max(len(line[column]) for line in rows) for column in range(len(HEADINGS))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in rows
    )


def drawn(times: dict[str, float]) -> dict[str, float]:
    return {name: time for name, time in times.items() if name != FLOOR}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", nargs="*", help="only works whose names contain one of these")
    parser.add_argument("--patience", type=float, default=1.0, help="measure so much longer")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    parser.add_argument("--charts", type=Path, help="the folder to draw charts into")
    chosen = parser.parse_args()
    works = [
        work for work in WORKS if not chosen.work or any(part in work.name for part in chosen.work)
    ]
    rows = []
    for work in works:
        print(f"\r\x1b[K{work.name} ...", end="", file=sys.stderr, flush=True)
        rows.append(measure(work, chosen.patience))
    print("\r\x1b[K", end="", file=sys.stderr)
    size = package.extension_size()
    print(table([line for row in rows for line in cells(row)]))
    met = "yes" if size <= EXTENSION_MAX else "NO"
    print(f"\nextension module: {size:,} bytes (goal: <= {EXTENSION_MAX:,}; {met})")
    why = list(filter(None, map(why_missed, rows)))
    if size > EXTENSION_MAX:
        why.append(f"extension module: {package.SIZE_REASON}")
    calls = [row.call for row in rows if row.call]
    print(f"a call ({{}}.copy): {min(calls, default=0):.1f} ns; Python {platform.python_version()}")
    missed = sum(not met for row in rows for *_, met in row.goals)
    print(f"goals: {sum(len(row.goals) for row in rows)}, missed: {missed}")
    for line in why:
        print(textwrap.fill(line, 100, initial_indent="- ", subsequent_indent="  "))
    if chosen.json:
        content: dict[str, object] = {
            "python": sys.version,
            "machine": platform.machine(),
            "kernel": os.uname().release,
        }
        content |= {"extension_bytes": size, "works": [asdict(row) for row in rows]}
        chosen.json.write_text(json.dumps(content, indent=1) + "\n")
    if chosen.charts:
        charts.draw({row.work: drawn(row.times) for row in rows}, chosen.charts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
