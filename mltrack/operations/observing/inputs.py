"""The bytes of what a run read: hashed and kept while it runs, and what they were when it read them.

A file's fields tell whether it is still what was read: it changed last before the command began, or before it was
first touched. What the path stands for may have changed with no trace in them (`ways.py`): then only what was hashed
before counts. Else a copy that was made before counts, and else nobody knows what was read.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mltrack.observe import Placed, Seen
from mltrack.operations.observing.surroundings import Scene, lies_at, named
from mltrack.operations.observing.ways import CLOCK_STEP_NS, Clocks, Disturbed, Way, Ways
from mltrack.records import Input
from mltrack.store.statcache import STAT, StatKey, stat_key

if TYPE_CHECKING:
    from mltrack.store.keep import Kept
    from mltrack.store.walk import Seen as Found

BATCH_FILES, BATCH_BYTES = 128, 1 << 22


class Version(NamedTuple):
    """A file as it was when we read it."""

    key: StatKey
    digest: str | None
    kept: bool
    executable: bool
    way: Way
    read_ns: int
    """When all of it was read."""


class Keeper:
    """Hashes files and keeps them within the limit of a run, each once for each state in which it is found."""

    def __init__(self, scene: Scene, room: int) -> None:
        self.scene = scene
        self.room = room
        """Bytes that may still be kept."""
        self.versions: dict[str, Version] = {}
        self.clocks = Clocks(scene.rundir.path)

    def keep(self, paths: Iterable[str], go_on: Callable[[], bool] = lambda: True) -> None:
        """Read what is at these paths, as the command names them, if that is not known. Stops when `go_on` says no."""
        batch: list[tuple[str, Found, Way]] = []
        size = 0
        ways = Ways(self.scene.place)
        for path in paths:
            way = ways.to(path)
            found = self._find(path, way.real) if way.real else None
            if found is None:
                continue
            batch.append((path, found, way))
            size += found.key.size
            if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
                self._read(batch)
                batch, size = [], 0
                if not go_on():
                    return
        self._read(batch)

    def valid(self, path: str, at_ns: int, start_ns: int, events: Disturbed) -> Version | None:
        """The version that was read, if one of that time is known."""
        version = self.versions.get(path)
        if version is None or version.digest is None:
            return None
        is_same = self.clocks.is_of_then(version.key, at_ns, start_ns)
        is_same = is_same and events.leads_there(path, version.way, (at_ns, version.read_ns), start_ns)
        return version if is_same else None

    def release(self, paths: Iterable[str]) -> None:
        """Give back the room of what turned out to be no input."""
        for path in paths:
            version = self.versions.pop(path, None)
            if version is not None and version.kept:
                self.room += version.key.size

    def was_there(self, path: str, start_ns: int) -> bool:
        """Is a version known that was there before the command began?"""
        version = self.versions.get(path)
        return version is not None and version.digest is not None and version.key.ctime_ns < start_ns

    def key_now(self, path: str) -> StatKey | None:
        """The fields of the file that is there now."""
        try:
            found = os.stat(lies_at(self.scene.place, path))
        except OSError:
            return None
        return stat_key(found) if stat.S_ISREG(found.st_mode) else None

    def _find(self, path: str, here: str) -> Found | None:
        """The file, if it is one and is not known: what was there before is worth more."""
        from mltrack.store.walk import Seen as Found

        known = self.versions.get(path)
        if known is not None and known.digest is not None:
            return None
        try:
            found = os.lstat(here)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return Found(os.fsencode(here)[1:], STAT.pack(*stat_key(found)), bool(found.st_mode & 0o100))

    def _read(self, batch: Sequence[tuple[str, Found, Way]]) -> None:
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
        for _, found, _ in batch:
            size = found.key.size
            fits[found.path] = keeps = size <= self.room
            self.room -= size if keeps else 0
            digests[found.path] = cache.lookup(b"/" + found.path, found.key)
        wanted = {digest for path, digest in digests.items() if digest is not None and fits[path]}
        lacking = store.missing(wanted, hold=True) if wanted else set()
        for _, found, _ in batch:
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
        read_ns = time.time_ns()
        for path, found, way in batch:
            digest = digests.get(found.path)
            kept = fits[found.path] and digest is not None
            self.versions[path] = Version(found.key, digest, kept, found.executable, way, read_ns)
            if digest is None and fits[found.path]:
                self.room += found.key.size


class Ending:
    """Makes inputs of what was read, after the command ended."""

    def __init__(self, keeper: Keeper, start_ns: int, moved: Mapping[str, str], events: Disturbed) -> None:
        self.keeper = keeper
        self.scene = keeper.scene
        self.start_ns = start_ns
        self.moved = moved
        self.events = events
        self.ways = Ways(keeper.scene.place)
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
        at_ns = item.seen.at_ns
        if key is None or not self.keeper.clocks.is_of_then(key, at_ns, self.start_ns):
            return False
        return self.events.leads_there(item.path, self.ways.to(item.path), (at_ns, time.time_ns()), self.start_ns)

    def input_of(self, item: Placed) -> Input | None:
        """The input that a placed path is; None for a directory that only looked like one, as it was moved away."""
        path, seen = item.path, item.seen
        version = self.keeper.valid(path, seen.at_ns, self.start_ns, self.events)
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
        copy = self.copy_before(item.seen)
        kept = self.keep_copy(copy) if copy is not None else None
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

    def copy_before(self, seen: Seen) -> Path | None:
        """The copy that a process made before it changed a file: if nobody else had changed that since it was read."""
        name, _, changed = (seen.before or "").partition(" ")
        if name in ("-", "", ".", "..") or "/" in name or not changed.isdigit() or len(changed) > 19:
            return None
        is_same = int(changed) < self.start_ns or int(changed) + CLOCK_STEP_NS < seen.at_ns
        return self.scene.rundir.observed / "before" / name if is_same else None

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
