"""gc of a remote, without a lock: one pass condemns what no record needs, a later one removes what still is not needed.

Between the two lies a grace time, by the server's own clock. It keeps readers from losing what they are reading; that
nothing needed is ever removed does not hang on it: see `docs/reference/format-remote.md`. What is needed, and by which
packs it is held, is found in `survey.py`; silent replicas are merged in `silence.py`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, RemoteError
from mltrack.nouns import noun
from mltrack.sync.condemned import FOLDER, MOST_NAMES, Condemned, condemned_path, encode_list, read_condemned
from mltrack.sync.merging import GRACE_S, remove_replaced_indexes
from mltrack.sync.packs import (
    index_path,
    pack_path,
    sections,
)
from mltrack.sync.rewriting import compact_indexes, index_kept, move, sparse_packs
from mltrack.sync.segments import SegmentName
from mltrack.sync.silence import contained, merge_silent, silent_segments
from mltrack.sync.stock import rows, rows_in_table
from mltrack.sync.survey import Survey, look

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.store.objects import Store
    from mltrack.sync.needs import ObjectsOf
    from mltrack.sync.places import Listed
    from mltrack.sync.remote import Remote

TOMBSTONE = 10
"""So many grace times a list stays, so that nobody takes a name for present that is just being removed."""

BATCH = 200
"""Files removed between two looks whether the condemnation still stands."""

UNNEEDED, UNINDEXED, SPARSE, STALE, MERGED = (
    "no record needs it",
    "left by an interrupted push",
    "mostly not needed; the rest is written anew",
    "names mostly packs that go",
    "of a silent replica, merged into another",
)


@noun
class Pile:
    """Files that go, by why and kind (`pack`, `index`, `segment`)."""

    why: str
    kind: str
    files: int
    size_bytes: int


@noun
class Waiting:
    """A list of condemned files whose grace is not over."""

    name: str
    files: int
    size_bytes: int
    due_at: float | None
    """Seconds since 1970, by the server's clock; None where it tells no times."""


@noun
class RemoteGc:
    """What a gc of a remote found and, if it was applied, did."""

    runs: int
    """Records on the remote."""
    needed_bytes: int
    condemned: tuple[Pile, ...] = ()
    """Put on a list, to be removed after the grace."""
    removed: tuple[Pile, ...] = ()
    """On a list whose grace is over, and still not needed."""
    waiting: tuple[Waiting, ...] = ()
    moved_bytes: int = 0
    """Of entries out of sparse and small packs, written anew."""
    needed_again: int = 0
    """Condemned packs that a later push relied on; they stay."""
    is_applied: bool = False
    left_bytes: int = 0
    """Of entries that nobody needs, in packs that stay, since more than half of each is needed."""


@noun
class GcRoad:
    """What a gc of a remote works with; `drop`: ids of runs whose data need not stay there."""

    remote: Remote
    ledger: Ledger
    store: Store
    objects_of: ObjectsOf
    grace_s: float = GRACE_S
    apply: bool = False
    drop: frozenset[str] = frozenset()


def collect(road: GcRoad) -> RemoteGc:
    """Remove what was condemned a grace time ago, and condemn what is not needed now; without `apply` only say so.

    The caller sees to it that this project does nothing else on the road. Raises RemoteError, and Damaged when it
    cannot be told what is needed: then nothing is changed.
    """
    lists = read_condemned(road.remote)
    now = server_time(road) if road.apply else time.time()
    survey = look(road.remote, road.ledger, road.store, road.objects_of, lists, road.drop)
    removed, again = execute(road, survey, now)
    condemned, moved = condemn(road, survey, now)
    return RemoteGc(
        survey.runs,
        sum(shelf.kept_bytes for shelf in survey.shelves.values()),
        tuple(condemned),
        tuple(removed),
        tuple(waiting(survey, now, road.grace_s)),
        moved,
        again,
        road.apply,
        survey.left_bytes(),
    )


