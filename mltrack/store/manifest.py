"""A directory as one object: what lies in it, by path, with type, size and digest.

Text in, text out; nothing here touches a disk. The digest of these bytes is the data set's version, so there is one
text for one directory, and a text that is not that one is refused.

    mltrack manifest 1 \\n
    f 4096 <64 hex> train/images.npy \\0       f a file, x an executable file, l a link, d an empty directory
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mltrack.confine import GIT_NAMES, checked_parts, link_stays_inside
from mltrack.digest import PREFIX
from mltrack.errors import Damaged
from mltrack.nouns import noun
from mltrack.patterns import lazy_bytes

HEAD = b"mltrack manifest 1\n"
LETTERS = {"file": b"f", "executable": b"x", "link": b"l", "directory": b"d"}
KINDS = {letter: kind for kind, letter in LETTERS.items()}
NO_DIGEST = b"-"
OWN_NAMES = {*GIT_NAMES, b".mltrack"}

Row = tuple[bytes, str, int, "str | None"]

_LINE = lazy_bytes(rb"([fxld]) (0|[1-9][0-9]{0,18}) ([0-9a-f]{64}|-) (.+)", re.DOTALL)


@noun
class ManifestEntry:
    """`kind` is "file", "executable", "link" or "directory" (an empty one).

    `digest` is that of the file's bytes or of the link's target text, `size` their number; a directory has 0 and None.
    """

    path: bytes
    kind: str
    size: int
    digest: str | None


def encode_manifest(entries: Iterable[ManifestEntry]) -> bytes:
    """The one text for these entries, whatever their order. Raises Damaged on unsafe, doubled, contradicting paths."""
    return encode_rows([(entry.path, entry.kind, entry.size, entry.digest) for entry in entries])


def encode_rows(rows: list[Row]) -> bytes:
    """The same for (path, kind, size, digest); the list is sorted."""
    rows.sort(key=lambda row: row[0])
    check_paths([row[0] for row in rows])
    cut = len(PREFIX)
    lines = [
        b"%s %d %s %s" % (LETTERS[kind], size, digest[cut:].encode() if digest else NO_DIGEST, path)
        for path, kind, size, digest in rows
    ]
    return HEAD + b"".join(line + b"\0" for line in lines)


def decode_manifest(data: bytes) -> list[ManifestEntry]:
    """The entries of a manifest, in byte order of their paths. Raises Damaged if it is not one, or is unsafe."""
    if not data.startswith(HEAD) or (len(data) > len(HEAD) and not data.endswith(b"\0")):
        raise _damaged("it does not begin or end as a manifest does")
    found = [_entry(line) for line in data[len(HEAD) : -1].split(b"\0")] if len(data) > len(HEAD) else []
    check_paths([entry.path for entry in found])
    return found


def check_paths(ordered: list[bytes]) -> None:
    """Raises Damaged unless the paths rise, each is safe, and none lies below another."""
    parents: set[bytes] = set()
    before = b""
    for path in ordered:
        if path <= before:
            raise _damaged("its paths are not in order, or one is listed twice")
        before = path
        parent, _, name = path.rpartition(b"/")
        _check_name(path, name)
        if parent not in parents:
            checked_parts(path)
            while parent and parent not in parents:
                parents.add(parent)
                parent, _, name = parent.rpartition(b"/")
                _check_name(path, name)
            parents.add(b"")
    if not parents.isdisjoint(ordered):
        raise _damaged("it lists a path that is also the directory of another")


def _check_name(path: bytes, name: bytes) -> None:
    if is_own(name):
        raise _damaged(f"it lists {path!r}, which git or mltrack would obey")
    checked_parts(name)


def is_own(name: bytes) -> bool:
    """Is it a name that belongs to git or mltrack, on any filesystem? Such are neither kept nor restored."""
    return name.lower() in OWN_NAMES


def link_is_safe(path: bytes, target: bytes) -> bool:
    """Does a link at `path` stay below the root, also when other links are followed on the way?

    Therefore `..` may only stand at the front: in `up/../x`, with `up` a link to the root, it would leave it.
    """
    parts = target.split(b"/")
    names = [index for index, part in enumerate(parts) if part not in (b"", b".", b"..")]
    climbs_late = bool(names) and b".." in parts[names[0] :]
    return bool(target) and link_stays_inside(path, target) and not climbs_late


def _entry(line: bytes) -> ManifestEntry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise _damaged("a line does not follow the format")
    letter, size, digest, path = match.groups()
    kind = KINDS[letter]
    if (digest == NO_DIGEST) != (kind == "directory") or (kind == "directory" and size != b"0"):
        raise _damaged("a line contradicts itself")
    return ManifestEntry(path, kind, int(size), None if digest == NO_DIGEST else PREFIX + digest.decode())


def _damaged(what: str) -> Damaged:
    return Damaged(f"A manifest is damaged or hostile: {what}.", "Nothing was written for it; run `mltrack verify`.")
