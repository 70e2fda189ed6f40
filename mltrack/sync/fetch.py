"""Objects from a remote into the store: only the entries that are missing, with ranges of packs merged where near.

Every entry is verified by the store before it is kept. What was fetched before an interruption stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mltrack.digest import from_raw, to_raw
from mltrack.errors import Damaged, DataMissing
from mltrack.progress import Progress, expect
from mltrack.store.entries import CHUNK, RECIPE, EntryKey, decode, parse_header, recipe_pieces
from mltrack.sync.packs import Catalogue, Location, pack_path
from mltrack.sync.remote import Remote

if TYPE_CHECKING:
    from mltrack.store.objects import Store

GAP = 256 << 10
"""Ranges of one pack that lie no further apart are read as one."""

LONGEST_READ = 8 << 20
READS_AT_ONCE = 6
LOOKS = 3


class PartOfPack(NamedTuple):
    """A range of a pack, and the entries in it that are wanted."""

    pack: str
    start: int
    length: int
    parts: list[tuple[Location, EntryKey]]


@dataclass
class Fetched:
    """What came, and what did not."""

    objects: int = 0
    bytes: int = 0
    gone: bool = False
    """A pack vanished between the last look and its being read."""
    lacking: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    """Packs of the remote that do not hold what its indexes say, and indexes that are not what their names say."""


def fetch_objects(remote: Remote, store: Store, digests: Iterable[str], progress: Progress | None = None) -> int:
    """Bring these objects into the store; how many came. Those that are here already are not asked for.

    Raises DataMissing naming the ones the remote does not hold, Damaged if what it holds is not them; the others are
    in the store then.
    """
    fetched = fetch(remote, store, digests, progress)
    if fetched.lacking:
        names = ", ".join(sorted(fetched.lacking)[:5]) + (" and more" if len(fetched.lacking) > 5 else "")
        kind = Damaged if fetched.damaged else DataMissing
        what = "damaged on" if fetched.damaged else "not on"
        raise kind(
            f"Objects {what} the remote {remote.shown}: {names}.",
            "Run `mltrack verify --remote`, or push from a project that has them.",
        )
    return fetched.objects


def fetch(remote: Remote, store: Store, digests: Iterable[str], progress: Progress | None = None) -> Fetched:
    """Like `fetch_objects`, but says what did not come instead of raising.

    A pack that was there when we looked and is gone when it is read was written anew by a gc, so we look again.
    """
    fetched = Fetched()
    missing = store.missing(digests, hold=True)
    lacking = missing
    for _ in range(LOOKS if missing else 0):
        fetched.gone = False
        look_and_fetch(remote, store, lacking, fetched, progress)
        lacking = store.missing(missing)
        if not (lacking and fetched.gone):
            break
    fetched.lacking = lacking
    fetched.objects = len(missing) - len(lacking)
    return fetched


def look_and_fetch(
    remote: Remote, store: Store, missing: set[str], fetched: Fetched, progress: Progress | None
) -> None:
    """Look where these objects are now, and bring what can be had of them."""
    catalogue = Catalogue(remote)
    catalogue.refresh()
    try:
        keys = {(kind, to_raw(digest)) for digest in missing for kind in (CHUNK, RECIPE)}
        found = catalogue.locate(keys)
        # The pieces of a large object: its recipe has to be here before they are known.
        recipes = {key: places for key, places in found.items() if key[0] == RECIPE and (CHUNK, key[1]) not in found}
        fetch_entries(remote, store, recipes, fetched, progress)
        pieces = pieces_of(store, missing)
        chunks = {key: places for key, places in found.items() if key[0] == CHUNK}
        chunks |= catalogue.locate(store.missing_entries(pieces, hold=True))
        fetch_entries(remote, store, chunks, fetched, progress)
    finally:
        store.flush()
        fetched.damaged |= set(catalogue.problems)


def pieces_of(store: Store, digests: Iterable[str]) -> set[EntryKey]:
    """The chunks that make those of the objects whose recipes are in the store."""
    recipes = [(RECIPE, to_raw(digest)) for digest in digests]
    absent = store.missing_entries(recipes)
    found: set[EntryKey] = set()
    for key in recipes:
        if key not in absent:
            found |= {(CHUNK, piece) for piece, _ in recipe_pieces(decode(store.read_entry(key)).raw, key[1])}
    return found


def fetch_entries(
    remote: Remote,
    store: Store,
    wanted: dict[EntryKey, list[Location]],
    fetched: Fetched,
    progress: Progress | None = None,
) -> None:
    """Bring entries into the store; one that is damaged in one pack is looked for in the next that has it."""
    waiting = {key: list(places) for key, places in wanted.items()}
    while waiting:
        plan = [(places.pop(0), key) for key, places in waiting.items() if places]
        failed: set[EntryKey] = set()
        reads = list(ranges(plan))
        expect(progress, sum(read.length for read in reads))
        for read, data in remote.map(lambda read: (read, read_part(remote, read)), reads, READS_AT_ONCE):
            if data is None:
                fetched.gone = True
                failed |= {key for _, key in read.parts}
                continue
            fetched.bytes += len(data)
            refused = store.add_entries(
                (key, data[place.offset - read.start : place.offset - read.start + place.length])
                for place, key in read.parts
            )
            if refused:
                failed |= refused
                fetched.damaged.add(read.pack)
            if progress is not None:
                progress(len(data))
        waiting = {key: waiting[key] for key in failed if waiting[key]}


def read_part(remote: Remote, read: PartOfPack) -> bytes | None:
    return remote.read_range(pack_path(read.pack), read.start, read.length)


def ranges(plan: Iterable[tuple[Location, EntryKey]]) -> Iterator[PartOfPack]:
    """Few reads for many entries."""
    parts: list[tuple[Location, EntryKey]] = []
    start = end = 0
    for place, key in sorted(plan):
        near = parts and parts[0][0].pack == place.pack and place.offset - end <= GAP
        if parts and not (near and place.offset + place.length - start <= LONGEST_READ):
            yield PartOfPack(parts[0][0].pack, start, end - start, parts)
            parts = []
        if not parts:
            start = end = place.offset
        parts.append((place, key))
        end = max(end, place.offset + place.length)
    if parts:
        yield PartOfPack(parts[0][0].pack, start, end - start, parts)


def on_remote(remote: Remote, catalogue: Catalogue, digests: Iterable[str]) -> set[str]:
    """Those of the objects that the remote holds wholly; a large one's recipe is read to look for its chunks."""
    asked = set(digests)
    found = catalogue.locate((kind, to_raw(digest)) for digest in asked for kind in (CHUNK, RECIPE))
    whole = {from_raw(raw) for kind, raw in found if kind == CHUNK}
    pieces: dict[str, set[EntryKey]] = {}
    for (kind, raw), places in found.items():
        if kind == RECIPE and from_raw(raw) not in whole:
            entry = read_entry(remote, (kind, raw), places)
            if entry is not None:
                pieces[from_raw(raw)] = {(CHUNK, piece) for piece, _ in recipe_pieces(decode(entry).raw, raw)}
    there = catalogue.locate({key for keys in pieces.values() for key in keys})
    return whole | {digest for digest, keys in pieces.items() if keys <= set(there)}


def sizes_on_remote(remote: Remote, catalogue: Catalogue, digests: Iterable[str]) -> dict[str, int]:
    """Those of the objects that the remote holds wholly -> bytes to fetch for each, but for what a recipe shares."""
    whole = on_remote(remote, catalogue, digests)
    found = catalogue.locate((kind, to_raw(digest)) for digest in whole for kind in (CHUNK, RECIPE))
    sizes: dict[str, int] = {}
    for (kind, raw), places in found.items():
        size = places[0].length
        if kind == RECIPE:
            entry = read_entry(remote, (kind, raw), places)
            pieces = {(CHUNK, piece) for piece, _ in recipe_pieces(decode(entry).raw, raw)} if entry else set()
            size += sum(there[0].length for there in catalogue.locate(pieces).values())
        sizes[from_raw(raw)] = size
    return sizes


def read_entry(remote: Remote, key: EntryKey, places: Iterable[Location]) -> bytes | None:
    """An entry straight from the remote, verified; None if no place holds it intact."""
    for place in places:
        data = remote.read_range(pack_path(place.pack), place.offset, place.length)
        try:
            if data is not None and parse_header(data).key == key and decode(data):
                return data
        except Damaged:
            continue
    return None
