"""Makes reStructuredText of what `help()` shows: indented code without `::`, manual pages."""

import re
from typing import Any

from sphinx.application import Sphinx

MANUAL = re.compile(r"\b([a-z][a-z0-9_]*)\(([1-8])\)")


def literal_blocks(lines: list[str]) -> list[str]:
    """Indented lines after a blank one are code."""
    result: list[str] = []
    for number, line in enumerate(lines):
        starts = line.startswith("    ") and number and not lines[number - 1]
        if starts and not line.lstrip().startswith(">>>") and not in_block(result):
            before = next((text for text in reversed(result) if text), "")
            if before and not before.startswith(" ") and not before.endswith("::"):
                result += ["::", ""]
        result.append(line)
    return result


def in_block(lines: list[str]) -> bool:
    """Whether the last line that has text is indented."""
    return next((text for text in reversed(lines) if text), "").startswith(" ")


def plain_raises(lines: list[str]) -> list[str]:
    """`As acquire.` below Raises is a sentence and no exception."""
    result = list(lines)
    for number, line in enumerate(lines[:-1]):
        if line == "Raises:" and not re.match(r"    \w+:", lines[number + 1]):
            result[number : number + 2] = [f"**Raises** {lines[number + 1].strip()}", ""]
            return result[: number + 2] + plain_raises(result[number + 2 :])
    return result


def process(*given: Any) -> None:
    """The event's last argument is the docstring's lines, to be changed in their place."""
    lines: list[str] = given[-1]
    changed = plain_raises(literal_blocks(lines))
    lines[:] = [
        MANUAL.sub(r":manpage:`\1(\2)`", line) if line.startswith("See ") else line
        for line in changed
    ]


def signature(*given: Any) -> tuple[str, str | None] | None:
    """Modes in octal; none for classes that only their own methods make."""
    text, answer = given[-2:]
    if text is None:
        return None
    if text == "(*_args, **_kwargs)":
        return "", None
    return text.replace("mode=384", "mode=0o600"), answer


def setup(app: Sphinx) -> dict[str, bool]:
    # Before napoleon, which has the default priority of 500.
    app.connect("autodoc-process-docstring", process, priority=400)
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True}
