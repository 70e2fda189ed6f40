"""Inputs that are many: those below one directory become one input, with a manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.nouns import noun
from mltrack.operations.observing.surroundings import Scene, named
from mltrack.records import Input

if TYPE_CHECKING:
    from mltrack.observe.rules import Placer
    from mltrack.operations.observing.inputs import Keeper

MANY = 100
"""More files that were read below one directory than this make it one input."""


@noun
class Group:
    """What is needed to make inputs of directories."""

    scene: Scene
    keeper: Keeper
    placer: Placer
    left_out: list[str]
    """Receives what is not kept of directories that are kept whole, as the record calls it."""

    def is_hidden(self, path: str) -> bool:
        """Is it something that is never kept: a secret, git's own?"""
        from mltrack.observe import Seen
        from mltrack.observe.rules import HIDDEN

        return self.placer.place(Seen(path, reads=True, is_read_first=True)).rule in HIDDEN


def grouped(group: Group, inputs: Mapping[str, Input], others: Iterable[str], plain: set[str]) -> list[Input]:
    """The inputs, with many files below one directory made one input.

    `plain`: those that may be grouped. `others`: paths that are something else to the run: what holds one of them
    stays apart, so that a directory can be put back without touching them.
    """
    tops = directories(group.scene, [path for path in plain if inputs[path].digest is not None], others)
    groups: dict[str, list[str]] = {}
    single: list[Input] = []
    for path, item in inputs.items():
        top = tops.get(path)
        if top is None:
            single.append(item)
        else:
            groups.setdefault(top, []).append(path)
    return single + [
        directory_input(group, top, {path: inputs[path] for path in paths}) for top, paths in groups.items()
    ]


def directories(scene: Scene, paths: Sequence[str], others: Iterable[str]) -> dict[str, str]:
    """Path -> the directory that stands for it, for files that are many."""
    counts: dict[str, int] = {}
    for path in paths:
        parent = path.rpartition("/")[0]
        counts[parent] = counts.get(parent, 0) + 1
    below = dict(counts)
    for directory in sorted(counts, key=len, reverse=True):
        for parent in parents_of(directory):
            below[parent] = below.get(parent, 0) + counts[directory]
    root, home = str(scene.place.root), scene.variables.get("HOME", "")
    forbidden = {
        "",
        root,
        home,
        *parents_of(root),
        *parents_of(home),
        *("/tmp", "/var/tmp", "/dev/shm", "/dev", "/var"),
    }
    forbidden.update(directory for directory in below if directory.count("/") == 1 and directory not in counts)
    for path in others:
        for parent in parents_of(path):
            if parent in forbidden:
                break
            forbidden.add(parent)
    chosen: dict[str, str | None] = {}
    for directory in counts:
        fitting = [one for one in (*parents_of(directory), directory) if one not in forbidden and below[one] > MANY]
        chosen[directory] = min(fitting, key=len, default=None)
    narrow(chosen)
    tops = ((path, chosen[path.rpartition("/")[0]]) for path in paths)
    return {path: top for path, top in tops if top is not None}


def narrow(chosen: dict[str, str | None]) -> None:
    """Take for each directory that stands for files the deepest one that still holds all of them."""
    members: dict[str, list[str]] = {}
    for directory, top in chosen.items():
        if top is not None:
            members.setdefault(top, []).append(directory)
    for below in members.values():
        chosen.update(dict.fromkeys(below, os.path.commonpath(below)))


def parents_of(path: str) -> list[str]:
    """The directories above an absolute path, the nearest first; the root is not one of them."""
    found = []
    cut = path.rfind("/")
    while cut > 0:
        path = path[:cut]
        found.append(path)
        cut = path.rfind("/")
    return found


def directory_input(group: Group, top: str, files: Mapping[str, Input]) -> Input:
    """One input for the files that were read below a directory; with `inputs.whole_directories`, for all of it."""
    scene = group.scene
    first = next(iter(files.values()))
    base = Input(named(scene, top), "directory", None, found="observed", root=first.root)
    if scene.project.config.whole_directories:
        hidden, rest = unread_below(group, top, files)
        group.left_out.extend(named(scene, path) for path in hidden)
        if hidden:
            return of_parts(group, base, top, {**files, **unread(group, rest)})
        from mltrack.store.keep import keep_path

        project = scene.project
        kept = keep_path(scene.place.lies_at(top), project.store, project.stat_cache, progress=project.progress)
        if kept.digest is not None:
            return replace(base, digest=kept.digest, size_bytes=kept.size_bytes, files=kept.files, kept=kept.kept)
    return of_parts(group, base, top, files)


def unread_below(group: Group, top: str, files: Mapping[str, Input]) -> tuple[list[str], list[str]]:
    """The files below a directory that are never kept, and the others that were not read."""
    from mltrack.store.walk import walk

    hidden: list[str] = []
    rest: list[str] = []
    try:
        found = walk(os.fsencode(group.scene.place.lies_at(top))).files
    except OSError:
        return [], []
    for path in sorted(f"{top}/{os.fsdecode(one.path)}" for one in found):
        if path not in files:
            (hidden if group.is_hidden(path) else rest).append(path)
    return hidden, rest


def unread(group: Group, paths: Sequence[str]) -> dict[str, Input]:
    """Inputs of files that were not read and are kept all the same, as they are now."""
    group.keeper.keep(paths)
    found = {}
    for path in paths:
        version = group.keeper.versions.get(path)
        if version is not None and version.digest is not None:
            size, digest = version.key.size, version.digest
            found[path] = Input(path, "file", digest, size, kept=version.kept, executable=version.executable)
    return found


def of_parts(group: Group, base: Input, top: str, files: Mapping[str, Input]) -> Input:
    """The input of some of the files below a directory."""
    from mltrack.digest import digest_bytes
    from mltrack.store.manifest import ManifestEntry, encode_manifest

    entries = [
        ManifestEntry(
            os.fsencode(path[len(top) + 1 :]),
            "executable" if item.executable else "file",
            item.size_bytes or 0,
            item.digest,
        )
        for path, item in files.items()
    ]
    manifest = encode_manifest(entries)
    is_kept = all(item.kept for item in files.values())
    digest = group.scene.project.store.put_bytes(manifest) if is_kept else digest_bytes(manifest)
    size = sum(item.size_bytes or 0 for item in files.values())
    return replace(base, digest=digest, size_bytes=size, files=len(files), kept=is_kept, partial=True)
