"""What the extension module is made of, and what smaller ways to build it give."""

import argparse
import collections
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "build/size"
WAYS = {
    "as it is": {},
    "opt-level 2": {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "2"},
    "opt-level s": {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "s"},
    "opt-level z": {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "z"},
    "equal functions merged": {"RUSTFLAGS": "-C link-arg=-Wl,--icf=all"},
    "relocations packed": {"RUSTFLAGS": "-C link-arg=-Wl,-z,pack-relative-relocs"},
}
STRIPPED_AWAY = (".debug", ".symtab", ".strtab", ".comment")
FUNCTIONS = (
    ("what PyO3 makes around each function", r"__pymethod_|__pyfunction_|trampoline|::_core::"),
    ("our Python layer", r"sysv_ipc_rs::python"),
    ("our core", r"sysv_ipc_rs"),
    ("PyO3", r"\bpyo3"),
    ("backtraces of panics", r"gimli|addr2line|rustc_demangle|miniz|backtrace|adler2"),
    ("SHA-256", r"\bsha2"),
    ("the standard library", r""),
)


def built(way: dict[str, str]) -> Path:
    """The extension module with its symbols, built in one of the ways."""
    command = "cargo rustc --quiet --locked --release --lib --crate-type cdylib --features python"
    options = {"PYO3_BUILD_EXTENSION_MODULE": "1", "CARGO_PROFILE_RELEASE_STRIP": "none"}
    folder = TARGET / re.sub(r"\W+", "-", "-".join(way.values()) or "as-it-is")
    environment = {"PYO3_PYTHON": sys.executable, **os.environ, **options, **way}
    environment["CARGO_TARGET_DIR"] = str(folder)
    subprocess.run(command.split(), cwd=ROOT, check=True, env=environment)
    return folder / "release/libsysv_ipc_rs.so"


def output(*command: str | Path) -> Iterable[str]:
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return found.stdout.splitlines()


def sections(library: Path) -> dict[str, int]:
    """The sections of an object that are still there when it is stripped; without `.bss`."""
    found = {}
    for line in output("readelf", "--wide", "--section-headers", library):
        match = re.match(r"\s*\[\s*\d+\] (\.\S+)\s+(\S+)\s+\S+ \S+ ([0-9a-f]+)", line)
        if match and match[2] != "NOBITS" and not match[1].startswith(STRIPPED_AWAY):
            found[match[1]] = int(match[3], 16)
    return found


def rooms(library: Path) -> dict[str, int]:
    """How much code there is of each kind."""
    found: collections.Counter[str] = collections.Counter()
    for line in output("nm", "--demangle", "--print-size", "--defined-only", library):
        match = re.match(r"[0-9a-f]+ ([0-9a-f]+) [tT] (.*)", line)
        if match:
            room = next(room for room, pattern in FUNCTIONS if re.search(pattern, match[2]))
            found[room] += int(match[1], 16)
    return dict(found.most_common())


def report(title: str, sizes: dict[str, int]) -> None:
    print(f"{sum(sizes.values()):10,}  {title}")
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if size >= 1000:
            print(f"{size:10,}    {name}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", action="store_true", help="build it in other ways too (minutes)")
    chosen = parser.parse_args()
    library = built({})
    report("bytes in all, by section", sections(library))
    report("bytes of code (.text), by origin", rooms(library))
    for name, way in WAYS.items() if chosen.ways else ():
        print(f"{sum(sections(built(way)).values()):10,}  {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
