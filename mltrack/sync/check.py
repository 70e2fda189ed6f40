"""Looks a remote over: every byte against the name that promises it, every promise against what is there.

Reads all of it, or of the packs a sample, and writes nothing; `mending.py` mends. Packs that no index names are no
problem, they are what an interrupted push leaves for the next one. Memory grows with the entries there, not with bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mltrack.digest import digest_bytes, to_raw
from mltrack.errors import Damaged, FormatTooNew
from mltrack.ledger.events import Event, is_dropped
from mltrack.ledger.keeping.shape import checked_record, is_id
from mltrack.nouns import noun
from mltrack.progress import Progress, expect
from mltrack.store.entries import CHUNK, PACK_HEADER, RECIPE, TABLE_ROW, decode, recipe_pieces, scan
from mltrack.sync.fetch import read_entry
from mltrack.sync.needs import ManifestReader, ObjectsOf
from mltrack.sync.packs import HEX, LARGEST_INDEX, LARGEST_PACK, Catalogue, hex_of, index_path, pack_path, sections
from mltrack.sync.places import Listed
from mltrack.sync.reading import LARGEST_HEAD, gaps, list_segments
from mltrack.sync.remote import STORE_FILE, Remote
from mltrack.sync.segments import LARGEST_FILE, Segment, SegmentName, decode_segment, items_of, too_large

AT_ONCE = 3
"""Packs that are read and checked together; each is in memory whole."""


@noun
class Problem:
    """One thing that does not hold."""

    kind: str
    """`store`, `pack`, `index`, `segment`, `chain`, `head`, `record`, `condemned` or `object`."""
    name: str
    """Its path on the remote; of an object the path and run that need it."""
    message: str
    digest: str | None = None
    """Of a record or object."""
    run: str | None = None
    path: str | None = None
    """In that run, of an object."""


@noun
class CheckRequest:
    """How a remote is looked over."""

    objects_of: ObjectsOf | None = None
    """With it, each record's objects are looked for too."""
    sample: float = 1.0
    """The part of the packs, 0 to 1, that is read; the rest is only listed."""
    progress: Progress | None = None
    """Told of bytes of packs as they are read, and before how many they will be."""


