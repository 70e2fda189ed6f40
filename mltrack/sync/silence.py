"""Replicas that have been silent: what they pushed, written again as segments of this one.

A checkout that is made, pushes once and is thrown away, as in CI, never merges its own segments. Should it come back
after all, it reads in ours what became of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mltrack.errors import Damaged
from mltrack.ledger.segments import Held
from mltrack.sync.reading import covered_by, newest
from mltrack.sync.segments import (
    LARGEST_FILE,
    SEGMENT_BYTES,
    SEGMENT_LINES,
    Link,
    SegmentName,
    decode_segment,
    encode_segment,
    items_of,
    raw_lines,
)

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.sync.places import Listed
    from mltrack.sync.remote import Remote
    from mltrack.sync.survey import Survey

SO_MANY = 10
"""Segments of silent replicas that are worth merging."""

LARGE = 8 << 20
"""Bytes of a segment from which on nothing is won by merging it."""


def silent_segments(
    own: str, listed: Mapping[SegmentName, Listed], now: float | None, grace_s: float
) -> list[SegmentName]:
    """Small segments of other replicas that wrote nothing for longer than the grace; none if they are few."""
    latest: dict[str, float] = {}
    for name, found in listed.items():
        latest[name.replica] = max(latest.get(name.replica, 0.0), found.modified or float("inf"))
    if grace_s <= 0:
        silent = set(latest)
    else:
        silent = {replica for replica, at in latest.items() if now is not None and now - at >= grace_s}
    silent.discard(own)
    names = [name for name, found in listed.items() if name.replica in silent and (found.size or LARGE) < LARGE]
    return sorted(names, key=str) if len(names) >= SO_MANY else []


def merge_silent(
    remote: Remote, ledger: Ledger, listed: Mapping[SegmentName, Listed], names: Iterable[SegmentName]
) -> list[SegmentName]:
    """Write these segments again as our own; those that were. Lines are kept verbatim, of unknown kinds too."""
    own = newest(listed, ledger.replica)
    covered = covered_by(ledger, remote.url)
    done = [name for name in names if str(name) in covered]
    for lot, lines, items, replaces in lots(remote, [name for name in names if str(name) not in covered]):
        number = own.last + 1 if own is not None else 1
        link = Link(ledger.replica, number, number, own.hex if own is not None else None, tuple(replaces))
        own, data = encode_segment(link, lines)
        ledger.remember_segment(remote.url, Held(str(own), items, replaces))
        remote.write(own.path, data)
        remote.write(f"heads/{own.replica}", own.file.encode() + b"\n")
        done += lot
    return sorted(done, key=str)


Lot = tuple[list[SegmentName], list[bytes], list[tuple[str, str]], list[str]]


def lots(remote: Remote, names: Iterable[SegmentName]) -> Iterator[Lot]:
    """Segments with their lines, each line once, together below the size of one: (names, lines, items, replaced)."""
    lot: list[SegmentName] = []
    lines: dict[bytes, None] = {}
    items: dict[str, str] = {}
    replaces: set[str] = set()
    size = 0
    for name, data in remote.map(lambda name: (name, remote.read(name.path)), names):
        if data is None or len(data) > LARGEST_FILE:
            continue
        segment = decode_segment(name, data)
        fresh = raw_lines(name, data)
        if lot and (size + sum(map(len, fresh)) > SEGMENT_BYTES or len(lines) + len(fresh) > SEGMENT_LINES):
            yield lot, list(lines), sorted(items.items()), sorted(replaces)
            lot, lines, items, replaces, size = [], {}, {}, set(), 0
        lot.append(name)
        lines.update(dict.fromkeys(fresh))
        items.update(items_of(segment))
        replaces |= {str(name), *segment.link.replaces}
        size += sum(map(len, fresh))
    if lot:
        yield lot, list(lines), sorted(items.items()), sorted(replaces)


def contained(remote: Remote, survey: Survey, paths: Collection[str]) -> list[SegmentName]:
    """Condemned segments all of whose items stand in one that replaces them, as both are read now."""
    asked = {str(name): name for name in survey.listed if name.path in paths}
    if not asked:
        return []
    found: list[SegmentName] = []
    for name in sorted(set(survey.listed) - set(asked.values()), key=str):
        if not any(old in asked for old in survey.replacing.get(str(name), ())):
            continue
        whole = items_there(remote, name)
        for old in sorted(survey.replacing[str(name)] & asked.keys()):
            part = items_there(remote, asked[old])
            if part is not None and whole is not None and part <= whole:
                found.append(asked.pop(old))
    return found


def items_there(remote: Remote, name: SegmentName) -> set[str] | None:
    """Digests of what a segment on the remote holds; None if it cannot be read."""
    data = remote.read(name.path)
    try:
        return None if data is None else {digest for digest, _ in items_of(decode_segment(name, data))}
    except Damaged:
        return None
