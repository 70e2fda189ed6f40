"""Segments of a remote into the ledger: which have to be read, in what order, and what is done with them.

The widest come first: what they replace need not be read. A listed file that is not there when it is read was merged
into another one meanwhile, so the remote is listed again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, FormatTooNew, MltrackError
from mltrack.ledger.replica import renew_replica
from mltrack.ledger.segments import Held
from mltrack.nouns import noun
from mltrack.sync.remote import AT_ONCE, Remote
from mltrack.sync.segments import LARGEST_FILE, Segment, SegmentName, decode_segment, items_of, too_large

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.sync.places import Listed

ROUNDS = 5
"""How often a remote is listed again because a listed segment was not there."""

MOST_SEGMENTS = 200_000
"""Segments on a remote beyond which it is refused."""

LARGEST_HEAD = 200
"""Bytes of a head that are read."""

LARGE = 4 << 20
"""Bytes from which on only a few segments are under way together, so that memory stays bounded."""

Take = Callable[[SegmentName, Segment], None]


@dataclass
class Readings:
    """What reading some segments came to."""

    damages: dict[SegmentName, MltrackError] = field(default_factory=dict)
    has_vanished: bool = False
    """Was one of them not there any more?"""


def list_segments(remote: Remote) -> dict[SegmentName, Listed]:
    """The segments on the remote; other files are none of our business. Raises Damaged when there are absurdly many."""
    found = {name: listed for path, listed in remote.list("ledger").items() if (name := SegmentName.parse(path))}
    if len(found) > MOST_SEGMENTS:
        raise Damaged(
            f"The remote {remote.shown} lists {len(found)} segments, more than {MOST_SEGMENTS}.",
            "Is it the right URL? `mltrack gc --remote --apply` merges segments.",
        )
    return found


def newest(names: Iterable[SegmentName], replica: str) -> SegmentName | None:
    """The last segment of a replica; of several that end together the widest."""
    own = [name for name in names if name.replica == replica]
    return max(own, key=lambda name: (name.last, -name.first, name.hex), default=None)


def read_rounds(
    remote: Remote, listed: Mapping[SegmentName, Listed], wanted: Collection[SegmentName], take: Take
) -> Readings:
    """Read the wanted segments that no other one replaces and hand each to `take`.

    Several are under way together, but unpacked and taken one by one in this thread. Raises RemoteError.
    """
    readings = Readings()
    replaced: set[str] = set()
    waiting = set(wanted)

    def read(name: SegmentName) -> tuple[SegmentName, bytes | None]:
        return name, remote.read(name.path) if fits(listed[name]) else b""

    while waiting:
        front = outermost(waiting)
        waiting.difference_update(front)
        # Large ones first: they replace most. Drawn one by one, so that what was replaced meanwhile is not read.
        front.sort(key=lambda name: (-(listed[name].size or 0), str(name)))
        at_once = 2 if front and (listed[front[0]].size or 0) > LARGE else AT_ONCE
        for name, data in remote.map(read, (name for name in front if str(name) not in replaced), at_once):
            if data is None:
                readings.has_vanished = True
                continue
            try:
                segment = decode_segment(name, data) if fits(listed[name]) else None
                if segment is None:
                    raise too_large(name)
                take(name, segment)
                replaced.update(segment.link.replaces)
            except (Damaged, FormatTooNew) as error:
                readings.damages[name] = error
        waiting = {name for name in waiting if str(name) not in replaced}
    return readings


def fits(listed: Listed) -> bool:
    return (listed.size or 0) <= LARGEST_FILE


def outermost(names: Iterable[SegmentName]) -> list[SegmentName]:
    """Those that do not lie inside another one of the same replica."""
    found: list[SegmentName] = []
    for name in sorted(names, key=lambda name: (name.replica, name.first, -name.last)):
        before = found[-1] if found else None
        if before is None or before.replica != name.replica or name.last > before.last or same_range(name, before):
            found.append(name)
    return found


def same_range(one: SegmentName, other: SegmentName) -> bool:
    return (one.first, one.last) == (other.first, other.last)


def held(name: SegmentName, segment: Segment) -> Held:
    """What the ledger remembers of a segment."""
    return Held(str(name), items_of(segment), segment.link.replaces)


def settle(remote: Remote, ledger: Ledger, listed: Mapping[SegmentName, Listed]) -> None:
    """Compare what is on the remote with what is remembered of it.

    What has gone is forgotten, so that it is sent again; but first the segments that may have replaced it are read. A
    segment below our own id that we did not write means that a copy of this project writes there too: from now on this
    one writes below a new id.
    """
    there = {str(name): name for name in listed}
    remembered = ledger.segment_names(remote.url)
    gone = remembered - set(there)
    unknown = set(there) - remembered
    unknown -= ledger.recognise_segments(remote.url, unknown) if unknown else set()
    replica = ledger.replica
    if any(name.startswith(f"{replica}/") for name in unknown):
        renew_replica(ledger.path.parent)
    if gone and unknown:
        covered = covered_by(ledger, remote.url)

        def take(name: SegmentName, segment: Segment) -> None:
            ledger.remember_segment(remote.url, held(name, segment))

        # What cannot be read replaces nothing for us: then all that has gone is sent again.
        read_rounds(remote, listed, {there[text] for text in unknown if text not in covered}, take)
    if gone:
        ledger.forget_segments(remote.url, gone)


def covered_by(ledger: Ledger, url: str, but: Collection[SegmentName] = ()) -> set[str]:
    """Names of all segments that a remembered one of that remote replaces; some of the latter may be left out."""
    without = {str(name) for name in but}
    return {old for name, olds in ledger.replacing(url).items() if name not in without for old in olds}


@noun
class Taken:
    """What came of reading a remote's ledger."""

    records: int
    events: int
    """Of both those that are new here."""
    listed: Mapping[SegmentName, Listed]
    """The segments that are there."""
    damages: Mapping[SegmentName, MltrackError]