@dataclass
class Checked:
    """What was found out, for the next step of the check and for a repair."""

    sound: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Pack -> its length and a digest of its rows."""
    damaged: dict[str, bytes] = field(default_factory=dict)
    """Pack -> the rows of those of its entries that are intact."""
    bad_indexes: set[str] = field(default_factory=set)
    untrue: set[str] = field(default_factory=set)
    """Sound packs of which an index does not say the truth."""
    bad_segments: set[SegmentName] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    """Names of segments that others, or heads, name and that are not there."""
    replaced: set[SegmentName] = field(default_factory=set)
    has_gaps: bool = False
    segments: dict[SegmentName, Listed] = field(default_factory=dict)
    """The sound ones that no other replaces."""
    edits: dict[str, list[Event]] = field(default_factory=dict)
    """By run, the events that decide what it needs."""
    dropped: set[str] = field(default_factory=set)
    lacking: set[str] = field(default_factory=set)
    """Objects that are missing or damaged."""
    unread: set[str] = field(default_factory=set)
    """Manifests among them: what they list was not looked for."""


def check_remote(
    remote: Remote,
    objects_of: ObjectsOf | None = None,
    progress: Progress | None = None,
    checked: Checked | None = None,
) -> Iterator[Problem]:
    """Everything that does not hold; nothing, when each record is intact and, with `objects_of`, all it needs is there.

    Raises RemoteError.
    """
    return check(remote, CheckRequest(objects_of, progress=progress), checked)


def check(remote: Remote, request: CheckRequest, checked: Checked | None = None) -> Iterator[Problem]:
    """The same, as a request says it; what is learned goes into `checked`. Raises RemoteError."""
    from mltrack.sync.check_objects import check_objects

    checked = Checked() if checked is None else checked
    try:
        if not remote.is_remote():
            yield Problem("store", STORE_FILE, "There is no store.json: no push was ever finished here.")
    except (Damaged, FormatTooNew) as error:
        yield Problem("store", STORE_FILE, error.message)
        return
    # Packs are listed last, so that whatever indexes and records name that were seen was there before.
    heads = [name for name in remote.list("heads") if is_id(name)]
    segments = list_segments(remote)
    indexes = {name: listed for name, listed in remote.list("indexes").items() if HEX.fullmatch(name)}
    packs = {
        path[3:]: listed
        for path, listed in remote.list("packs").items()
        if HEX.fullmatch(path[3:]) and pack_path(path[3:]) == f"packs/{path}"
    }
    yield from check_condemned(remote)
    yield from check_packs(remote, packs, checked, request)
    yield from check_indexes(remote, indexes, packs, checked)
    yield from check_segments(remote, segments, checked)
    yield from check_heads(remote, heads, segments, checked)
    if request.objects_of is not None:
        yield from check_objects(remote, checked, request.objects_of)


def check_condemned(remote: Remote) -> Iterator[Problem]:
    from mltrack.sync.condemned import read_condemned

    try:
        read_condemned(remote)
    except (Damaged, FormatTooNew) as error:
        yield Problem("condemned", "condemned", error.message)


def check_packs(
    remote: Remote, packs: Mapping[str, Listed], checked: Checked, request: CheckRequest
) -> Iterator[Problem]:
    """Read packs, or a sample of them, and prove every entry."""
    names = sampled(sorted(packs), request.sample)
    expect(request.progress, sum(packs[name].size or 0 for name in names))

    def examine(name: str) -> tuple[str, int, list[Problem]]:
        length, found = 0, [Problem("pack", pack_path(name), "It is too large for a pack.")]
        if (packs[name].size or 0) <= LARGEST_PACK:
            data = remote.read(pack_path(name))
            found = [] if data is None else list(check_pack(name, data, checked))  # None: a gc removed it meanwhile
            length = len(data or b"")
        else:
            checked.damaged[name] = b""
        return name, length, found

    for _, length, problems in remote.map(examine, names, AT_ONCE):
        if request.progress is not None:
            request.progress(length)
        yield from problems


def sampled(names: list[str], part: float) -> list[str]:
    """A part of the names, by chance, and one at least."""
    import random

    if part >= 1 or not names:
        return names
    return sorted(random.sample(names, max(1, round(part * len(names)))))


def check_pack(name: str, data: bytes, checked: Checked) -> Iterator[Problem]:
    entries = scan(io.BytesIO(data), verify=True, resync=hex_of(data) != name)
    rows = [TABLE_ROW.pack(*key, offset, length, raw_size) for key, offset, length, raw_size in entries]
    if hex_of(data) == name and not entries.damage:
        checked.sound[name] = (len(data), digest_bytes(b"".join(sorted(rows))))
        return
    checked.damaged[name] = b"".join(rows) if data[: len(PACK_HEADER)] == PACK_HEADER else b""
    if hex_of(data) != name:
        yield Problem("pack", pack_path(name), "Its bytes are not those that its name says.")
    for offset, why in entries.damage:
        yield Problem("pack", pack_path(name), f"At byte {offset}: {why}.")


def check_indexes(
    remote: Remote, indexes: Mapping[str, Listed], packs: Mapping[str, Listed], checked: Checked
) -> Iterator[Problem]:
    """Does every index say the truth of packs that are there? The remote's copy is read, not the cached one."""

    def read(name: str) -> tuple[str, bytes]:
        is_too_large = (indexes[name].size or 0) > LARGEST_INDEX
        return name, b"" if is_too_large else remote.read(index_path(name)) or b""

    for name, data in remote.map(read, sorted(indexes), AT_ONCE):
        path = index_path(name)
        if hex_of(data) != name:
            checked.bad_indexes.add(name)
            yield Problem("index", path, "Its bytes are not those that its name says.")
            continue
        try:
            for pack, length, view in sections(data):
                said = index_problem(pack, length, view, packs, checked)
                if said is not None:
                    checked.bad_indexes.add(name)
                    yield Problem("index", path, said)
        except Damaged as error:
            checked.bad_indexes.add(name)
            yield Problem("index", path, error.message)


def index_problem(
    pack: str, length: int, view: memoryview, packs: Mapping[str, Listed], checked: Checked
) -> str | None:
    """What is not true of what an index says of a pack. That the pack is gone is no lie: gc removes packs."""
    if pack in checked.damaged or pack not in packs:
        return None
    if pack in checked.sound:
        own = [bytes(view[at : at + TABLE_ROW.size]) for at in range(0, len(view), TABLE_ROW.size)]
        if checked.sound[pack] != (length, digest_bytes(b"".join(sorted(own)))):
            checked.untrue.add(pack)
            return f"What it says of the pack {pack} is not true."
    return None


def check_segments(remote: Remote, names: Mapping[SegmentName, Listed], checked: Checked) -> Iterator[Problem]:
    """Read every segment, then the chains they make."""
    links: dict[SegmentName, str | None] = {}
    replaced: set[str] = set()
    edits: dict[str, list[Event]] = {}
    covers: dict[SegmentName, set[str]] = {}
    texts = set(map(str, names))
    for name, found in read_segments(remote, names):
        if not isinstance(found, Segment):
            checked.bad_segments.add(name)
            yield Problem("segment", name.path, found.message)
            continue
        links[name] = found.link.previous
        replaced.update(found.link.replaces)
        covers[name] = {old for old in found.link.replaces if old in texts}
        for event in found.events:
            if event.kind in ("drop", "restore", "environment"):
                edits.setdefault(event.run, []).append(event)
        yield from check_records(found)
    checked.edits = edits
    checked.dropped = {run for run, events in edits.items() if is_dropped(events)}
    checked.segments = {name: names[name] for name in links if str(name) not in replaced}
    yield from check_covers(remote, names, {name: olds for name, olds in covers.items() if olds}, checked)
    checked.replaced = {name for name in map(SegmentName.parse, replaced) if name is not None}
    chained = {name: previous for name, previous in links.items() if str(name) not in replaced}
    for problem in check_chains(chained, {*names, *checked.replaced}):
        checked.has_gaps = True
        yield problem


