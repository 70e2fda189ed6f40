"""A report as a strict reader sees it: which elements and attributes it has, and all of its text."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

from mltrack.views.report.html import ADDRESSES, ATTRIBUTES, EMPTY, NAMES


class Parsed(HTMLParser):
    """Collects what a page is made of; `check` proves that it is made of nothing else."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.styles: list[str] = []
        self.comments: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> ends another element"

    def handle_data(self, data: str) -> None:
        (self.styles if self.open[-1:] == ["style"] else self.texts).append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data.strip())

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data[:80]!r}")

    handle_pi = unknown_decl

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def check(self) -> None:
        """Only our elements, attributes and addresses, all of them closed."""
        assert not self.open
        assert set(self.tags) <= NAMES | {"style"}
        assert self.tags["style"] <= 1
        for tag, name, value in self.attributes:
            assert name in ATTRIBUTES, (tag, name)
            if name in ADDRESSES:
                assert ADDRESSES[name].fullmatch(value), (tag, name, value[:80])
            if name == "http-equiv":
                assert (tag, value) == ("meta", "Content-Security-Policy")
        assert self.comments in ([], ["mltrack report"])