def read_all(remote: Remote, ledger: Ledger, run_ids: Sequence[str] | None) -> Taken:
    """Take over what the remote's segments hold, of some runs or all. Raises RemoteError."""
    counts = [0, 0]
    wanted = None if run_ids is None else set(run_ids)

    def take(name: SegmentName, segment: Segment) -> None:
        whole = held(name, segment)
        runs = dict(whole.items)
        records = [line for digest, line in segment.records if wanted is None or runs[digest] in wanted]
        events = [event for event in segment.events if wanted is None or event.run in wanted]
        new = ledger.merge_segment(remote.url, whole, records, events)
        counts[0], counts[1] = counts[0] + new[0], counts[1] + new[1]

    damages: dict[SegmentName, MltrackError] = {}
    listed: dict[SegmentName, Listed] = {}
    for _ in range(ROUNDS):
        listed = list_segments(remote)
        settle(remote, ledger, listed)
        readings = read_rounds(remote, listed, wanting(remote, ledger, listed, run_ids, damages), take)
        damages |= readings.damages
        # Behind a damaged one that replaces others there may be those others still.
        if not readings.has_vanished and not any(name.width > 1 for name in readings.damages):
            break
    return Taken(counts[0], counts[1], listed, damages)


def wanting(
    remote: Remote,
    ledger: Ledger,
    listed: Mapping[SegmentName, Listed],
    run_ids: Sequence[str] | None,
    damages: Collection[SegmentName],
) -> set[SegmentName]:
    """The segments that hold something which is not here, as far as can be known without reading them."""
    known = ledger.segment_names(remote.url)
    unread = ledger.unread(remote.url, run_ids)
    covered = covered_by(ledger, remote.url, damages)
    return {
        name
        for name in listed
        if name not in damages and str(name) not in covered and (str(name) in unread or str(name) not in known)
    }


def gap_ranges(names: Iterable[SegmentName]) -> list[tuple[str, int, int]]:
    """Replica, first and last number of pushes that are missing between those that these segments hold."""
    found: list[tuple[str, int, int]] = []
    replica, end = "", 0
    for name in sorted(names, key=lambda name: (name.replica, name.first)):
        if name.replica != replica:
            replica, end = name.replica, 0
        if name.first > end + 1:
            found.append((replica, end + 1, name.first - 1))
        end = max(end, name.last)
    return found


def gaps(names: Iterable[SegmentName]) -> list[str]:
    """The same in words."""
    return [f"{first}-{last} of the replica {replica}" for replica, first, last in gap_ranges(names)]
