"""One entry of a pack: a self-describing header and a payload. All constants of the pack format stand here.

Bytes in, bytes out; the only file touched is the one that `scan` is handed. Every bit of an entry is covered by a
checksum or a digest, and no length is believed before it is checked.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from mltrack.digest import hasher
from mltrack.errors import Damaged, FormatTooNew, StorageError
from mltrack.nouns import noun

EntryKey = tuple[int, bytes]
"""Type and raw digest: what an entry is known by."""

CHUNK, RECIPE, TABLE = 1, 2, 3
PLAIN, ZSTD = 0, 1
VERSION = 1

PACK_HEADER = b"mltpack\x01"
"""The first bytes of every pack. Its entries say which version wrote them."""

MAGIC = b"\x93mlt"
HEADER = struct.Struct("<4sBBBBII32sI")
CHECKSUM = struct.Struct("<I")
HEADER_SIZE = HEADER.size + CHECKSUM.size
LIMITS = {CHUNK: 16 << 20, RECIPE: 64 << 20, TABLE: 16 << 20}
"""The most raw bytes of an entry, by type: the bound on what decompression may yield."""

TABLE_ROW = struct.Struct("<B32sQII")
TRAILER = struct.Struct("<QI4s")
TRAILER_MAGIC = b"mlt\x94"

PIECE = struct.Struct("<32sI")
"""A recipe's row: the raw digest of a chunk and its length."""

RECIPE_SIZE = struct.Struct("<Q")
LEVEL = 3
QUICK = 1
"""The level of a first taste."""

WORTH = 0.95
"""A compressed payload is kept if it is at most this part of the raw one."""

LEAST = 64
"""Bytes below which nothing is gained by compression."""

PROBED = 256 << 10
SAMPLE, SAMPLES = 4 << 10, 4
HOPE = 0.97
"""From PROBED bytes on, the whole is compressed only if so many samples of such a size shrink to this part."""

TASTE, TASTED = 1 << 10, 32
"""Of many small entries so many are tasted, so many bytes of each."""

_of_thread = threading.local()


class Header(NamedTuple):
    type: int
    compression: int
    raw_size: int
    payload_size: int
    digest: bytes
    payload_checksum: int

    @property
    def length(self) -> int:
        """Bytes of the whole entry."""
        return HEADER_SIZE + self.payload_size

    @property
    def key(self) -> EntryKey:
        return self.type, self.digest


@noun
class Entry:
    """A decoded entry; `raw` is proved to be what `digest` names."""

    type: int
    digest: bytes
    raw_size: int
    raw: bytes


class Place(NamedTuple):
    """Where an entry lies: `length` bytes from `offset` in the pack of that name; `raw_size` bytes when decoded."""

    pack: str
    offset: int
    length: int
    raw_size: int


def encode(type: int, raw: bytes | memoryview, digest: bytes) -> bytes:
    """The entry for some raw bytes, compressed if that pays. `digest` is 32 bytes; the caller has computed it."""
    return b"".join(encode_parts(type, raw, digest))


def encode_parts(type: int, raw: bytes | memoryview, digest: bytes) -> tuple[bytes, bytes | memoryview]:
    """Header and payload; the payload is `raw` itself, not a copy, where compression does not pay."""
    if len(raw) > LIMITS[type]:
        raise StorageError(
            f"An entry of {len(raw)} bytes is above the format's limit of {LIMITS[type]}.",
            "Split the file: one file may be about 1.8 TiB.",
        )
    payload: bytes | memoryview = raw
    compression, checksum = PLAIN, 0
    if _promises(raw):
        squeezed = _compressor().compress(raw)
        if len(squeezed) <= len(raw) * WORTH:
            payload, compression, checksum = squeezed, ZSTD, zlib.crc32(squeezed)
    head = HEADER.pack(MAGIC, VERSION, type, compression, 0, len(raw), len(payload), digest, checksum)
    return head + CHECKSUM.pack(zlib.crc32(head)), payload


