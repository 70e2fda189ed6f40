"""The entries of one store: which are here, one in, one out, safely. `objects` makes objects of them.

What was added is on the disk, and visible to other processes, after `flush`. An index that is missing, old or wrong
costs time here, never an entry.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import BinaryIO

from mltrack.digest import from_raw
from mltrack.errors import Damaged, DataMissing, StorageError
from mltrack.store.entries import (
    CHUNK,
    HEADER_SIZE,
    RECIPE,
    EntryKey,
    Place,
    decode,
    parse_header,
    prove,
    scan,
    unpack,
)
from mltrack.store.holds import Holds
from mltrack.store.index import Index
from mltrack.store.packs import Extent, Packs, PackWriter, Pending, adopt
from mltrack.store.sealing import Sealing

FLUSH_ENTRIES = 100_000
"""Entries added after which a flush happens by itself, so that what waits in memory stays bounded."""

SEALED_AT_ONCE = 3
"""Full packs that may be on their way to the disk while the next is written."""


class EntryStore:
    """Entries by key, in `path`; their index lies beside it. Threads may share one; processes open one each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packs = Packs(path)
        self._index = Index(path.parent / "index.db", self._survey)
        self._lock = threading.RLock()
        self._holds = Holds(path)
        self._pending = Pending()
        self._writer: PackWriter | None = None
        self._sealing: deque[Sealing] = deque()
        self._sealed: dict[str, Extent] = {}
        """Full packs that are on the disk; the index is told of them with the next flush."""
        self._compared = False
        self._dropped: list[EntryKey] = []
        """What the index knew, and was found to be gone with its pack."""

    def has_entry(self, key: EntryKey) -> bool:
        return bool(self._known([key]))

    def missing_entries(self, keys: Iterable[EntryKey], hold: bool = False) -> set[EntryKey]:
        """Those of the keys that are not here; with `hold`, gc leaves the others alone until `close`."""
        asked = set(keys)
        return asked - self._known(asked, hold)

    def generation(self) -> str:
        """A name for the time since anything was last taken away from this store."""
        with self._lock:
            self._compare()
            return self._index.generation()

    def held_packs(self) -> tuple[str, ...]:
        """The packs that gc leaves alone until `close`, because this process relies on what lies in them."""
        return tuple(sorted(self._holds.packs))

    def rely(self, generation: str, packs: Collection[str]) -> bool:
        """Hold these packs, if they are here and nothing was taken away from the store since that generation."""
        with self._lock:
            self._compare()
            with self._holds.taking():
                if self._index.generation() != generation or not all(map(self._is_there, packs)):
                    return False
                self._holds.add(packs)
        return True

    def read_entry(self, key: EntryKey) -> bytes:
        """An entry, header and payload, as it lies in its pack, verified. Raises DataMissing or Damaged."""
        try:
            head, payload = self._entry(key)
            unpack(parse_header(head), payload)
        except Damaged:
            if not self._turn_to_copy(key):
                raise
            head, payload = self._entry(key)
        return head + payload

    def add_entry(self, entry: bytes) -> EntryKey:
        """Keep an entry that another store gave, once it proved to be what its header says. Raises Damaged."""
        decoded = decode(entry)
        key = (decoded.type, decoded.digest)
        if decoded.type not in (CHUNK, RECIPE):
            raise Damaged("An entry is neither a chunk nor a recipe.", "The remote is damaged or hostile.")
        if not self._known([key], hold=True):
            self._append([(key, (bytes(entry),), decoded.raw_size)])
        return key

    def add_entries(self, entries: Iterable[tuple[EntryKey, bytes]]) -> set[EntryKey]:
        """`add_entry` for many, each with the key that it was asked for by; the keys of those that are not it."""
        sound: dict[EntryKey, tuple[bytes, int]] = {}
        refused: set[EntryKey] = set()
        for key, entry in entries:
            try:
                header = parse_header(entry)
                if header.key != key or key[0] not in (CHUNK, RECIPE):
                    raise Damaged("An entry is not the one that was asked for.", "The remote is damaged or hostile.")
                prove(header, memoryview(entry)[HEADER_SIZE:])
                sound[key] = (entry, header.raw_size)
            except Damaged:
                refused.add(key)
        for key in self._known(sound, hold=True):
            del sound[key]
        self._append((key, (entry,), raw_size) for key, (entry, raw_size) in sound.items())
        return refused

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
                self._await_sealing(0)
                pending.packs.update(self._sealed)
                if pending.packs:
                    self._tell_index(pending)
            finally:
                if writer is not None:
                    writer.release()
                self._give_up_sealing()

    def _tell_index(self, pending: Pending) -> None:
        """Make rows known. Where another process was faster with a key, hold the pack of its copy, or lead to ours."""
        with self._holds.taking():
            if not self._index.add(pending):
                return
            packs = self._index.packs_of(pending.places)
            others = set(packs.values()) - self._holds.packs
            here = {pack for pack in others if self._is_there(pack)}
            self._holds.add(here)
            lost = {key: pending.places[key] for key, pack in packs.items() if pack in others - here}
            if lost:
                self._index.lead(lost)

    def _retire(self, writer: PackWriter) -> None:
        """Seal a full pack beside what goes on: waiting for the disk takes as long as hashing what comes next."""
        self._await_sealing(SEALED_AT_ONCE - 1)
        self._sealing.append(Sealing(writer))

    def _await_sealing(self, at_most: int) -> None:
        """Wait until no more packs than that are being sealed. Raises what went wrong."""
        while len(self._sealing) > at_most:
            sealing = self._sealing.popleft()
            self._sealed[sealing.writer.name] = sealing.end()

    def _give_up_sealing(self) -> None:
        """Forget the packs that were sealed: the index knows of them, or what was put into them is lost."""
        while self._sealing:
            try:
                self._sealing.popleft().end()
            except (StorageError, OSError):
                pass  # another error is on its way already, or nothing is claimed
        self._sealed = {}

    def close(self) -> None:
        """Release files and locks. What was not flushed may be lost."""
        with self._lock:
            self._give_up_sealing()
            if self._writer is not None:
                self._writer.release()
                self._writer = None
            self._pending = Pending()
            self._packs.close()
            self._index.close()
            self._holds.release()

    def let_go(self) -> None:
        """Flush, and rely on nothing any more that is not named elsewhere: gc may take it."""
        with self._lock:
            self.flush()
            self._holds.release()

    def rebuild_index(self) -> None:
        """Make the index anew from the packs."""
        with self._lock:
            self.flush()
            self._index.rebuild()

    def _survey(self) -> Pending:
        found = Pending()
        for name, sealed in self._packs.names():
            here = Pending()
            self._packs.survey(name, sealed, Extent(0, 0), here)
            for key in here.places.keys() & found.places.keys():  # a damaged copy must not win over a sound one
                if not is_sound(self._packs, key, here.places[key]):
                    del here.places[key]
            found.places.update(here.places)
            found.packs.update(here.packs)
        return found

    def _known(self, keys: Collection[EntryKey], hold: bool = False) -> set[EntryKey]:
        """Those of the keys that are here; with `hold`, for whoever relies on it: they stay until `close`."""
        with self._lock:
            self._compare()
            waiting = self._pending.places
            found = {key for key in keys if key in waiting}
            others = [key for key in keys if key not in found]
            return found | (self._hold(others) if hold else self._index.known(others))

    def _hold(self, keys: Collection[EntryKey]) -> set[EntryKey]:
        """Those of the keys that the index knows, once the packs that they lie in are held."""
        packs = self._index.packs_of(keys)
        fresh = set(packs.values()) - self._holds.packs
        if fresh:
            with self._holds.taking():  # gc may have been at work until now, so look again
                gone = {pack for pack in fresh if not self._is_there(pack)}
                moved = self._index.packs_of([key for key, pack in packs.items() if pack in gone] if gone else ())
                packs = {key: pack for key, pack in packs.items() if pack not in gone}
                packs |= {key: pack for key, pack in moved.items() if self._is_there(pack)}
                self._holds.add(packs.values())
        return set(packs)

    def _is_there(self, pack: str) -> bool:
        """Is a pack on the disk, and known to the index? gc takes its rows away first."""
        return self._index.has_pack(pack) and self._packs.size(pack) > 0

    def _compare(self) -> None:
        """Once: drop what the index knows of packs that are gone or lost their end.

        Otherwise a new run would rely on an object that is not here, and lose it.
        """
        if self._compared:
            return
        self._compared = True
        sealed = dict(self._packs.names())
        shortened = Pending()
        for name, known in self._index.extents().items():
            if self._packs.size(name) < max(known, 1) and (size := self._packs.size_now(name)) < max(known, 1):
                places = self._index.in_pack(name)
                self._dropped += [key for key, place in places.items() if place.offset + place.length > size]
                self._index.shorten(name, size)
                if size:
                    self._packs.survey(name, sealed.get(name, False), Extent(0, 0), shortened)
        if shortened.packs:
            self._index.add(shortened)
        if self._dropped:
            self._find_again()

    def _find_again(self) -> None:
        """Look whether another pack has what was dropped: the index knows of one copy only."""
        found = self._survey()
        found.places = {key: found.places[key] for key in self._dropped if key in found.places}
        self._dropped = [key for key in self._dropped if key not in found.places]
        if found.places:
            self._index.add(found)

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
                    self._writer = self._adopt()
                try:
                    self._pending.places[key] = self._writer.append(key, parts, raw_size)
                    if self._writer.full:
                        self._writer.spill()
                except BaseException:
                    self._forget(self._writer)
                    raise
                if self._writer.full:
                    writer, self._writer = self._writer, None
                    self._retire(writer)
                if len(self._pending.places) >= FLUSH_ENTRIES:
                    self.flush()

    def _adopt(self) -> PackWriter:
        """A pack to append to, held, as are those that a dead writer left entries in."""
        writer = None
        with self._holds.taking():
            try:
                writer = adopt(self._packs, self._index.covered, self._pending)
                self._holds.add([writer.name, *self._pending.packs])
            except BaseException:
                if writer is not None:
                    writer.release()
                held, found = self._holds.packs, self._pending
                found.places = {key: place for key, place in found.places.items() if place.pack in held}
                found.packs = {name: extent for name, extent in found.packs.items() if name in held}
                raise
        return writer

    def _forget(self, writer: PackWriter) -> None:
        """Drop what a failed write did not bring into its pack."""
        places, end = self._pending.places, writer.extent.size
        for key in [key for key, place in places.items() if place.pack == writer.name and place.offset >= end]:
            del places[key]

    def locate(self, keys: Iterable[EntryKey]) -> dict[EntryKey, Place]:
        """Where those of the keys lie that are here, for reads from `pack_file`."""
        with self._lock:
            if self._writer is not None:
                self._writer.spill()
            return self._places(keys)

    def pack_file(self, name: str) -> BinaryIO:
        """A pack, opened for reading. Raises DataMissing."""
        return self._packs.file(name)

    def load(self, key: EntryKey) -> bytes:
        """The raw bytes of an entry, verified. Raises DataMissing or Damaged."""
        return self._load(key)

    def _load(self, key: EntryKey, place: Place | None = None) -> bytes:
        """The raw bytes of an entry, verified."""
        try:
            head, payload = self._entry(key, place)
            return unpack(parse_header(head), payload)
        except Damaged:
            if not self._turn_to_copy(key):
                raise
            head, payload = self._entry(key)
            return unpack(parse_header(head), payload)

    def _turn_to_copy(self, key: EntryKey) -> bool:
        """Is there a sound copy of a damaged entry in another pack? Then the index leads to it from now on."""
        from mltrack.store.mend import find_copies

        with self._lock:
            found = find_copies(self._packs, {key})
            if found:
                self._index.lead(found)
        return bool(found)

    def _entry(self, key: EntryKey, place: Place | None = None) -> tuple[bytes, bytes]:
        """Header and payload of an entry; if the index leads to something else, its pack is searched for it."""
        with self._lock:
            place = place or self._places([key]).get(key)
            if place is None:
                self._catch_up()
                place = self._places([key]).get(key)
            if place is None:
                raise missing_object(from_raw(key[1]))
            try:
                head, payload = self._read(place)
            except Damaged:
                raise
            except DataMissing:  # gc moved it to another pack
                now = self._places([key]).get(key)
                if now is None or now == place:
                    raise
                place = now
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
            for name in found.packs:
                if not self._packs.size(name):  # gc was faster
                    self._index.shorten(name, 0)

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


def is_sound(packs: Packs, key: EntryKey, place: Place) -> bool:
    """Does an entry lie there, and is it what its key says?"""
    try:
        head, payload = packs.read(place)
        header = parse_header(head)
        unpack(header, payload)
    except DataMissing:
        return False
    return header.key == key


def _leads_to(head: bytes, key: EntryKey) -> bool:
    try:
        return parse_header(head).key == key
    except Damaged:
        return False


def missing_object(digest: str) -> DataMissing:
    return DataMissing(f"The object {digest} is not in the store.", "Run `mltrack pull --data` if a remote has it.")
