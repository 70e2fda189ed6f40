"""Is every object that a remote's records need there, wholly? By what its indexes and its intact entries say.

Each one that is missing or damaged is named with the runs and paths that it touches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mltrack.digest import from_raw, to_raw
from mltrack.errors import Damaged, DataMissing
from mltrack.records import Run
from mltrack.store.entries import CHUNK, RECIPE, TABLE_ROW, EntryKey, decode, recipe_pieces
from mltrack.sync.check import Checked, Problem, read_segments, reader
from mltrack.sync.needs import Needs, ObjectsOf, as_edited, directories
from mltrack.sync.packs import Catalogue
from mltrack.sync.remote import Remote
from mltrack.sync.segments import Segment
from mltrack.sync.stock import Stock, batched, find_live, read_entries, rows_in_table, take_stock

Reader = Callable[[list[EntryKey]], Iterator[bytes]]

TREES = 64
"""Manifests kept in memory while runs are named."""


def check_objects(remote: Remote, checked: Checked, objects_of: ObjectsOf) -> Iterator[Problem]:
    """Every object that is not there, with each run and path that needs it."""
    catalogue = Catalogue(remote)
    catalogue.refresh()
    stock = intact_stock(remote, catalogue, checked)
    objects: set[bytes] = set()
    manifests: set[bytes] = set()
    for _, run in records_there(remote, checked):
        tops = set(objects_of(run))
        objects.update(map(to_raw, tops))
        manifests.update(map(to_raw, directories(run) & tops))
    unread = add_listed(remote, catalogue, manifests, objects)
    checked.unread = {from_raw(raw) for raw in unread}

    def read(keys: list[EntryKey]) -> Iterator[bytes]:
        yield from (entry for _, entry in read_entries(remote, catalogue.locate(keys, condemned=True)))

    live, absent = find_live(objects, stock, read)
    absent |= unread
    if absent & live.chunks:
        absent |= broken_recipes(live.recipes, absent, read)
    checked.lacking = {from_raw(raw) for raw in absent}
    if absent:
        yield from named(remote, catalogue, checked, objects_of)


def intact_stock(remote: Remote, catalogue: Catalogue, checked: Checked) -> Stock:
    """The rows of every pack, without those of entries that turned out damaged or untrue."""
    stock = take_stock(catalogue)
    for name in checked.untrue & stock.keys():
        stock[name] = rows_in_table(remote, name, catalogue.packs[name].size) or b""
    for name, rows in checked.damaged.items():
        if name in stock:
            intact = set(TABLE_ROW.iter_unpack(rows))
            stock[name] = b"".join(TABLE_ROW.pack(*row) for row in TABLE_ROW.iter_unpack(stock[name]) if row in intact)
    return stock


def records_there(remote: Remote, checked: Checked) -> Iterator[tuple[str, Run]]:
    """The sound records on the remote, but of runs whose data was let go."""
    for _, segment in read_segments(remote, checked.segments):
        for digest, data in segment.records if isinstance(segment, Segment) else ():
            try:
                run = as_edited(data, checked.edits)
            except (ValueError, TypeError, KeyError):
                continue  # told already
            if run.id not in checked.dropped:
                yield digest, run


def add_listed(remote: Remote, catalogue: Catalogue, manifests: set[bytes], objects: set[bytes]) -> set[bytes]:
    """Add what manifests list to the objects; the manifests that cannot be read."""
    from mltrack.store.manifest import decode_manifest

    left = set(manifests)
    for batch in batched(sorted(manifests)):
        found = catalogue.locate([(CHUNK, raw) for raw in batch], condemned=True)
        for (_, raw), entry in read_entries(remote, found):
            try:
                listed = decode_manifest(decode(entry).raw)
            except Damaged:
                continue
            objects.update(to_raw(item.digest) for item in listed if item.digest is not None)
            left.discard(raw)
    read = reader(remote, catalogue)
    for raw in sorted(left):  # large ones, in several chunks
        try:
            listed = decode_manifest(read(from_raw(raw)))
        except DataMissing:
            continue
        objects.update(to_raw(item.digest) for item in listed if item.digest is not None)
        left.discard(raw)
    return left


def broken_recipes(recipes: set[bytes], absent: set[bytes], read: Reader) -> set[bytes]:
    """Large objects of which a chunk is absent."""
    broken: set[bytes] = set()
    for batch in batched(sorted(recipes)):
        for entry in read([(RECIPE, raw) for raw in batch]):
            found = decode(entry)
            if any(piece in absent for piece, _ in recipe_pieces(found.raw, found.digest)):
                broken.add(found.digest)
    return broken


def named(remote: Remote, catalogue: Catalogue, checked: Checked, objects_of: ObjectsOf) -> Iterator[Problem]:
    """Each run and path that needs an object which is not there."""
    read = reader(remote, catalogue)
    needs = Needs()
    for digest, run in records_there(remote, checked):
        if len(needs.children) > TREES:
            needs = Needs()
        needs.top.clear()
        needs.add(digest, run, objects_of(run))
        needs.expand(read)
        for need in needs.touching(checked.lacking):
            what = f"{need.path} of the run {need.run}"
            yield Problem("object", what, f"{what} is missing or damaged.", need.digest, need.run, need.path)
