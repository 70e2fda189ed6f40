"""Is what a record names at a place, with its content, or in the store? Reads, or takes it into the store."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import NotFound
from mltrack.records import Input

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Artifact

UNREAL = frozenset(("proc", "sys", "dev"))
"""Below the root: nothing in them is read for a record."""


def is_kept(project: Project, item: Input) -> bool:
    """Is all of it in the store?"""
    if not item.kept or item.digest is None or project.store.missing([item.digest]):
        return False
    if item.kind != "directory":
        return True
    from mltrack.store.checkout import manifest_of

    wanted = {entry.digest for entry in manifest_of(project.store, item.digest) if entry.digest is not None}
    return not project.store.missing(wanted)


def is_same(project: Project, item: Input | Artifact, path: str) -> bool:
    """Does that with its recorded content lie at a path? Of a directory of which only some files are recorded: those.

    A symbolic link there is followed, as the command will.
    """
    if item.digest is None:
        return False
    place = real_place(item, path)
    if len(place.parts) < 2 or place.parts[1] in UNREAL or has_other_size(item, place):
        return False
    if item.kind == "directory" and getattr(item, "partial", False):
        return has_parts(project, item.digest, place)
    return has_content(project, place, item.kind, item.digest)


def real_place(item: Input | Artifact, path: str) -> Path:
    """Where that lies which a path leads to."""
    return Path(path if item.kind == "link" else os.path.realpath(path))


def has_other_size(item: Input | Artifact, place: Path) -> bool:
    """Is it a file that need not be read to know that it is another?"""
    try:
        return item.kind == "file" and item.size_bytes not in (None, place.stat().st_size)
    except OSError:
        return True


def has_content(project: Project, place: Path, kind: str, digest: str) -> bool:
    from mltrack.store.keep import keep_path

    try:
        found = keep_path(place, None, project.stat_cache)
    except (NotFound, OSError):
        return False
    return (found.kind, found.digest) == (kind, digest)


def take_in(project: Project, item: Input, path: str) -> None:
    """Put what lies at a path into the store. What cannot be read, or is gone meanwhile, is not put."""
    from mltrack.store.keep import keep_path

    with suppress(NotFound, OSError):
        keep_path(real_place(item, path), project.store, project.stat_cache, progress=project.progress)
    project.store.flush()


def has_parts(project: Project, digest: str, place: Path) -> bool:
    """Is every file of a manifest below a directory, with its content?"""
    from mltrack.store.checkout import manifest_of

    if project.store.missing([digest]):
        return False
    kinds = {"executable": "file"}
    return all(
        entry.digest is None
        or has_content(project, place / os.fsdecode(entry.path), kinds.get(entry.kind, entry.kind), entry.digest)
        for entry in manifest_of(project.store, digest)
    )
