"""Every code block of the documentation runs, and prints what the page says.

A page's blocks run in their order, in a folder of the page's own:

* `python`: a program, in a new interpreter; a `text` block that follows is what it prints.
* `python` or `c` with a caption: kept as a file of that name, for the blocks that follow.
* `pycon`: a session, which the page's other sessions continue.
* `console`: commands after `$`, in one shell, and what they print; numbers may differ.
* `sh`: what only a reader can do, see `FOR_READERS`.
* `{diagram}` and the like: for `make docs`.
"""

import doctest
import getpass
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import support
from sysv_ipc_rs import raw

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"

# Their own tests run what these show.
ELSEWHERE = {"cli", "interop", "migrating", "operations", "sync"}
PAGES = sorted(page for page in DOCS.glob("*.md") if page.stem not in ELSEWHERE)
UNSHARE = ["unshare", "--user", "--map-root-user", "--ipc", "true"]
FOR_READERS = {"pip install .", "make bench"}


@dataclass
class Block:
    kind: str
    caption: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text().splitlines()
    start = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        kind = lines[start].strip("`{}")
        body = lines[start + 1 : number]
        caption = ""
        if kind.startswith("code-block}"):
            kind = kind.removeprefix("code-block}").strip()
            caption = body.pop(0).removeprefix(":caption: ")
        yield Block(kind, caption, "".join(f"{text}\n" for text in body).lstrip("\n"), start + 1)
        start = None


def bare(text: str) -> list[str]:
    """Without what differs from run to run: numbers, who runs it, the width of columns.

    What the shell says of a killed program differs, too.
    """
    masked = re.sub(rf"\b({getpass.getuser()}|alice)\b", "alice", text)
    masked = re.sub(r"\b(0x[0-9a-f]+|\d+(\.\d+)?)\b", "9", masked)
    lines = [" ".join(line.split()) for line in masked.splitlines()]
    return [line for line in lines if line and "Killed" not in line]


class Runner:
    """Runs the blocks of a page."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self.session: dict[str, object] = {}

    def run(self, block: Block, output: str | None) -> None:
        if block.caption:
            (self.folder / block.caption).write_text(block.text)
            if block.kind == "python":
                compile(block.text, block.caption, "exec")
        elif block.kind == "python":
            assert support.python_prints(block.text) == (output or ""), self.where(block)
        elif block.kind == "pycon":
            self.doctest(block)
        elif block.kind == "console":
            self.console(block)
        elif block.kind == "sh":
            for command in block.text.splitlines():
                assert command in FOR_READERS, self.where(block)
        else:
            raise AssertionError(f"{self.where(block)}: what is {block.kind!r}?")

    def where(self, block: Block) -> str:
        return f"{self.page.name}:{block.line}"

    def doctest(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(
            block.text, self.session, self.page.name, str(self.page), block.line
        )
        options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
        runner = doctest.DocTestRunner(optionflags=options)
        said: list[str] = []
        runner.run(test, out=said.append, clear_globs=False)
        self.session.update(test.globs)
        assert not runner.failures, "".join(said)

    def console(self, block: Block) -> None:
        if "unshare" in block.text and subprocess.run(UNSHARE, check=False).returncode:
            return  # not allowed here
        commands = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
        printed = [line for line in block.text.splitlines() if not line.startswith("$ ")]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        ended = subprocess.run(
            ["sh", "-c", "\n".join(commands)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PATH": path, "LC_ALL": "C", "PYTHONUNBUFFERED": "1"},
        )
        assert bare(ended.stdout) == bare("\n".join(printed)), self.where(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path) -> None:
    found = [
        block for block in blocks(page) if not re.match(r"(diagram|toctree|include)\b", block.kind)
    ]
    runner = Runner(page, tmp_path)
    for number, block in enumerate(found):
        following = found[number + 1] if number + 1 < len(found) else None
        output = following.text if following and following.kind == "text" else None
        if block.kind != "text":
            runner.run(block, output)
        else:
            assert number, f"{runner.where(block)}: whose output is it?"
            assert found[number - 1].kind == "python", runner.where(block)


def test_every_call_flag_and_field_is_in_the_table() -> None:
    text = (DOCS / "c-to-python.md").read_text()
    names = set(raw.__all__)
    for struct in ("Sembuf", "IpcPerm", "SemidDs", "MsqidDs", "ShmidDs"):
        names |= set(getattr(raw, struct).__match_args__)
    for struct in ("Seminfo", "Msginfo", "Shminfo", "ShmInfo"):
        names |= set(getattr(raw, struct).__match_args__)
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


def test_a_block_that_prints_something_else_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for good, wrong in (
        ("```python\nprint(1)\n```\n\n```text\n1\n```", "```python\nprint(1)\n```"),
        ("```pycon\n>>> 1 + 1\n2\n```", "```pycon\n>>> 1 + 1\n3\n```"),
        ("```console\n$ echo 5 a\n6 a\n```", "```console\n$ echo 5 a\n6 b\n```"),
        ("```sh\nmake bench\n```", "```sh\nmake tea\n```"),
    ):
        page.write_text(good)
        test_a_page_does_what_it_shows(page, tmp_path)
        page.write_text(wrong)
        with pytest.raises(AssertionError):
            test_a_page_does_what_it_shows(page, tmp_path)
