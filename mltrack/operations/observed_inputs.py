"""The bytes of what a run read: hashed and kept while it runs, and what they were when it read them.

A file's fields tell whether it is still what was read: it changed last before the command began, or before it was
first touched. Where it changed later, a copy that was made before counts; else nobody knows what was read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mltrack.observe import Placed
from mltrack.operations.surroundings import Scene, lies_at, named
from mltrack.records import Input
from mltrack.store.statcache import STAT, StatKey, stat_key

if TYPE_CHECKING:
    from mltrack.store.keep import Kept
    from mltrack.store.walk import Seen as Found

CLOCK_STEP_NS = 10**7
"""A filesystem's clock goes in steps, of at most so much."""
BATCH_FILES, BATCH_BYTES = 128, 1 << 22
MANY = 100
"""More files that were read below one directory than this make it one input."""


class Version(NamedTuple):
    """A file as it was when we read it."""

    key: StatKey
    digest: str | None
    kept: bool
    executable: bool


class Keeper:
    """Hashes files and keeps them within the limit of a run, each once for each state in which it is found."""

    def __init__(self, scene: Scene, room: int) -> None:
        self.scene = scene
        self.room = room
        """Bytes that may still be kept."""
        self.versions: dict[str, Version] = {}

    def keep(self, paths: Iterable[str], go_on: Callable[[], bool] = lambda: True) -> None:
        """Read what is at these paths, as the command names them, if that is not known. Stops when `go_on` says no."""
        batch: list[tuple[str, Found]] = []
        size = 0
        for path in paths:
            found = self._find(path)
            if found is None:
                continue
            batch.append((path, found))
            size += found.key.size
            if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
                self._read(batch)
                batch, size = [], 0
                if not go_on():
                    return
        self._read(batch)

    def valid(self, path: str, at_ns: int, start_ns: int) -> Version | None:
        """The version that was read, if one of that time is known."""
        version = self.versions.get(path)
        if version is None or version.digest is None or not is_of_then(version.key, at_ns, start_ns):
            return None
        return version

    def key_now(self, path: str) -> StatKey | None:
        """The fields of the file that is there now."""
        try:
            found = os.stat(lies_at(self.scene.place, path))
        except OSError:
            return None
        return stat_key(found) if stat.S_ISREG(found.st_mode) else None

    def _find(self, path: str) -> Found | None:
        """The file, if it is one and is not known as it is."""
        from mltrack.store.walk import Seen as Found

        here = lies_at(self.scene.place, path)
        try:
            found = os.lstat(here)
            if stat.S_ISLNK(found.st_mode):
                here = os.path.realpath(here)
                found = os.lstat(here)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        key = stat_key(found)
        known = self.versions.get(path)
        if known is not None and known.digest is not None and known.key.ctime_ns <= key.ctime_ns:
            return None  # what was there before is worth more
        return Found(os.fsencode(here)[1:], STAT.pack(*key), bool(found.st_mode & 0o100))

    def _read(self, batch: Sequence[tuple[str, Found]]) -> None:
        """Read a batch: what the stat cache and the store know is not read again."""
        from mltrack.store.chunks import SINGLE
        from mltrack.store.reader import Reader

        if not batch:
            return
        project = self.scene.project
        cache, store = project.stat_cache, project.store
        when = cache.now_ns()
        fits: dict[bytes, bool] = {}
        unknown: list[Found] = []
        digests: dict[bytes, str | None] = {}
        for _, found in batch:
            size = found.key.size
            fits[found.path] = keeps = size <= self.room
            self.room -= size if keeps else 0
            digests[found.path] = cache.lookup(b"/" + found.path, found.key)
        wanted = {digest for path, digest in digests.items() if digest is not None and fits[path]}
        lacking = store.missing(wanted, hold=True) if wanted else set()
        for _, found in batch:
            digest = digests[found.path]
            if digest is None or digest in lacking:
                unknown.append(found)
        for keeps in (True, False):
            reader = Reader(b"", store if keeps else None)
            files = [found for found in unknown if fits[found.path] is keeps]
            done = reader.batch([found for found in files if found.key.size <= SINGLE])
            done += [reader.large(found, project.progress) for found in files if found.key.size > SINGLE]
            for found, digest, _ in done:
                digests[found.path] = digest  # None for what changed meanwhile
                if digest is not None:
                    cache.record(b"/" + found.path, found.key, digest, when)
        for path, found in batch:
            digest = digests.get(found.path)
            self.versions[path] = Version(found.key, digest, fits[found.path] and digest is not None, found.executable)
            if digest is None and fits[found.path]:
                self.room += found.key.size


def is_of_then(key: StatKey, at_ns: int, start_ns: int) -> bool:
    """Was the file so already when it was first touched?"""
    return key.ctime_ns < start_ns or key.ctime_ns + CLOCK_STEP_NS < at_ns


