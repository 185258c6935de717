"""Runs the laws: what must balance after thousands of kills, signals, timeouts and removals.

    python tests/soak/run.py [--scale 0.01] [NAME ...]

Each `law_*.py` beside this file holds functions that are named `law_...`, take a scale (1 is the
full load) and give a `Law`. A law that is broken makes the exit status 1.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent


class Law(NamedTuple):
    """What was claimed, under which load, and the two sides of the account."""

    claim: str
    load: str
    account: dict[str, object]
    holds: bool


def laws() -> Iterator[Callable[[float], Law]]:
    """All laws, in the order of their files and places."""
    for file in sorted(HERE.glob("law_*.py")):
        module = importlib.import_module(file.stem)
        yield from (thing for name, thing in vars(module).items() if name.startswith("law_"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    broken = 0
    in_child = importlib.import_module("support").in_child
    for law in laws():
        if options.names and not any(name in law.__name__ for name in options.names):
            continue
        started = time.monotonic()
        # In a process of its own: what another law has left in memory is not this one's.
        claim, load, account, holds = in_child(functools.partial(law, options.scale))
        seconds = time.monotonic() - started
        print(f"{'holds ' if holds else 'BROKEN'} {law.__name__} ({seconds:.1f} s)\n  {claim}")
        print(f"  load: {load}")
        print("  " + ", ".join(f"{name} {value}" for name, value in account.items()), flush=True)
        broken += not holds
    print(f"{broken} laws broken")
    return 1 if broken else 0


if __name__ == "__main__":
    # The laws import this module by its name, not as `__main__`.
    sys.modules["run"] = sys.modules["__main__"]
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    sys.exit(main())
