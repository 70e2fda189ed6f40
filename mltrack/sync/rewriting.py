"""Packs and indexes of a remote written anew without what nobody needs; the old ones stay until they are collected."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from mltrack.sync.packs import (
    INDEX_BYTES,
    PACK_ENTRIES,
    PACK_SIZE,
    Location,
    Pack,
    Row,
    build_pack,
    encode_index,
    hex_of,
    index_path,
    index_size,
    pack_path,
    replaced_by,
    sections,
)
from mltrack.sync.stock import Shelf, read_entries, rows

if TYPE_CHECKING:
    from mltrack.store.entries import EntryKey
    from mltrack.sync.remote import Remote
    from mltrack.sync.survey import Survey

HALF = 0.5
"""A pack of whose entries less than this part (in bytes) is needed is written anew."""

SMALL, SO_MANY_SMALL = 4 << 20, 32
"""So many packs below this size are written anew as few."""


def sparse_packs(shelves: dict[str, Shelf]) -> set[str]:
    """Packs worth writing anew: of which little is needed, and small ones where there are many."""
    sparse = {name for name, shelf in shelves.items() if shelf.kept_bytes < HALF * shelf.entry_bytes}
    small = {name for name, shelf in shelves.items() if shelf.length < SMALL}
    return sparse | small if len(small) >= SO_MANY_SMALL else sparse


def move(remote: Remote, survey: Survey, names: Collection[str]) -> set[str]:
    """Write what is needed of some packs into new ones, and an index of these; the packs of which all was moved."""
    found: dict[EntryKey, list[Location]] = {}
    home: dict[EntryKey, str] = {}
    for name in sorted(names):
        for type, digest, offset, size, raw_size in rows(survey.shelves[name].kept):
            found[type, digest] = [Location(name, offset, size, raw_size)]
            home[type, digest] = name
    packs: list[Pack] = []
    for entries in lots(entry for key, entry in read_entries(remote, found) if home.pop(key)):
        pack, data = build_pack(entries, survey.catalogue.condemned | set(names))
        remote.write(pack_path(pack.name), data)
        if packs and index_size([*packs, pack]) > INDEX_BYTES:
            write_index(remote, packs)
            packs = []
        packs.append(pack)
    if packs:
        write_index(remote, packs)
    return set(names) - set(home.values())  # what could not be read stays where it is


def lots(entries: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Entries for a pack each."""
    lot: list[bytes] = []
    size = 0
    for entry in entries:
        if lot and (size + len(entry) > PACK_SIZE or len(lot) >= PACK_ENTRIES):
            yield lot
            lot, size = [], 0
        lot.append(entry)
        size += len(entry)
    if lot:
        yield lot


def index_kept(remote: Remote, survey: Survey, going: Collection[str]) -> None:
    """An index of the packs that hold what is needed and that no index named."""
    names = [name for name in survey.unindexed - set(going) if name in survey.shelves and survey.shelves[name].kept]
    for name in sorted(names):
        write_index(remote, [pack_of(name, survey.shelves[name])])


def write_index(remote: Remote, packs: Iterable[Pack]) -> None:
    data = encode_index(packs)
    remote.write(index_path(hex_of(data)), data)
    remote.keep(index_path(hex_of(data)), data)


def compact_indexes(
    remote: Remote, survey: Survey, going: Collection[str], old: Collection[str], apply: bool
) -> set[str]:
    """Those of some old indexes of which most rows are of packs that go or have gone; the others are indexed anew.

    The new one does not name them as replaced: should a pack be needed after all, they still tell of it.
    """
    stale: set[str] = set()
    staying: set[str] = set()
    catalogue = survey.catalogue
    already = {path for one in survey.lists for path in one.paths}
    for name, data in catalogue.read_indexes():
        if name not in old or index_path(name) in already:
            continue
        counts = {pack: len(view) for pack, _, view in sections(data)}
        alive = {pack for pack in counts if pack in catalogue.packs and pack not in going}
        if sum(counts[pack] for pack in alive) < HALF * sum(counts.values()):
            stale |= {name, *(old for old in replaced_by(data) if old in catalogue.indexes)}
            staying |= alive & survey.shelves.keys()
    if apply and staying:
        packs = [pack_of(name, survey.shelves[name]) for name in sorted(staying)]
        while packs:
            count = next((n for n in range(1, len(packs)) if index_size(packs[: n + 1]) > INDEX_BYTES), len(packs))
            write_index(remote, packs[:count])
            packs = packs[count:]
    return stale


def pack_of(name: str, shelf: Shelf) -> Pack:
    return Pack(name, shelf.length, tuple(Row((type, digest), *rest) for type, digest, *rest in rows(shelf.rows)))
