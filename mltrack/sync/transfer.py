"""push and pull: what one side lacks, and the order in which it is written.

Packs, then indexes, then a segment of the ledger, then the head; so whoever can see a record can fetch all it names,
at whatever write a push was interrupted. A machine writes below its own replica id only, and waits for nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, FormatTooNew, MltrackError, RemoteError, StorageError
from mltrack.ledger.events import event_digest
from mltrack.ledger.segments import Held, Unsent
from mltrack.nouns import noun
from mltrack.progress import Progress
from mltrack.sync.fetch import fetch, fetch_objects
from mltrack.sync.merging import GRACE_S, merge_indexes, merge_segments, remove_replaced, remove_replaced_indexes
from mltrack.sync.needs import MOST_NAMED, Needs, ObjectsOf, as_edited, data_missing
from mltrack.sync.reading import LARGEST_HEAD, list_segments, newest, read_all, settle
from mltrack.sync.remote import Remote
from mltrack.sync.segments import (
    SEGMENT_BYTES,
    SEGMENT_LINES,
    Link,
    SegmentName,
    encode_segment,
    event_line,
    record_line,
)
from mltrack.sync.sending import Sender

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.store.objects import Store
    from mltrack.sync.places import Listed

__all__ = ["Transfer", "fetch_objects", "pull", "push"]

ROUNDS = 8
"""How often a push looks whether everything it relied on is still there, and sends again what has gone."""


@noun
class Transfer:
    """What a push or pull moved."""

    records: int = 0
    events: int = 0
    objects: int = 0
    """Objects of which at least a part had to be moved."""
    bytes: int = 0
    """Bytes of packs moved."""
    requests: int = 0
    already: int = 0
    """Objects that were needed and there already."""
    repeated: int = 0
    """Of the requests, those that were made again after an error."""
    left: int = 0
    """Runs that were not sent, as their data is on neither side and nobody expected it here."""


@noun
class Road:
    """The two ends of a transfer."""

    remote: Remote
    ledger: Ledger
    store: Store
    objects_of: ObjectsOf
    progress: Progress | None = None
    grace_s: float = GRACE_S
    """How long files that were merged stay beside the merged one."""
    excused: Collection[str] = ()
    """Runs of which data may be missing: they are not sent, and that is no error."""

    @property
    def key(self) -> str:
        """What the ledger remembers this remote by."""
        return self.remote.url


def push(
    remote: Remote,
    ledger: Ledger,
    store: Store,
    objects_of: ObjectsOf,
    run_ids: Sequence[str] | None = None,
    progress: Progress | None = None,
    grace_s: float = GRACE_S,
    excused: Collection[str] = (),
) -> Transfer:
    """Send the records, events and objects that the remote lacks; only of some runs, if they are given.

    A run of which an object is neither here nor there is not sent; the others are, then DataMissing names its paths,
    unless the run is `excused`. Raises RemoteError; what was sent until then is not sent again.
    """
    repeated = remote.repeated
    with alone(ledger):
        moved = send(Road(remote, ledger, store, objects_of, progress, grace_s, excused), run_ids)
    return replace(moved, repeated=remote.repeated - repeated)


def push_edits(remote: Remote, ledger: Ledger, store: Store, objects_of: ObjectsOf, run_ids: Sequence[str]) -> None:
    """Send the events of runs whose records are on the remote already; of others nothing. Raises RemoteError."""
    with alone(ledger):
        read_all(remote, ledger, None)
        there = ledger.runs_on(remote.url)
        if there & set(run_ids):
            send(Road(remote, ledger, store, objects_of), [run for run in run_ids if run in there])


def send(road: Road, run_ids: Sequence[str] | None) -> Transfer:
    remote, ledger, before = road.remote, road.ledger, road.remote.requests
    if not remote.is_remote():
        remote.found()
    head = read_head(remote, ledger.replica)
    own = newest(remembered(ledger, road.key), ledger.replica)
    pending = ledger.unconfirmed(road.key)
    if own is not None and head == own.file and not pending and not ledger.unsent(road.key, run_ids):
        return Transfer(requests=remote.requests - before)
    listed = list_segments(remote)
    settle(remote, ledger, listed)
    mine = {name: found for name, found in listed.items() if name.replica == ledger.replica}
    own = newest(mine, ledger.replica)
    unsent = ledger.unsent(road.key, run_ids)
    records = list(dict.fromkeys([*(digest for digest, _ in unsent.records), *pending, *added_to(road, unsent)]))
    needs = needs_of(road, records)
    sender = Sender(remote, road.store, road.progress)
    sender.prepare(needs.digests())
    sender.send()
    stopped = {need.run for need in needs.touching(sender.lacking | needs.unread)}
    sent = but(unsent, stopped)
    objects, already = sender.objects, sender.already
    # Whoever is interrupted between here and the look that follows looks with the next push.
    ledger.note_unconfirmed(road.key, [*(digest for digest, _ in sent.records), *added_to(road, sent)])
    own = publish(road, own, sent, set(mine))
    if own is not None and head != own.file:
        remote.write(f"heads/{own.replica}", own.file.encode() + b"\n")
    if sent.records or pending or added_to(road, sent):
        hold_fast(sender)
        ledger.confirm(road.key)
    tidy(road, mine, sender)
    incomplete = [need for need in needs.touching(sender.lacking | needs.unread) if need.run not in road.excused]
    if incomplete:
        raise data_missing(incomplete, left_out(remote, stopped, {need.run for need in incomplete}))
    requests = remote.requests - before
    return Transfer(len(sent.records), len(sent.events), objects, sender.bytes, requests, already, left=len(stopped))


def added_to(road: Road, unsent: Unsent) -> list[str]:
    """The records of runs that events about to be sent add objects to: these go first, and are looked for again."""
    adding = {event for events in road.ledger.environment_events().values() for event in map(event_digest, events)}
    runs = sorted({run for digest, run in unsent.events if digest in adding})
    return [digest for run in runs for digest in road.ledger.records_of(run)]


def but(unsent: Unsent, runs: set[str]) -> Unsent:
    """Without what belongs to these runs."""
    return Unsent(*(tuple(item for item in items if item[1] not in runs) for items in (unsent.records, unsent.events)))


def left_out(remote: Remote, stopped: set[str], incomplete: set[str]) -> str:
    """Where data is missing, and what that came to."""
    if not stopped:
        return f"on {remote.shown}: it was removed there while it was relied on"
    many = len(incomplete)
    return f"here and on {remote.shown}, so {many} run{'s' * (many != 1)} could not be sent"


def hold_fast(sender: Sender) -> None:
    """Look whether everything is there that was sent or relied on, and send again what has gone or is condemned.

    A gc that was not seen by a look begins its second pass later, and then finds the segment that was written before.
    """
    for _ in range(ROUNDS):
        if not sender.send():
            return
    raise RemoteError(
        f"The remote {sender.remote.shown} lost what was sent to it, {ROUNDS} times.",
        "Is somebody removing files there? Push again when that has ended.",
    )


def tidy(road: Road, mine: Mapping[SegmentName, Listed], sender: Sender) -> None:
    """Merge indexes, and remove what was merged long ago. `mine` are own segments as they were listed at the start."""
    merge_indexes(road.remote, sender.catalogue)
    remove_replaced_indexes(road.remote, sender.catalogue, road.grace_s)
    remove_replaced(road.remote, road.ledger, mine, road.grace_s)


def needs_of(road: Road, records: Sequence[str]) -> Needs:
    """What the runs of these records need; manifests that only the remote has are fetched to be read."""
    needs, events = Needs(), road.ledger.environment_events()
    for digest in records:
        run = as_edited(road.ledger.record(digest), events)
        needs.add(digest, run, road.objects_of(run))
    needs.expand(road.store.get_bytes)
    if needs.unread:
        fetch(road.remote, road.store, needs.unread)
        needs.expand(road.store.get_bytes)
    return needs


def publish(road: Road, own: SegmentName | None, sent: Unsent, mine: set[SegmentName]) -> SegmentName | None:
    """Write records and events as segments behind `own`, the last of `mine`; merge what is due. The new last one."""
    for items, lines in batches(road.ledger, sent):
        number = own.last + 1 if own is not None else 1
        link = Link(road.ledger.replica, number, number, own.hex if own is not None else None)
        own, data = encode_segment(link, lines)
        # Remembered before it is written: otherwise a crash in between would make it look like a stranger's.
        road.ledger.remember_segment(road.key, Held(str(own), items))
        road.remote.write(own.path, data)
        mine.add(own)
        merged = merge_segments(road.remote, road.ledger, mine, own)
        if merged is not None:
            mine.add(merged)
            own = merged
    return own


def remembered(ledger: Ledger, url: str) -> list[SegmentName]:
    return [name for name in map(SegmentName.parse, ledger.segment_names(url)) if name is not None]


def batches(ledger: Ledger, sent: Unsent) -> Iterator[tuple[list[tuple[str, str]], list[bytes]]]:
    """Items with their lines, a segment's worth at a time."""
    items: list[tuple[str, str]] = []
    lines: list[bytes] = []
    size = 0
    for number, item in enumerate((*sent.records, *sent.events)):
        digest = item[0]
        is_record = number < len(sent.records)
        line = record_line(digest, ledger.record(digest)) if is_record else event_line(ledger.event(digest))
        if lines and (size + len(line) > SEGMENT_BYTES or len(lines) >= SEGMENT_LINES):
            yield items, lines
            items, lines, size = [], [], 0
        items.append(item)
        lines.append(line)
        size += len(line)
    if lines:
        yield items, lines


