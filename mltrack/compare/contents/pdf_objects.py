"""The objects of a PDF, read off its bytes from front to back, and what its cross-references say of them.

Nothing is searched for: every byte belongs to an object, a table, a trailer or a comment, or the file is refused.
"""

from __future__ import annotations

import re
import zlib
from functools import cached_property

from mltrack.compare.comparators import LARGEST_IN_MEMORY, Unreadable
from mltrack.nouns import noun

HEADER = re.compile(rb"%PDF-(\d\.\d)[\r\n]")
SPACE = re.compile(rb"(?:[\s\0]+|%[^\r\n]*)*")
OBJECT = re.compile(rb"(\d{1,10})\s+(\d{1,5})\s+obj\b")
END = re.compile(rb"\s*endobj\b")
STREAM = re.compile(rb"stream(?:\r\n|\n)")
END_STREAM = re.compile(rb"\r?\n?endstream\b")
TABLE = re.compile(rb"xref\s+(?=\d)")
SECTION = re.compile(rb"(\d{1,10}) (\d{1,10})\s*[\r\n]+")
ENTRY = re.compile(rb"(\d{10}) (\d{5}) ([nf])(?: \r| \n|\r\n)")
TRAILER = re.compile(rb"trailer\b")
START = re.compile(rb"startxref\s+(\d+)\b")
STOP = re.compile(rb"[(<%]|(?<![/\w])(?:endobj|stream|startxref)\b")
NUMBER = re.compile(rb"(?<!\d)(\d{1,10})\s+\d{1,5}\s+obj\s+(\d{1,19})\s+endobj")
LENGTH = re.compile(rb"/Length\s+(\d+)(?:\s+\d+\s+(R)\b)?")
FLATE = re.compile(rb"/Filter\s*(?:/FlateDecode\b|\[\s*/FlateDecode\s*\])")
REFUSED = re.compile(rb"/(?:Encrypt|Prev|XRefStm|Linearized)\b")


@noun
class Object:
    number: int
    text: bytes
    """What stands between `obj` and `endobj` or `stream`, with no length."""
    stream: bytes | None = None
    """Unpacked, where it was packed by Flate alone."""


@noun
class Parsed:
    version: bytes
    objects: dict[int, Object]
    trailers: tuple[bytes, ...]
    references: tuple[tuple[int, int, int], ...]
    """Entries of the tables by number, with no offsets: those were found to lead to the objects."""


class Reading:
    """A PDF being read: where its objects stand, and what was read of it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.left = data, LARGEST_IN_MEMORY
        self.objects: dict[int, Object] = {}
        self.places: dict[int, tuple[int, int]] = {}
        """number -> (offset, generation)"""
        self.tables: set[int] = set()
        self.starts: list[int] = []
        self.trailers: list[bytes] = []
        self.entries: list[tuple[int, int, int, int]] = []
        """(number, kind, offset or containing object, generation or index); kinds as in a cross-reference stream."""
        self.lengths: set[int] = set()
        """Numbers of the objects that are nothing but a stream's length."""

    @cached_property
    def numbers(self) -> dict[int, int]:
        """The objects that are nothing but a number, by their own: the first of each that can be found."""
        found: dict[int, int] = {}
        for each in NUMBER.finditer(self.data):
            found.setdefault(int(each[1]), int(each[2]))
        return found


def parse(data: bytes) -> Parsed:
    """Read a PDF. Raises Unreadable."""
    header = HEADER.match(data)
    if not header:
        raise Unreadable("its beginning is not that of a PDF")
    reading = Reading(data)
    at = 0
    while (at := _end(SPACE, data, at)) < len(data):
        at = _read_next(reading, at)
    _check(reading)
    for number in reading.lengths & reading.objects.keys():
        if reading.objects[number].text.strip().isdigit():
            reading.objects[number] = Object(number, b"")
    references = sorted(
        (number, kind, 0 if kind == 1 else place, last) for number, kind, place, last in reading.entries
    )
    plain = tuple((number, kind, place << 32 | last) for number, kind, place, last in references)
    return Parsed(header[1], reading.objects, tuple(reading.trailers), plain)


def _read_next(reading: Reading, at: int) -> int:
    """Read what begins at an offset, and answer where it ends."""
    data = reading.data
    if found := OBJECT.match(data, at):
        return _read_object(reading, found)
    if found := TABLE.match(data, at):
        reading.tables.add(at)
        return _read_table(reading, found.end())
    if found := TRAILER.match(data, at):
        end = _value_end(data, found.end(), b"startxref")
        reading.trailers.append(data[found.end() : end].strip())
        return end
    if found := START.match(data, at):
        reading.starts.append(int(found[1]))
        return found.end()
    raise Unreadable("it holds something that is no object, table or trailer")


