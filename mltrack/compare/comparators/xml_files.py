"""XML and SVG: elements, attributes and text in their order.

The order of attributes says nothing, and in SVG and XHTML neither do the random ids of matplotlib and others, if they
are replaced one for one throughout: an id of a record is data. No entity is expanded: a document that declares any is
refused. Nothing outside of it is read.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
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
_PAGES = ("svg", "html")
"""Documents in which an id only says what refers to what."""
_RANDOM = lazy(r"(?P<kind>(?:[A-Za-z0-9]+[_.-])*[A-Za-z]*?)(?P<drawn>[0-9a-f]{8,64})")
"""An id that a program drew: hexadecimal digits after a word for what it is."""
_DRAWN = lazy(r"(?:p|m|h|imag|C[0-9a-f]+_[0-9a-f]+_)")
"""What matplotlib has before them; of `image` the last letter is such a digit, too."""
_LONGEST_ID = 200
_REFERENCE = lazy(r"url\(#(?P<url>[^()#]{1,200})\)")
_LINKS = ("href", "xlink:href")
_IMAGE = lazy(r"data:image/(?P<suffix>png|jpeg|gif|webp);base64,(?P<data>[A-Za-z0-9+/=\s]+)")

Event = tuple[str, str, Mapping[str, str]]
"""(what it is, its name or text, its attributes)."""


def fits(name: str, head: bytes) -> bool:
    return name.lower().endswith(_SUFFIXES) or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml ")


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Raises Unreadable for what is not well formed or declares entities."""
    then, now = events(whole(a, LARGEST)), events(whole(b, LARGEST))
    walk = Walk(around, (ids_of(then), ids_of(now)))
    for one, other in zip_longest(then, now):
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
        found.append(("doctype", f"{name} {public or ''} {system or ''}", {}))

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


def ids_of(document: Sequence[Event]) -> frozenset[str]:
    """The random ids of an SVG or XHTML document; none of any other."""
    elements = [attributes for kind, _, attributes in document if kind == "element"]
    first = next((name for kind, name, _ in document if kind == "element"), "")
    if first.rpartition(":")[2].lower() not in _PAGES:
        return frozenset()
    asked = {id_in for attributes in elements for name, text in attributes.items() for id_in in referred(name, text)}
    ids = {attributes[name] for attributes in elements for name in ("id", "xml:id") if name in attributes}
    return frozenset(one for one in ids if is_random(one, one in asked))


def referred(name: str, text: str) -> list[str]:
    """The ids that an attribute refers to."""
    if "#" not in text:
        return []
    return [text[1:]] if name in _LINKS and text[0] == "#" else [found["url"] for found in _REFERENCE.finditer(text)]


def is_random(text: str, is_asked: bool) -> bool:
    found = _RANDOM.fullmatch(text) if len(text) <= _LONGEST_ID else None
    if found is None:
        return False
    is_mixed = not found["drawn"].isdigit() and not found["drawn"].isalpha()
    return _DRAWN.fullmatch(found["kind"]) is not None or (is_asked and is_mixed)


class Walk:
    """Two documents, as far as they have been read; `drawn` are the random ids of each."""

    def __init__(self, around: Around, drawn: tuple[frozenset[str], frozenset[str]]) -> None:
        self.drawn = drawn
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
        one, other = referred(name, a), referred(name, b)
        if one or other:
            is_one_frame = name in _LINKS or _REFERENCE.sub("#", a) == _REFERENCE.sub("#", b)
            return is_one_frame and len(one) == len(other) and all(map(self._same_id, one, other))
        if a == b:
            return True
        first, second = _IMAGE.fullmatch(a), _IMAGE.fullmatch(b)
        if first and second:
            return self._same_image(first, second)
        return self.volatile.alike(a, b)

    def _same_id(self, a: str, b: str) -> bool:
        """Is it the same id, or a random one that stands for the other wherever it stands?"""
        if self.ids[0].get(a, b) != b or self.ids[1].get(b, a) != a:
            return False
        if a != b:
            if a not in self.drawn[0] or b not in self.drawn[1]:
                return False
            first, second = _RANDOM.fullmatch(a), _RANDOM.fullmatch(b)
            if not (first and second and first["kind"] == second["kind"]):
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