def read_head(remote: Remote, replica: str) -> str | None:
    data = remote.read_range(f"heads/{replica}", 0, LARGEST_HEAD)
    return None if data is None else data.decode("ascii", "replace").strip()


def pull(
    remote: Remote,
    ledger: Ledger,
    store: Store,
    objects_of: ObjectsOf,
    run_ids: Sequence[str] | None = None,
    data: bool = False,
    progress: Progress | None = None,
) -> Transfer:
    """Receive the records and events that this side lacks, and with `data` their objects; only of some runs, if given.

    What is intact is taken over even where something else is not; then Damaged names what is not. Raises RemoteError,
    FormatTooNew, and DataMissing when objects are nowhere to be had.
    """
    repeated = remote.repeated
    with alone(ledger):
        moved = receive(Road(remote, ledger, store, objects_of, progress), run_ids, data)
    return replace(moved, repeated=remote.repeated - repeated)


def receive(road: Road, run_ids: Sequence[str] | None, data: bool) -> Transfer:
    remote, ledger, before = road.remote, road.ledger, road.remote.requests
    if not remote.is_remote():
        raise RemoteError(
            f"There is nothing of mltrack at {remote.shown}.",
            "Push to it first, or check the URL (`mltrack remote ls`).",
        )
    taken = read_all(remote, ledger, run_ids)
    moved = Transfer(taken.records, taken.events)
    if data:
        wanted = ledger.runs_on(road.key) if run_ids is None else set(run_ids)
        moved = receive_data(road, sorted((wanted & ledger.ids()) - ledger.deleted_ids()), moved)
    raise_for(list(taken.damages.values()))
    return replace(moved, requests=remote.requests - before)


