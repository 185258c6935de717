"""Says which links inside a built site lead nowhere: to no file, or to no place in it.

Sphinx checks the links that authors write; this checks what readers get, menus and search included.

    python tools/check_links.py build/site
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag


class Page(HTMLParser):
    """The places of a page, and what it refers to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.places: set[str] = {"", "top"}
        self.links: list[tuple[int, str]] = []
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.places.add(value)
            if name in ("href", "src", "data") and value is not None:
                self.links.append((self.getpos()[0], value))


def dead_links(site: Path) -> list[str]:
    """What is wrong, a line each."""
    pages = {file.resolve(): Page(file) for file in sorted(site.rglob("*.html"))}
    found = []
    for file, page in pages.items():
        for line, link in page.links:
            address, place = urldefrag(link)
            if ":" in address.split("/")[0] or address.startswith("//"):
                continue  # another site's
            target = (file.parent / unquote(address.split("?")[0])).resolve() if address else file
            where = f"{file.relative_to(site.resolve())}:{line}"
            if not target.is_file():
                found.append(f"{where}: no file {link}")
            elif target in pages and unquote(place) not in pages[target].places:
                found.append(f"{where}: no place {link}")
    return found


def main() -> None:
    site = Path(sys.argv[1])
    if not any(site.rglob("*.html")):
        sys.exit(f"{site}: no pages")
    found = dead_links(site)
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
