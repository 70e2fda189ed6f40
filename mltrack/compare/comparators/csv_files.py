"""Tables of text: CSV, TSV and their kin, row by row and cell by cell; streamed.

Cells are compared as text, then as numbers. `007` is no number, and of two spellings only equal values are equal: a
number with more digits than a double holds is compared digit by digit. `1,5` is a number where something else separates
the values; with three digits behind its comma it may be a thousand and more, and is text.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Finding, Unreadable
from mltrack.compare.comparators.text import marks
from mltrack.compare.contents.durations import remedy
from mltrack.compare.contents.headers import SAMPLE, is_header
from mltrack.compare.contents.measuring import Tally, distance, relative
from mltrack.compare.contents.trees import changes, excused, is_named
from mltrack.compare.contents.volatile import Volatile
from mltrack.patterns import lazy

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around, Content

WHAT = "quotes, line ends, how numbers are spelled, and in cells what any text lets differ"

_SUFFIXES = {".csv": ",;\t|", ".tsv": "\t", ".tab": "\t", ".psv": "|"}
_SNIFFED = 64 << 10
_NUMBER = lazy(
    r"[ \t]*[-+]?(?:(?:0|[1-9][0-9]*|(?=\.[0-9]))(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{1,3})?|(?i:nan|inf|infinity))[ \t]*"
)
_COMMA = lazy(r"[ \t]*[-+]?(?:0,[0-9]+|[1-9][0-9]*,(?:[0-9]{1,2}|[0-9]{4,}))(?:[eE][-+]?[0-9]{1,3})?[ \t]*")
_MANY_DIGITS = 15
"""Two different numbers of so many digits may be one double."""

Row = Sequence[str]


def fits(name: str, head: bytes) -> bool:
    return suffix_of(name) in _SUFFIXES and b"\0" not in head


def suffix_of(name: str) -> str:
    return name[name.rfind(".") :].lower() if "." in name else ""


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Raises Unreadable for what is no UTF-8 text, or whose quotes do not end."""
    if (found := marks(a, b)) is not None:
        return found
    asked = _SUFFIXES.get(suffix_of(around.name), _SUFFIXES[".csv"])
    then, now = separator(a, asked), separator(b, asked)
    if then != now:
        return Finding(DIFFERENT, f"its values were separated by {then!r}, are by {now!r}")
    walk = Walk(around, has_commas=then != ",")
    walk.begin(list(islice(rows(a, then), SAMPLE + 1)), next(rows(b, then), None))
    for one, other in zip_longest(rows(a, then), rows(b, then)):
        walk.step(one, other)
    return walk.finding()


def separator(content: Content, asked: str) -> str:
    """What its values are separated by: of those asked for, the one that gives all first rows the most columns."""
    with content.open() as file:
        text = file.read(_SNIFFED).decode("utf-8-sig", errors="replace")
    if len(text) > 1 and content.size > _SNIFFED:
        text = text[: text.rfind("\n") + 1]
    widths = {mark: width(text, mark) for mark in asked}
    if widths.get(";", 0) > 1 and all(
        _COMMA.fullmatch(cell) for cell in text.replace("\n", ";").split(";") if "," in cell
    ):
        return ";"  # each comma is one of a number
    return max(asked, key=lambda mark: widths[mark])


def width(text: str, mark: str) -> int:
    """How many columns all rows have with this separator; 0 if they do not agree."""
    try:
        found = [len(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark) if row]
    except csv.Error:
        return 0
    # The last row may be cut off within a quoted cell.
    return found[0] if len(set(found[:-1] or found)) == 1 else 0


def rows(content: Content, mark: str) -> Iterator[Row]:
    """The rows; an empty line is one without values. Raises Unreadable."""
    with content.open() as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        try:
            yield from csv.reader(text, delimiter=mark, strict=True)
        except UnicodeDecodeError as error:
            raise Unreadable("it is no table: not UTF-8 text") from error
        except csv.Error as error:
            raise Unreadable(f"it is no table: {error}") from error


