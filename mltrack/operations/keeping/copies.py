"""Where good copies of damaged or missing objects are: on the remotes, or still in the workspace."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError, RemoteError
from mltrack.operations.keeping.verify import Trouble, again

if TYPE_CHECKING:
    from mltrack.project import Project

PREFIXES = ("input ", "artifact ")


def with_copies(project: Project, troubles: Sequence[Trouble]) -> list[Trouble]:
    """The troubles, each with the places that have a good copy. A remote that cannot be asked has none."""
    if not troubles:
        return []
    digests = {trouble.problem.digest for trouble in troubles if trouble.problem.digest is not None}
    there = {f"remote {name}": held for name, held in on_remotes(project, digests).items()}
    found = []
    for trouble in troubles:
        copies = [name for name, held in there.items() if trouble.problem.digest in held]
        file = workspace_file(project, trouble)
        copies += [f"file {os.path.relpath(file, project.root)}"] if file is not None else []
        found.append(again(trouble, copies=tuple(copies)))
    return found


def on_remotes(project: Project, digests: set[str], but: str | None = None) -> dict[str, set[str]]:
    """Name of each remote that can be asked, but one, -> those of the objects and records that it holds."""
    from mltrack.sync.fetch import on_remote
    from mltrack.sync.packs import Catalogue

    found = {}
    for name in project.config.remotes if digests else ():
        if name == but:
            continue
        try:
            remote = project.remote(name)
            catalogue = Catalogue(remote)
            catalogue.refresh()
            records = {digest for digest in digests if project.ledger.segments_with(remote.url, digest)}
            found[name] = on_remote(remote, catalogue, digests) | records
        except (RemoteError, MltrackError):
            continue
    return found


def workspace_file(project: Project, trouble: Trouble) -> Path | None:
    """The file or directory of the workspace that still is the object in trouble."""
    from mltrack.errors import NotFound
    from mltrack.store.keep import keep_path

    place = place_of(project, trouble.problem.path)
    if place is None or trouble.whole is None:
        return None
    try:
        return place if keep_path(place, None).digest == trouble.whole else None
    except (NotFound, OSError):
        return None


def place_of(project: Project, path: str | None) -> Path | None:
    """Where a run had its input or artifact of that name (as `named_objects` gives it)."""
    from mltrack.confine import inside

    prefix = next((prefix for prefix in PREFIXES if path is not None and path.startswith(prefix)), None)
    if path is None or prefix is None:
        return None
    name = path[len(prefix) :]
    if os.path.isabs(name):
        return Path(name)
    try:
        return inside(project.root, name)
    except MltrackError:
        return None


def record_copies(project: Project, digest: str) -> Iterator[bytes]:
    """A sealed record as the segments of the remotes hold it."""
    from mltrack.sync.segments import SegmentName, decode_segment

    for name in project.config.remotes:
        try:
            remote = project.remote(name)
            for path in project.ledger.segments_with(remote.url, digest):
                segment = SegmentName.parse(path)
                data = remote.read(segment.path) if segment is not None else None
                if segment is not None and data is not None:
                    yield from (record for one, record in decode_segment(segment, data).records if one == digest)
        except MltrackError:
            continue


def files_of(project: Project, troubles: Iterable[Trouble]) -> Iterator[Path]:
    """The workspace's good copies, each once."""
    seen: set[Path] = set()
    for trouble in troubles:
        file = workspace_file(project, trouble)
        if file is not None and file not in seen:
            seen.add(file)
            yield file