def check_covers(
    remote: Remote, names: Mapping[SegmentName, Listed], covers: Mapping[SegmentName, set[str]], checked: Checked
) -> Iterator[Problem]:
    """Does each segment hold all of those that it replaces and that are still there?"""
    by_text = {str(name): name for name in names}
    for name, olds in covers.items():
        group = {name: names[name], **{by_text[old]: names[by_text[old]] for old in olds}}
        held = {
            one: {digest for digest, _ in items_of(found)}
            for one, found in read_segments(remote, group)
            if isinstance(found, Segment)
        }
        for old in sorted(olds):
            if name in held and not held.get(by_text[old], set()) <= held[name]:
                yield Problem("segment", name.path, f"It does not hold all of {old}, which it says it replaces.")


def read_segments(
    remote: Remote, names: Mapping[SegmentName, Listed]
) -> Iterator[tuple[SegmentName, Segment | Damaged | FormatTooNew]]:
    """Each segment, or what is wrong with it."""

    def read(name: SegmentName) -> tuple[SegmentName, bytes | None]:
        return name, None if (names[name].size or 0) > LARGEST_FILE else remote.read(name.path) or b""

    order = sorted(names, key=lambda name: (name.replica, name.first, name.last, name.hex))
    for name, data in remote.map(read, order, AT_ONCE):
        try:
            if data is None:
                raise too_large(name)
            yield name, decode_segment(name, data)
        except (Damaged, FormatTooNew) as error:
            yield name, error


def check_chains(links: Mapping[SegmentName, str | None], known: Iterable[SegmentName]) -> Iterator[Problem]:
    """The segment before each must be there, or be replaced by one that is; and no number may be missing."""
    known = set(known)
    hexes = {(name.replica, name.hex) for name in known}
    for name, previous in links.items():
        if (previous is None and name.first != 1) or (previous is not None and (name.replica, previous) not in hexes):
            yield Problem("chain", name.path, "The segment before it is not there.")
    for gap in gaps(known):
        yield Problem("chain", "ledger", f"Segments are missing: {gap}.")


def check_heads(
    remote: Remote, heads: Iterable[str], names: Iterable[SegmentName], checked: Checked
) -> Iterator[Problem]:
    """Does each head name a segment that is there, or was? A head that lags behind is no problem."""
    known = {str(name) for name in {*names, *checked.replaced}}
    read = remote.map(lambda replica: remote.read_range(f"heads/{replica}", 0, LARGEST_HEAD), heads)
    for replica, data in zip(heads, read, strict=True):
        if data is None:
            continue
        named = SegmentName.parse(f"{replica}/{data.decode('ascii', 'replace').strip()}")
        if named is None or str(named) not in known:
            checked.missing |= {str(named)} if named is not None else set()
            checked.has_gaps = True
            yield Problem("head", f"heads/{replica}", "It names a segment that is not there.")


def check_records(segment: Segment) -> Iterator[Problem]:
    for digest, data in segment.records:
        try:
            checked_record(data)
        except (Damaged, FormatTooNew) as error:
            yield Problem("record", f"of {segment.link.replica}", error.message, digest)


def reader(remote: Remote, catalogue: Catalogue) -> ManifestReader:
    """Reads an object straight from the remote, into memory: for manifests."""

    def read(digest: str) -> bytes:
        raw = to_raw(digest)
        found = catalogue.locate([(CHUNK, raw), (RECIPE, raw)], condemned=True)
        for kind in (CHUNK, RECIPE):
            entry = read_entry(remote, (kind, raw), found.get((kind, raw), ()))
            if entry is not None and kind == CHUNK:
                return decode(entry).raw
            if entry is not None:
                pieces = [(CHUNK, piece) for piece, _ in recipe_pieces(decode(entry).raw, raw)]
                places = catalogue.locate(pieces, condemned=True)
                parts = [read_entry(remote, key, places.get(key, ())) for key in pieces]
                whole = b"".join(decode(part).raw for part in parts if part is not None)
                if digest_bytes(whole) == digest:
                    return whole
        raise Damaged(f"The object {digest} is missing or damaged on the remote.", "Push it again.")

    return read
