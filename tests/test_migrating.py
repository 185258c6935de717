"""docs/migrating.md: its programs run, and what it tells is so."""

import re
from pathlib import Path

import pytest
import support

PAGE = (Path(__file__).parent.parent / "docs" / "migrating.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_each_program_runs_alone(number: int) -> None:
    assert support.python_prints(BLOCKS[number]) == ""


def test_there_are_programs() -> None:
    assert len(BLOCKS) == 4
