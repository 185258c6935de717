"""What README.md shows is what the examples do."""

import re
from pathlib import Path

import pytest
import support

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

PRINTED = {
    "guard": "the lock is free again\n",
    "priorities": "1 urgent\n2 normal\n3 later\n",
    "numbers_in_memory": "55 1\n",
}


@pytest.mark.parametrize("example", PRINTED)
def test_examples_print_what_they_promise(example: str) -> None:
    source = (ROOT / "examples" / f"{example}.py").read_text()
    assert support.python_prints(source) == PRINTED[example]


@pytest.mark.parametrize("example", PRINTED)
def test_examples_are_shown_as_they_are(example: str) -> None:
    source = (ROOT / "examples" / f"{example}.py").read_text()
    docstring, program = source.split("\n\n", 1)
    assert docstring.startswith('"""')
    assert program in BLOCKS


def test_no_program_is_shown_that_is_not_run() -> None:
    assert len(BLOCKS) == len(PRINTED)


def test_links_lead_somewhere() -> None:
    for page in ROOT.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (ROOT / link).exists(), f"{page.name}: {link}"
