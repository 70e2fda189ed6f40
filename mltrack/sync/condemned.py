"""What a gc of a remote is going to remove: `condemned/<hex>`, lists of paths, named by the BLAKE3 of their bytes.

Written by the first pass of a gc, executed by the second, and kept for a while as tombstones. Whoever pushes reads them
all: what lies only in condemned packs counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from mltrack.digest import canonical_json
from mltrack.errors import Damaged, FormatTooNew
from mltrack.nouns import noun
from mltrack.patterns import lazy
from mltrack.sync.packs import HEX, hex_of
from mltrack.sync.places import Listed
from mltrack.sync.remote import Remote

FOLDER = "condemned"
FORMAT = 1
LARGEST = 64 << 20
"""Bytes of a list beyond which a reader refuses."""

MOST_NAMES = 100_000
"""Names in a list; a gc that condemns more writes several."""

PACK = lazy(r"packs/([0-9a-f]{2})/(\1[0-9a-f]{62})")


@noun
class Condemned:
    """One list: its name, what the listing said of it, and the paths it names."""

    name: str
    listed: Listed
    paths: tuple[str, ...]

    @property
    def path(self) -> str:
        return condemned_path(self.name)


def condemned_path(name: str) -> str:
    return f"{FOLDER}/{name}"


def encode_list(paths: Iterable[str]) -> tuple[str, bytes]:
    """Name and bytes of a list of paths."""
    data = canonical_json({"format": FORMAT, "paths": sorted(set(paths))})
    return hex_of(data), data


def decode_list(name: str, data: bytes) -> tuple[str, ...]:
    """The paths of a list. Raises Damaged, FormatTooNew."""
    if hex_of(data) != name:
        raise damaged(name, "its bytes are not those its name says")
    try:
        document = json.loads(data)
        if document["format"] > FORMAT:
            raise FormatTooNew("A newer mltrack is collecting the garbage of this remote.", "Upgrade mltrack.")
        paths = document["paths"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise damaged(name, "it is not one") from error
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise damaged(name, "it is not one")
    return tuple(paths)


def read_condemned(remote: Remote) -> list[Condemned]:
    """Every list there is: one request, and one for each that is not in the cache. Raises Damaged, FormatTooNew."""
    found = {name: listed for name, listed in remote.list(FOLDER).items() if HEX.fullmatch(name)}
    lists = remote.map(lambda name: read_list(remote, name, found[name]), sorted(found))
    return [one for one in lists if one is not None]


def read_list(remote: Remote, name: str, listed: Listed) -> Condemned | None:
    """One list, from the cache or the remote; None if it is gone, as it is when its time is over."""
    data = remote.cached(condemned_path(name))
    if data is None or hex_of(data) != name:
        if (listed.size or 0) > LARGEST:
            raise damaged(name, "it is too large")
        data = remote.read(condemned_path(name))
        if data is None:
            return None
        paths = decode_list(name, data)
        remote.keep(condemned_path(name), data)
        return Condemned(name, listed, paths)
    return Condemned(name, listed, decode_list(name, data))


def condemned_packs(remote: Remote) -> set[str]:
    """The names of all packs that are condemned."""
    return condemned_packs_of(read_condemned(remote))


def condemned_packs_of(lists: Iterable[Condemned]) -> set[str]:
    """The names of the packs that these lists condemn."""
    matches = (PACK.fullmatch(path) for one in lists for path in one.paths)
    return {found.group(2) for found in matches if found is not None}


def damaged(name: str, why: str) -> Damaged:
    return Damaged(
        f"The remote's list {condemned_path(name)} is damaged: {why}.",
        "Remove that file from the remote: a list says only what may be collected there.",
    )
