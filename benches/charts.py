"""Charts of the table, for the README."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from works import OURS, C

Times = Mapping[str, Mapping[str, float]]

CHARTS = {
    "semaphores": ("acquire + release", "acquire + release, undo", "acquire(timeout) + release"),
    "queues": ("send + receive 64 B", "send + receive 8 KiB", "send + receive 1 MiB"),
    "memory": ("attach + detach", "read 64 B", "write 64 B", "read 1 MiB", "write 1 MiB"),
    "processes": ("ping-pong 64 B on one core", "stream 64 B, each"),
}
COLOURS = {OURS: "#c2410c", C: "#64748b"}
OTHERS = "#cbd5e1"


def draw(times: Times, folder: Path) -> None:
    """One chart a kind: bars, each with its time; shorter is better."""
    folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"svg.hashsalt": "sysv_ipc_rs", "font.size": 9})
    for name, works in CHARTS.items():
        there = [work for work in works if times.get(work)]
        if there:
            chart(name, {work: times[work] for work in there}, folder / f"{name}.svg")


def chart(title: str, works: Times, file: Path) -> None:
    lengths = [len(times) for times in works.values()]
    figure, rows = pyplot.subplots(
        len(works),
        squeeze=False,
        figsize=(7, 0.45 * len(works) + 0.24 * sum(lengths)),
        height_ratios=lengths,
        layout="constrained",
    )
    for (work, times), axes in zip(works.items(), rows[:, 0], strict=True):
        names = sorted(times, key=times.__getitem__, reverse=True)
        values = [times[name] / 1000 for name in names]
        bars = axes.barh(names, values, color=[COLOURS.get(name, OTHERS) for name in names])
        axes.bar_label(bars, fmt="%.2f", padding=3)
        axes.set_title(f"{work} (microseconds; shorter is better)", loc="left", fontsize=9)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.set_xticks([])
    figure.savefig(file, metadata={"Date": None, "Title": title})
    pyplot.close(figure)


Curves = Mapping[str, tuple[Sequence[int], Sequence[float], Sequence[float]]]


def draw_growth(curves: Curves, file: Path) -> None:
    """Cost against size, ours beside C, on scales of powers of ten."""
    columns = 2
    rows = -(-len(curves) // columns)
    figure, places = pyplot.subplots(
        rows, columns, squeeze=False, figsize=(9, 2.3 * rows), layout="constrained"
    )
    for axes in places.flat[len(curves) :]:
        axes.set_visible(False)
    for axes, (name, (sizes, ours, in_c)) in zip(places.flat, curves.items(), strict=False):
        for label, times in ((OURS, ours), (C, in_c)):
            axes.loglog(
                sizes, [each / 1000 for each in times], "o-", ms=3, label=label, c=COLOURS[label]
            )
        axes.set_title(name, loc="left", fontsize=9)
        axes.set_ylabel("microseconds")
        axes.spines[["top", "right"]].set_visible(False)
    places[0, 0].legend(frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Date": None, "Title": "cost against size"})
    pyplot.close(figure)
