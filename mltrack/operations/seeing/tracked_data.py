"""Data among the code: files that git tracks and that look like data, as they are in the trees of two runs.

Their bytes come from git's objects, or from the store where a filter (git-lfs, line ends) made the blob another thing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mltrack.compare.members import DataChange, Entry, FileChange, MemberChanges, looks_like_data
from mltrack.compare.tables.read import is_table
from mltrack.nouns import noun
from mltrack.operations.seeing.data_differences import DataDifferences, Held

if TYPE_CHECKING:
    from pathlib import Path

    from mltrack.compare.comparators import Content
    from mltrack.compare.tables.drift import TableChange
    from mltrack.git.patch import ChangedFile
    from mltrack.project import Project
    from mltrack.records import Run
    from mltrack.store.manifest import ManifestEntry

    Raw = Mapping[str, ManifestEntry]

KINDS = {"A": "added", "D": "removed"}
POINTER = b"version https://git-lfs.github.com/spec/"


@noun
class Side:
    """The code of one run: git's objects, and the files whose bytes are not those of their blobs."""

    git_dir: Path
    raw: Raw

    def entry(self, path: str, blob: str | None, sizes: Mapping[str, int]) -> Entry | None:
        """A file as this run saw it."""
        if blob is None or blob not in sizes:
            return None
        kept = self.raw.get(path)
        return Entry(path, blob, sizes[blob]) if kept is None else Entry(path, kept.digest, kept.size)


def tracked_data(
    looker: DataDifferences, git_dir: Path, runs: Sequence[Run], files: Iterable[ChangedFile]
) -> DataChange | None:
    """Those of the files that look like data, and what changed inside of tables; None where there are none."""
    from mltrack.git.patch import blob_sizes

    found = [one for one in files if looks_like_data(one.path) and any(one.blobs)]
    if not found:
        return None
    sizes = blob_sizes(git_dir, {blob for one in found for blob in one.blobs if blob})
    a, b = (Side(git_dir, raw_files(looker.project, run.code.raw)) for run in runs)
    changes, tables = [], {}
    for one in found:
        then = a.entry(one.before or one.path, one.blobs[0], sizes)
        now = b.entry(one.path, one.blobs[1], sizes)
        if then is None and now is None:
            continue
        is_moved = bool(then and now and one.before and then.digest == now.digest)
        kind = "renamed" if is_moved else KINDS.get(one.status, "changed")
        changes.append(FileChange(then.path if is_moved and then else one.path, kind, then, now))
        if kind == "changed" and then and now and is_table(then.path) and is_table(now.path):
            tables[one.path] = table(looker, (a, then), (b, now))
    return DataChange(MemberChanges(tuple(changes), 0), tables)


def table(looker: DataDifferences, *sides: tuple[Side, Entry]) -> TableChange | str:
    """How one table changed, or why that is not known."""
    one, other = (Held(entry.path, str(entry.digest), entry.size_bytes) for _, entry in sides)
    return looker.table(one, other, lambda: contents(looker, sides))


def contents(looker: DataDifferences, sides: Sequence[tuple[Side, Entry]]) -> list[Content | None]:
    """Of both sides. Raises MltrackError where git has one no more, Unreadable for what only stands for the data."""
    from mltrack.compare.comparators import Unreadable
    from mltrack.compare.contents.contents import Held as Bytes
    from mltrack.git.patch import read_blobs

    blobs = [str(entry.digest) for side, entry in sides if entry.path not in side.raw]
    found = iter(read_blobs(sides[0][0].git_dir, blobs))
    made: list[Content | None] = []
    for side, entry in sides:
        data = b"" if entry.path in side.raw else next(found)
        if data.startswith(POINTER):
            raise Unreadable("the code has a pointer of git-lfs in its place")
        made.append(looker.stored(str(entry.digest)) if entry.path in side.raw else Bytes(data))
    return made


def raw_files(project: Project, digest: str | None) -> Raw:
    """Path -> the file as it was on the disk, of those that differ from their blobs."""
    from mltrack.store.manifest import decode_manifest

    if digest is None:
        return {}
    entries = decode_manifest(project.store.get_bytes(digest))
    return {os.fsdecode(one.path): one for one in entries if one.digest is not None}
