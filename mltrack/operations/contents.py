"""What a run has, by path: its inputs and artifacts, and what lies in those that are directories."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mltrack.errors import DataMissing, NotFound
from mltrack.nouns import noun
from mltrack.operations.fetch import ensure_here

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Artifact, Input, Run
    from mltrack.store.manifest import ManifestEntry

    Item = Input | Artifact

NEAR = 3
SHOWN = 8
"""Paths that a message names."""


@noun
class Held:
    """A file or directory of a run. `role` is "input" or "artifact"; `inside` is null where that is not known here."""

    path: str
    role: str
    kind: str
    digest: str
    size_bytes: int | None
    executable: bool = False
    inside: tuple[Held, ...] | None = ()


def items_of(run: Run) -> list[Item]:
    """The inputs and artifacts whose content is known; an artifact before an input of the same path."""
    every: tuple[Item, ...] = (*run.artifacts, *run.inputs)
    return [item for item in every if item.digest is not None]


def held(project: Project, run: Run) -> list[Held]:
    """All of them, with what lies in directories, as far as it is to be had."""
    from mltrack.records import Input

    found: dict[str, Held] = {}
    for item in items_of(run):
        role = "input" if isinstance(item, Input) else "artifact"
        inside: tuple[Held, ...] | None = ()
        if item.kind == "directory":
            try:
                inside = tuple(_held(entry, role) for entry in entries_of(project, item, item.path))
            except DataMissing:
                inside = None
        found.setdefault(
            item.path, Held(item.path, role, item.kind, str(item.digest), item.size_bytes, item.executable, inside)
        )
    return list(found.values())


def _held(entry: ManifestEntry, role: str) -> Held:
    kind = "file" if entry.kind == "executable" else entry.kind
    path, executable = os.fsdecode(entry.path), entry.kind == "executable"
    return Held(path, role, kind, str(entry.digest or ""), entry.size, executable)


def find_item(project: Project, run: Run, path: str) -> Item:
    """The artifact or input that a path names, or lies in. Raises NotFound with near paths, also inside directories."""
    asked = path.rstrip("/")
    for item in items_of(run):
        if item.path == asked or (item.kind == "directory" and asked.startswith(f"{item.path}/")):
            return item
    raise no_such(project, run, asked)


def entries_of(project: Project, item: Item, path: str) -> list[ManifestEntry]:
    """What is to be restored for a path that is the item or lies in it, by paths like the item's.

    Fetches the manifest, if there is one, but no content. Raises DataMissing, or NotFound if there is no such path.
    """
    from mltrack.store.checkout import manifest_of
    from mltrack.store.manifest import ManifestEntry

    digest, top, asked = str(item.digest), os.fsencode(item.path), os.fsencode(path.rstrip("/"))
    if item.kind != "directory":
        kind = "executable" if item.executable and item.kind == "file" else item.kind
        return [ManifestEntry(top, kind, item.size_bytes or 0, digest)]
    ensure_here(project, [digest])
    listed = [
        ManifestEntry(top + b"/" + entry.path, entry.kind, entry.size, entry.digest)
        for entry in manifest_of(project.store, digest)
    ]
    if asked == top:
        return listed or [ManifestEntry(top, "directory", 0, None)]
    found = [entry for entry in listed if entry.path == asked or entry.path.startswith(asked + b"/")]
    if not found:
        near = near_paths(os.fsdecode(asked), (os.fsdecode(entry.path) for entry in listed))
        raise NotFound(f"The directory {item.path} has no file {path}.", f"It has: {near}" if near else "It is empty.")
    return found


def no_such(project: Project, run: Run, path: str) -> NotFound:
    """The error for a path that a run does not have: what it has instead."""
    known = []
    for one in held(project, run):
        known.append(one.path)
        known += [below.path for below in one.inside or ()]
    near = near_paths(path, known)
    return NotFound(
        f"{run.id} has no file {path}.",
        f"It has: {near}. See all: mltrack get {run.id}" if near else "It has no artifacts or inputs.",
    )


def near_paths(path: str, known: Iterable[str]) -> str:
    """The paths that are most like it, or else the first."""
    from difflib import get_close_matches

    names = list(known)
    name = path.rpartition("/")[2]
    same = [one for one in names if one.rpartition("/")[2] == name]
    near: list[Any] = same or (get_close_matches(path, names, NEAR, 0.4) if len(names) < 10_000 else [])
    chosen = near[:SHOWN] or names[:SHOWN]
    more = len(names) - len(chosen)
    return ", ".join(chosen) + (f" and {more} more" if not near and more else "")
