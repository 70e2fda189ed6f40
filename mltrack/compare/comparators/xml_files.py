"""XML and SVG: elements, attributes and text in their order.

The order of attributes says nothing, and neither do random ids (of matplotlib and others), if they are replaced one
for one throughout. No entity is expanded: a document that declares any is refused. Nothing outside of it is read.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Finding, Unreadable
from mltrack.compare.comparators.text import shown
from mltrack.compare.contents.contents import Held, whole
from mltrack.compare.contents.finding import compare_contents
from mltrack.compare.contents.volatile import Volatile, listed
from mltrack.patterns import lazy

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around, Content

WHAT = "the order of attributes, random ids and references to them, and in text what any text lets differ"

LARGEST = 32 << 20
_SUFFIXES = (".xml", ".svg", ".xhtml", ".gexf", ".graphml", ".kml", ".gpx", ".vtu", ".vtk", ".xdmf", ".pmml")
_RANDOM = lazy(r"(?=[A-Za-z_.-]*[0-9a-f]*\d)(?P<kind>[A-Za-z_.-]*?)[0-9a-f]{8,64}")
"""An id that a program drew: hexadecimal digits after a word for what it is."""
_REFERENCE = lazy(r"url\(#(?P<url>[^)]+)\)|^#(?P<whole>.+)$")
_IMAGE = lazy(r"data:image/(?P<suffix>png|jpeg|gif|webp);base64,(?P<data>[A-Za-z0-9+/=\s]+)")

Event = tuple[str, str, Mapping[str, str]]
"""(what it is, its name or text, its attributes)."""


def fits(name: str, head: bytes) -> bool:
    return name.lower().endswith(_SUFFIXES) or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml ")


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Raises Unreadable for what is not well formed or declares entities."""
    walk = Walk(around)
    for one, other in zip_longest(events(whole(a, LARGEST)), events(whole(b, LARGEST))):
        walk.step(one, other)
        if walk.problem is not None:
            return walk.problem
    return walk.finding()


def events(data: bytes) -> list[Event]:
    """A document as what follows one another in it; comments are text too. Raises Unreadable."""
    from xml.parsers import expat

    found: list[Event] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = 1 << 16

    def doctype(name: str, system: str | None, public: str | None, has_own: int) -> None:
        if has_own:
            raise Unreadable("it is no XML that is read: it declares entities or elements of its own")

    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = lambda name, attributes: found.append(("element", name, attributes))
    parser.EndElementHandler = lambda name: found.append(("end", name, {}))
    parser.CharacterDataHandler = lambda text: _add_text(found, text)
    parser.CommentHandler = lambda text: found.append(("comment", text, {}))
    parser.ProcessingInstructionHandler = lambda name, text: found.append(("instruction", f"{name} {text}", {}))
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError) as error:
        raise Unreadable(f"it is no XML: {error}") from error
    return found


def _add_text(found: list[Event], text: str) -> None:
    """Add text; the parser gives a long one in pieces."""
    if found and found[-1][0] == "text":
        found[-1] = ("text", found[-1][1] + text, {})
    else:
        found.append(("text", text, {}))


class Walk:
    """Two documents, as far as they have been read."""

    def __init__(self, around: Around) -> None:
        self.around = around
        self.volatile = Volatile(around)
        self.path: list[str] = []
        self.problem: Finding | None = None
        self.ids: tuple[dict[str, str], dict[str, str]] = ({}, {})
        """Random id -> the one on the other side; both ways."""
        self.images: list[str] = []
        """What differs in images of the same pixels."""

    def step(self, one: Event | None, other: Event | None) -> None:
        if one is None or other is None or one[0] != other[0]:
            self._differ("other elements follow")
        elif one[0] in ("element", "end"):
            self._element(one, other)
        elif not self.volatile.alike(one[1], other[1]):
            self._differ(f"the {one[0]} was {shown(one[1].strip())}, is {shown(other[1].strip())}")

    def _element(self, one: Event, other: Event) -> None:
        if one[1] != other[1]:
            self._differ(f"the element was {one[1]}, is {other[1]}")
        elif one[0] == "end":
            self.path.pop()
        else:
            self.path.append(one[1])
            if one[2].keys() != other[2].keys():
                self._differ("it has other attributes")
                return
            for name, value in one[2].items():
                if not self._same_value(name, value, other[2][name]):
                    self._differ(f"{name} was {shown(value)}, is {shown(other[2][name])}")

    def _same_value(self, name: str, a: str, b: str) -> bool:
        if name in ("id", "xml:id"):
            return self._same_id(a, b)
        if a == b and not _REFERENCE.search(a):
            return True
        first, second = _IMAGE.fullmatch(a), _IMAGE.fullmatch(b)
        if first and second:
            return self._same_image(first, second)
        one, other = ([found[found.lastgroup or 0] for found in _REFERENCE.finditer(text)] for text in (a, b))
        if one and len(one) == len(other) and _REFERENCE.sub("#", a) == _REFERENCE.sub("#", b):
            return all(map(self._same_id, one, other))
        return self.volatile.alike(a, b)

    def _same_id(self, a: str, b: str) -> bool:
        """Is it the same id, or a random one that stands for the other wherever it stands?"""
        if self.ids[0].get(a, b) != b or self.ids[1].get(b, a) != a:
            return False
        first, second = _RANDOM.fullmatch(a), _RANDOM.fullmatch(b)
        if a != b and not (first and second and first["kind"] == second["kind"]):
            return False
        self.ids[0][a], self.ids[1][b] = b, a
        return True

    def _same_image(self, first: re.Match[str], second: re.Match[str]) -> bool:
        try:
            one, other = (base64.b64decode("".join(found["data"].split()), validate=True) for found in (first, second))
        except (binascii.Error, ValueError):
            return False
        found = compare_contents(f"image.{first['suffix']}", Held(one), Held(other), self.around)
        if found.grade == EQUIVALENT:
            self.images.append(found.reason)
        elif found.grade == DIFFERENT:
            self._differ(f"an image differs: {found.reason}")
        return found.grade != DIFFERENT

    def _differ(self, what: str) -> None:
        place = "/".join(self.path[-3:]) or "the document"
        self.problem = self.problem or Finding(DIFFERENT, f"in {place} {what}")

    def finding(self) -> Finding:
        if any(old != new for old, new in self.ids[0].items()):
            self.volatile.kinds["random ids"] += 1
        told = [self.volatile.told()] if self.volatile.kinds else []
        told += [f"of an image {self.images[0]}"] if self.images else []
        return Finding(EQUIVALENT, listed(told) or "only the layout of tags or the order of attributes differs")