def encode_many(type: int, raws: Sequence[bytes], digests: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """`encode_parts` for many small entries; where none of them promises to shrink, none is tried."""
    if _promise(raws):
        yield from (encode_parts(type, raw, digest) for raw, digest in zip(raws, digests, strict=True))  # type: ignore[misc]
        return
    pack, checksum, crc = HEADER.pack, CHECKSUM.pack, zlib.crc32
    for raw, digest in zip(raws, digests, strict=True):
        size = len(raw)
        head = pack(MAGIC, VERSION, type, PLAIN, 0, size, size, digest, 0)
        yield head + checksum(crc(head)), raw


def _promise(raws: Sequence[bytes]) -> bool:
    """Is it worth trying to compress any of them? The beginnings of some, one behind the other, are tried first."""
    if any(len(raw) > PROBED for raw in raws):
        return True
    sample = b"".join([raw[:TASTE] for raw in raws[:: max(1, len(raws) // TASTED)]])
    return len(sample) < LEAST or _shrinks(sample)


def _promises(raw: bytes | memoryview) -> bool:
    """Is it worth trying to compress? Of a large chunk a few samples are tried first."""
    if len(raw) < PROBED:
        return len(raw) >= LEAST
    step = len(raw) // SAMPLES
    samples = b"".join([raw[at : at + SAMPLE] for at in range(0, step * SAMPLES, step)])
    return _shrinks(samples)


def _shrinks(sample: bytes) -> bool:
    return len(_compressor(QUICK).compress(sample)) <= len(sample) * HOPE


def parse_header(data: bytes | memoryview, offset: int = 0) -> Header:
    """The header at `offset`. Raises Damaged if there is none, FormatTooNew if a later version wrote it."""
    if len(data) - offset < HEADER_SIZE:
        raise _damaged("a header is cut short")
    magic, version, type, compression, zero, raw, stored, digest, payload_checksum = HEADER.unpack_from(data, offset)
    (checksum,) = CHECKSUM.unpack_from(data, offset + HEADER.size)
    if magic != MAGIC or checksum != zlib.crc32(data[offset : offset + HEADER.size]):
        raise _damaged("there is no entry header where one should be")
    if version > VERSION or compression > ZSTD or type not in LIMITS:
        raise FormatTooNew("A pack entry was written by a newer mltrack.", "Update mltrack and try again.")
    if zero or raw > LIMITS[type] or stored > raw or (compression == PLAIN and stored != raw):
        raise _damaged("the sizes in a header contradict each other")
    return Header(type, compression, raw, stored, digest, payload_checksum)


def decode(entry: bytes | memoryview) -> Entry:
    """The entry's raw bytes, proved against its digest. Raises Damaged, or FormatTooNew."""
    header = parse_header(entry)
    return Entry(header.type, header.digest, header.raw_size, unpack(header, memoryview(entry)[HEADER_SIZE:]))


def unpack(header: Header, payload: bytes | memoryview) -> bytes:
    """The raw bytes of the entry with this header and payload, proved against its digest. Raises Damaged."""
    raw = unpack_unproved(header, payload)
    if header.type == RECIPE:
        recipe_pieces(raw, header.digest)
    elif raw_digest(raw) != header.digest:
        raise _damaged(f"the bytes of {header.digest.hex()[:16]} are not those that were stored")
    return raw


def unpack_unproved(header: Header, payload: bytes | memoryview) -> bytes:
    """The same, not proved: for a chunk of an object whose digest as a whole will be proved."""
    if len(payload) != header.payload_size:
        raise _damaged("an entry is cut short")
    return bytes(payload) if header.compression == PLAIN else _decompress(payload, header)


def prove(header: Header, payload: bytes | memoryview) -> None:
    """Raises Damaged unless the payload is that of the entry with this header; what is not compressed is not copied."""
    if header.compression != PLAIN or header.type == RECIPE or len(payload) != header.payload_size:
        unpack(header, payload)
    elif raw_digest(payload) != header.digest:
        raise _damaged(f"the bytes of {header.digest.hex()[:16]} are not those that were stored")


def encode_recipe(digest: bytes, pieces: Iterable[tuple[bytes, int]]) -> bytes:
    """The entry that says which chunks, in order, make the object `digest`."""
    rows = [PIECE.pack(*piece) for piece in pieces]
    size = sum(PIECE.unpack(row)[1] for row in rows)
    body = RECIPE_SIZE.pack(size) + b"".join(rows)
    return encode(RECIPE, body + raw_digest(digest + body), digest)


def recipe_pieces(raw: bytes, digest: bytes) -> list[tuple[bytes, int]]:
    """The chunks (raw digest, length) that a recipe's raw bytes list, proved to belong to the object `digest`."""
    body = raw[:-32]
    rows = len(body) - RECIPE_SIZE.size
    if rows < 0 or rows % PIECE.size or raw_digest(digest + body) != raw[-32:]:
        raise _damaged(f"the recipe of {digest.hex()[:16]} is not the one that was stored")
    pieces = list(PIECE.iter_unpack(body[RECIPE_SIZE.size :]))
    if sum(length for _, length in pieces) != RECIPE_SIZE.unpack_from(body)[0]:
        raise _damaged(f"the recipe of {digest.hex()[:16]} does not add up")
    return pieces


def encode_table(rows: Iterable[tuple[EntryKey, int, int, int]], offset: int) -> bytes:
    """The end of a sealed pack: a table entry, to be written at `offset`, and the trailer that points to it."""
    return encode_packed_table(pack_rows(rows), offset)


def pack_rows(rows: Iterable[tuple[EntryKey, int, int, int]]) -> bytes:
    """The raw bytes of a table of these rows: key, offset, length, raw size."""
    return b"".join(TABLE_ROW.pack(key[0], key[1], at, length, size) for key, at, length, size in rows)


def encode_packed_table(raw: bytes, offset: int) -> bytes:
    """`encode_table` for rows that are packed already."""
    return encode(TABLE, raw, raw_digest(raw)) + _trailer_of(offset)


def _trailer_of(offset: int) -> bytes:
    return TRAILER.pack(offset, zlib.crc32(offset.to_bytes(8, "little")), TRAILER_MAGIC)


def read_table(file: BinaryIO, size: int) -> list[tuple[EntryKey, int, int, int]] | None:
    """The rows (key, offset, length, raw size) of the table of a sealed pack of `size` bytes.

    None if the pack is not sealed, or its end is damaged: then `scan` finds the entries, more slowly.
    """
    if size < len(PACK_HEADER) + TRAILER.size:
        return None
    file.seek(size - TRAILER.size)
    trailer = file.read(TRAILER.size)
    offset: int = TRAILER.unpack(trailer)[0]
    if trailer != _trailer_of(offset) or not len(PACK_HEADER) <= offset < size - TRAILER.size:
        return None
    file.seek(offset)
    try:
        entry = decode(file.read(size - TRAILER.size - offset))
    except Damaged:
        return None
    if entry.type != TABLE or len(entry.raw) % TABLE_ROW.size:
        return None
    return [((kind, digest), *place) for kind, digest, *place in TABLE_ROW.iter_unpack(entry.raw)]


class scan(Iterator[tuple[EntryKey, int, int, int]]):
    """Walks the entries of a pack: (key, offset, length, raw size) of each chunk and recipe.

    Stops at the first torn or garbled entry, or with `resync` goes on at the next header that holds; `damage` lists
    (offset, what is wrong) either way, and is empty at a clean end. `end` is the offset behind the last whole one.
    With `verify` payloads are decoded too, otherwise only headers are read. A pack's header, table and trailer are
    stepped over; `sealed` is true once the trailer was seen.
    """

    def __init__(self, file: BinaryIO, start: int = 0, verify: bool = False, resync: bool = False) -> None:
        self.end = start
        self.damage: list[tuple[int, str]] = []
        self.sealed = False
        self._file = file
        self._verify = verify
        self._resync = resync
        self._size = file.seek(0, 2)
        self._at: int | None = start
        if start == 0 and self._size:
            self._pack_header()

    def _pack_header(self) -> None:
        self._file.seek(0)
        first = self._file.read(len(PACK_HEADER))
        if first == PACK_HEADER:
            self.end = self._at = len(PACK_HEADER)

    def __next__(self) -> tuple[EntryKey, int, int, int]:
        while self._at is not None and self._at < self._size:
            offset = self._at
            try:
                header = self._entry_at(offset)
                if header.type != TABLE:
                    self.end = self._at = offset + header.length
                    return header.key, offset, header.length, header.raw_size
                self._trailer(offset, offset + header.length)
            except Damaged as error:
                self.damage.append((offset, error.message))
                self._at = self._next_header(offset + 1) if self._resync else None
        raise StopIteration

    def _entry_at(self, offset: int) -> Header:
        self._file.seek(offset)
        head = self._file.read(HEADER_SIZE)
        header = parse_header(head)
        if offset + header.length > self._size:
            raise _damaged("an entry is cut short")
        if self._verify:
            decode(head + self._file.read(header.payload_size))
        return header

    def _trailer(self, table: int, offset: int) -> None:
        self._file.seek(offset)
        if self._file.read(TRAILER.size) != _trailer_of(table):
            raise _damaged("the table at the end of a pack is cut short")
        self.sealed = True
        self._at = None
        if offset + TRAILER.size != self._size:
            self.damage.append((offset + TRAILER.size, "bytes follow the end of a pack"))

    def _next_header(self, start: int) -> int | None:
        """The offset of the next header whose checksum holds."""
        while start < self._size:
            self._file.seek(start)
            block = self._file.read(1 << 20)
            found = block.find(MAGIC)
            while 0 <= found <= len(block) - HEADER_SIZE:
                try:
                    parse_header(block, found)
                except Damaged:
                    found = block.find(MAGIC, found + 1)
                else:
                    return start + found
            if len(block) < 1 << 20:
                return None
            start += len(block) - HEADER_SIZE
        return None


def _decompress(payload: bytes | memoryview, header: Header) -> bytes:
    """Bounded by the header: a frame that declares another size than the header is refused before it is unpacked."""
    import zstandard

    if zlib.crc32(payload) != header.payload_checksum:
        raise _damaged(f"the stored bytes of {header.digest.hex()[:16]} are damaged")
    try:
        if zstandard.frame_content_size(payload) != header.raw_size:
            raise _damaged(f"the stored bytes of {header.digest.hex()[:16]} declare another size")
        unpacked: bytes = _decompressor().decompress(payload, max_output_size=header.raw_size, allow_extra_data=False)
        return unpacked
    except zstandard.ZstdError as error:
        raise _damaged(f"the stored bytes of {header.digest.hex()[:16]} cannot be unpacked ({error})") from error


def _compressor(level: int = LEVEL) -> Any:
    name = f"compressor{level}"
    if not hasattr(_of_thread, name):
        import zstandard

        setattr(_of_thread, name, zstandard.ZstdCompressor(level=level))
    return getattr(_of_thread, name)


def _decompressor() -> Any:
    if not hasattr(_of_thread, "decompressor"):
        import zstandard

        _of_thread.decompressor = zstandard.ZstdDecompressor()
    return _of_thread.decompressor


def raw_digest(data: bytes | memoryview) -> bytes:
    """32 bytes."""
    return hasher(data).digest()


def _damaged(what: str) -> Damaged:
    return Damaged(f"The store is damaged: {what}.", "Run `mltrack verify` to see what it touches and where a copy is.")
