"""Objects from the store to a remote: the entries that it lacks, in packs, and an index of them after every few.

The same objects make the same packs, so a push that was interrupted finds by name what it has sent already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mltrack.digest import to_raw
from mltrack.errors import DataMissing
from mltrack.store.entries import CHUNK, EntryKey
from mltrack.sync.fetch import Progress, on_remote
from mltrack.sync.packs import PACK_SIZE, Catalogue, Pack, build_pack, encode_index, hex_of, index_path, pack_path
from mltrack.sync.remote import Remote

if TYPE_CHECKING:
    from mltrack.store.objects import Store

PACKS_AN_INDEX = 8


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
        self._keys: dict[str, list[EntryKey]] = {}
        self._catalogue = Catalogue(remote)

    def prepare(self, digests: list[str]) -> None:
        """Look where the objects are: here, or on the remote already."""
        if not digests:
            return
        missing = self.store.missing(digests)
        here = [digest for digest in digests if digest not in missing]
        large = self.store.missing_entries((CHUNK, to_raw(digest)) for digest in here)
        for digest in here:
            key = (CHUNK, to_raw(digest))
            self._keys[digest] = self.store.entries(digest) if key in large else [key]
        self._catalogue.refresh()
        there = on_remote(self.remote, self._catalogue, missing) if missing else set()
        self.lacking = missing - there
        self.already = len(there)

    def send(self) -> int:
        """Send the entries that the remote lacks now; returns how many. Packs come before the index that names them."""
        keys = list(dict.fromkeys(key for keys in self._keys.values() for key in keys))
        if not keys:
            return 0
        self._catalogue.refresh()
        there = self._catalogue.locate(keys)
        absent = [key for key in keys if key not in there]
        damaged: set[EntryKey] = set()
        packs: list[Pack] = []
        for entries in self._groups(absent, damaged):
            packs.append(self._send_pack(entries))
            if len(packs) == PACKS_AN_INDEX:
                self._send_index(packs)
                packs = []
        if packs:
            self._send_index(packs)
        self._count(set(absent), damaged)
        return len(absent)

    def _groups(self, keys: Iterable[EntryKey], damaged: set[EntryKey]) -> Iterator[list[bytes]]:
        """The entries in lots of a pack each."""
        entries: list[bytes] = []
        size = 0
        for key in keys:
            try:
                entry = self.store.read_entry(key)
            except DataMissing:
                damaged.add(key)
                continue
            if entries and size + len(entry) > PACK_SIZE:
                yield entries
                entries, size = [], 0
            entries.append(entry)
            size += len(entry)
        if entries:
            yield entries

    def _send_pack(self, entries: list[bytes]) -> Pack:
        pack, data = build_pack(entries)
        if not self._catalogue.has_pack(pack.name, pack.length):
            self.remote.write(pack_path(pack.name), data)
            self.bytes += len(data)
        if self.progress is not None:
            self.progress(len(data))
        return pack

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
