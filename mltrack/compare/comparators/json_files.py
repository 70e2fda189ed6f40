"""JSON: one document, its values compared leaf by leaf.

What another reader might take otherwise (a key that stands twice, a number that no double holds) is refused.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from mltrack.compare.comparators import Finding, Unreadable
from mltrack.compare.comparators.text import marks
from mltrack.compare.contents.contents import whole
from mltrack.compare.contents.trees import Walk

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around, Content

WHAT = "the order of keys, white space, how numbers are spelled, and in strings what any text lets differ"

LARGEST = 64 << 20
"""Bytes: values in memory take ten times as much."""
MOST = 5_000_000
"""Values, a list or mapping counted as three: they take more memory than their bytes tell."""
_SUFFIXES = (".json", ".geojson", ".webmanifest")


def fits(name: str, head: bytes) -> bool:
    return name.lower().endswith(_SUFFIXES)


def compare(a: Content, b: Content, around: Around) -> Finding:
    if (found := marks(a, b)) is not None:
        return found
    walk = Walk(around)
    walk.compare(parse(whole(a, LARGEST)), parse(whole(b, LARGEST)))
    return walk.finding()


def parse(data: bytes) -> Any:
    """The values of a document. Raises Unreadable."""
    check_count(data)
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=mapping, parse_float=number)
    except UnicodeDecodeError as error:
        raise Unreadable("it is no JSON: not UTF-8 text") from error
    except RecursionError as error:
        raise Unreadable("it is no JSON that is read: nested too deeply") from error
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is no JSON: line {error.lineno:,}: {error.msg[:1].lower()}{error.msg[1:]}") from error
    except ValueError as error:
        raise Unreadable("it is no JSON that is read: a number has too many digits") from error


def check_count(data: bytes) -> None:
    """Refuse a document that may have too many values, before they are in memory. Raises Unreadable."""
    if data.count(b",") + 3 * (data.count(b"[") + data.count(b"{")) > MOST:
        raise Unreadable("it may have too many values to be compared in memory")


def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unreadable("it is no JSON that is read: a key stands twice")
    return found


def number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Unreadable("it is no JSON that is read: a number is too large")
    return value
