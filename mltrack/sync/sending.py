"""Objects from the store to a remote: the entries that it lacks, in packs, and an index of them after every few.

The same objects make the same packs, so a push that was interrupted finds by name what it has sent already.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mltrack.digest import to_raw
from mltrack.progress import Progress, expect
from mltrack.store.entries import CHUNK, EntryKey, Place
from mltrack.store.spans import Span, joined, read_entries
from mltrack.sync.fetch import fetch, on_remote
from mltrack.sync.packs import (
    INDEX_BYTES,
    PACK_ENTRIES,
    PACK_SIZE,
    Catalogue,
    Pack,
    build_pack,
    encode_index,
    hex_of,
    index_path,
    index_size,
    pack_path,
)
from mltrack.sync.remote import Remote

if TYPE_CHECKING:
    from mltrack.store.objects import Store

PACKS_AN_INDEX = 16

PACKS_AT_ONCE = 3
"""Packs that are sent together: they are in memory whole."""

Lot = list[tuple[EntryKey, Place]]
"""The entries of one pack, and where they lie in the store."""


def lots(places: Mapping[EntryKey, Place]) -> Iterator[Lot]:
    """Entries in lots of a pack each: chunks before recipes, in the order in which they lie in the store.

    So a store makes the same packs again, and one that was interrupted finds by their names what it has sent.
    """
    lot: Lot = []
    size = 0
    for key, place in sorted(places.items(), key=lambda item: (item[0][0], item[1])):
        if lot and (size + place.length > PACK_SIZE or len(lot) >= PACK_ENTRIES):
            yield lot
            lot, size = [], 0
        lot.append((key, place))
        size += place.length
    if lot:
        yield lot


class Sender:
    """Sends objects. `prepare` says which; each `send` looks at the remote anew and sends what it lacks of them."""

    def __init__(self, remote: Remote, store: Store, progress: Progress | None = None) -> None:
        self.remote = remote
        self.store = store
        self.progress = progress
        self.lacking: set[str] = set()
        """Objects that are neither here nor there, or damaged here."""
        self.objects = 0
        self.already = 0
        self.bytes = 0
        self._turn = threading.Lock()
        self._building = threading.Lock()
        self._damaged: set[EntryKey] = set()
        self._keys: dict[str, list[EntryKey]] = {}
        self._only_there: set[str] = set()
        """Objects that are not here; the remote has them."""
        self.catalogue = Catalogue(remote)

    def prepare(self, digests: list[str]) -> None:
        """Look where the objects are: here, or on the remote already."""
        if not digests:
            return
        missing = self.store.missing(digests)
        self._take([digest for digest in digests if digest not in missing])
        self.catalogue.refresh(condemned=True)
        self._only_there = missing
        self._look_for_others()
        self.already = len(self._only_there)

    def _take(self, here: Iterable[str]) -> None:
        here = list(here)
        large = self.store.missing_entries((CHUNK, to_raw(digest)) for digest in here)
        for digest in here:
            key = (CHUNK, to_raw(digest))
            self._keys[digest] = self.store.entries(digest) if key in large else [key]

    def _look_for_others(self) -> None:
        """Are the objects that only the remote has still to be relied on? If not, they are fetched, to be sent."""
        if not self._only_there:
            return
        there = on_remote(self.remote, self.catalogue, self._only_there)
        gone = self._only_there - there
        self._only_there = there
        if gone and self.catalogue.condemned:
            fetch(self.remote, self.store, sorted(gone))
            still = self.store.missing(gone)
            self._take(sorted(gone - still))
            gone = still
        self.lacking |= gone

    def plan(self) -> tuple[int, int, int]:
        """How many objects, bytes and packs `send` would send, by what the last look at the remote showed."""
        keys = {key for keys in self._keys.values() for key in keys}
        places = self.store.locate(keys - self.catalogue.locate(keys).keys())
        objects = sum(1 for keys in self._keys.values() if not places.keys().isdisjoint(keys))
        return objects, sum(place.length for place in places.values()), sum(1 for _ in lots(places))

    def send(self) -> int:
        """Send the entries that the remote lacks now; returns how many. Packs come before the index that names them."""
        keys = list(dict.fromkeys(key for keys in self._keys.values() for key in keys))
        if not keys and not self._only_there:
            return 0
        self.catalogue.refresh(condemned=True)
        self._look_for_others()
        keys = list(dict.fromkeys(key for keys in self._keys.values() for key in keys))
        there = self.catalogue.locate(keys)
        absent = [key for key in keys if key not in there]
        self._damaged = set()
        packs: list[Pack] = []
        places = self.store.locate(absent)
        self._damaged |= set(absent) - set(places)
        expect(self.progress, sum(place.length for place in places.values()))
        for pack in self.remote.map(self._send_pack, lots(places), PACKS_AT_ONCE):
            if pack is not None:
                packs.append(pack)
            if len(packs) == PACKS_AN_INDEX or index_size(packs) > INDEX_BYTES:
                self._send_index(packs)
                packs = []
        if packs:
            self._send_index(packs)
        self._count(set(absent), self._damaged)
        return len(absent)

    def _send_pack(self, lot: Lot) -> Pack | None:
        """Read the entries of a pack, verified, and send it; None if all of them are damaged."""
        with self._building:  # one at a time: while it is built, a pack is in memory twice
            entries = [entry for span in joined(lot) for _, entry in self._entries(span)]
            if not entries:
                return None
            pack, data = build_pack(entries, self.catalogue.condemned)
            del entries
        sent = not self.catalogue.has_pack(pack.name, pack.length)
        if sent:
            self.remote.write(pack_path(pack.name), data)
        with self._turn:
            self.bytes += len(data) if sent else 0
        if self.progress is not None:
            self.progress(len(data))
        return pack

    def _entries(self, span: Span) -> Iterator[tuple[EntryKey, bytes]]:
        """The entries of a span that are intact; the others are noted."""
        for key, entry in read_entries(self.store, span):
            if entry is None:
                self._damaged.add(key)
            else:
                yield key, entry

    def _send_index(self, packs: list[Pack]) -> None:
        data = encode_index(packs)
        name = hex_of(data)
        self.remote.write(index_path(name), data)
        self.remote.keep(index_path(name), data)

    def _count(self, absent: set[EntryKey], damaged: set[EntryKey]) -> None:
        for digest, keys in list(self._keys.items()):
            if not damaged.isdisjoint(keys):
                self.lacking.add(digest)
                del self._keys[digest]
            elif absent.isdisjoint(keys):
                self.already += 1
            else:
                self.objects += 1
