"""What a remote holds, entry by entry, and what of it is needed: the two sides of a gc of the remote.

Memory grows with the number of entries, by about 200 bytes each; entries themselves are read a few at a time.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mltrack.errors import Damaged
from mltrack.store.entries import CHUNK, RECIPE, TABLE_ROW, EntryKey, decode, parse_header, read_table, recipe_pieces
from mltrack.sync.packs import Catalogue, Location, pack_path, sections
from mltrack.sync.remote import Remote

GAP = 256 << 10
LONGEST_READ = 16 << 20
BATCH = 2000
"""Manifests and recipes are located and read so many at a time."""

Stock = dict[str, bytes]
"""Pack -> its distinct rows, as an index has them."""


@dataclass
class Live:
    """Raw digests of the chunks and recipes that records need."""

    chunks: set[bytes] = field(default_factory=set)
    recipes: set[bytes] = field(default_factory=set)

    def has(self, type: int, digest: bytes) -> bool:
        return digest in (self.chunks if type == CHUNK else self.recipes)


@dataclass
class Shelf:
    """What a gc knows of one pack."""

    rows: bytes
    length: int
    entry_bytes: int = 0
    live_bytes: int = 0
    kept: bytearray = field(default_factory=bytearray)
    """Rows of the needed entries that this pack was chosen to hold."""
    kept_bytes: int = 0


def take_stock(catalogue: Catalogue) -> Stock:
    """The rows of every pack that is there, from all indexes."""
    stock: Stock = {}
    for _, data in catalogue.read_indexes():
        for name, length, view in sections(data):
            if catalogue.has_pack(name, length):
                rows = bytes(view)
                before = stock.get(name)
                stock[name] = rows if before in (None, rows) else distinct(before or b"", rows)
    return stock


def rows(data: bytes | bytearray) -> Iterator[tuple[int, bytes, int, int, int]]:
    """Type, raw digest, offset, length and raw size of each row."""
    return TABLE_ROW.iter_unpack(data)


def distinct(*many: bytes) -> bytes:
    step = TABLE_ROW.size
    return b"".join(dict.fromkeys(rows[at : at + step] for rows in many for at in range(0, len(rows), step)))


def rows_in_table(remote: Remote, name: str, length: int | None) -> bytes | None:
    """The rows of a pack as its own table has them; None if it cannot be read as a pack."""
    if length is None:
        return None
    try:
        rows = read_table(RangeFile(remote, pack_path(name)), length)  # type: ignore[arg-type]
    except (Damaged, struct.error):  # the latter: it is gone, so that nothing was read
        return None
    return None if rows is None else b"".join(TABLE_ROW.pack(*key, at, size, raw) for key, at, size, raw in rows)


class RangeFile(io.RawIOBase):
    """A file of the remote, of which ranges are read."""

    def __init__(self, remote: Remote, path: str) -> None:
        self.remote, self.path, self.at = remote, path, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        data = self.remote.read_range(self.path, self.at, size) or b""
        self.at += len(data)
        return data


def find_live(
    objects: set[bytes], stock: Stock, read: Callable[[list[EntryKey]], Iterator[bytes]]
) -> tuple[Live, set[bytes]]:
    """The entries that some objects are made of, and the raw digests of what is not there or cannot be read.

    The set of objects is used up: there may be millions.

    `read` gives the entries of recipes, proved; those that cannot be had are left out.
    """
    lacking = set(objects)
    for rows in stock.values():
        lacking.difference_update(digest for type, digest, *_ in TABLE_ROW.iter_unpack(rows) if type == CHUNK)
    objects -= lacking
    live = Live(objects)
    if lacking:
        for rows in stock.values():
            live.recipes.update(d for type, d, *_ in TABLE_ROW.iter_unpack(rows) if type == RECIPE and d in lacking)
    unread = set(live.recipes)
    pieces: set[bytes] = set()
    for batch in batched(sorted(live.recipes)):
        for entry in read([(RECIPE, digest) for digest in batch]):
            found = decode(entry)
            pieces.update(piece for piece, _ in recipe_pieces(found.raw, found.digest))
            unread.discard(found.digest)
    absent = pieces - live.chunks
    for rows in stock.values() if absent else ():
        absent.difference_update(digest for type, digest, *_ in TABLE_ROW.iter_unpack(rows) if type == CHUNK)
    live.chunks |= pieces
    return live, (lacking - live.recipes) | unread | absent


def batched(items: list[bytes]) -> Iterator[list[bytes]]:
    for at in range(0, len(items), BATCH):
        yield items[at : at + BATCH]


def choose(stock: Stock, lengths: Mapping[str, int], live: Live, last: Collection[str]) -> dict[str, Shelf]:
    """One pack for each needed entry, so that few packs are: the fuller ones first, those in `last` at the end."""
    shelves = {name: Shelf(rows, lengths[name]) for name, rows in stock.items()}
    for shelf in shelves.values():
        for type, digest, _, size, _ in TABLE_ROW.iter_unpack(shelf.rows):
            shelf.entry_bytes += size
            shelf.live_bytes += size if live.has(type, digest) else 0
    left = Live(set(live.chunks), set(live.recipes))
    for name in sorted(shelves, key=lambda name: (name in last, -fullness(shelves[name]), name)):
        shelf = shelves[name]
        for row in TABLE_ROW.iter_unpack(shelf.rows):
            type, digest, _, size, _ = row
            if left.has(type, digest):
                (left.chunks if type == CHUNK else left.recipes).discard(digest)
                shelf.kept += TABLE_ROW.pack(*row)
                shelf.kept_bytes += size
    return shelves


def fullness(shelf: Shelf) -> float:
    return shelf.live_bytes / shelf.entry_bytes if shelf.entry_bytes else 0.0


def read_entries(remote: Remote, found: Mapping[EntryKey, Iterable[Location]]) -> Iterator[tuple[EntryKey, bytes]]:
    """Entries straight from the remote, proved, with few requests; what no place holds intact is left out."""
    waiting = {key: list(places) for key, places in found.items()}
    while waiting:
        plan = sorted((places.pop(0), key) for key, places in waiting.items() if places)
        failed: set[EntryKey] = set()

        def fetch(part: list[tuple[Location, EntryKey]]) -> tuple[list[tuple[Location, EntryKey]], int, bytes]:
            start, end = part[0][0].offset, max(place.offset + place.length for place, _ in part)
            return part, start, remote.read_range(pack_path(part[0][0].pack), start, end - start) or b""

        for part, start, data in remote.map(fetch, near(plan)):
            for place, key in part:
                entry = data[place.offset - start : place.offset - start + place.length]
                if is_whole(entry, key):
                    yield key, entry
                else:
                    failed.add(key)
        waiting = {key: waiting[key] for key in failed if waiting[key]}


def near(plan: Iterable[tuple[Location, EntryKey]]) -> Iterator[list[tuple[Location, EntryKey]]]:
    """Sorted places in lots that are read at once."""
    part: list[tuple[Location, EntryKey]] = []
    start = end = 0
    for place, key in plan:
        fits = part and part[0][0].pack == place.pack and place.offset - end <= GAP
        if part and not (fits and place.offset + place.length - start <= LONGEST_READ):
            yield part
            part = []
        if not part:
            start = end = place.offset
        part.append((place, key))
        end = max(end, place.offset + place.length)
    if part:
        yield part


def is_whole(entry: bytes, key: EntryKey) -> bool:
    try:
        return parse_header(entry).key == key and decode(entry).digest == key[1]
    except Damaged:
        return False
