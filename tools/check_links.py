"""Checks the links inside a built site: each leads to a file that is there, and to its anchor.

python tools/check_links.py FOLDER
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        self.anchors.update(name for name in (of.get("id"), of.get("name")) if name)
        link = of.get("src") if tag in {"img", "script"} else of.get("href")
        if link and tag != "base":
            self.links.append(link)


def dead_links(site: Path) -> list[str]:
    pages = {path.resolve(): Page(path.read_text()) for path in site.rglob("*.html")}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages.get(target)
            if not target.is_file() or (
                known and parts.fragment and unquote(parts.fragment) not in known.anchors
            ):
                dead.append(f"{path.relative_to(site.resolve())}: {link}")
    return dead


def main(site: Path) -> int:
    if not (site / "index.html").is_file():
        print(f"no site is in {site}", file=sys.stderr)
        return 1
    dead = dead_links(site)
    for line in dead:
        print(f"dead link in {line}", file=sys.stderr)
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
