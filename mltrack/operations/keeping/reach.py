"""What objects are made of: the files of a manifest, the chunks of a large file, as entries of the store.

Reads manifests and recipes, each once, and proves them. What cannot be read is noted, never passed over: of that nobody
knows what it lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mltrack.digest import to_raw
from mltrack.errors import Damaged, DataMissing
from mltrack.store.entries import CHUNK, HEADER_SIZE, RECIPE, EntryKey, parse_header, recipe_pieces, unpack

if TYPE_CHECKING:
    from mltrack.store.manifest import ManifestEntry
    from mltrack.store.objects import Store


class Reach:
    """What was looked up so far, in one store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.trees: dict[str, list[ManifestEntry]] = {}
        """Manifest -> what it lists, without empty directories."""
        self.objects: set[str] = set()
        """Every object that was asked for, and those that manifests list."""
        self.lacking: set[str] = set()
        """Objects of which the store has neither a chunk nor a recipe."""
        self.damaged: dict[str, str] = {}
        """Manifests and large objects that cannot be read, and why."""
        self._made: dict[str, tuple[EntryKey, ...]] = {}
        self._unread: dict[str, str | None] = {}

    def look_up(self, objects: Iterable[str], trees: Iterable[str]) -> None:
        """Learn what these objects are made of; those in `trees` are manifests."""
        new = set(objects) - self.objects
        for tree in sorted(set(trees) - set(self.trees)):
            listed = self._read_tree(tree)
            if listed is not None:
                self.trees[tree] = listed
                new.update(str(entry.digest) for entry in listed)
        new -= self.objects
        self.objects |= new
        self._resolve(new)

    def keys(self, digest: str) -> Iterable[EntryKey]:
        """The entries that an object is made of, its recipe included; none if it is not here."""
        if digest in self._made:
            return self._made[digest]
        return () if digest in self.lacking else ((CHUNK, to_raw(digest)),)

    def all_keys(self) -> Iterator[EntryKey]:
        """The entries of everything that was looked up."""
        for digest in self.objects:
            yield from self.keys(digest)

    def below(self, digest: str) -> Iterator[str]:
        """An object, and what it lists if it is a manifest that was read."""
        yield digest
        yield from (str(entry.digest) for entry in self.trees.get(digest, ()))

    def unread(self, digest: str) -> str | None:
        """The first of an object that was looked up, and of what it lists, that is missing or damaged."""
        if digest not in self._unread:
            bad = (one for one in self.below(digest) if one in self.lacking or one in self.damaged)
            self._unread[digest] = next(bad, None)
        return self._unread[digest]

    def _read_tree(self, tree: str) -> list[ManifestEntry] | None:
        from mltrack.store.checkout import manifest_of

        try:
            return [entry for entry in manifest_of(self.store, tree) if entry.digest is not None]
        except Damaged as error:
            self.damaged[tree] = error.message
        except DataMissing:
            self.lacking.add(tree)
        return None

    def _resolve(self, digests: set[str]) -> None:
        chunks = {(CHUNK, to_raw(digest)): digest for digest in digests}
        large = [chunks[key] for key in self.store.missing_entries(chunks)]
        recipes = {(RECIPE, to_raw(digest)): digest for digest in large}
        self.lacking.update(recipes[key] for key in self.store.missing_entries(recipes))
        for key, digest in recipes.items():
            if digest not in self.lacking:
                self._made[digest] = (*self._pieces(key, digest), key)

    def _pieces(self, key: EntryKey, digest: str) -> list[EntryKey]:
        try:
            entry = self.store.read_entry(key)
            raw = unpack(parse_header(entry), memoryview(entry)[HEADER_SIZE:])
            return [(CHUNK, piece) for piece, _ in recipe_pieces(raw, key[1])]
        except DataMissing as error:
            self.damaged[digest] = error.message
            return []