class Ending:
    """Makes inputs of what was read, after the command ended."""

    def __init__(self, keeper: Keeper, start_ns: int, moved: Mapping[str, str]) -> None:
        self.keeper = keeper
        self.scene = keeper.scene
        self.start_ns = start_ns
        self.moved = moved
        self.keys: dict[str, StatKey | None] = {}
        """The fields of each file now."""

    def inputs(self, placed: Sequence[Placed]) -> dict[str, Input]:
        """Path as the command named it -> the input. Those that nobody knows the content of have no digest."""
        self.keys = {item.path: self.keeper.key_now(item.path) for item in placed}
        self.keeper.keep(item.path for item in placed if self.is_wanted(item))
        found = {item.path: self.input_of(item) for item in placed}
        return {path: item for path, item in found.items() if item is not None}

    def is_wanted(self, item: Placed) -> bool:
        """Is the file still what was read?"""
        key = self.keys[item.path]
        return key is not None and is_of_then(key, item.seen.at_ns, self.start_ns)

    def input_of(self, item: Placed) -> Input | None:
        """The input that a placed path is; None for a directory that only looked like one, as it was moved away."""
        path, seen = item.path, item.seen
        version = self.keeper.valid(path, seen.at_ns, self.start_ns)
        key = self.keys[path]
        if version is not None:
            after = None if key == version.key else self.digest_now(path)
            return self.named_input(
                path,
                digest=version.digest,
                size_bytes=version.key.size,
                kept=version.kept,
                executable=version.executable,
                digest_after=after,
            )
        if key is None and path in self.moved and os.path.isdir(self.scene.place.lies_at(self.moved[path])):
            return None
        copy = self.copy_of(item)
        if copy is not None:
            return replace(
                self.named_input(path),
                digest=copy.digest,
                size_bytes=copy.size_bytes,
                kept=copy.kept,
                executable=copy.executable,
                digest_after=self.digest_now(path),
            )
        size = key.size if key is not None else None
        unknown = self.named_input(path, size_bytes=size, digest_after=self.digest_now(path))
        return replace(unknown, changed_during_run=True)

    def named_input(self, path: str, **facts: Any) -> Input:
        home = self.scene.variables.get("HOME", "")
        name = named(self.scene, path)
        is_home = os.path.isabs(name) and home not in ("", "/") and path.startswith(home.rstrip("/") + "/")
        values = {"digest": None, "files": 1, "found": "observed", "root": "home" if is_home else None}
        return Input(name, "file", **{**values, **facts})

    def digest_now(self, path: str) -> str | None:
        """The digest of what is there now."""
        from mltrack.errors import NotFound
        from mltrack.store.keep import keep_path

        try:
            place = Path(os.path.realpath(self.scene.place.lies_at(path)))
            return keep_path(place, None, self.scene.project.stat_cache).digest
        except (NotFound, OSError):
            return None

    def copy_of(self, item: Placed) -> Kept | None:
        """What was read, from a copy: one that was made before the first write, or the file where it was moved to."""
        before = item.seen.before
        if before not in (None, "-", "", ".", "..") and "/" not in str(before):
            kept = self.keep_copy(self.scene.rundir.observed / "before" / str(before))
            if kept is not None:
                return kept
        place = self.moved.get(item.path)
        if place is None:
            return None
        try:
            found = os.lstat(self.scene.place.lies_at(place))
        except OSError:
            return None
        is_same = stat.S_ISREG(found.st_mode) and found.st_mtime_ns < self.start_ns
        return self.keep_copy(self.scene.place.lies_at(place)) if is_same else None

    def keep_copy(self, place: Path) -> Kept | None:
        from mltrack.errors import NotFound
        from mltrack.store.keep import keep_path

        project = self.scene.project
        try:
            size = os.lstat(place).st_size
            keeps = size <= self.keeper.room
            kept = keep_path(place, project.store if keeps else None, project.stat_cache)
        except (NotFound, OSError):
            return None
        if kept.kind != "file" or kept.digest is None:
            return None
        self.keeper.room -= size if keeps else 0
        return kept


def grouped(scene: Scene, inputs: Mapping[str, Input], others: Iterable[str], plain: set[str]) -> list[Input]:
    """The inputs, with many files below one directory made one input.

    `plain`: those that may be grouped. `others`: paths that are something else to the run: what holds one of them
    stays apart, so that a directory can be put back without touching them.
    """
    tops = directories(scene, [path for path in plain if inputs[path].digest is not None], others)
    groups: dict[str, list[str]] = {}
    single: list[Input] = []
    for path, item in inputs.items():
        top = tops.get(path)
        if top is None:
            single.append(item)
        else:
            groups.setdefault(top, []).append(path)
    return single + [
        directory_input(scene, top, {path: inputs[path] for path in paths}) for top, paths in groups.items()
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


def directory_input(scene: Scene, top: str, files: Mapping[str, Input]) -> Input:
    """One input for the files that were read below a directory; with `inputs.whole_directories`, for all of it."""
    from mltrack.digest import digest_bytes
    from mltrack.store.manifest import ManifestEntry, encode_manifest

    project = scene.project
    first = next(iter(files.values()))
    base = Input(named(scene, top), "directory", None, found="observed", root=first.root)
    if project.config.whole_directories:
        from mltrack.store.keep import keep_path

        kept = keep_path(scene.place.lies_at(top), project.store, project.stat_cache, progress=project.progress)
        if kept.digest is not None:
            return replace(base, digest=kept.digest, size_bytes=kept.size_bytes, files=kept.files, kept=kept.kept)
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
    digest = project.store.put_bytes(manifest) if is_kept else digest_bytes(manifest)
    size = sum(item.size_bytes or 0 for item in files.values())
    return replace(base, digest=digest, size_bytes=size, files=len(files), kept=is_kept, partial=True)
