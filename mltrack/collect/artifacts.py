"""After the run: which files it wrote, and their bytes into the store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import StorageError
from mltrack.nouns import noun
from mltrack.records import Artifact, Warning

if TYPE_CHECKING:
    from mltrack.progress import Progress
    from mltrack.store.objects import Store
    from mltrack.store.statcache import StatCache, StatKey

MANY = 500
"""A new directory with more new files than this becomes one artifact, with a manifest."""


@noun
class Written:
    """A path that a run wrote. `path` is what the record calls it."""

    path: str
    place: Path
    found: str


def written_files(before: Mapping[bytes, StatKey], after: Mapping[bytes, StatKey]) -> list[bytes]:
    """Paths that are new or whose stat fields moved, in byte order."""
    return sorted(path for path, key in after.items() if before.get(path) != key)


def gather(root: Path, written: Iterable[bytes], before: Mapping[bytes, StatKey]) -> list[Written]:
    """One entry a written file; a directory of more than `MANY` new files, and none from before, is one entry.

    `before`: files that are known to have been there. Others are found by looking: git does not list what it ignores.
    """
    paths = list(written)
    old_directories = {parent for path in before for parent in parents(path)}
    counts: dict[bytes, int] = {}
    for path in paths:
        for parent in parents(path):
            if parent not in old_directories:
                counts[parent] = counts.get(parent, 0) + 1
    large = {directory for directory, count in counts.items() if count > MANY}
    known = set(paths) if large else set()
    large = {directory for directory in large if is_all_of(root / os.fsdecode(directory), directory, known)}
    found: dict[bytes, Written] = {}
    for path in paths:
        whole = next((parent for parent in parents(path) if parent in large), path)
        name = os.fsdecode(whole)
        found.setdefault(whole, Written(name, root / name, "observed"))
    return list(found.values())


def is_all_of(place: Path, directory: bytes, written: set[bytes]) -> bool:
    """Is every file that lies below a directory among the written ones?"""
    from mltrack.store.walk import walk

    try:
        return all(directory + b"/" + seen.path in written for seen in walk(os.fsencode(place)).files)
    except FileNotFoundError:
        return True  # gone again: nothing else lies there
    except OSError:
        return False


def parents(path: bytes) -> list[bytes]:
    """The directories above a relative path, outermost first."""
    parts = path.split(b"/")
    return [b"/".join(parts[:depth]) for depth in range(1, len(parts))]


def logged(directory: Path) -> list[Written]:
    """What the command put into `$MLTRACK_ARTIFACTS`."""
    names = sorted(os.listdir(directory)) if directory.is_dir() else []
    return [Written(name, directory / name, "logged") for name in names]


def without_overlap(written: Sequence[Written]) -> list[Written]:
    """The same entries, less those that lie inside a declared directory or repeat an earlier path."""
    found: dict[str, Written] = {}
    whole = [item.path for item in written if item.found == "declared" and item.place.is_dir()]
    for item in written:
        if not any(item.path.startswith(f"{directory}/") for directory in whole if item.found == "observed"):
            found.setdefault(item.path, item)
    return list(found.values())


def keep_artifacts(
    written: Sequence[Written], store: Store, cache: StatCache, progress: Progress | None = None
) -> tuple[list[Artifact], list[Warning]]:
    """Store every written path. What cannot be kept becomes a warning, never an exception."""
    from mltrack.store.keep import keep_path

    artifacts: list[Artifact] = []
    warnings: list[Warning] = []
    for item in written:
        try:
            kept = keep_path(item.place, store, cache, progress=progress)
        except (OSError, StorageError) as error:
            warnings.append(Warning("artifact-not-kept", f"{item.path} could not be kept: {error}."))
            continue
        warnings += [
            Warning("artifact-not-kept", f"{os.path.join(item.path, path).rstrip('/')}: {reason}.")
            for path, reason in kept.problems
        ]
        if kept.digest is None:
            if kept.changed:
                warnings.append(Warning("artifact-not-kept", f"{item.path} was still changing when the run ended."))
            continue
        artifacts.append(
            Artifact(item.path, kept.kind, kept.digest, kept.size_bytes, kept.files, item.found, kept.executable)
        )
    return sorted(artifacts, key=lambda artifact: artifact.path), warnings
