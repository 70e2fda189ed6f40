"""What a push or pull would move, and what a remote has, told before anything is moved.

Only names, indexes, segments and manifests are read; neither the ledger's runs nor the store change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mltrack.digest import to_raw
from mltrack.errors import Damaged, DataMissing
from mltrack.ledger.events import event_digest
from mltrack.noun_json import from_dict
from mltrack.nouns import noun
from mltrack.records import Run
from mltrack.store.entries import CHUNK, RECIPE, EntryKey, decode, recipe_pieces
from mltrack.sync.check import reader
from mltrack.sync.needs import Needs, ObjectsOf, as_edited
from mltrack.sync.packs import Catalogue
from mltrack.sync.reading import covered_by, held, list_segments, read_rounds, settle
from mltrack.sync.sending import Sender
from mltrack.sync.stock import read_entries

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.store.objects import Store
    from mltrack.sync.remote import Remote
    from mltrack.sync.segments import Segment, SegmentName


@noun
class Plan:
    """What would be moved."""

    runs: int = 0
    events: int = 0
    objects: int = 0
    bytes: int = 0
    """Of entries, as they lie in packs."""
    packs: int = 0
    """To be written by a push; from which a pull reads."""
    lacking: int = 0
    """Objects that are on neither side, or not on the remote."""


@noun
class Overview:
    """What a remote has."""

    runs: int
    size_bytes: int
    replicas: int
    last_push_at: float | None
    """When a head was last written, by the server's clock, in seconds since 1970; None where that is not told."""


def plan_push(
    remote: Remote, ledger: Ledger, store: Store, objects_of: ObjectsOf, run_ids: Sequence[str] | None = None
) -> Plan:
    """What a push would send. Raises RemoteError."""
    if remote.is_remote():
        settle(remote, ledger, list_segments(remote))
    else:
        ledger.forget_segments(remote.url, ledger.segment_names(remote.url))
    unsent = ledger.unsent(remote.url, run_ids)
    needs, events = Needs(), ledger.environment_events()
    adding = {run for digest, run in unsent.events if any(event_digest(one) == digest for one in events.get(run, ()))}
    edited = [digest for run in sorted(adding) for digest in ledger.records_of(run)]
    for digest in dict.fromkeys([*(digest for digest, _ in unsent.records), *edited]):
        run = as_edited(ledger.record(digest), events)
        needs.add(digest, run, objects_of(run))
    needs.expand(store.get_bytes)
    sender = Sender(remote, store)
    if needs.unread:
        sender.catalogue.refresh()
        needs.expand(reader(remote, sender.catalogue))
    sender.prepare(needs.digests())
    objects, size, packs = sender.plan()
    return Plan(len(unsent.records), len(unsent.events), objects, size, packs, len(sender.lacking | needs.unread))


def plan_pull(
    remote: Remote,
    ledger: Ledger,
    store: Store,
    objects_of: ObjectsOf,
    run_ids: Sequence[str] | None = None,
    data: bool = False,
) -> Plan:
    """What a pull would bring, with `data` of objects too. Raises RemoteError."""
    listed = list_segments(remote)
    known, covered = ledger.segment_names(remote.url), covered_by(ledger, remote.url)
    unread = ledger.unread(remote.url, run_ids)
    wanted = None if run_ids is None else set(run_ids)
    runs: dict[str, Run] = {}
    events: set[str] = set()

    def take(name: SegmentName, segment: Segment) -> None:
        for digest, record in segment.records:
            run = from_dict(Run, json.loads(record))
            if (wanted is None or run.id in wanted) and ledger.item(digest) is None:
                runs[digest] = run
        for event in segment.events:
            digest = event_digest(event)
            if (wanted is None or event.run in wanted) and ledger.item(digest) is None:
                events.add(digest)

    new = {n for n in listed if str(n) not in covered and (str(n) in unread or str(n) not in known)}
    read_rounds(remote, listed, new, take)
    if not data:
        return Plan(len(runs), len(events))
    here = ledger.runs_on(remote.url) if wanted is None else wanted
    there = [*runs.values(), *(ledger.get(id) for id in sorted((here & ledger.ids()) - ledger.deleted_ids()))]
    return plan_objects(remote, store, objects_of, there, Plan(len(runs), len(events)))


def plan_objects(remote: Remote, store: Store, objects_of: ObjectsOf, runs: Iterable[Run], plan: Plan) -> Plan:
    """The plan with what of these runs' objects is not here."""
    catalogue = Catalogue(remote)
    catalogue.refresh()
    there = reader(remote, catalogue)

    def read(digest: str) -> bytes:
        try:
            return store.get_bytes(digest)
        except (DataMissing, Damaged):
            return there(digest)

    needs = Needs()
    for number, run in enumerate(runs):
        needs.add(str(number), run, objects_of(run))
    needs.expand(read)
    missing = store.missing(needs.digests())
    keys: set[EntryKey] = {(kind, to_raw(digest)) for digest in missing for kind in (CHUNK, RECIPE)}
    found = catalogue.locate(keys)
    lacking = sum(1 for digest in missing if not {(CHUNK, to_raw(digest)), (RECIPE, to_raw(digest))} & found.keys())
    recipes = {key: places for key, places in found.items() if key[0] == RECIPE and (CHUNK, key[1]) not in found}
    pieces = {
        (CHUNK, piece)
        for key, entry in read_entries(remote, recipes)
        for piece, _ in recipe_pieces(decode(entry).raw, key[1])
    }
    found |= catalogue.locate(store.missing_entries(pieces))
    size = sum(places[0].length for places in found.values())
    packs = {places[0].pack for places in found.values()}
    return Plan(plan.runs, plan.events, len(missing) - lacking, size, len(packs), lacking + len(needs.unread))


def overview(remote: Remote, ledger: Ledger) -> Overview:
    """A look at a remote: five requests, and one for each segment that is not known yet. Raises RemoteError."""
    remote.is_remote()
    heads = remote.list("heads")
    listed = list_segments(remote)
    settle(remote, ledger, listed)
    known, covered = ledger.segment_names(remote.url), covered_by(ledger, remote.url)
    new = {name for name in listed if str(name) not in known and str(name) not in covered}
    read_rounds(remote, listed, new, lambda name, segment: ledger.remember_segment(remote.url, held(name, segment)))
    files = [*listed.values(), *remote.list("packs").values(), *remote.list("indexes").values()]
    times = [found.modified for found in heads.values() if found.modified is not None]
    return Overview(
        len(ledger.runs_on(remote.url)),
        sum(found.size or 0 for found in files),
        len({name.replica for name in listed}),
        max(times, default=None),
    )
