"""Attachments, views of them and atomics, in any order: all is given back."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import cast

import sysv_ipc_rs as ipc
from run import Law
from support import in_child
from test_buffer_lifetime import Chaos

PAGE = os.sysconf("SC_PAGE_SIZE")


def used(memory: ipc.SharedMemory) -> dict[str, int]:
    gc.collect()
    return {
        "resident KiB": int(Path("/proc/self/statm").read_text().split()[1]) * PAGE // 1024,
        "lines of maps": len(Path("/proc/self/maps").read_text().splitlines()),
        "attached": memory.stat().attached,
        "threads": len(os.listdir("/proc/self/task")),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


class Counting:
    """A segment that knows how often it was attached."""

    def __init__(self, memory: ipc.SharedMemory) -> None:
        self.memory = memory
        self.times = 0

    def attach(self) -> ipc.Attachment:
        self.times += 1
        return self.memory.attach()


def law_cycles_in_random_order_leave_nothing(scale: float) -> Law:
    cycles = max(2000, int(100_000 * scale))

    def work() -> tuple[int, dict[str, int], dict[str, int]]:
        memory = ipc.SharedMemory.create(size=5000)
        counting = Counting(memory)
        try:
            # What Python and NumPy keep for ever is made at first.
            before: dict[str, int] = {}
            for seed, end in ((0, 2000), (1, 2000 + cycles)):
                before = used(memory)
                chaos = Chaos(cast("ipc.SharedMemory", counting), seed)
                while counting.times < end:
                    chaos.step()
                del chaos
            return counting.times - 2000, before, used(memory)
        finally:
            memory.remove()

    times, before, after = in_child(work)
    grown = after.pop("resident KiB") - before.pop("resident KiB")
    return Law(
        "what is attached, exported, detached and dropped in random order leaves nothing behind",
        f"{times} attachments, with all kinds of views",
        {"before": before, "after": after, "resident memory grown by (KiB)": grown},
        before == after and grown < 1024,
    )