def _read_object(reading: Reading, found: re.Match[bytes]) -> int:
    data, number = reading.data, int(found[1])
    if number in reading.objects:
        raise Unreadable("it was changed after it was written")
    reading.places[number] = found.start(), int(found[2])
    end = _value_end(data, found.end(), b"endobj", b"stream")
    text, stream = data[found.end() : end].strip(), None
    if begin := STREAM.match(data, end):
        stream, end = _read_stream(reading, text, begin.end())
        text = LENGTH.sub(lambda length: b"/Length", text, count=1)
    if re.search(rb"/Type\s*/XRef\b", text) and stream is not None:
        reading.entries += _stream_entries(text, stream)
        reading.tables.add(found.start())
        reading.trailers.append(text)
        text, stream = b"", None
    reading.objects[number] = Object(number, text, stream)
    return _must(END, data, end).end()


def _read_stream(reading: Reading, text: bytes, at: int) -> tuple[bytes, int]:
    """The bytes of a stream, unpacked if they can be, and where it ends."""
    data, said = reading.data, LENGTH.search(text)
    if not said:
        raise Unreadable("a stream has no length")
    length = int(said[1])
    if said[2]:
        reading.lengths.add(length)
        if length not in reading.numbers:
            raise Unreadable("a stream's length is not there")
        length = reading.numbers[length]
    end = _must(END_STREAM, data, at + length).end()
    stream = data[at : at + length]
    return (_inflated(reading, stream) if FLATE.search(text) else stream), end


def _inflated(reading: Reading, stream: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(stream, reading.left + 1)
    except zlib.error as error:
        raise Unreadable("a stream is damaged") from error
    reading.left -= len(unpacked)
    if reading.left < 0:
        raise Unreadable("it unpacks to far more than its size")
    if not unpacking.eof or unpacking.unused_data.strip():
        raise Unreadable("a stream is cut off")
    return unpacked


def _value_end(data: bytes, at: int, *keywords: bytes) -> int:
    """Where one of the keywords stands behind a value, outside of strings and comments."""
    while found := STOP.search(data, at):
        at = found.end()
        if found[0] in keywords:
            return found.start()
        if found[0] == b"(":
            at = _string_end(data, at)
        elif found[0] == b"%":
            at = _end(re.compile(rb"[^\r\n]*"), data, at)
        elif found[0] == b"<":
            at = at + 1 if data[at : at + 1] == b"<" else data.find(b">", at) + 1
            if not at:
                break
        else:
            break
    raise Unreadable("an object does not end")


def _string_end(data: bytes, at: int) -> int:
    """Where a string ends whose opening parenthesis stands before `at`."""
    depth = 1
    for found in re.compile(rb"\\.|[()]", re.S).finditer(data, at):
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    raise Unreadable("a string does not end")


def _read_table(reading: Reading, at: int) -> int:
    while section := SECTION.match(reading.data, at):
        first, count = int(section[1]), int(section[2])
        at = section.end()
        for number in range(first, first + count):
            entry = _must(ENTRY, reading.data, at)
            if entry[3] == b"n":
                reading.entries.append((number, 1, int(entry[1]), int(entry[2])))
            at = entry.end()
    return at


def _stream_entries(text: bytes, stream: bytes) -> list[tuple[int, int, int, int]]:
    """The entries of a cross-reference stream that are in use."""
    widths = re.search(rb"/W\s*\[\s*(\d)\s+(\d)\s+(\d)\s*\]", text)
    size = re.search(rb"/Size\s+(\d{1,9})\b", text)
    if not widths or not size or b"/DecodeParms" in text:
        raise Unreadable("its cross-references are kept in an unknown way")
    index = re.search(rb"/Index\s*\[([\d\s]*)\]", text)
    numbers = [*map(int, index[1].split())] if index else [0, int(size[1])]
    first, second, third = (int(width) for width in widths.groups())
    step = first + second + third
    if not step or sum(numbers[1::2]) * step != len(stream) or len(numbers) % 2:
        raise Unreadable("its cross-references are cut off")
    entries, at = [], 0
    for start, count in zip(numbers[::2], numbers[1::2]):
        for number in range(start, start + count):
            row = stream[at : at + step]
            kind = int.from_bytes(row[:first], "big") if first else 1
            if kind:
                place = int.from_bytes(row[first : first + second], "big")
                entries.append((number, kind, place, int.from_bytes(row[first + second :], "big")))
            at += step
    return entries


def _check(reading: Reading) -> None:
    """The cross-references lead to the objects that were read, and to all of them."""
    if any(REFUSED.search(trailer) for trailer in reading.trailers) or not reading.trailers:
        raise Unreadable("it is encrypted, linearised, or was changed after it was written")
    said = {number: (place, last) for number, kind, place, last in reading.entries if kind == 1}
    if said != reading.places or len(reading.starts) != 1 or reading.starts[0] not in reading.tables:
        raise Unreadable("its cross-references do not lead to its objects")


def _must(pattern: re.Pattern[bytes], data: bytes, at: int) -> re.Match[bytes]:
    found = pattern.match(data, at)
    if not found:
        raise Unreadable("it is laid out in an unknown way")
    return found


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    return found.end() if (found := pattern.match(data, at)) else at