class Walk:
    """Two tables, as far as they have been read."""

    def __init__(self, around: Around, has_commas: bool = False) -> None:
        """`has_commas`: may a number have one for its point?"""
        self.around, self.has_commas = around, has_commas
        self.volatile = Volatile(around, lines=False)
        self.tally = Tally()
        self.header: Row = ()
        self.left_out: dict[int, str] = {}
        """Columns that the project leaves out."""
        self.counts = [0, 0]
        self.sums = [0, 0]
        """Of all rows that differ, whatever their order."""
        self.shape: str | None = None
        """How the tables differ, if not in cells."""

    def step(self, one: Row | None, other: Row | None) -> None:
        for side, row in enumerate((one, other)):
            self.counts[side] += row is not None
        if one == other:
            self.tally.equal(len(one or ()))
            return
        for side, row in enumerate((one, other)):
            self.sums[side] += hash(tuple(row)) if row is not None else 0
        if one is None or other is None or self.shape is not None:
            return
        if len(one) != len(other):
            self.shape = f"row {self._row()} had {len(one):,} values, has {len(other):,}"
            return
        for column, (x, y) in enumerate(zip(one, other)):
            if x == y or column in self.left_out:
                self.tally.equal()
            else:
                self._cell(x, y, column)

    def begin(self, rows: Sequence[Row], other: Row | None) -> None:
        """The first rows of one table, in which its header is found, and the first of the other."""
        one, other = (rows[0] if rows else ()), other or ()
        has_header = is_header(one, [row for row in rows[1:] if row], self._is_number)
        self.header = tuple(one) if has_header else ()
        if self.around.ignore:
            names = {i: name.strip() for i, name in enumerate(self.header)}
            self.left_out = {i: name for i, name in names.items() if is_named(self.around.ignore, name)}
        if len(one) != len(other):
            self.shape = f"columns: {len(one):,} then, {len(other):,} now"
        elif has_header and [cell.strip() for cell in one] != [cell.strip() for cell in other]:
            x, y = next(pair for pair in zip(one, other) if pair[0].strip() != pair[1].strip())
            self.shape = f"a column was called {x!r}, is {y!r}"

    def _cell(self, a: str, b: str, column: int) -> None:
        """Two cells that are not the same text."""
        if self._is_number(a) and self._is_number(b) and ("," in a) + ("." in b) < 2 > ("," in b) + ("." in a):
            a, b = a.replace(",", "."), b.replace(",", ".")
            far = apart(a, b)
            if far is None or self._are_times(column, a, b):
                self.tally.equal()
            else:
                self.tally.apart(*far, lambda: self._where(column), (a, b))
        elif self.volatile.alike(a, b):
            self.tally.equal()
        else:
            self.tally.others(a, b, lambda: self._where(column))

    def _is_number(self, cell: str) -> bool:
        found = _NUMBER.fullmatch(cell) or (self.has_commas and _COMMA.fullmatch(cell))
        return bool(found)

    def _are_times(self, column: int, a: str, b: str) -> bool:
        return bool(self.header) and self.volatile.are_labelled(self.header[column], a.strip(), b.strip())

    def _row(self) -> str:
        """The number of the current row of data, from 1."""
        return f"{self.counts[0] - bool(self.header):,}"

    def _where(self, column: int) -> str:
        name = self.header[column] if self.header and column < len(self.header) else f"{column + 1}"
        return f"row {self._row()}, column {name}"

    def finding(self) -> Finding:
        then, now = (count - bool(self.header) for count in self.counts)
        if then != now:
            return Finding(DIFFERENT, f"rows: {then:,} then, {now:,} now")
        if self.shape is not None:
            return Finding(DIFFERENT, self.shape)
        if self.tally.changed:
            if self.sums[0] == self.sums[1]:
                return Finding(DIFFERENT, "the same rows in another order")
            measure = self.tally.measure()
            label = (measure.where or "").rpartition("column ")[2]
            return Finding(DIFFERENT, changes(self.tally, "cell") + remedy(self.around, label), measure)
        passed = [self.volatile.told()] if self.volatile.kinds else []
        passed += [excused(self.left_out.values())] if self.left_out else []
        layout = "only quotes, line ends or how numbers are spelled differ, no value"
        return Finding(EQUIVALENT, "; ".join(passed) or layout)


def apart(a: str, b: str) -> tuple[float | str, float | str] | None:
    """The absolute and the relative distance of two numbers as they are spelled; None if they are equal."""
    x, y = float(a), float(b)
    if x != y:
        return None if x != x and y != y else (distance(x, y), relative(x, y))
    if len(a) <= _MANY_DIGITS and len(b) <= _MANY_DIGITS and x and not math.isinf(x):
        return None
    from decimal import Decimal

    first, second = Decimal(a.strip()), Decimal(b.strip())
    if first == second:
        return None
    by = abs(second - first)
    return distance(0.0, float(by)), distance(0.0, float(by / abs(first))) if first else "Infinity"
