"""Pages of the index that are not there are left out; pages that it does not name come last."""

from pathlib import Path

from sphinx.application import Sphinx

LAST = "% every other page"


def complete(app: Sphinx, name: str, source: list[str]) -> None:
    if name != "index":
        return
    folder = Path(app.srcdir)
    pages = {page.stem for page in folder.glob("*.md")} - {"index"}
    lines, named = [], set()
    inside = False
    for line in source[0].splitlines():
        if line.startswith("```"):
            inside = line.startswith("```{toctree}")
        if inside and line and not line.startswith(("```", ":", LAST)):
            if not (folder / f"{line}.md").exists() and not line.startswith("reference/"):
                continue
            named.add(line)
        lines.append(line)
    rest = sorted(pages - named)
    source[0] = "\n".join(lines).replace(LAST, "\n".join(rest)) + "\n"


def reread(*_: object) -> list[str]:
    """The index is read again each time: pages may have come."""
    return ["index"]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", complete)
    app.connect("env-get-outdated", reread)
    return {"parallel_read_safe": True}
