"""Looks a remote over: every byte against the name that promises it, every promise against what is there.

Reads all of it and writes nothing. What is found is told, never mended; packs that no index names are no problem, they
are what an interrupted push leaves for the next one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from mltrack.digest import digest_bytes, to_raw
from mltrack.errors import Damaged, FormatTooNew
from mltrack.ledger.shape import checked_record
from mltrack.nouns import noun
from mltrack.records import Run, from_dict
from mltrack.store.entries import CHUNK, RECIPE, TABLE_ROW, decode, recipe_pieces, scan
from mltrack.sync.fetch import Progress, on_remote, read_entry
from mltrack.sync.needs import ManifestReader, Needs, ObjectsOf
from mltrack.sync.packs import HEX, Catalogue, hex_of, index_path, pack_path, sections
from mltrack.sync.remote import STORE_FILE, Remote
from mltrack.sync.segments import Segment, SegmentName, decode_segment


@noun
class Problem:
    """One thing that does not hold."""

    kind: str
    """`store`, `pack`, `index`, `segment`, `chain`, `head`, `record` or `object`."""
    name: str
    """Its path on the remote; of an object the path and run that need it."""
    message: str
    digest: str | None = None
    """Of a record or object."""


def check_remote(
    remote: Remote, objects_of: ObjectsOf | None = None, progress: Progress | None = None
) -> Iterator[Problem]:
    """Everything that does not hold; nothing, when each record is intact and, with `objects_of`, all it needs is there.

    `progress` is told of bytes of packs read. Raises RemoteError.
    """
    try:
        if not remote.is_remote():
            yield Problem("store", STORE_FILE, "There is no store.json: no push was ever finished here.")
    except (Damaged, FormatTooNew) as error:
        yield Problem("store", STORE_FILE, error.message)
        return
    packs: dict[str, tuple[int, str]] = {}
    yield from check_packs(remote, packs, progress)
    yield from check_indexes(remote, packs)
    needs = Needs() if objects_of is not None else None
    yield from check_segments(remote, needs, objects_of)
    if needs is not None:
        yield from check_objects(remote, needs)


def check_packs(remote: Remote, sound: dict[str, tuple[int, str]], progress: Progress | None) -> Iterator[Problem]:
    """Read every pack; the sound ones are noted with their length and a digest of their rows."""
    for path in sorted(remote.list("packs")):
        name = path[3:]
        if not HEX.fullmatch(name) or pack_path(name) != f"packs/{path}":
            continue
        data = remote.read(pack_path(name)) or b""
        if progress is not None:
            progress(len(data))
        if hex_of(data) != name:
            yield Problem("pack", f"packs/{path}", "Its bytes are not those that its name says.")
            continue
        entries = scan(io.BytesIO(data), verify=True)
        rows = [TABLE_ROW.pack(*key, offset, length, raw_size) for key, offset, length, raw_size in entries]
        for offset, why in entries.damage:
            yield Problem("pack", f"packs/{path}", f"At byte {offset}: {why}.")
        sound[name] = (len(data), digest_bytes(b"".join(sorted(rows))))


def check_indexes(remote: Remote, packs: dict[str, tuple[int, str]]) -> Iterator[Problem]:
    """Does every index say the truth of packs that are there? The remote's copy is read, not the cached one."""
    for name in sorted(remote.list("indexes")):
        if not HEX.fullmatch(name):
            continue
        data = remote.read(index_path(name)) or b""
        if hex_of(data) != name:
            yield Problem("index", index_path(name), "Its bytes are not those that its name says.")
            continue
        try:
            for pack, length, rows in sections(data):
                own = [bytes(rows[at : at + TABLE_ROW.size]) for at in range(0, len(rows), TABLE_ROW.size)]
                if pack not in packs:
                    yield Problem("index", index_path(name), f"The pack {pack} that it names is missing or damaged.")
                elif packs[pack] != (length, digest_bytes(b"".join(sorted(own)))):
                    yield Problem("index", index_path(name), f"What it says of the pack {pack} is not true.")
        except Damaged as error:
            yield Problem("index", index_path(name), error.message)


def check_segments(remote: Remote, needs: Needs | None, objects_of: ObjectsOf | None) -> Iterator[Problem]:
    """Read every segment and its records, then the chains they make and the heads."""
    names = sorted(
        filter(None, map(SegmentName.parse, remote.list("ledger"))), key=lambda n: (n.replica, n.first, n.last, n.hex)
    )
    hexes = {name.hex for name in names}
    for name in names:
        try:
            segment = decode_segment(name, remote.read(name.path) or b"")
        except (Damaged, FormatTooNew) as error:
            yield Problem("segment", name.path, error.message)
            continue
        previous = segment.link.previous
        if (previous is None and name.first != 1) or (previous is not None and previous not in hexes):
            yield Problem("chain", name.path, "The segment before it is not there.")
        yield from check_records(segment, needs, objects_of)
    files = {str(name) for name in names}
    for replica in sorted(remote.list("heads")):
        head = (remote.read(f"heads/{replica}") or b"").decode("ascii", "replace").strip()
        if f"{replica}/{head}" not in files:
            yield Problem("head", f"heads/{replica}", "It names a segment that is not there.")


def check_records(segment: Segment, needs: Needs | None, objects_of: ObjectsOf | None) -> Iterator[Problem]:
    for digest, data in segment.records:
        try:
            checked_record(data)
        except (Damaged, FormatTooNew) as error:
            yield Problem("record", f"of {segment.link.replica}", error.message, digest)
            continue
        if needs is not None and objects_of is not None:
            run = from_dict(Run, json.loads(data))
            needs.add(digest, run, objects_of(run))


def check_objects(remote: Remote, needs: Needs) -> Iterator[Problem]:
    """Is every object that a record names there, wholly?"""
    catalogue = Catalogue(remote)
    catalogue.refresh()
    needs.expand(reader(remote, catalogue))
    digests = set(needs.digests())
    lacking = digests - on_remote(remote, catalogue, digests)
    for need in needs.touching(lacking | needs.unread):
        what = f"{need.path} of the run {need.run}"
        yield Problem("object", what, f"{what} is missing or damaged.", need.digest)


def reader(remote: Remote, catalogue: Catalogue) -> ManifestReader:
    """Reads an object straight from the remote, into memory: for manifests."""

    def read(digest: str) -> bytes:
        raw = to_raw(digest)
        found = catalogue.locate([(CHUNK, raw), (RECIPE, raw)])
        for kind in (CHUNK, RECIPE):
            entry = read_entry(remote, (kind, raw), found.get((kind, raw), ()))
            if entry is not None and kind == CHUNK:
                return decode(entry).raw
            if entry is not None:
                pieces = [(CHUNK, piece) for piece, _ in recipe_pieces(decode(entry).raw, raw)]
                places = catalogue.locate(pieces)
                parts = [read_entry(remote, key, places.get(key, ())) for key in pieces]
                whole = b"".join(decode(part).raw for part in parts if part is not None)
                if digest_bytes(whole) == digest:
                    return whole
        raise Damaged(f"The object {digest} is missing or damaged on the remote.", "Push it again.")

    return read
