"""Elements of a page, and their text. A text is always escaped, for a text is all that a child can be beside an
element; names and attributes come from short lists, and an address is data of a picture or a place on the page itself.

So no recorded text can become an element, an attribute or a request, whoever writes the page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from mltrack.nouns import noun
from mltrack.views.text import clean

STRUCTURE = ("html", "head", "meta", "title", "body", "header", "main", "footer", "nav", "section", "div", "span")
TEXTS = ("p", "h1", "h2", "h3", "ul", "li", "dl", "dt", "dd", "pre", "code", "bdi", "details", "summary")
TABLES = ("table", "caption", "thead", "tbody", "tr", "th", "td")
PICTURES = ("figure", "figcaption", "picture", "source", "img")
SHAPES = ("svg", "polyline")
"""A picture within the page: it holds lines, and these hold nothing."""
NAMES = frozenset((*STRUCTURE, *TEXTS, *TABLES, *PICTURES, *SHAPES, "a", "input", "label"))
EMPTY = frozenset(("meta", "img", "source", "input"))
"""Elements without an end."""
IN_HEAD = ("charset", "name", "content", "http-equiv", "lang")
OF_PICTURES = ("alt", "src", "srcset", "media", "viewbox", "points")
ATTRIBUTES = frozenset(
    (
        *IN_HEAD,
        *OF_PICTURES,
        "class",
        "id",
        "scope",
        "href",
        "for",
        "type",
        "open",
        "tabindex",
        "role",
        "aria-label",
        "title",
    )
)
PLACE = re.compile(r"#[A-Za-z][\w-]*")
PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|bmp|svg\+xml);base64,[A-Za-z0-9+/]*={0,2}")
ADDRESSES = {"href": PLACE, "src": PICTURE, "srcset": PICTURE}
NUMBERS = re.compile(r"[0-9 .,-]*")
DOCTYPE = "<!doctype html>\n<!-- mltrack report -->\n"
CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@noun
class Element:
    """An element; its children are elements and texts. Raises ValueError for what has no place on a page."""

    name: str
    attributes: Mapping[str, str]
    children: tuple[Child, ...]


Child = Element | str


def tag(element: str, attributes: Mapping[str, str] | None = None, /, *children: Child) -> Element:
    """An element that is proved to be one of ours."""
    attributes = attributes or {}
    if element not in NAMES:
        raise ValueError(f"no element of a report: {element!r}")
    for name, value in attributes.items():
        if name not in ATTRIBUTES:
            raise ValueError(f"no attribute of a report: {name!r}")
        if name in ADDRESSES and not ADDRESSES[name].fullmatch(value):
            raise ValueError(f"no address for a report: {value[:80]!r}")
        if name in ("viewbox", "points") and not NUMBERS.fullmatch(value):
            raise ValueError(f"no numbers of a line: {value[:80]!r}")
    if element == "svg" and any(isinstance(child, str) or child.name != "polyline" for child in children):
        raise ValueError("svg has lines and nothing else")
    if (element in EMPTY or element == "polyline") and children:
        raise ValueError(f"{element} has no children")
    return Element(element, attributes, children)


def of(element: str, style: str, *children: Child) -> Element:
    """An element with a class."""
    return tag(element, {"class": style} if style else {}, *children)


def document(title: str, style: str, *body: Child) -> str:
    """The whole file. `style` is our own sheet: it is the one text that is not escaped, and no record may be in it."""
    head = tag(
        "head",
        None,
        tag("meta", {"charset": "utf-8"}),
        tag("meta", {"http-equiv": "Content-Security-Policy", "content": CSP}),
        tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", {"name": "color-scheme", "content": "light dark"}),
        tag("meta", {"name": "referrer", "content": "no-referrer"}),
        tag("title", None, title),
    )
    if "<" in style:
        raise ValueError("a style sheet does not hold elements")
    start = written([head]).removesuffix("</head>")
    end = written([tag("body", None, *body)])
    return f'{DOCTYPE}<html lang="en">{start}<style>{style}</style></head>{end}</html>\n'


def written(children: Sequence[Child]) -> str:
    """The text of some elements."""
    parts: list[str] = []
    for child in children:
        write(child, parts, False)
    return "".join(parts)


def write(child: Child, parts: list[str], keeps_lines: bool) -> None:
    """Append the text of an element, or of a text, to the parts."""
    if isinstance(child, str):
        parts.append(escape(visible(child, keeps_lines)))
        return
    attributes = "".join(f' {name}="{escape(visible(value))}"' for name, value in child.attributes.items())
    parts.append(f"<{child.name}{attributes}>")
    if child.name in EMPTY:
        return
    if child.name == "pre":
        parts.append("\n")  # a parser drops the first newline: it shall not be one of the text
    for one in child.children:
        write(one, parts, keeps_lines or child.name == "pre")
    parts.append(f"</{child.name}>")
    if child.name in BLOCKS:
        parts.append("\n")


BLOCKS = frozenset(("tr", "p", "section", "table", "h1", "h2", "h3", "li", "figure", "details", "meta", "dd", "pre"))
"""Elements after which a line ends, so that a person or git can read the file."""


def visible(text: str, keeps_lines: bool = False) -> str:
    """The text with what is invisible, or turns a line around, shown as escapes; in a listing lines and tabs stay."""
    if text.isprintable():
        return text
    if not keeps_lines:
        return clean(text)
    return "\n".join("\t".join(map(clean, line.split("\t"))) for line in text.split("\n"))
