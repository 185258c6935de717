"""The laws of tests/soak, with a small load."""

from collections.abc import Callable

import pytest
import run


@pytest.mark.parametrize("law", list(run.laws()), ids=lambda law: law.__name__)
def test_law_holds(law: Callable[[float], run.Law]) -> None:
    outcome = law(0.01)
    assert outcome.holds, outcome
