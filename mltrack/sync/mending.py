"""Mends what a check found wrong on a remote, with what this project has: objects, records, events.

Nothing is overwritten. Damaged packs are condemned, and what they held is sent again in packs of other names; a damaged
or lost segment is replaced by one of this replica; indexes are made again from what packs say of themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from mltrack.digest import from_raw
from mltrack.errors import Damaged, DataMissing, FormatTooNew
from mltrack.ledger.segments import Held
from mltrack.nouns import noun
from mltrack.store.entries import TABLE_ROW
from mltrack.sync.check import Checked
from mltrack.sync.condemned import condemned_path, encode_list
from mltrack.sync.merging import is_tiled, merged_lines
from mltrack.sync.packs import INDEX_BYTES, Catalogue, Pack, index_path, index_size, pack_path
from mltrack.sync.reading import gap_ranges, list_segments, newest, read_all
from mltrack.sync.rewriting import pack_of, write_index
from mltrack.sync.segments import Link, SegmentName, decode_segment, encode_segment
from mltrack.sync.sending import Sender
from mltrack.sync.stock import Shelf, rows_in_table, take_stock
from mltrack.sync.transfer import hold_fast

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.store.objects import Store
    from mltrack.sync.remote import Remote


@noun
class Mended:
    """What was done."""

    objects: int = 0
    bytes: int = 0
    """Sent again."""
    segments: int = 0
    indexes: int = 0


def mend(
    remote: Remote, ledger: Ledger, store: Store, checked: Checked, progress: Callable[[int], None] | None = None
) -> Mended:
    """Mend what can be mended of what a check of this remote found. Raises RemoteError, StorageError."""
    sender = mend_packs(remote, store, checked, progress)
    indexes = mend_indexes(remote, checked)
    segments = mend_segments(remote, ledger, checked)
    return Mended(sender.objects, sender.bytes, segments, indexes)


def mend_packs(remote: Remote, store: Store, checked: Checked, progress: Callable[[int], None] | None = None) -> Sender:
    """Condemn the damaged packs, and send again what they held or what is missing, as far as a good copy is had."""
    catalogue = Catalogue(remote)
    catalogue.refresh()
    damaged = sorted(name for name in checked.damaged if name in catalogue.packs)
    if damaged:
        name, data = encode_list(pack_path(pack) for pack in damaged)
        remote.write(condemned_path(name), data)
    stock = take_stock(catalogue)
    held = {from_raw(row[1]) for pack in damaged for row in TABLE_ROW.iter_unpack(stock.get(pack, b""))}
    sender = Sender(remote, store, progress)
    sender.prepare(sorted(held | checked.lacking | below(store, checked.unread)))
    hold_fast(sender)
    return sender


def below(store: Store, manifests: Iterable[str]) -> set[str]:
    """What manifests list that are damaged there and whole here: it was not even asked for."""
    from mltrack.store.manifest import decode_manifest

    found: set[str] = set()
    for digest in manifests:
        try:
            found.update(entry.digest for entry in decode_manifest(store.get_bytes(digest)) if entry.digest is not None)
        except DataMissing:
            continue
    return found


def mend_indexes(remote: Remote, checked: Checked) -> int:
    """Remove indexes that are not sound, and make one of all packs that no other names; how many were made."""
    for name in sorted(checked.bad_indexes):  # first, since what is made may bear the same name
        remote.remove(index_path(name))
    catalogue = Catalogue(remote)
    catalogue.refresh()
    indexed = take_stock(catalogue).keys() - checked.untrue
    packs: list[Pack] = []
    made = 0
    for name in sorted(catalogue.packs.keys() - indexed - checked.damaged.keys()):
        length = catalogue.packs[name].size
        rows = rows_in_table(remote, name, length)
        if not rows or length is None:
            continue
        pack = pack_of(name, Shelf(rows, length))
        if packs and index_size([*packs, pack]) > INDEX_BYTES:
            write_index(remote, packs)
            packs, made = [], made + 1
        packs.append(pack)
    if packs:
        write_index(remote, packs)
        made += 1
    return made


def mend_segments(remote: Remote, ledger: Ledger, checked: Checked) -> int:
    """Write again what damaged and lost segments held, where this ledger knows it; how many were replaced."""
    if not checked.bad_segments and not checked.has_gaps:
        return 0
    read_all(remote, ledger, None)
    listed = list_segments(remote)
    own = newest(listed, ledger.replica)
    number = 0
    for names in replaceable(ledger, checked, listed):
        found = merged_lines(ledger, [str(name) for name in names])
        if found is None or not found[0] or not all(is_bad(remote, name) for name in names if name in listed):
            continue
        last = own.last if own is not None else 0
        replaces = sorted({*map(str, names), *ledger.replaced_by(map(str, names))})
        link = Link(ledger.replica, last + 1, last + 1, own.hex if own is not None else None, tuple(replaces))
        own, data = encode_segment(link, found[1])
        ledger.remember_segment(remote.url, Held(str(own), found[0], replaces))
        remote.write(own.path, data)
        for name in names:
            if name in listed:
                remote.remove(name.path)
        number += len(names)
    if own is not None:
        remote.write(f"heads/{own.replica}", own.file.encode() + b"\n")
    return number


def replaceable(ledger: Ledger, checked: Checked, listed: Iterable[SegmentName]) -> Iterator[list[SegmentName]]:
    """Damaged segments, and those that once filled a gap, of which this ledger remembers what they held."""
    for name in sorted(checked.bad_segments, key=str):
        yield [name]
    known = {*listed, *filter(None, map(SegmentName.parse, checked.missing))}
    for replica, first, last in gap_ranges({*known, *checked.replaced}):
        once = [name for name in map(SegmentName.parse, ledger.segments_of(replica)) if name is not None]
        inside = [name for name in once if name.first >= first and name.last <= last]
        if is_tiled(inside, first, last):
            yield inside
    for name in sorted(filter(None, map(SegmentName.parse, checked.missing)), key=str):
        yield [name]


def is_bad(remote: Remote, name: SegmentName) -> bool:
    """Is it still damaged, when it is read once more?"""
    data = remote.read(name.path)
    try:
        return data is None or decode_segment(name, data) is None
    except Damaged:
        return True
    except FormatTooNew:
        return False