def server_time(road: GcRoad) -> float | None:
    """The time of a file just written; None where the server tells no times."""
    name = f"now-{road.ledger.replica}"
    road.remote.write(condemned_path(name), b"\n")
    listed = road.remote.list(FOLDER).get(name)
    road.remote.remove(condemned_path(name))
    return None if listed is None else listed.modified


def is_old(listed: Listed | None, now: float | None, age_s: float) -> bool:
    """Was it written that long ago? Where no times are told, only an age of 0 is known to be over."""
    if age_s <= 0:
        return True
    return listed is not None and listed.modified is not None and now is not None and now - listed.modified >= age_s


def waiting(survey: Survey, now: float | None, grace_s: float) -> Iterator[Waiting]:
    for one in survey.lists:
        if not is_old(one.listed, now, grace_s):
            there = [path for path in one.paths if survey.size_of(path) is not None]
            due = None if one.listed.modified is None else one.listed.modified + grace_s
            yield Waiting(one.name, len(there), sum(survey.size_of(path) or 0 for path in there), due)


def pile(survey: Survey, why: str, kind: str, paths: Collection[str]) -> Iterator[Pile]:
    if paths:
        yield Pile(why, kind, len(paths), sum(survey.size_of(path) or 0 for path in paths))


# -- the second pass


def execute(road: GcRoad, survey: Survey, now: float | None) -> tuple[list[Pile], int]:
    """Remove what due lists name and is still not needed; and how many packs they name that are needed again."""
    due = [one for one in survey.lists if is_old(one.listed, now, road.grace_s)]
    paths = {path for one in due for path in one.paths}
    named = {name for name in survey.shelves.keys() | survey.unindexed if pack_path(name) in paths}
    needed = needed_again(survey, named)
    packs = named - needed
    prove_holders(road.remote, survey, packs)
    indexes = removable_indexes(road, survey, packs, paths)
    segments = contained(road.remote, survey, paths)
    groups = [
        ("index", [index_path(name) for name in sorted(indexes)]),
        ("pack", [pack_path(name) for name in sorted(packs)]),
        ("segment", [name.path for name in segments]),
    ]
    found = [item for kind, names in groups for item in pile(survey, UNNEEDED, kind, names)]
    if road.apply:
        for _, names in groups:
            remove_all(road.remote, names, due)
        road.ledger.forget_segments(road.remote.url, [str(name) for name in segments])
        remove_heads(road.remote, survey, set(segments))
        remove_replaced_indexes(road.remote, survey.catalogue, road.grace_s)
        for one in survey.lists:
            if is_old(one.listed, now, TOMBSTONE * road.grace_s):
                road.remote.remove(one.path)
    survey.forget(packs, indexes)
    return found, len(needed)


def needed_again(survey: Survey, named: Collection[str]) -> set[str]:
    """Those of some condemned packs that hold a needed entry which no sound pack holds."""
    condemned = survey.catalogue.condemned
    orphans = {row[:2] for name in condemned & survey.shelves.keys() for row in rows(survey.shelves[name].kept)}
    if not orphans:
        return set()
    return {
        name
        for name in named
        if name in survey.shelves and any(row[:2] in orphans for row in rows(survey.shelves[name].rows))
    }


def prove_holders(remote: Remote, survey: Survey, going: Collection[str]) -> None:
    """An index could lie: do the packs that hold what is needed of those that go say so in their own tables too?"""
    asked = {row[:2] for name in going if name in survey.shelves for row in rows(survey.shelves[name].rows)}
    asked = {key for key in asked if survey.live.has(*key)}
    holders = {
        name: claimed
        for name, shelf in survey.shelves.items()
        if name not in going and (claimed := {row for row in rows(shelf.kept) if row[:2] in asked})
    }
    for name, found in remote.map(
        lambda name: (name, rows_in_table(remote, name, survey.shelves[name].length)), sorted(holders)
    ):
        if found is None or not holders[name] <= set(rows(found)):
            raise Damaged(
                f"The remote's pack {name} does not hold what an index says it holds.",
                "Nothing was removed. Run `mltrack verify --remote`.",
            )


