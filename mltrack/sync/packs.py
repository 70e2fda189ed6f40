"""Packs and indexes on a remote: how they are built, named, found again and read.

A pack there is a sealed pack as in the store (`store/entries.py`), written once; an index says what packs hold. Both
are named by the BLAKE3 of their bytes, which every reader checks.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from mltrack.digest import PREFIX, digest_bytes
from mltrack.errors import Damaged
from mltrack.nouns import noun
from mltrack.patterns import lazy
from mltrack.store.entries import (
    CHUNK,
    LIMITS,
    PACK_HEADER,
    TABLE,
    TABLE_ROW,
    EntryKey,
    encode,
    encode_table,
    parse_header,
    raw_digest,
)
from mltrack.sync.places import Listed
from mltrack.sync.remote import Remote

PACK_SIZE = 32 << 20
"""A pack is closed when it holds this many bytes, or before an entry that would carry it past."""

PACK_ENTRIES = LIMITS[TABLE] // TABLE_ROW.size - 1024
"""... or this many entries: its table must be an entry too. Some room is left for what `build_pack` appends."""

INDEX_BYTES = 16 << 20
"""An index is closed before a pack that would carry it past."""

LARGEST_PACK = 128 << 20
"""Bytes of a pack beyond which it is none: entries, one that is large, and the table."""

LARGEST_INDEX = 64 << 20
"""Bytes of an index beyond which a reader refuses to take it into memory."""

FEW = 16
"""So many keys are looked for by their bytes; with more it is quicker to walk over the rows of an index."""

INDEX_HEADER = b"mltindx\x01"
COUNT = struct.Struct("<I")
SECTION = struct.Struct("<32sQI")
"""Of an index: a pack's raw digest, its length, how many rows follow."""

HEX = lazy(r"[0-9a-f]{64}")


class Row(NamedTuple):
    """An entry of a pack: `length` bytes from `offset`, `raw_size` when decoded."""

    key: EntryKey
    offset: int
    length: int
    raw_size: int


class Location(NamedTuple):
    pack: str
    offset: int
    length: int
    raw_size: int


@noun
class Pack:
    """What an index says of one pack; `name` is the hex of its digest."""

    name: str
    length: int
    rows: tuple[Row, ...]


def hex_of(data: bytes) -> str:
    return digest_bytes(data).removeprefix(PREFIX)


def pack_path(name: str) -> str:
    return f"packs/{name[:2]}/{name}"


def index_path(name: str) -> str:
    return f"indexes/{name}"


def build_pack(entries: Iterable[bytes], avoid: Collection[str] = ()) -> tuple[Pack, bytes]:
    """A whole pack of these entries. The same entries in the same order are the same pack.

    Its name is none of those to `avoid`: a pack that is condemned may be removed at any moment, so what is sent again
    must not bear its name. Empty chunks at the end make it another one.
    """
    parts, rows, offset = [PACK_HEADER], [], len(PACK_HEADER)
    for entry in entries:
        header = parse_header(entry)
        rows.append(Row(header.key, offset, len(entry), header.raw_size))
        parts.append(entry)
        offset += len(entry)
    nothing = encode(CHUNK, b"", raw_digest(b""))
    while True:
        data = b"".join([*parts, encode_table(rows, offset)])
        name = hex_of(data)
        if name not in avoid:
            return Pack(name, len(data), tuple(rows)), data
        rows.append(Row((CHUNK, raw_digest(b"")), offset, len(nothing), 0))
        parts.append(nothing)
        offset += len(nothing)


def index_size(packs: Iterable[Pack]) -> int:
    """Bytes that an index of these packs has about."""
    return sum(SECTION.size + TABLE_ROW.size * len(pack.rows) for pack in packs)


def encode_index(packs: Iterable[Pack], replaces: Iterable[str] = ()) -> bytes:
    """The bytes of an index; `replaces` names the indexes whose packs it lists too."""
    old = [bytes.fromhex(name) for name in replaces]
    parts = [INDEX_HEADER, COUNT.pack(len(old)), *old]
    for pack in packs:
        parts.append(SECTION.pack(bytes.fromhex(pack.name), pack.length, len(pack.rows)))
        parts += [TABLE_ROW.pack(*row.key, row.offset, row.length, row.raw_size) for row in pack.rows]
    return b"".join(parts)


def replaced_by(data: bytes) -> list[str]:
    """The indexes that one names as replaced. Raises Damaged."""
    start = len(INDEX_HEADER) + COUNT.size
    if data[: len(INDEX_HEADER)] != INDEX_HEADER or len(data) < start:
        raise damaged("it does not begin as one")
    (count,) = COUNT.unpack_from(data, len(INDEX_HEADER))
    if len(data) < start + 32 * count:
        raise damaged("it is cut short")
    return [data[at : at + 32].hex() for at in range(start, start + 32 * count, 32)]


