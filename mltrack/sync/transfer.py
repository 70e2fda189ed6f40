"""push and pull: what one side lacks, and the order in which it is written.

Packs, then indexes, then a segment of the ledger, then the head; so whoever can see a record can fetch all it names,
at whatever write a push was interrupted. A machine writes below its own replica id only, and waits for nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, FormatTooNew, MltrackError, RemoteError, StorageError
from mltrack.ledger.replica import renew_replica
from mltrack.ledger.segments import Held, Unsent
from mltrack.nouns import noun
from mltrack.records import Run, from_dict
from mltrack.sync.fetch import Progress, fetch, fetch_objects
from mltrack.sync.needs import Needs, ObjectsOf, data_missing
from mltrack.sync.remote import Remote
from mltrack.sync.segments import (
    SEGMENT_BYTES,
    Link,
    SegmentName,
    decode_segment,
    encode_segment,
    event_line,
    items_of,
    record_line,
)
from mltrack.sync.sending import Sender

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.store.objects import Store

__all__ = ["Transfer", "fetch_objects", "pull", "push"]

ROUNDS = 3
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


@noun
class Road:
    """The two ends of a transfer."""

    remote: Remote
    ledger: Ledger
    store: Store
    objects_of: ObjectsOf
    progress: Progress | None = None

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
) -> Transfer:
    """Send the records, events and objects that the remote lacks; only of some runs, if they are given.

    A run of which an object is neither here nor there is not sent; the others are, then DataMissing names its paths.
    Raises RemoteError; what was sent until then is not sent again.
    """
    with alone(ledger):
        return send(Road(remote, ledger, store, objects_of, progress), run_ids)


def send(road: Road, run_ids: Sequence[str] | None) -> Transfer:
    remote, ledger, before = road.remote, road.ledger, road.remote.requests
    if not remote.is_remote():
        remote.found()
    head = read_head(remote, ledger.replica)
    own = newest(ledger.segment_names(road.key), ledger.replica)
    if own is not None and head == own.file and not ledger.unsent(road.key, run_ids):
        return Transfer(requests=remote.requests - before)
    own = settle(road, segment_names(remote))
    unsent = ledger.unsent(road.key, run_ids)
    needs = needs_of(road, [digest for digest, _ in unsent.records])
    sender = Sender(remote, road.store, road.progress)
    sender.prepare(needs.digests())
    sender.send()
    incomplete = list(needs.touching(sender.lacking | needs.unread))
    stopped = {need.run for need in incomplete}
    sent = Unsent(
        *(tuple(item for item in items if item[1] not in stopped) for items in (unsent.records, unsent.events))
    )
    objects, already = sender.objects, sender.already
    own = publish(road, own, sent)
    if own is not None and head != own.file:
        remote.write(f"heads/{own.replica}", own.file.encode() + b"\n")
    for _ in range(ROUNDS if sent.records else 0):
        if not sender.send():
            break
    if incomplete:
        where = f"here and on {remote.shown}, so {len(stopped)} run{'s' * (len(stopped) != 1)} could not be sent"
        raise data_missing(incomplete, where)
    requests = remote.requests - before
    return Transfer(len(sent.records), len(sent.events), objects, sender.bytes, requests, already)


def needs_of(road: Road, records: Sequence[str]) -> Needs:
    """What the runs of these records need; manifests that only the remote has are fetched to be read."""
    needs = Needs()
    for digest in records:
        run = from_dict(Run, json.loads(road.ledger.record(digest)))
        needs.add(digest, run, road.objects_of(run))
    needs.expand(road.store.get_bytes)
    if needs.unread:
        fetch(road.remote, road.store, needs.unread)
        needs.expand(road.store.get_bytes)
    return needs


def publish(road: Road, own: SegmentName | None, sent: Unsent) -> SegmentName | None:
    """Write records and events as segments behind `own`, the last one of this replica; returns the new last one."""
    for items, lines in batches(road.ledger, sent):
        number = own.last + 1 if own is not None else 1
        link = Link(road.ledger.replica, number, number, own.hex if own is not None else None)
        own, data = encode_segment(link, lines)
        # Remembered before it is written: otherwise a crash in between would make it look like a stranger's.
        road.ledger.remember_segment(road.key, Held(str(own), items))
        road.remote.write(own.path, data)
    return own


def batches(ledger: Ledger, sent: Unsent) -> Iterator[tuple[list[tuple[str, str]], list[bytes]]]:
    """Items with their lines, a segment's worth at a time."""
    items: list[tuple[str, str]] = []
    lines: list[bytes] = []
    size = 0
    for number, item in enumerate((*sent.records, *sent.events)):
        digest = item[0]
        is_record = number < len(sent.records)
        line = record_line(digest, ledger.record(digest)) if is_record else event_line(ledger.event(digest))
        if lines and size + len(line) > SEGMENT_BYTES:
            yield items, lines
            items, lines, size = [], [], 0
        items.append(item)
        lines.append(line)
        size += len(line)
    if lines:
        yield items, lines


