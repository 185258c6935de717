"""The textbook's pages: its README, and the programs of each topic."""

import ast
import re
from pathlib import Path

from sphinx.application import Sphinx

TEXTBOOK = Path(__file__).parents[2] / "examples" / "textbook"


def program(path: Path, heading: str) -> list[str]:
    """One program: what it shows, itself, and what it prints."""
    source = path.read_text()
    doc = ast.get_docstring(ast.parse(source)) or ""
    prose, _, printed = doc.partition("\nPrints:\n")
    code = source.split('"""', 2)[2].strip()
    lines = [*heading.splitlines(), "", prose.replace("*", "\\*"), ""]
    lines += ["```{code-block} python", f":caption: {path.relative_to(TEXTBOOK)}", "", code, "```"]
    lines += ["", "```text", *[line[4:] for line in printed.splitlines()], "```", ""]
    return lines


def topic(readme: str, name: str) -> str:
    """The programs of a folder, in the order of the README's table."""
    section = next(part for part in readme.split("\n## ")[1:] if f"]({name}/" in part)
    lines = [f"# {section.splitlines()[0]}", ""]
    for row in section.splitlines():
        links = re.findall(r"\[(\w+)\]\((\w+/\w+\.py)\)", row)
        if links:
            what = row.split("|")[1].strip()
            lines += [f"({Path(links[0][1]).stem.removesuffix('_raw')})=", f"## {what}", ""]
        for text, link in links:
            path = TEXTBOOK / link
            name = path.stem.removesuffix("_raw")
            lines += program(path, f"### By {'the C API' if text == 'raw' else 'the classes'}")
    return "\n".join(lines)


def fill(app: Sphinx, name: str, source: list[str]) -> None:
    if not name.startswith("textbook/"):
        return
    readme = (TEXTBOOK / "README.md").read_text()
    page = name.removeprefix("textbook/")
    if page == "index":
        pages = dict.fromkeys(re.findall(r"\]\((\w+)/\w+\.py\)", readme))
        linked = re.sub(
            r"\[(\w+)\]\((\w+)/(\w+?)(_raw)?\.py\)",
            lambda found: f"[{found[1]}]({found[2]}.md#{found[3]})",
            readme,
        )
        tree = "\n".join(["", "```{toctree}", ":hidden:", "", *pages, "```", ""])
        source[0] = linked + tree
    else:
        source[0] = topic(readme, page)
    app.env.note_dependency(str(TEXTBOOK / "README.md"), docname=name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill)
    return {"parallel_read_safe": True}