def removable_indexes(road: GcRoad, survey: Survey, going: Collection[str], paths: Collection[str]) -> set[str]:
    """Indexes that name nothing any more which no other index names; of those that do, only condemned ones."""
    staying = survey.catalogue.packs.keys() - set(going)
    naming = {name: {pack for pack, *_ in sections(data)} & staying for name, data in survey.catalogue.read_indexes()}
    found: set[str] = set()
    for name in sorted(naming):
        others = set().union(*(packs for other, packs in naming.items() if other != name and other not in found))
        if (not naming[name] or index_path(name) in paths) and naming[name] <= others:
            found.add(name)
    return found


def remove_all(remote: Remote, paths: Sequence[str], due: Iterable[Condemned]) -> None:
    """Remove files, as long as the lists that condemn them are there."""
    names = {one.name for one in due}
    for at in range(0, len(paths), BATCH):
        if not names <= remote.list(FOLDER).keys():
            raise RemoteError(
                "Somebody else has just finished this gc of the remote.", "Nothing was lost; run it again later."
            )
        for _ in remote.map(remote.remove, paths[at : at + BATCH]):
            pass


def remove_heads(remote: Remote, survey: Survey, gone: Collection[SegmentName]) -> None:
    """Remove the heads of replicas all of whose segments went."""
    left = {name.replica for name in survey.listed if name not in gone}
    for replica in sorted({name.replica for name in gone} - left):
        remote.remove(f"heads/{replica}")


# -- the first pass


def condemn(road: GcRoad, survey: Survey, now: float | None) -> tuple[list[Pile], int]:
    """Write a list of what nobody needs, after all that has to be written before; what it names, and bytes moved."""
    remote = road.remote
    old = {
        name
        for name, listed in survey.catalogue.packs.items()
        if name not in survey.catalogue.condemned and is_old(listed, now, road.grace_s)
    }
    unneeded = {name for name in old & survey.shelves.keys() if not survey.shelves[name].kept}
    unindexed = {name for name in old & survey.unindexed if name not in survey.shelves}
    sparse = sparse_packs({name: survey.shelves[name] for name in old & survey.shelves.keys() - unneeded})
    moved = sum(survey.shelves[name].kept_bytes for name in sparse)
    if road.apply:
        sparse = move(remote, survey, sparse)
        index_kept(remote, survey, unneeded | unindexed | sparse)
    going = unneeded | unindexed | sparse
    survey.going |= going
    aged = {name for name, found in survey.catalogue.indexes.items() if is_old(found, now, road.grace_s)}
    stale = compact_indexes(remote, survey, going | survey.catalogue.condemned, aged, road.apply)
    already = {path for one in survey.lists for path in one.paths}
    left = {name: listed for name, listed in survey.listed.items() if name.path not in already}
    silent = silent_segments(road.ledger.replica, left, now, road.grace_s)
    if road.apply:
        silent = merge_silent(remote, road.ledger, survey.listed, silent)
    groups = [
        (UNNEEDED, "pack", [pack_path(name) for name in sorted(unneeded)]),
        (UNINDEXED, "pack", [pack_path(name) for name in sorted(unindexed)]),
        (SPARSE, "pack", [pack_path(name) for name in sorted(sparse)]),
        (STALE, "index", [index_path(name) for name in sorted(stale)]),
        (MERGED, "segment", [name.path for name in silent]),
    ]
    if road.apply:
        write_lists(remote, survey.lists, [path for _, _, names in groups for path in names])
    return [item for why, kind, names in groups for item in pile(survey, why, kind, names)], moved


def write_lists(remote: Remote, known: Iterable[Condemned], paths: Sequence[str]) -> None:
    """Condemn these paths. Where another gc has done so at the same time, ours is taken back."""
    made: list[str] = []
    for at in range(0, len(paths), MOST_NAMES):
        name, data = encode_list(paths[at : at + MOST_NAMES])
        remote.write(condemned_path(name), data)
        made.append(name)
    if made and {name for name in remote.list(FOLDER) if "-" not in name} - {one.name for one in known} - set(made):
        for name in made:
            remote.remove(condemned_path(name))
        raise RemoteError("Another gc of this remote is at work.", "Nothing was lost; run it again later.")
