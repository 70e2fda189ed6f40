"""`mltrack get`: one file or directory of a run, written here; and the list of what there is to get."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import DataMissing
from mltrack.nouns import noun
from mltrack.operations.contents import Held, entries_of, find_item, held
from mltrack.operations.fetch import ensure_here
from mltrack.operations.find import find_run

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run
    from mltrack.store.checkout import Manner
    from mltrack.store.manifest import ManifestEntry


@noun
class GetRequest:
    """Which path of which run, and where to: `target` is by default its own name, here."""

    ref: str
    path: str
    target: Path | None = None


@noun
class Got:
    """What was done. `left` counts files that were right already, `kept_aside` is where what was in the way now is."""

    place: Path
    written: int
    left: int
    kept_aside: Path | None


def listing(project: Project, ref: str) -> tuple[Run, list[Held]]:
    """The run, and everything that `get` can write of it."""
    run = find_run(project, ref)
    return run, held(project, run)


def get(project: Project, request: GetRequest, manner: Manner) -> Got:
    """Write a file or a directory of a run. What is there and differs is refused, or kept aside: see `Manner`."""
    from mltrack.store.checkout import restore_entries, restore_path

    path = request.path.rstrip("/")
    entries = find_entries(project, request.ref, path)
    name = Path(path).name
    target = request.target or Path(name)
    only = entries[0]
    if only.path == os.fsencode(path) and only.kind != "directory":
        if target.is_dir() and not target.is_symlink():
            target = target / name
        executable = only.kind == "executable"
        kind = "file" if executable else only.kind
        done = restore_path(project.store, kind, str(only.digest), target, executable, manner)
    else:
        done = restore_entries(project.store, below(entries, path), target, manner)
    return Got(target, done.written, done.left, done.kept_aside)


def below(entries: list[ManifestEntry], path: str) -> list[ManifestEntry]:
    """The entries by their paths in that directory."""
    from mltrack.store.manifest import ManifestEntry

    cut = len(os.fsencode(path)) + 1
    inside = [entry for entry in entries if len(entry.path) > cut]
    return [ManifestEntry(entry.path[cut:], entry.kind, entry.size, entry.digest) for entry in inside]


def read(project: Project, ref: str, path: str) -> bytes:
    """The bytes of a file of a run. Raises NotFound if it is a directory."""
    (only, *more) = find_entries(project, ref, path.rstrip("/"))
    if more or only.path != os.fsencode(path.rstrip("/")) or only.digest is None:
        from mltrack.errors import UsageError

        raise UsageError(f"{path} is a directory.", "Name a file in it, or a place to write it to.")
    return project.store.get_bytes(only.digest)


def find_entries(project: Project, ref: str, path: str) -> list[ManifestEntry]:
    """What a path of a run comes to, all of it in the store: from a remote if need be. Raises NotFound, DataMissing."""
    run = find_run(project, ref)
    item = find_item(project, run, path)
    try:
        entries = entries_of(project, item, path)
        ensure_here(project, sorted({entry.digest for entry in entries if entry.digest}), of=run)
    except DataMissing as error:
        raise type(error)(f"{path} of {run.id} is not to be had. {error.message}", error.hint) from error
    return entries
