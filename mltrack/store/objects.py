"""The store: objects in, objects out, by digest.

An object is present when all its chunks are. What was put is safe, and visible to other processes, after `flush`.
Any number of processes may use one store at once, and the threads of a process one `Store`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.digest import from_raw, hasher, to_raw
from mltrack.errors import Damaged
from mltrack.nouns import noun
from mltrack.store.disk import create, refused, remove, temporary_beside, write_whole, writing
from mltrack.store.entries import (
    CHUNK,
    RECIPE,
    EntryKey,
    encode_many,
    encode_parts,
    encode_recipe,
    parse_header,
    raw_digest,
    recipe_pieces,
)
from mltrack.store.entry_store import EntryStore, missing_object
from mltrack.store.marker import FORMAT, MARKER, check_marker

if TYPE_CHECKING:
    from mltrack.store.check import Damage, Sample


@noun
class StoreTotals:
    """`raw_bytes` are those of all distinct chunks, `stored_bytes` those of the pack files."""

    objects: int
    packs: int
    raw_bytes: int
    stored_bytes: int


class Store(EntryStore):
    """Objects by digest, made of entries."""

    @classmethod
    def open(cls, path: Path) -> Store:
        """The store at `path`, made if it is absent. Raises FormatTooNew if a newer mltrack wrote it."""
        store = cls(path)
        try:
            found = check_marker(path)
        except OSError as error:
            raise refused(path, error) from error
        if not found:
            store._make()
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.flush()
        self.close()

    # -- what is here

    def has(self, digest: str, hold: bool = False) -> bool:
        """Is the object here, with all its chunks? Ask with `hold` before relying on it."""
        return not self.missing([digest], hold)

    def missing(self, digests: Iterable[str], hold: bool = False) -> set[str]:
        """Those of the objects that are not here, or not wholly; with `hold`, gc leaves the others alone until `close`.

        Ask so where an object is not put, or not fetched, because it is here; a mere look needs no hold.
        """
        asked = {to_raw(digest): digest for digest in digests}
        for _, raw in self._known([(CHUNK, raw) for raw in asked], hold):
            del asked[raw]
        for _, raw in self._known([(RECIPE, raw) for raw in asked], hold):
            pieces = {(CHUNK, piece) for piece, _ in self._recipe(raw)}
            if len(self._known(pieces, hold)) == len(pieces):
                del asked[raw]
        return set(asked.values())

    def size(self, digest: str) -> int:
        """Raw bytes of an object. Raises DataMissing."""
        kind, raw = self._resolve(digest)
        if kind == CHUNK:
            return self._places([(CHUNK, raw)])[CHUNK, raw].raw_size
        return sum(length for _, length in self._recipe(raw))

    def all_objects(self) -> Iterator[str]:
        """The digest of everything that `get_bytes` would give. The pieces of a large object are objects too."""
        self.flush()
        for kind, raw in self._index.digests():
            digest = from_raw(raw)
            if kind == CHUNK or (not self.has_entry((CHUNK, raw)) and self.has(digest)):
                yield digest

    def totals(self) -> StoreTotals:
        """What the store comes to."""
        self.flush()
        objects, raw = self._index.sums()
        names = self._packs.names()
        return StoreTotals(objects, len(names), raw, sum(self._packs.size(name) for name, _ in names))

    def lengths(self) -> Iterator[tuple[EntryKey, int, int]]:
        """Every entry, with the bytes that it takes in its pack, and those that it comes to when decoded."""
        self.flush()
        for key, _, length, raw_size in self._index.rows():
            yield key, length, raw_size

    # -- objects in

    def put_bytes(self, data: bytes) -> str:
        """Keep some bytes; their digest."""
        from mltrack.store.chunks import SINGLE

        return self.put_batch([data])[0] if len(data) <= SINGLE else self.put_stream([data])[0]

    def put_batch(self, blobs: Sequence[bytes]) -> list[str]:
        """Keep many small objects, of at most `chunks.SINGLE` bytes each; their digests in order."""
        digests = [raw_digest(blob) for blob in blobs]
        fresh = {(CHUNK, raw): blob for raw, blob in zip(digests, blobs, strict=True)}
        for key in self._known(fresh, hold=True):
            del fresh[key]
        encoded = encode_many(CHUNK, list(fresh.values()), [raw for _, raw in fresh])
        self._append([(key, parts, len(blob)) for (key, blob), parts in zip(fresh.items(), encoded, strict=True)])
        return [from_raw(raw) for raw in digests]

    def put_stream(self, blocks: Iterable[bytes]) -> tuple[str, int]:
        """Keep the bytes of a stream; their digest and number. Memory is bounded whatever the length."""
        from mltrack.store.chunks import reader

        return self.put_from(reader(blocks))

    def put_from(self, read_into: Callable[[memoryview], int]) -> tuple[str, int]:
        """`put_stream` for a stream that fills a buffer with its next bytes, and says how many (0 at its end)."""
        from mltrack.store.ingest import ingest

        return ingest(read_into, self)

    def put_chunks(self, chunks: Sequence[memoryview]) -> list[bytes]:
        """Keep some chunks of a larger object; their raw digests."""
        digests = [raw_digest(chunk) for chunk in chunks]
        fresh = {(CHUNK, digest): chunk for digest, chunk in zip(digests, chunks, strict=True)}
        for key in self._known(fresh, hold=True):
            del fresh[key]
        for key, chunk in fresh.items():
            self._append([(key, encode_parts(CHUNK, chunk, key[1]), len(chunk))])
        return digests

    def put_recipe(self, digest: bytes, pieces: Sequence[tuple[bytes, int]]) -> None:
        """Keep the list of chunks, already put, that make the object of that raw digest."""
        if not self._known([(RECIPE, digest)], hold=True):
            entry = encode_recipe(digest, pieces)
            self._append([((RECIPE, digest), (entry,), parse_header(entry).raw_size)])

    # -- objects out

    def get_bytes(self, digest: str) -> bytes:
        """An object's bytes, verified. Raises DataMissing or Damaged."""
        return b"".join(self.read(digest))

    def get_batch(self, digests: Iterable[str]) -> dict[str, bytes]:
        """The bytes of many small objects, verified, read in the order in which they lie in the packs."""
        from mltrack.store.spans import read_span, small_and_large

        small, large = small_and_large(self, digests)
        found = {digest: data for span in small for digest, data in read_span(self, span)}
        return found | {digest: self.get_bytes(digest) for digest in large}

    def read(self, digest: str) -> Iterator[bytes]:
        """An object's bytes, chunk by chunk. Each is verified before it is given, the whole at the end (Damaged)."""
        kind, raw = self._resolve(digest)
        if kind == CHUNK:
            yield self._load((CHUNK, raw))
            return
        whole = hasher()
        for piece, length in self._recipe(raw):
            data = self._load((CHUNK, piece))
            if len(data) != length:
                break
            whole.update(data)
            yield data
        if whole.digest() != raw:
            raise Damaged(
                f"The chunks of {digest} do not make the object.",
                "Run `mltrack verify` to see what it touches and where a copy is.",
            )

    def write_to(self, digest: str, target: Path, executable: bool = False) -> None:
        """Write an object to a file, which appears only when complete and verified; a link there is replaced."""
        from mltrack.store.spans import pour

        temporary = temporary_beside(target)
        try:
            with writing(target):
                handle = create(temporary, 0o777 if executable else 0o666)
                try:
                    pour(self, digest, handle)
                finally:
                    os.close(handle)
                os.replace(temporary, target)
        except BaseException:
            remove(temporary)
            raise

    def pieces(self, digest: str) -> list[tuple[bytes, int]] | None:
        """The chunks (raw digest, length) of a large object; None if it is a single one. Raises DataMissing."""
        kind, raw = self._resolve(digest)
        return None if kind == CHUNK else self._recipe(raw)

    # -- entries, for the road between stores

    def entries(self, digest: str) -> list[EntryKey]:
        """The entries that make an object: its chunks, then its recipe. Raises DataMissing."""
        kind, raw = self._resolve(digest)
        if kind == CHUNK:
            return [(CHUNK, raw)]
        pieces: list[EntryKey] = [(CHUNK, piece) for piece, _ in self._recipe(raw)]
        keys = list(dict.fromkeys(pieces))
        if len(self._known(keys)) < len(keys):
            raise missing_object(digest)
        return [*keys, (RECIPE, raw)]

    # -- safety

    def check(self, progress: Callable[[int], None] | None = None) -> Iterator[Damage]:
        """Read every entry of every pack and prove it; what does not hold. `progress` is told of bytes read."""
        from mltrack.store.check import Damage, check

        self.flush()
        self._compare()
        gone = "The index named an object whose pack is gone, or lost its end."
        yield from [Damage("index", from_raw(raw), None, None, gone) for _, raw in self._dropped]
        yield from check(self._packs, self._index, progress)

    def check_sample(self, part: float, progress: Callable[[int], None] | None = None) -> Sample:
        """`check` of about this part (0 to 1) of the entries, chosen by chance."""
        from mltrack.store.check import check_sample

        self.flush()
        self._compare()
        return check_sample(self._packs, self._index, part, progress)

    def take_copies(self, keys: Collection[EntryKey]) -> None:
        """Where one of these is not here but a sound copy lies in some pack, have the index lead to that."""
        from mltrack.store.mend import find_copies

        self.flush()
        self._index.lead(find_copies(self._packs, self.missing_entries(keys)))

    def forget(self, damages: Iterable[Damage]) -> None:
        """Let damaged entries count as missing, so that a run or a pull puts them again."""
        found = [to_raw(damage.digest) for damage in damages if damage.digest is not None and damage.kind != "recipe"]
        self._index.forget((kind, raw) for raw in found for kind in (CHUNK, RECIPE))

    # -- inside

    def _make(self) -> None:
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._packs.make()
        write_whole(self.path / MARKER, [json.dumps(FORMAT).encode() + b"\n"], durable=True)

    def _resolve(self, digest: str) -> EntryKey:
        """The entry that an object begins with: its only chunk, or its recipe. Raises DataMissing."""
        raw = to_raw(digest)
        keys = [(CHUNK, raw), (RECIPE, raw)]
        known = self._known(keys)
        if not known:
            self._catch_up()
            known = self._known(keys)
        if not known:
            raise missing_object(digest)
        return min(known)

    def _recipe(self, raw: bytes) -> list[tuple[bytes, int]]:
        return recipe_pieces(self._load((RECIPE, raw)), raw)
