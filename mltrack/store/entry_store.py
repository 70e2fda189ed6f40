"""The entries of one store: which are here, one in, one out, safely. `objects` makes objects of them.

What was added is on the disk, and visible to other processes, after `flush`. An index that is missing, old or wrong
costs time here, never an entry.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from pathlib import Path

from mltrack.digest import from_raw
from mltrack.errors import Damaged, DataMissing
from mltrack.store.entries import CHUNK, RECIPE, EntryKey, Place, decode, parse_header, scan, unpack
from mltrack.store.index import Index
from mltrack.store.packs import Extent, Packs, PackWriter, Pending, adopt

FLUSH_ENTRIES = 50_000
"""Entries added after which a flush happens by itself, so that what waits in memory stays bounded."""


class EntryStore:
    """Entries by key, in `path`; their index lies beside it. Threads may share one; processes open one each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packs = Packs(path)
        self._index = Index(path.parent / "index.db", self._survey)
        self._lock = threading.RLock()
        self._pending = Pending()
        self._writer: PackWriter | None = None
        self._compared = False
        self._dropped: list[EntryKey] = []
        """What the index knew, and was found to be gone with its pack."""

    def has_entry(self, key: EntryKey) -> bool:
        return bool(self._known([key]))

    def missing_entries(self, keys: Iterable[EntryKey]) -> set[EntryKey]:
        """Those of the keys that are not here."""
        asked = set(keys)
        return asked - self._known(asked)

    def read_entry(self, key: EntryKey) -> bytes:
        """An entry, header and payload, as it lies in its pack, verified. Raises DataMissing or Damaged."""
        head, payload = self._entry(key)
        unpack(parse_header(head), payload)
        return head + payload

    def add_entry(self, entry: bytes) -> EntryKey:
        """Keep an entry that another store gave, once it proved to be what its header says. Raises Damaged."""
        decoded = decode(entry)
        key = (decoded.type, decoded.digest)
        if decoded.type not in (CHUNK, RECIPE):
            raise Damaged("An entry is neither a chunk nor a recipe.", "The remote is damaged or hostile.")
        if not self._known([key]):
            self._append([(key, (bytes(entry),), decoded.raw_size)])
        return key

    def flush(self) -> None:
        """Make everything put by this process durable and visible, in one transaction; give up the open pack.

        If that fails (StorageError), nothing put since the last flush is taken for present any more.
        """
        with self._lock:
            writer, self._writer = self._writer, None
            pending, self._pending = self._pending, Pending()
            try:
                if writer is not None:
                    writer.sync()
                    if writer.full:
                        writer.seal()
                    pending.packs[writer.name] = writer.extent
                if pending.packs:
                    self._index.add(pending)
            finally:
                if writer is not None:
                    writer.release()

    def close(self) -> None:
        """Release files and locks. What was not flushed may be lost."""
        with self._lock:
            if self._writer is not None:
                self._writer.release()
                self._writer = None
            self._pending = Pending()
            self._packs.close()
            self._index.close()

    def rebuild_index(self) -> None:
        """Make the index anew from the packs."""
        with self._lock:
            self.flush()
            self._index.rebuild()

    def _survey(self) -> Pending:
        found = Pending()
        for name, sealed in self._packs.names():
            self._packs.survey(name, sealed, Extent(0, 0), found)
        return found

    def _known(self, keys: Collection[EntryKey]) -> set[EntryKey]:
        """Those of the keys that are here."""
        with self._lock:
            self._compare()
            waiting = self._pending.places
            found = {key for key in keys if key in waiting}
            return found | self._index.known([key for key in keys if key not in found])

    def _compare(self) -> None:
        """Once: drop what the index knows of packs that are gone or lost their end.

        Otherwise a new run would rely on an object that is not here, and lose it.
        """
        if self._compared:
            return
        self._compared = True
        for name, known in self._index.extents().items():
            size = self._packs.size(name)
            if size < known:
                places = self._index.in_pack(name)
                self._dropped += [key for key, place in places.items() if place.offset + place.length > size]
                self._index.shorten(name, size)

    def _places(self, keys: Iterable[EntryKey]) -> dict[EntryKey, Place]:
        with self._lock:
            found: dict[EntryKey, Place] = {}
            others = []
            for key in keys:
                place = self._pending.places.get(key)
                if place is None:
                    others.append(key)
                else:
                    found[key] = place
            if others:
                found.update(self._index.places(others))
            return found

    def _append(self, new: Iterable[tuple[EntryKey, tuple[bytes | memoryview, ...], int]]) -> None:
        with self._lock:
            for key, parts, raw_size in new:
                if key in self._pending.places:
                    continue
                if self._writer is None:
                    self._writer = adopt(self._packs, self._index.covered, self._pending)
                try:
                    offset = self._writer.append(*parts)
                except BaseException:
                    self._forget(self._writer)
                    raise
                length = self._writer.extent.size - offset
                self._pending.places[key] = Place(self._writer.name, offset, length, raw_size)
                if self._writer.full or len(self._pending.places) >= FLUSH_ENTRIES:
                    self.flush()

    def _forget(self, writer: PackWriter) -> None:
        """Drop what a failed write did not bring into its pack."""
        places, end = self._pending.places, writer.extent.size
        for key in [key for key, place in places.items() if place.pack == writer.name and place.offset >= end]:
            del places[key]

    def _load(self, key: EntryKey, place: Place | None = None) -> bytes:
        """The raw bytes of an entry, verified."""
        head, payload = self._entry(key, place)
        return unpack(parse_header(head), payload)

    def _entry(self, key: EntryKey, place: Place | None = None) -> tuple[bytes, bytes]:
        """Header and payload of an entry; if the index leads to something else, its pack is searched for it."""
        with self._lock:
            place = place or self._places([key]).get(key)
            if place is None:
                self._catch_up()
                place = self._places([key]).get(key)
            if place is None:
                raise missing_object(from_raw(key[1]))
            head, payload = self._read(place)
            if not _leads_to(head, key):
                head, payload = self._read(self._search(key, place.pack))
        return head, payload

    def _read(self, place: Place) -> tuple[bytes, bytes]:
        if self._writer is not None and place.pack == self._writer.name:
            self._writer.spill()
        return self._packs.read(place)

    def _catch_up(self) -> None:
        """Look into packs, or ends of packs, that the index does not cover: it may have been restored from a backup."""
        with self._lock:
            found = Pending()
            for name, sealed in self._packs.names():
                known = self._index.covered(name)
                if self._packs.size(name) > known.size and not (self._writer and name == self._writer.name):
                    self._packs.survey(name, sealed, known, found)
            if found.packs:
                self._index.add(found)

    def _search(self, key: EntryKey, pack: str) -> Place:
        """Where in a pack an entry lies after all. Raises Damaged if it holds no such entry."""
        with self._packs.file(pack) as file:
            for found, *place in scan(file, resync=True):
                if found == key:
                    return Place(pack, *place)
        raise Damaged(
            f"The bytes of {from_raw(key[1])} are damaged in the pack {pack}.",
            "Run `mltrack verify` to see what it touches and where a copy is.",
        )


def _leads_to(head: bytes, key: EntryKey) -> bool:
    try:
        return parse_header(head).key == key
    except Damaged:
        return False


def missing_object(digest: str) -> DataMissing:
    return DataMissing(f"The object {digest} is not in the store.", "Run `mltrack pull --data` if a remote has it.")