def settle(road: Road, listed: set[str]) -> SegmentName | None:
    """Compare what is on the remote with what is remembered of it; returns the last segment of this replica.

    What has gone is forgotten, so that it is sent again. A segment below our own id that we did not write means that
    a copy of this project writes there too: from now on this one writes below a new id.
    """
    ledger = road.ledger
    remembered = ledger.segment_names(road.key)
    ledger.forget_segments(road.key, remembered - listed)
    unknown = listed - remembered
    unknown -= ledger.recognise_segments(road.key, unknown) if unknown else set()
    replica = ledger.replica
    if any(name.startswith(f"{replica}/") for name in unknown):
        renew_replica(ledger.path.parent)
        return None
    return newest(listed, replica)


def segment_names(remote: Remote) -> set[str]:
    """The segments on the remote; other files are none of our business."""
    return {path for path in remote.list("ledger") if SegmentName.parse(path) is not None}


def newest(names: set[str], replica: str) -> SegmentName | None:
    """The last segment of a replica."""
    own = [name for name in map(SegmentName.parse, names) if name is not None and name.replica == replica]
    return max(own, key=lambda name: (name.last, name.first, name.hex), default=None)


def read_head(remote: Remote, replica: str) -> str | None:
    data = remote.read(f"heads/{replica}")
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
    with alone(ledger):
        return receive(Road(remote, ledger, store, objects_of, progress), run_ids, data)


def receive(road: Road, run_ids: Sequence[str] | None, data: bool) -> Transfer:
    remote, ledger, before = road.remote, road.ledger, road.remote.requests
    if not remote.is_remote():
        raise RemoteError(
            f"There is nothing of mltrack at {remote.shown}.",
            "Push to it first, or check the URL (`mltrack remote ls`).",
        )
    listed = segment_names(remote)
    settle(road, listed)
    wanting = (listed - ledger.segment_names(road.key)) | ledger.unread(road.key, run_ids)
    records, events, damages = read_segments(road, run_ids, wanting)
    moved = Transfer(records, events)
    if data:
        wanted = ledger.runs_on(road.key) if run_ids is None else set(run_ids)
        moved = receive_data(road, sorted((wanted & ledger.ids()) - ledger.deleted_ids()), moved)
    raise_for(damages)
    return replace(moved, requests=remote.requests - before)


def read_segments(road: Road, run_ids: Sequence[str] | None, names: set[str]) -> tuple[int, int, list[MltrackError]]:
    """Merge these segments; how many records and events were new, and what could not be read."""
    records = events = 0
    damages: list[MltrackError] = []
    wanted = None if run_ids is None else set(run_ids)
    for name in sorted(filter(None, map(SegmentName.parse, names)), key=lambda name: (name.replica, name.first)):
        data = road.remote.read(name.path)
        if data is None:
            continue  # merged into another one meanwhile, which the next listing shows
        try:
            segment = decode_segment(name, data)
            items = items_of(segment)
            runs = dict(items)
            taken = [line for digest, line in segment.records if wanted is None or runs[digest] in wanted]
            edits = [event for event in segment.events if wanted is None or event.run in wanted]
            new = road.ledger.merge_segment(road.key, Held(str(name), items), taken, edits)
            records, events = records + new[0], events + new[1]
        except (Damaged, FormatTooNew) as error:
            damages.append(error)
    return records, events, damages


def raise_for(damages: Sequence[MltrackError]) -> None:
    """Say what could not be taken over. What a newer mltrack wrote is not damage, and said first."""
    for error in damages:
        if isinstance(error, FormatTooNew):
            raise error
    if damages:
        hint = "All else was taken over. Run `mltrack verify --remote`."
        raise Damaged(" ".join(error.message for error in damages), hint)


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
    import fcntl

    path = ledger.path.parent / "sync.lock"
    try:
        lock = path.open("ab")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", "Make the directory writable.") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
