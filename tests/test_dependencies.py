"""What the crate is built from: licences that go with its own, and nothing twice."""

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "MIT",
    "Apache-2.0",
    "Unlicense",
    "Unicode-3.0",
    "Zlib",
    "BSD-3-Clause",
    "LLVM-exception",
}


def packages(*options: str) -> list[dict[str, str]]:
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--all-features", *options]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    found: list[dict[str, str]] = json.loads(told)["packages"]
    return found


def test_every_licence_allows_what_ours_does() -> None:
    for package in packages():
        choices = re.split(r" OR |/", package["license"].strip("()"))
        needed = [set(re.findall(r"[\w.-]+", choice)) - {"AND", "WITH"} for choice in choices]
        assert any(need <= ALLOWED for need in needed), (package["name"], package["license"])


def test_the_extension_holds_no_crate_twice() -> None:
    tree = ["cargo", "tree", "--locked", "--edges=normal", "--features=python", "--prefix=none"]
    told = subprocess.run(tree, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    crates = {tuple(line.split()[:2]) for line in told.splitlines() if line}
    twice = [name for name, count in Counter(name for name, _ in crates).items() if count > 1]
    assert len(crates) > 10
    assert not twice
