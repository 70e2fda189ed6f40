"""Any text in UTF-8, line by line: logs, listings, Markdown, HTML. The last that is asked.

Lines may differ in what `volatile.py` names, and in nothing else. Read in blocks; where lines came or went the files
are simply different, for no line is sought elsewhere.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, BinaryIO

from mltrack.compare.comparators import DIFFERENT, EQUIVALENT, Finding, Unreadable
from mltrack.compare.contents.volatile import Volatile

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around, Content

WHAT = "times, the roots of paths, temporary directories, known host names, labelled process ids, memory addresses"

_LONGEST = 1 << 20
"""Bytes of a line that is looked into; of a longer one the pieces must be equal."""
_MANY = 1000
"""Lines that differ; from then on the grade is clear, and lines are only counted."""
_SHOWN = 80
MARK = b"\xef\xbb\xbf"
"""The byte order mark that a text may begin with."""


def fits(name: str, head: bytes) -> bool:
    return b"\0" not in head and is_utf8(head)


def is_utf8(head: bytes) -> bool:
    """Is it UTF-8, as far as it goes? A character may be cut at the end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def compare(a: Content, b: Content, around: Around) -> Finding:
    """Line by line. Raises Unreadable where it is no UTF-8 text."""
    with a.open() as first, b.open() as second:
        walk = Walk(Volatile(around))
        for one, other in zip_longest(lines(first), lines(second)):
            walk.step(one, other)
    return walk.finding()


def marks(a: Content, b: Content) -> Finding | None:
    """A finding where only one of two texts begins with a byte order mark: many readers take that for a part of it."""
    then, now = (begins_marked(content) for content in (a, b))
    if then == now:
        return None
    return Finding(DIFFERENT, f"its byte order mark is {'gone' if then else 'new'}")


def begins_marked(content: Content) -> bool:
    with content.open() as file:
        return file.read(len(MARK)) == MARK


def lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines with their ends; one that is longer than `_LONGEST` in pieces. Raises Unreadable."""
    number = 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    while piece := file.readline(_LONGEST):
        number += 1
        try:
            if b"\0" in piece:
                raise Unreadable(f"it is no text: line {number:,} has a NUL")
            decoder.decode(piece)
        except UnicodeDecodeError as error:
            raise Unreadable(f"it is no UTF-8 text: line {number:,}") from error
        yield piece
    if decoder.getstate()[0]:
        raise Unreadable("it is no UTF-8 text: its end is cut off")


class Walk:
    """Two texts, as far as they have been read."""

    def __init__(self, volatile: Volatile) -> None:
        self.volatile = volatile
        self.counts = [0, 0]
        self.alike = self.different = 0
        self.sums = [0, 0]
        """Of all lines that differ, whatever their order."""
        self.first: tuple[int, bytes, bytes] | None = None
        self.ends = 0
        """Lines that differ only in how they end."""

    def step(self, one: bytes | None, other: bytes | None) -> None:
        for side, line in enumerate((one, other)):
            self.counts[side] += line is not None
        if one == other:
            return
        for side, line in enumerate((one, other)):
            self.sums[side] += hash(line) if line is not None else 0
        if one is None or other is None:
            self._remember(one or b"", other or b"")
        elif self.different < _MANY and self._alike(one, other):
            self.alike += 1
        else:
            self.ends += one.rstrip(b"\r\n") == other.rstrip(b"\r\n")
            self._remember(one, other)

    def _alike(self, one: bytes, other: bytes) -> bool:
        if len(one) >= _LONGEST or len(other) >= _LONGEST:
            return False
        ends = [line[len(line.rstrip(b"\r\n")) :] for line in (one, other)]
        if one.startswith(MARK) and other.startswith(MARK):  # what begins a line comes after it
            one, other = one[len(MARK) :], other[len(MARK) :]
        texts = [line.rstrip(b"\r\n").decode(errors="replace") for line in (one, other)]
        return ends[0] == ends[1] and self.volatile.alike(*texts)

    def _remember(self, one: bytes, other: bytes) -> None:
        self.different += 1
        if self.first is None:
            self.first = max(self.counts), one, other

    def finding(self) -> Finding:
        if not self.different:
            many = "line" if self.alike == 1 else "lines"
            return Finding(EQUIVALENT, f"{self.volatile.told()}, in {self.alike:,} {many}")
        return Finding(DIFFERENT, self._reason())

    def _reason(self) -> str:
        then, now = self.counts
        assert self.first is not None
        number, one, other = self.first
        if then == now and self.sums[0] == self.sums[1]:
            return f"the same lines in another order, from line {number:,} on"
        if self.ends == self.different:
            return f"the line ends differ in {self.ends:,} of {then:,} lines, nothing else"
        if then != now:
            told = f"{then:,} lines then, {now:,} now; they part in line {number:,}"
        else:
            plural, verb = "s" if then > 1 else "", "differ" if self.different > 1 else "differs"
            told = f"{self.different:,} of {then:,} line{plural} {verb}, first line {number:,}"
        return f"{told}: {shown(one)} then, {shown(other)} now{advice(one, other)}"


def shown(line: bytes | str) -> str:
    """A line for a person: cut, and without characters that a terminal would obey."""
    text = line.decode(errors="replace") if isinstance(line, bytes) else line
    text = text.rstrip("\r\n")
    safe = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[:_SHOWN])
    return f'"{safe}{"..." if len(text) > _SHOWN else ""}"' if text else "nothing"


def advice(one: bytes, other: bytes) -> str:
    """A hint where the line tells how long something took: only the project knows that this means nothing."""
    from mltrack.compare.contents.durations import is_timing

    if is_timing(one.decode(errors="replace"), other.decode(errors="replace")):
        return " (how long something took; `verdict.ignore` leaves out a file that only tells that)"
    return ""