def raise_for(damages: Sequence[MltrackError]) -> None:
    """Say what could not be taken over. What a newer mltrack wrote is not damage, and said first."""
    for error in damages:
        if isinstance(error, FormatTooNew):
            raise error
    if damages:
        hint = "All else was taken over. Run `mltrack verify --remote`."
        told = [error.message for error in damages[:MOST_NAMED]]
        told += [f"And {len(damages) - MOST_NAMED} more."] if len(damages) > MOST_NAMED else []
        raise Damaged(" ".join(told), hint)


def receive_data(road: Road, run_ids: Sequence[str], moved: Transfer) -> Transfer:
    """Fetch the objects of these runs: manifests first, then what they list."""
    needs = Needs()
    for run_id in run_ids:
        run = road.ledger.get(run_id)
        needs.add(run_id, run, road.objects_of(run))
    first = fetch(road.remote, road.store, sorted(needs.manifests), road.progress)
    needs.expand(road.store.get_bytes)
    digests = needs.digests()
    then = fetch(road.remote, road.store, digests, road.progress)
    lacking = list(needs.touching(then.lacking | needs.unread))
    if lacking:
        raise data_missing(lacking, f"on {road.remote.shown}", damaged=bool(first.damaged or then.damaged))
    objects = first.objects + then.objects
    return replace(moved, objects=objects, bytes=first.bytes + then.bytes, already=len(digests) - objects)


@contextmanager
def alone(ledger: Ledger) -> Iterator[None]:
    """One transfer of this project at a time; a second one waits. The lock ends with the process."""
    from mltrack.store.locks import lock_file

    path = ledger.path.parent / "sync.lock"
    try:
        lock = path.open("ab")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", "Make the directory writable.") from error
    with lock:
        lock_file(lock.fileno(), wait=True)
        yield
