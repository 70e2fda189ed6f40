"""Segments of the ledger on a remote: records and events of one replica, zstd JSON lines, chained by digest.

A segment is named `<replica>/<first>-<last>-<hex>`, the hex being the BLAKE3 of its bytes. Records stand in it byte
for byte. Bytes in, bytes out: `transfer.py` moves them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from mltrack.digest import canonical_json, digest_bytes
from mltrack.errors import Damaged, FormatTooNew
from mltrack.ledger.events import Event, event_digest, event_from, event_json
from mltrack.nouns import noun
from mltrack.patterns import lazy, lazy_bytes
from mltrack.records import ID_ALPHABET, ID_LENGTH
from mltrack.sync.packs import hex_of

FORMAT = 1
LEVEL = 6
SEGMENT_BYTES = 32 << 20
"""A segment is closed when its lines come to this many bytes."""

LONGEST_LINE = 64 << 20
LARGEST = 256 << 20
"""Bytes of a line, and of a segment before compression, beyond which a reader refuses: no bomb unfolds in memory."""

MOST_LINES = 200_000
"""Lines of a segment beyond which a reader refuses: each costs memory of its own."""

SEGMENT_LINES = MOST_LINES // 2
"""A segment is closed when it has this many lines."""

LARGEST_FILE = 128 << 20
"""Bytes of a segment as it lies there, beyond which it is not read."""

NAME = lazy(rf"([{ID_ALPHABET}]{{{ID_LENGTH}}})/([0-9]{{1,15}})-([0-9]{{1,15}})-([0-9a-f]{{64}})")
RECORD = lazy_bytes(rb'\{"digest":"(b3:[0-9a-f]{64})","record":')


@noun
class SegmentName:
    replica: str
    first: int
    last: int
    hex: str

    @classmethod
    def parse(cls, path: str) -> SegmentName | None:
        """What a path below `ledger/` says; None if it is not a segment's."""
        found = NAME.fullmatch(path)
        if found is None or int(found.group(2)) > int(found.group(3)):
            return None
        return cls(found.group(1), int(found.group(2)), int(found.group(3)), found.group(4))

    def __str__(self) -> str:
        return f"{self.replica}/{self.file}"

    @property
    def file(self) -> str:
        return f"{self.first}-{self.last}-{self.hex}"

    @property
    def path(self) -> str:
        return f"ledger/{self}"

    @property
    def width(self) -> int:
        return self.last - self.first + 1


@noun
class Link:
    """A segment's first line: whose it is, which pushes it holds, and the hex of the segment before it."""

    replica: str
    first: int
    last: int
    previous: str | None
    replaces: tuple[str, ...] = ()
    """Names of segments, `<replica>/<file>`, all of whose lines it holds."""


@noun
class Segment:
    link: Link
    records: tuple[tuple[str, bytes], ...]
    """Digest and bytes of each."""
    events: tuple[Event, ...]


def encode_segment(link: Link, lines: Iterable[bytes]) -> tuple[SegmentName, bytes]:
    """The name and the bytes of a segment; `lines` are those of `record_line` and `event_line`."""
    import zstandard

    head: dict[str, Any] = {
        "first": link.first,
        "format": FORMAT,
        "last": link.last,
        "previous": link.previous,
        "replica": link.replica,
    }
    if link.replaces:
        # Those of the same replica by their file alone.
        head["replaces"] = sorted(name.removeprefix(f"{link.replica}/") for name in set(link.replaces))
    data = zstandard.ZstdCompressor(level=LEVEL).compress(b"\n".join([canonical_json(head), *lines, b""]))
    return SegmentName(link.replica, link.first, link.last, hex_of(data)), data


def record_line(digest: str, record: bytes) -> bytes:
    return b'{"digest":"%s","record":%s}' % (digest.encode(), record)


def event_line(event: Event) -> bytes:
    return canonical_json({"event": event_json(event)})


def decode_segment(name: SegmentName, data: bytes) -> Segment:
    """A segment, proved: bytes against the name, records against their digests. Raises Damaged, FormatTooNew."""
    if hex_of(data) != name.hex:
        raise damaged(name, "its bytes are not those its name says")
    lines = read_lines(name, data)
    link = read_link(name, next(lines, b""))
    records, events = [], []
    for line in lines:
        found = RECORD.match(line)
        if found and line.endswith(b"}"):
            record = line[found.end() : -1]
            if digest_bytes(record) != found.group(1).decode():
                raise damaged(name, "a record is not what its digest says")
            records.append((found.group(1).decode(), record))
        else:
            events.append(read_event(name, line))
    return Segment(link, tuple(records), tuple(event for event in events if event is not None))


def read_link(name: SegmentName, line: bytes) -> Link:
    head = read_json(name, line)
    try:
        replaces = tuple(read_replaced(head["replica"], text) for text in head.get("replaces", ()))
        link = Link(head["replica"], head["first"], head["last"], head["previous"], replaces)
        if head["format"] > FORMAT:
            raise FormatTooNew(f"The segment {name} was written by a newer mltrack.", "Upgrade mltrack.")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise damaged(name, "its first line is not one") from error
    if (link.replica, link.first, link.last) != (name.replica, name.first, name.last):
        raise damaged(name, "its first line is another segment's")
    return link


def read_replaced(replica: str, text: str) -> str:
    """The name of a segment that stands in `replaces`. Raises ValueError."""
    name = text if "/" in text else f"{replica}/{text}"
    if SegmentName.parse(name) is None:
        raise ValueError(text)
    return name


def read_event(name: SegmentName, line: bytes) -> Event | None:
    """The event of a line; None for a line of a kind that a newer mltrack added."""
    document = read_json(name, line)
    if not isinstance(document, dict):
        raise damaged(name, "a line is not an object")
    return event_from(document["event"]) if "event" in document else None


def read_json(name: SegmentName, line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise damaged(name, "a line is not JSON") from error


def read_lines(name: SegmentName, data: bytes) -> Iterator[bytes]:
    """The lines of a segment, unpacked piece by piece within bounds."""
    import zstandard

    total = number = 0
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader, io.BufferedReader(reader, 1 << 20) as lines:
            while line := lines.readline(LONGEST_LINE):
                total, number = total + len(line), number + 1
                if total > LARGEST or number > MOST_LINES or len(line) >= LONGEST_LINE:
                    raise too_large(name)
                if not line.endswith(b"\n"):
                    raise damaged(name, "it is cut short")
                yield line[:-1]
    except zstandard.ZstdError as error:
        raise damaged(name, "it cannot be unpacked") from error


def raw_lines(name: SegmentName, data: bytes) -> list[bytes]:
    """Every line of a segment but the first, of unknown kinds too. Raises Damaged."""
    return list(read_lines(name, data))[1:]


def items_of(segment: Segment) -> list[tuple[str, str]]:
    """Digest of each record and event, with the id of its run: what a ledger remembers of a segment."""
    records = [(digest, str(json.loads(data).get("id"))) for digest, data in segment.records]
    return records + [(event_digest(event), event.run) for event in segment.events]


def damaged(name: SegmentName, why: str) -> Damaged:
    return Damaged(f"The remote's segment {name} is damaged: {why}.", "Nothing of it was taken over.")


def too_large(name: SegmentName) -> Damaged:
    return damaged(name, "it is too large")
