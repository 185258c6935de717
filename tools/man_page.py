"""Makes a man page of a manual in Markdown, as far as that uses it.

python tools/man_page.py docs/cli.md docs/sysv-ipc.1
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path


def escaped(text: str) -> str:
    """As roff takes it literally, also at the beginning of a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti").replace('"', "\\(dq")
    return re.sub(r"^\.", r"\\&.", text)


def inline(text: str) -> str:
    """Links lose their address; code and emphasis are bold."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]+`|\*\*[^*]+\*\*)", text)
    return "".join(
        f"\\fB{escaped(part.strip('`*'))}\\fR" if part[:1] in {"`", "*"} else escaped(part)
        for part in parts
    )


def row(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def block(lines: list[str]) -> Iterator[str]:
    """What stands between two blank lines, or between fences; pictures are left out."""
    first = lines[0]
    if first.startswith("```"):
        yield from (".PP", ".in +4n", ".EX", *map(escaped, lines[1:-1]), ".EE", ".in")
    elif first.startswith("### "):
        yield f'.SS "{escaped(first[4:])}"'
    elif first.startswith("## "):
        yield f'.SH "{escaped(first[3:].upper())}"'
    elif first.startswith("!["):
        return
    elif first.startswith("|"):
        for line in lines[2:]:
            name, meaning = row(line)
            yield from (".TP", inline(name), inline(meaning))
    else:
        yield from (".PP", *(inline(line) for line in lines))


def blocks(text: str) -> Iterator[list[str]]:
    for part in re.findall(r"(?m)^```[\s\S]*?^```$|(?:^(?!```).+\n?)+", text):
        yield part.strip("\n").split("\n")


def page(text: str) -> str:
    """The first heading is the name, the first paragraph what it is."""
    (heading,), summary, *rest = blocks(text)
    name = heading.removeprefix("# ")
    lines = [
        '.\\" Made of docs/cli.md by tools/man_page.py.',
        f'.TH {name.upper()} 1 "" "sysv_ipc_rs" "User Commands"',
        ".SH NAME",
        f"{escaped(name)} \\- {inline(' '.join(summary).rstrip('.'))}",
    ]
    for each in rest:
        lines += block(each)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(page(source.read_text()))