def sections(data: bytes) -> Iterator[tuple[str, int, memoryview]]:
    """Each pack of an index: name, length, and its rows as bytes. Raises Damaged."""
    at = len(INDEX_HEADER) + COUNT.size + 32 * len(replaced_by(data))
    view = memoryview(data)
    while at < len(data):
        if len(data) - at < SECTION.size:
            raise damaged("it is cut short")
        digest, length, count = SECTION.unpack_from(data, at)
        at += SECTION.size
        end = at + count * TABLE_ROW.size
        if end > len(data):
            raise damaged("it is cut short")
        yield digest.hex(), length, view[at:end]
        at = end


def damaged(why: str) -> Damaged:
    return Damaged(f"An index of the remote is damaged: {why}.", "Run `mltrack verify --remote`.")


class Catalogue:
    """What objects a remote holds, as its indexes and the listing of its packs say.

    An entry counts as there if the pack that an index names for it is listed with the right length; so a pack that
    vanished is sent again. A damaged index is passed over and named in `problems`.
    """

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.problems: list[str] = []
        self.packs: dict[str, Listed] = {}
        self.indexes: dict[str, Listed] = {}
        self.condemned: set[str] = set()
        """Names of packs that a gc of the remote may remove at any moment. Whoever writes counts them as absent."""

    def refresh(self, condemned: bool = False) -> None:
        """List the remote's packs and indexes; indexes are read once and then come from the cache.

        Who is going to rely on what is there, rather than read it now, asks for what is `condemned` too. The order
        matters: a pack whose condemnation was not seen is still listed only if nobody has begun to remove it.
        """
        if condemned:
            from mltrack.sync.condemned import condemned_packs

            self.condemned = condemned_packs(self.remote)
        # Indexes before packs: whatever an index names was there before it.
        found = self.remote.list("indexes")
        self.indexes = {name: listed for name, listed in found.items() if HEX.fullmatch(name)}
        found = self.remote.list("packs")
        self.packs = {
            path[3:]: listed for path, listed in found.items() if HEX.fullmatch(path[3:]) and path[:2] == path[3:5]
        }

    def has_pack(self, name: str, length: int) -> bool:
        return name in self.packs and self.packs[name].size in (length, None)

    def locate(self, keys: Iterable[EntryKey], condemned: bool = False) -> dict[EntryKey, list[Location]]:
        """Where each of the keys lies; those that are nowhere are left out. Memory grows with the keys only.

        What lies in condemned packs only is left out too, unless it is asked for: to be read, not to be relied on.
        """
        wanted = set(keys)
        found: dict[EntryKey, list[Location]] = {}
        for _, data in self.read_indexes() if wanted else ():
            for name, length, rows in sections(data):
                if self.has_pack(name, length) and (condemned or name not in self.condemned):
                    for key, offset, size, raw_size in rows_of(rows, wanted):
                        if offset + size <= length:
                            found.setdefault(key, []).append(Location(name, offset, size, raw_size))
        return found

    def read_indexes(self) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of every index, the largest first; those that another one replaces are not read."""
        replaced: set[str] = set()
        for name in sorted(self.indexes, key=lambda name: (-(self.indexes[name].size or 0), name)):
            if name in replaced:
                continue
            data = read_index(self.remote, name, self.indexes[name])
            if data is None:
                self.problems.append(index_path(name))
            else:
                replaced.update(replaced_by(data))
                yield name, data


def rows_of(rows: memoryview, wanted: set[EntryKey]) -> Iterator[tuple[EntryKey, int, int, int]]:
    """The rows of a pack, out of an index, that are of these keys."""
    if len(wanted) > FEW:
        for type, digest, offset, size, raw_size in TABLE_ROW.iter_unpack(rows):
            if (type, digest) in wanted:
                yield (type, digest), offset, size, raw_size
        return
    raw = bytes(rows)
    for type, digest in wanted:
        key = bytes([type]) + digest
        at = raw.find(key)
        while at >= 0:
            if at % TABLE_ROW.size == 0:
                yield (type, digest), *TABLE_ROW.unpack_from(raw, at)[2:]
            at = raw.find(key, at + 1)


def read_index(remote: Remote, name: str, listed: Listed | None = None) -> bytes | None:
    """The bytes of an index, from the cache or the remote; None if they are not what the name says, or not there."""
    data = remote.cached(index_path(name))
    if data is not None and hex_of(data) == name:
        return data
    if listed is not None and (listed.size or 0) > LARGEST_INDEX:
        return None
    data = remote.read(index_path(name))
    if data is None or hex_of(data) != name:
        return None
    try:
        for _ in sections(data):
            pass
    except Damaged:
        return None
    remote.keep(index_path(name), data)
    return data
