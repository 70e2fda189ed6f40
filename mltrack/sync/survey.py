"""What a remote holds and what of it is needed, looked at in the order that makes the answer safe.

First what is condemned, then the heads, then the ledger, then indexes, then packs: so whatever a record names that was
seen was there before it. Where anything cannot be read, the look ends with an error, since nobody knows what is needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mltrack.digest import from_raw, to_raw
from mltrack.errors import Damaged, FormatTooNew
from mltrack.ledger.keeping.shape import is_id
from mltrack.records import Run
from mltrack.sync.check import reader
from mltrack.sync.condemned import Condemned, condemned_packs_of
from mltrack.sync.needs import MOST_NAMED, Needs, ObjectsOf, as_edited, directories
from mltrack.sync.packs import Catalogue
from mltrack.sync.reading import LARGEST_HEAD, covered_by, gaps, read_all
from mltrack.sync.segments import SegmentName
from mltrack.sync.stock import Live, Shelf, Stock, choose, distinct, find_live, read_entries, rows_in_table, take_stock

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.store.entries import EntryKey
    from mltrack.store.objects import Store
    from mltrack.sync.places import Listed
    from mltrack.sync.remote import Remote


@dataclass
class Survey:
    """One look at a remote."""

    lists: Sequence[Condemned]
    listed: Mapping[SegmentName, Listed]
    catalogue: Catalogue
    runs: int = 0
    """Records on the remote."""
    live: Live = field(default_factory=Live)
    shelves: dict[str, Shelf] = field(default_factory=dict)
    unindexed: set[str] = field(default_factory=set)
    """Packs that no index named."""
    replacing: Mapping[str, set[str]] = field(default_factory=dict)
    """Segments that replace others, with those."""

    going: set[str] = field(default_factory=set)
    """Packs that were found to be no longer needed."""

    def left_bytes(self) -> int:
        """Of entries that nobody needs, in packs that stay."""
        gone = self.going | self.catalogue.condemned
        return sum(s.entry_bytes - s.kept_bytes for name, s in self.shelves.items() if name not in gone)

    def size_of(self, path: str) -> int | None:
        """Bytes of a listed file; None if it is not there."""
        folder, _, rest = path.partition("/")
        found: Listed | None = None
        if folder == "packs":
            found = self.catalogue.packs.get(rest[3:])
        elif folder == "indexes":
            found = self.catalogue.indexes.get(rest)
        elif folder == "ledger" and (name := SegmentName.parse(rest)) is not None:
            found = self.listed.get(name)
        return None if found is None else found.size or 0

    def forget(self, packs: Iterable[str], indexes: Iterable[str]) -> None:
        """These are no longer there, or are about to go."""
        for name in packs:
            self.shelves.pop(name, None)
            self.catalogue.packs.pop(name, None)
            self.unindexed.discard(name)
        for name in indexes:
            self.catalogue.indexes.pop(name, None)


def look(
    remote: Remote,
    ledger: Ledger,
    store: Store,
    objects_of: ObjectsOf,
    lists: Sequence[Condemned],
    drop: Collection[str],
) -> Survey:
    """Look at a remote. Its records are taken over on the way, as by a pull. Raises RemoteError, Damaged."""
    heads = read_heads(remote)
    taken = read_all(remote, ledger, None)
    for error in sorted(taken.damages.values(), key=lambda error: not isinstance(error, FormatTooNew)):
        raise type(error)(f"{error.message} So nobody knows what is needed.", error.hint)
    check_chains(taken.listed, covered_by(ledger, remote.url), heads)
    catalogue = Catalogue(remote)
    catalogue.refresh()
    catalogue.condemned = condemned_packs_of(lists)
    survey = Survey(lists, taken.listed, catalogue, replacing=ledger.replacing(remote.url))
    stock = take_stock(catalogue)
    survey.unindexed = set(catalogue.packs) - set(stock)
    add_tables(remote, survey.unindexed, catalogue, stock)
    needed = needed_objects(remote, ledger, store, objects_of, catalogue, drop)
    survey.runs = needed.runs

    def read(keys: list[EntryKey]) -> Iterator[bytes]:
        yield from (entry for _, entry in read_entries(remote, catalogue.locate(keys, condemned=True)))

    survey.live, lacking = find_live(needed.objects, stock, read)
    if lacking or needed.unread:
        raise refusal(remote, ledger, objects_of, catalogue, {from_raw(raw) for raw in lacking} | needed.unread, drop)
    lengths = {name: catalogue.packs[name].size or 0 for name in stock}
    survey.shelves = choose(stock, lengths, survey.live, catalogue.condemned)
    return survey


def read_heads(remote: Remote) -> dict[str, str]:
    """Replica -> the file name of its newest segment, as its head has it."""
    names = [name for name in remote.list("heads") if is_id(name)]
    heads = remote.map(lambda name: remote.read_range(f"heads/{name}", 0, LARGEST_HEAD), names)
    found = zip(names, heads, strict=True)
    return {name: data.decode("ascii", "replace").strip() for name, data in found if data is not None}


def check_chains(listed: Iterable[SegmentName], replaced: Iterable[str], heads: Mapping[str, str]) -> None:
    """Raise Damaged if a segment is missing between others, or the one that a head names."""
    names = set(listed)
    known = names | {name for name in map(SegmentName.parse, replaced) if name is not None}
    missing = gaps(known)
    files = {str(name) for name in known}
    ends = {replica: max((n.last for n in known if n.replica == replica), default=0) for replica in heads}
    for replica, head in heads.items():
        name = SegmentName.parse(f"{replica}/{head}")
        if name is not None and str(name) not in files and name.last > ends[replica]:
            missing.append(f"{name.first}-{name.last} of the replica {replica}")
    if missing:
        raise Damaged(
            f"Segments of the ledger are missing on the remote: {', '.join(missing[:MOST_NAMED])}.",
            "So nobody knows what is needed. `mltrack verify --remote --repair` in the project that wrote them.",
        )


def add_tables(remote: Remote, unindexed: Collection[str], catalogue: Catalogue, stock: Stock) -> None:
    """An index may have been lost: what packs say themselves that no index names counts as well."""

    def read(name: str) -> tuple[str, bytes | None]:
        return name, rows_in_table(remote, name, catalogue.packs[name].size)

    for name, rows in remote.map(read, sorted(unindexed)):
        if rows:
            stock[name] = distinct(rows)


@dataclass
class Needed:
    runs: int = 0
    objects: set[bytes] = field(default_factory=set)
    """Raw digests."""
    unread: set[str] = field(default_factory=set)
    """Manifests that are nowhere to be read."""


def needed_objects(
    remote: Remote, ledger: Ledger, store: Store, objects_of: ObjectsOf, catalogue: Catalogue, drop: Collection[str]
) -> Needed:
    """What the records on the remote name, and what the manifests among it list."""
    from mltrack.store.manifest import decode_manifest

    needed = Needed()
    manifests: set[str] = set()
    for run in runs_on(remote, ledger, drop):
        needed.runs += 1
        objects = set(objects_of(run))
        manifests |= directories(run) & objects
        needed.objects.update(map(to_raw, objects))
    read = reader(remote, catalogue)
    for digest in sorted(manifests):
        try:
            data = store.get_bytes(digest) if not store.missing([digest]) else read(digest)
            entries = decode_manifest(data)
        except Damaged:
            needed.unread.add(digest)
            continue
        needed.objects.update(to_raw(entry.digest) for entry in entries if entry.digest is not None)
    return needed


def runs_on(remote: Remote, ledger: Ledger, drop: Collection[str]) -> Iterator[Run]:
    """The records on the remote but those of runs whose data was let go."""
    let_go = set(drop) | ledger.dropped_ids()
    events = ledger.environment_events(remote.url)
    for digest in ledger.record_digests_on(remote.url):
        run = as_edited(ledger.record(digest), events)
        if run.id not in let_go:
            yield run


def refusal(
    remote: Remote,
    ledger: Ledger,
    objects_of: ObjectsOf,
    catalogue: Catalogue,
    lacking: set[str],
    drop: Collection[str],
) -> Damaged:
    """The error for a remote that lacks what its records need: which runs and paths."""
    needs = Needs()
    for number, run in enumerate(runs_on(remote, ledger, drop)):
        needs.add(str(number), run, objects_of(run))
    needs.expand(reader(remote, catalogue))
    named = [f"{need.path} (run {need.run})" for need in needs.touching(lacking)] or sorted(lacking)
    more = [f"{len(named) - MOST_NAMED} more"] if len(named) > MOST_NAMED else []
    return Damaged(
        f"The remote {remote.shown} lacks data: {', '.join(named[:MOST_NAMED] + more)}.",
        "Nothing was removed. Run `mltrack verify --remote --repair` where that data is, or let it go: --drop RUN.",
    )
