"""Two lists of a directory's files -> which were added, removed, changed and renamed. Pure."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.noun_json import is_utf8
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.compare.tables.drift import TableChange

KINDS = ("changed", "added", "removed", "renamed")

DATA = (
    ".csv", ".tsv", ".tab", ".psv", ".jsonl", ".ndjson", ".parquet", ".pq", ".parq", ".feather", ".arrow", ".orc",
    ".avro", ".npy", ".npz", ".h5", ".hdf5", ".mat", ".pkl", ".pt", ".safetensors", ".tfrecord", ".sqlite", ".db",
    ".xls", ".xlsx", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".wav", ".flac", ".mp3", ".mp4",
    ".zip", ".gz", ".bz2", ".tar", ".xz", ".zst", ".nii", ".dcm", ".las", ".geojson",
)  # fmt: skip


def looks_like_data(path: str) -> bool:
    """Is a file among the code taken for data, by its name? Settings and results in JSON or YAML are not."""
    return path.lower().endswith(DATA)


@noun
class Entry:
    """A file in a directory, by its path there."""

    path: str
    digest: str | None
    size_bytes: int
    kind: str = "file"


@noun
class FileChange:
    """One file of a directory that is not the same in a and b; `kind` is one of KINDS."""

    path: str
    kind: str
    a: Entry | None
    b: Entry | None
    """Where it was renamed, its path in b."""


@noun
class MemberChanges:
    """What changed between two states of a directory."""

    files: tuple[FileChange, ...]
    unchanged: int
    is_partial: bool = False
    """Is no more known than the files of some bytes and more?"""

    def count(self, kind: str) -> int:
        return sum(change.kind == kind for change in self.files)


@noun
class DataChange:
    """What is known inside of an input or artifact that changed: the files of a directory, the columns of tables."""

    members: MemberChanges | None
    tables: Mapping[str, TableChange | str]
    """Path in b -> how the table changed, or why it was not compared; for the item itself its own path."""


def of_members(a: Iterable[Entry], b: Iterable[Entry], is_partial: bool = False) -> MemberChanges:
    """The changes from a to b, by path; the same bytes at another path are a renaming, the nearest name first."""
    before, after = {one.path: one for one in a}, {one.path: one for one in b}
    found = [
        FileChange(path, "changed", before[path], after[path])
        for path in before.keys() & after.keys()
        if what(before[path]) != what(after[path])
    ]
    same = len(before.keys() & after.keys()) - len(found)
    gone = [before[path] for path in sorted(before.keys() - after.keys())]
    new = [after[path] for path in sorted(after.keys() - before.keys())]
    renamed = pairs(gone, new)
    found += [FileChange(first.path, "renamed", first, second) for first, second in renamed]
    left = {first.path for first, _ in renamed}
    come = {second.path for _, second in renamed}
    found += [FileChange(one.path, "removed", one, None) for one in gone if one.path not in left]
    found += [FileChange(one.path, "added", None, one) for one in new if one.path not in come]
    return MemberChanges(tuple(sorted(found, key=lambda change: change.path)), same, is_partial)


def what(entry: Entry) -> tuple[str, str | None]:
    return entry.kind, entry.digest


def pairs(gone: Sequence[Entry], new: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Files that moved: those with the same bytes and the same name first, then the rest in order."""
    moved = [entry for entry in gone if may_have_moved(entry)]
    come = [entry for entry in new if may_have_moved(entry)]
    named = paired(moved, come, lambda entry: (what(entry), os.path.basename(entry.path)))
    left, right = ({pair[side].path for pair in named} for side in (0, 1))
    rest = paired(
        [entry for entry in moved if entry.path not in left], [entry for entry in come if entry.path not in right], what
    )
    return [*named, *rest]


def may_have_moved(entry: Entry) -> bool:
    """Every empty file is like every other, and a directory has no content."""
    return entry.digest is not None and entry.size_bytes > 0


def paired(a: Sequence[Entry], b: Sequence[Entry], key: Callable[[Entry], object]) -> list[tuple[Entry, Entry]]:
    """Those of a and of b that have the same key, each once, in order."""
    waiting: dict[object, list[Entry]] = {}
    for entry in reversed(b):
        waiting.setdefault(key(entry), []).append(entry)
    return [(entry, waiting[key(entry)].pop()) for entry in a if waiting.get(key(entry))]


def data_json(inside: DataChange) -> dict[str, Any]:
    """What changed inside of one input or artifact: `members`, and `tables`: path in b -> the change, or `skipped`."""
    found: dict[str, Any] = {} if inside.members is None else {"members": members_json(inside.members)}
    if inside.tables:
        from mltrack.compare.tables.drift import table_json

        found["tables"] = {
            path: {"skipped": change} if isinstance(change, str) else table_json(change)
            for path, change in inside.tables.items()
        }
    return found


def tracked_json(tracked: DataChange | None) -> dict[str, Any] | None:
    """The data among the code: `files` that differ, and `tables` as `data_json` has them; null where there are none."""
    if tracked is None or tracked.members is None:
        return None
    found = data_json(tracked)
    return {"files": [file_json(one) for one in tracked.members.files], "tables": found.get("tables", {})}


def members_json(changes: MemberChanges) -> dict[str, Any]:
    """The counts of each kind, and every file that changed."""
    return {
        **{kind: changes.count(kind) for kind in KINDS},
        "unchanged": changes.unchanged,
        "partial": changes.is_partial,
        "files": [file_json(one) for one in changes.files],
    }


def file_json(one: FileChange) -> dict[str, Any]:
    found = {
        **path_json("path", one.path),
        "kind": one.kind,
        "a_bytes": one.a.size_bytes if one.a else None,
        "b_bytes": one.b.size_bytes if one.b else None,
    }
    return found | path_json("b_path", one.b.path) if one.kind == "renamed" and one.b else found


def path_json(key: str, path: str) -> dict[str, Any]:
    """A path, and where it is not UTF-8 its bytes."""
    if is_utf8(path):
        return {key: path}
    return {key: path, f"{key}_b64": base64.b64encode(os.fsencode(path)).decode()}
