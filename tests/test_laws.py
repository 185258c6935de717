"""The laws of tests/soak, with a small load."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "soak"))

import run


@pytest.mark.parametrize("law", list(run.laws()), ids=lambda law: law.__name__)
def test_law_holds(law: Callable[[float], run.Law]) -> None:
    outcome = law(0.01)
    assert outcome.holds, outcome
