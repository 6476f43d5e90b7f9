"""Check the built site: internal links, anchors and images resolve, and no other host is asked.

python docs/tools/check_links.py build/site
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

_LOADING = {
    ("script", "src"),
    ("img", "src"),
    ("link", "href"),
    ("source", "src"),
    ("iframe", "src"),
}


class Reference(NamedTuple):
    """A link of a page.

    Attributes:
        url: as the page writes it.
        loads: whether the browser fetches it with the page.
    """

    url: str
    loads: bool


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors, self.references = {""}, list[Reference]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if name in ("href", "src") and value:
                self.references.append(Reference(value, (tag, name) in _LOADING))


def problems(root: Path) -> Iterator[str]:
    """Describe every link below ``root`` that does not resolve, a line each."""
    pages = {path: _read(path) for path in sorted(root.rglob("*.html"))}
    for path, page in pages.items():
        for url, loads in page.references:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                if loads and parts.scheme != "data":
                    yield f"{path.relative_to(root)}: loads {url}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if path.name == "404.html" and parts.path.startswith("/"):
                continue  # it is served at any address
            if not target.exists():
                yield f"{path.relative_to(root)}: no {url}"
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path.relative_to(root)}: no anchor {url}"


def _read(path: Path) -> _Reader:
    reader = _Reader()
    reader.feed(path.read_text("utf-8"))
    return reader


if __name__ == "__main__":
    found = list(problems(Path(sys.argv[1]).resolve()))
    print("\n".join(found) or "all links, anchors and images resolve")
    sys.exit(bool(found))
