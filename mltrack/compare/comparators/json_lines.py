"""JSON lines: a document a line, in order; read line by line."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from mltrack.compare.comparators import DIFFERENT, Finding
from mltrack.compare.comparators.json_files import parse
from mltrack.compare.comparators.text import MARK, lines, marks
from mltrack.compare.contents.trees import Walk

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around, Content

WHAT = "the same as in JSON"

_SUFFIXES = (".jsonl", ".ndjson", ".jsonlines", ".json")


def fits(name: str, head: bytes) -> bool:
    """By its name; a `.json` that is no one document may be lines of them."""
    return name.lower().endswith(_SUFFIXES) and head.removeprefix(MARK).lstrip()[:1] in (b"{", b"[")


def compare(a: Content, b: Content, around: Around) -> Finding:
    if (found := marks(a, b)) is not None:
        return found
    walk = Walk(around)
    counts = [0, 0]
    with a.open() as first, b.open() as second:
        for one, other in zip_longest(lines(first), lines(second)):
            for side, line in enumerate((one, other)):
                counts[side] += bool(line and line.strip())
            if one is None or other is None or one == other:
                walk.tally.equal()
            elif one.strip() or other.strip():
                walk.compare(parse(one), parse(other), f"line {counts[0]:,}")
    if counts[0] != counts[1]:
        return Finding(DIFFERENT, f"{counts[0]:,} lines then, {counts[1]:,} now")
    return walk.finding()
