"""Few files for many pushes: segments of a replica merged by powers of ten, indexes by their number.

What was merged is left where it is until what replaces it has been there for a grace time, by the server's own clock;
so a reader that listed the old files still finds them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.ledger.segments import Held
from mltrack.store.entries import TABLE_ROW
from mltrack.sync.packs import (
    INDEX_BYTES,
    Catalogue,
    Pack,
    Row,
    encode_index,
    hex_of,
    index_path,
    read_index,
    replaced_by,
    sections,
)
from mltrack.sync.segments import MOST_LINES, SEGMENT_BYTES, Link, SegmentName, encode_segment, event_line, record_line

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.sync.places import Listed
    from mltrack.sync.remote import Remote

GRACE_S = 24 * 3600.0
"""How long what was replaced stays beside what replaces it."""

PUSHES_OF_GRACE = 10
"""Where a server tells no times: so many pushes later."""

BASE = 10
MERGED_BYTES = 4 * SEGMENT_BYTES
"""A merged segment stays below this before compression; else the pieces stay."""

SO_MANY = 10
"""Indexes of about one size that are merged into one."""


# -- segments


def merge_segments(
    remote: Remote, ledger: Ledger, names: Collection[SegmentName], last: SegmentName
) -> SegmentName | None:
    """Write again as one what this replica pushed, if the number just pushed is round; the new segment's name.

    `names` are the replica's own segments on the remote, `last` the one just written among them. Nothing is read from
    the remote: the ledger knows what they hold.
    """
    for first in round_starts(last.last):
        inside = [name for name in names if name.first >= first and name.last <= last.last]
        if not is_tiled(inside, first, last.last):
            continue
        found = merged_lines(ledger, [str(name) for name in inside])
        if found is None:
            continue
        items, lines = found
        before = [name for name in names if name.last == first - 1]
        previous = max(before, key=lambda name: (name.width, name.hex)).hex if before else None
        if previous is None and first != 1:
            continue
        link = Link(last.replica, first, last.last, previous)
        replaces = names_replaced(ledger, inside, link, {item for item, _ in items})
        name, data = encode_segment(replace(link, replaces=tuple(replaces)), lines)
        ledger.remember_segment(remote.url, Held(str(name), items, replaces))
        remote.write(name.path, data)
        return name
    return None


def round_starts(number: int) -> Iterator[int]:
    """Where the widest merged segment that ends with this number begins, then the next narrower one; none mostly."""
    power = BASE
    while number % power == 0:
        power *= BASE
    while (power := power // BASE) >= BASE:
        yield number - power + 1


def is_tiled(names: Iterable[SegmentName], first: int, last: int) -> bool:
    """Do the segments cover every number from first to last?"""
    need = first
    for name in sorted(names, key=lambda name: (name.first, -name.last)):
        if name.first > need:
            return False
        need = max(need, name.last + 1)
    return need == last + 1


def merged_lines(ledger: Ledger, names: Iterable[str]) -> tuple[list[tuple[str, str]], list[bytes]] | None:
    """What these segments hold together, as items and lines; None if that is too much for one, or no longer here."""
    items = list(ledger.segment_items(names))
    if len(items) >= MOST_LINES:
        return None
    lines: list[bytes] = []
    size = 0
    for digest, _ in items:
        item = ledger.item(digest)
        if item is None:
            return None
        lines.append(record_line(digest, item) if isinstance(item, bytes) else event_line(item))
        size += len(lines[-1]) + 1
        if size > MERGED_BYTES:
            return None
    return items, lines


def names_replaced(ledger: Ledger, inside: Iterable[SegmentName], whole: Link, items: set[str]) -> list[str]:
    """What a merged segment replaces: the listed ones inside it, those that ever ended where it ends (so that the next
    one's `previous` is found), and what these replaced themselves and lies elsewhere: in other replicas, or in numbers
    of this one that came back from others."""
    within = [str(name) for name in inside]
    ended = ledger.segments_ended_at(whole.replica, whole.last) - set(within)
    found = {name for name in ended if all(item in items for item, _ in ledger.segment_items([name]))}
    carried = {name for name in ledger.replaced_by(within) if not lies_in(name, whole)}
    return sorted({*within, *found, *carried})


def lies_in(text: str, whole: Link) -> bool:
    name = SegmentName.parse(text)
    return name is not None and name.replica == whole.replica and whole.first <= name.first and name.last <= whole.last


def removable(
    ledger: Ledger, url: str, own: Mapping[SegmentName, Listed], grace_s: float
) -> Iterator[tuple[SegmentName, SegmentName]]:
    """Own segments that may be removed, each with the one that has replaced it for long enough.

    The server's now is taken to be the latest time it told; that is never too late.
    """
    replacing = ledger.replacing(url)
    now = max((listed.modified for listed in own.values() if listed.modified is not None), default=None)
    newest = max((name.last for name in own), default=0)
    for name in sorted(own, key=lambda name: -name.width):
        olds = replacing.get(str(name))
        if not olds:
            continue
        written = own[name].modified
        if written is not None and now is not None:
            old = now - written >= grace_s
        else:
            old = newest - name.last >= PUSHES_OF_GRACE
        for other in own if old else ():
            if other != name and str(other) in olds:
                yield other, name


def remove_replaced(remote: Remote, ledger: Ledger, own: Mapping[SegmentName, Listed], grace_s: float) -> int:
    """Remove own segments that were replaced; how many. What replaces them is read back first."""
    by: dict[SegmentName, list[SegmentName]] = {}
    seen: set[SegmentName] = set()
    for old, new in removable(ledger, remote.url, own, grace_s):
        if old not in seen:
            seen.add(old)
            by.setdefault(new, []).append(old)
    # One that is itself going to be removed is no witness for others.
    by = {new: olds for new, olds in by.items() if new not in seen}
    gone: list[SegmentName] = []
    for new, olds in by.items():
        data = remote.read(new.path)
        if data is not None and hex_of(data) == new.hex:
            gone += olds
    for _ in remote.map(lambda name: remote.remove(name.path), gone):
        pass
    ledger.forget_segments(remote.url, [str(name) for name in gone])
    return len(gone)


# -- indexes


def merge_indexes(remote: Remote, catalogue: Catalogue) -> list[str]:
    """Write one index for every ten or more of about one size that a fresh catalogue lists; the new ones' names."""
    made: list[str] = []
    if len(catalogue.indexes) < SO_MANY:
        return made
    used = [name for name, _ in catalogue.read_indexes()]
    for names in index_classes({name: catalogue.indexes[name].size or 0 for name in used}):
        found = {name: data for name in names if (data := read_index(remote, name)) is not None}
        if len(found) < 2:
            continue
        before = {old for data in found.values() for old in replaced_by(data)} & set(catalogue.indexes)
        data = encode_index(packs_of(found.values()), sorted(before | set(found)))
        name = hex_of(data)
        remote.write(index_path(name), data)
        remote.keep(index_path(name), data)
        made.append(name)
    return made


def index_classes(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Names of indexes to be merged into one, the smallest first, as far as they fit."""
    classes: dict[int, list[tuple[int, str]]] = {}
    for name, size in sizes.items():
        classes.setdefault(int(math.log10(size or 1)), []).append((size, name))
    for found in classes.values():
        names, total = [], 0
        for size, name in sorted(found):
            total += size
            if total > INDEX_BYTES:
                break
            names.append(name)
        if len(found) >= SO_MANY and len(names) > 1:
            yield names


def remove_replaced_indexes(remote: Remote, catalogue: Catalogue, grace_s: float) -> int:
    """Remove indexes whose replacement has been there for long enough; how many. Any pusher may."""
    times = [listed.modified for listed in catalogue.indexes.values() if listed.modified is not None]
    times += [listed.modified for listed in catalogue.packs.values() if listed.modified is not None]
    now = max(times, default=None)
    gone: set[str] = set()
    for name, data in catalogue.read_indexes() if now is not None else ():
        written = catalogue.indexes[name].modified
        if written is not None and now is not None and now - written >= grace_s:
            gone |= set(replaced_by(data)) & set(catalogue.indexes)
    for _ in remote.map(lambda name: remote.remove(index_path(name)), sorted(gone)):
        pass
    return len(gone)


def packs_of(indexes: Iterable[bytes]) -> list[Pack]:
    """Every pack of some indexes once. Rows that two of them tell differently are both kept."""
    rows: dict[tuple[str, int], dict[bytes, None]] = {}
    for data in indexes:
        for name, length, view in sections(data):
            found = rows.setdefault((name, length), {})
            raw = bytes(view)
            found.update(dict.fromkeys(raw[at : at + TABLE_ROW.size] for at in range(0, len(raw), TABLE_ROW.size)))
    return [
        Pack(name, length, tuple(Row((row[0], row[1]), *row[2:]) for row in map(TABLE_ROW.unpack, found)))
        for (name, length), found in sorted(rows.items())
    ]
