"""Packs and indexes on a remote: how they are built, named, found again and read.

A pack there is a sealed pack as in the store (`store/entries.py`), written once; an index says what packs hold. Both
are named by the BLAKE3 of their bytes, which every reader checks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mltrack.digest import PREFIX, digest_bytes
from mltrack.errors import Damaged
from mltrack.nouns import noun
from mltrack.patterns import lazy
from mltrack.store.entries import PACK_HEADER, TABLE_ROW, EntryKey, encode_table, parse_header
from mltrack.sync.remote import Remote

PACK_SIZE = 64 << 20
"""A pack is closed when it holds this many bytes, or before an entry that would carry it past."""

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


def build_pack(entries: Iterable[bytes]) -> tuple[Pack, bytes]:
    """A whole pack of these entries. The same entries in the same order are the same pack."""
    parts, rows, offset = [PACK_HEADER], [], len(PACK_HEADER)
    for entry in entries:
        header = parse_header(entry)
        rows.append(Row(header.key, offset, len(entry), header.raw_size))
        parts.append(entry)
        offset += len(entry)
    data = b"".join([*parts, encode_table(rows, offset)])
    return Pack(hex_of(data), len(data), tuple(rows)), data


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
        self.packs: dict[str, int | None] = {}
        self._indexes: list[str] = []

    def refresh(self) -> None:
        """List the remote's packs and indexes; indexes are read once and then come from the cache."""
        # Indexes before packs: whatever an index names was there before it.
        self._indexes = sorted(name for name in self.remote.list("indexes") if HEX.fullmatch(name))
        found = self.remote.list("packs")
        self.packs = {
            path[3:]: listed.size for path, listed in found.items() if HEX.fullmatch(path[3:]) and path[:2] == path[3:5]
        }

    def has_pack(self, name: str, length: int) -> bool:
        return name in self.packs and self.packs[name] in (length, None)

    def locate(self, keys: Iterable[EntryKey]) -> dict[EntryKey, list[Location]]:
        """Where each of the keys lies; those that are nowhere are left out. Memory grows with the keys only."""
        wanted = set(keys)
        found: dict[EntryKey, list[Location]] = {}
        for data in self._read_indexes() if wanted else ():
            for name, length, rows in sections(data):
                if not self.has_pack(name, length):
                    continue
                for type, digest, offset, size, raw_size in TABLE_ROW.iter_unpack(rows):
                    if (type, digest) in wanted and offset + size <= length:
                        found.setdefault((type, digest), []).append(Location(name, offset, size, raw_size))
        return found

    def _read_indexes(self) -> Iterator[bytes]:
        for name in self._indexes:
            data = read_index(self.remote, name)
            if data is None:
                self.problems.append(index_path(name))
            else:
                yield data


def read_index(remote: Remote, name: str) -> bytes | None:
    """The bytes of an index, from the cache or the remote; None if they are not what the name says, or not there."""
    data = remote.cached(index_path(name))
    if data is not None and hex_of(data) == name:
        return data
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
