"""Hostile use finds nothing: random calls with random arguments, each batch in a child process."""

import subprocess
import sys
from pathlib import Path

CALLER = Path(__file__).parent / "hostile" / "random_calls.py"


def test_ten_thousand_random_calls_end_in_ordinary_exceptions_at_worst() -> None:
    command = [sys.executable, str(CALLER), "--calls", "10000"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
