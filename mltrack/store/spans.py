"""Objects out of the packs by large reads: many small ones in the order in which they lie, a large one by threads.

What a read does not give as it should (the pack was moved by gc, a byte is damaged) is asked for again by itself, with
all the care of the store. Nothing here knows where the bytes go, but for the file that a large object is poured into.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mltrack.digest import from_raw, hasher, to_raw
from mltrack.errors import Damaged, DataMissing
from mltrack.store.disk import write_all
from mltrack.store.entries import (
    CHUNK,
    HEADER_SIZE,
    PLAIN,
    EntryKey,
    Place,
    parse_header,
    prove,
    unpack,
    unpack_unproved,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mltrack.progress import Progress
    from mltrack.store.objects import Store

GAP = 64 << 10
"""Entries of one pack that lie no further apart are read as one."""

SPAN = 4 << 20
"""Bytes of a pack that are read at once."""

BUFFER = SPAN + (64 << 10)

NOTHING = bytearray()

RAW = 4 * SPAN
"""Bytes that a span may come to when it is unpacked."""

WORKERS = 2
AHEAD = 4
"""Spans of a large object that are in memory at once."""
Blocks = list[bytes | memoryview]


class Span(NamedTuple):
    """Entries that lie near each other in one pack."""

    pack: str
    start: int
    end: int
    parts: list[tuple[EntryKey, Place]]


class Piece(NamedTuple):
    """A chunk of a large object: `length` bytes from `position` of the object."""

    key: EntryKey
    length: int
    position: int


def spans(places: Mapping[EntryKey, Place]) -> Iterator[Span]:
    """Few reads for many entries, in the order of the packs."""
    return joined(sorted(places.items(), key=lambda item: item[1]))


def joined(ordered: Sequence[tuple[EntryKey, Place]]) -> Iterator[Span]:
    """Neighbours of the list that lie near and behind each other, as one span."""
    parts: list[tuple[EntryKey, Place]] = []
    pack, start, end, raw = "", 0, 0, 0
    for key, place in ordered:
        behind = place.offset + place.length
        raw += place.raw_size
        near = place.pack == pack and 0 <= place.offset - end <= GAP and behind - start <= SPAN and raw <= RAW
        if parts and not near:
            yield Span(pack, start, end, parts)
            parts = []
        if not parts:
            pack, start, raw = place.pack, place.offset, place.raw_size
        parts.append((key, place))
        end = behind
    if parts:
        yield Span(pack, start, end, parts)


def small_and_large(store: Store, digests: Iterable[str]) -> tuple[list[Span], list[str]]:
    """The objects of one chunk, as spans for `read_span`, and the others, for `pour`."""
    asked = {(CHUNK, to_raw(digest)): digest for digest in digests}
    places = store.locate(asked)
    return list(spans(places)), [digest for key, digest in asked.items() if key not in places]


def read_span(store: Store, span: Span) -> Iterator[tuple[str, bytes]]:
    """Digest and bytes, verified, of every chunk of a span, one by one. Raises DataMissing or Damaged."""
    view = _read(store, span)
    for key, place in span.parts:
        at = place.offset - span.start
        try:
            header = parse_header(view, at)
            if header.key != key:
                raise Damaged("The index leads to another entry.")
            raw = unpack(header, view[at + HEADER_SIZE : at + place.length])
        except Damaged:
            raw = store.load(key)
        yield from_raw(key[1]), raw


def read_entries(store: Store, span: Span) -> Iterator[tuple[EntryKey, bytes | None]]:
    """Each entry of a span, header and payload, verified; None for one that is missing or damaged."""
    view = _read(store, span, bytearray())
    for key, place in span.parts:
        at = place.offset - span.start
        entry: bytes | None = bytes(view[at : at + place.length])
        try:
            header = parse_header(view, at)
            if header.key != key:
                raise Damaged("The index leads to another entry.")
            prove(header, view[at + HEADER_SIZE : at + place.length])
        except Damaged:
            entry = _read_alone(store, key)
        yield key, entry


def _read_alone(store: Store, key: EntryKey) -> bytes | None:
    try:
        return store.read_entry(key)
    except DataMissing:
        return None


def _read(store: Store, span: Span, buffer: bytearray = NOTHING) -> memoryview:
    """The bytes of a span, in the buffer if they fit; fewer where they cannot be read."""
    size = span.end - span.start
    view = memoryview(buffer if size <= len(buffer) else bytearray(size))[:size]
    try:
        with store.pack_file(span.pack) as file:
            return view[: os.preadv(file.fileno(), [view], span.start)]
    except (DataMissing, OSError):
        return view[:0]


def pour(store: Store, digest: str, handle: int, progress: Progress | None = None) -> int:
    """Write an object's bytes to the start of an open, empty file; how many.

    They are proved by the digest of the whole when all are there, and only then: on Damaged the file holds what it
    should not. Raises DataMissing, Damaged, OSError.
    """
    pieces = store.pieces(digest)
    if pieces is None:
        data = store.get_bytes(digest)
        write_all(handle, data)
        if progress is not None:
            progress(len(data))
        return len(data)
    laid = _laid_out(pieces)
    whole = hasher()
    for blocks in _in_order(_Pouring(store, laid, handle)):
        for block in blocks:
            whole.update(block)
        if progress is not None:
            progress(sum(map(len, blocks)))
    if from_raw(whole.digest()) != digest:
        for _ in store.read(digest):  # says which of the chunks is damaged, if it is one
            pass
        raise Damaged(
            f"The chunks of {digest} were read as they should not be, and then as they should.",
            "The disk or the memory may be failing; try again.",
        )
    return sum(piece.length for piece in laid)


def _laid_out(pieces: Sequence[tuple[bytes, int]]) -> list[Piece]:
    found = []
    position = 0
    for raw, length in pieces:
        found.append(Piece((CHUNK, raw), length, position))
        position += length
    return found


def _in_order(pouring: _Pouring) -> Iterator[Blocks]:
    """The blocks of each span, read and written by threads, in the order of the object; valid until the next."""
    from concurrent.futures import ThreadPoolExecutor

    flying: deque[tuple[bytearray, Future[Blocks]]] = deque()
    # The same memory again and again: touching new memory costs more than the hashing does.
    free = [bytearray(BUFFER) for _ in range(AHEAD)]
    with ThreadPoolExecutor(WORKERS) as workers:
        try:
            for span, pieces in pouring.work():
                if not free:
                    buffer, first = flying.popleft()
                    yield first.result()
                    free.append(buffer)
                buffer = free.pop()
                flying.append((buffer, workers.submit(pouring.do, span, pieces, buffer)))
            while flying:
                yield flying.popleft()[1].result()
        finally:
            for _, future in flying:
                future.cancel()


class _Pouring:
    """The spans of one large object, on their way into a file."""

    def __init__(self, store: Store, pieces: Sequence[Piece], handle: int) -> None:
        self.store = store
        self.pieces = pieces
        self.handle = handle
        self.places = store.locate({piece.key for piece in pieces})

    def work(self) -> Iterator[tuple[Span, list[Piece]]]:
        """Spans of consecutive pieces; a piece that is not located has a span without parts."""
        nowhere = Place("", 0, 0, 0)
        number = 0
        for span in joined([(piece.key, self.places.get(piece.key, nowhere)) for piece in self.pieces]):
            yield span, list(self.pieces[number : number + len(span.parts)])
            number += len(span.parts)

    def do(self, span: Span, pieces: list[Piece], buffer: bytearray) -> Blocks:
        """Read a span, and write the bytes of its pieces where they belong."""
        data = _read(self.store, span, buffer) if span.pack else memoryview(b"")
        blocks: Blocks = []
        for piece, (key, place) in zip(pieces, span.parts, strict=True):
            block = self._block(data, key, place, span.start)
            if len(block) != piece.length:
                raise Damaged(
                    f"The recipe of an object gives the chunk {from_raw(key[1])} another length than it has.",
                    "Run `mltrack verify` to see what it touches and where a copy is.",
                )
            _write_at(self.handle, block, piece.position)
            blocks.append(block)
        return blocks

    def _block(self, data: memoryview, key: EntryKey, place: Place, start: int) -> bytes | memoryview:
        at = place.offset - start
        try:
            header = parse_header(data, at)
            payload = data[at + HEADER_SIZE : at + HEADER_SIZE + header.payload_size]
            if header.key != key or len(payload) != header.payload_size:
                raise Damaged("The index leads to another entry.")
            return payload if header.compression == PLAIN else unpack_unproved(header, payload)
        except Damaged:
            return self.store.load(key)


def _write_at(handle: int, block: bytes | memoryview, position: int) -> None:
    view = memoryview(block)
    while view:
        done = os.pwrite(handle, view, position)
        view, position = view[done:], position + done
