"""A tree that was written aside -> the directory that it belongs to, file by file, with nothing written over."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mltrack.store.disk import writing
from mltrack.store.keep import digest_file
from mltrack.store.manifest import ManifestEntry, is_own
from mltrack.store.placing import Keeper, Plan, has_digest, install, look
from mltrack.store.statcache import stat_key


class Moving:
    """What lies below `source`, which is ours alone, on its way to `target`: those paths that are `wanted`.

    What belongs to git (`.git`) moves only to where there is none, and only with `repositories`.
    """

    def __init__(self, source: Path, target: Path, wanted: Callable[[bytes], bool], repositories: bool = False) -> None:
        self.target = target
        self.entries: list[ManifestEntry] = []
        self._texts: dict[bytes, bytes] = {}
        self.source = os.fspath(source)
        self.repositories = repositories
        self._source = os.fsencode(source)
        self._own: list[bytes] = []
        self._list(wanted)

    def drop(self, paths: set[bytes]) -> None:
        """Leave out some paths: they come from elsewhere."""
        for entry in self.entries:
            if entry.path in paths and entry.kind != "directory":
                os.unlink(self._from(entry.path))
        self.entries = [entry for entry in self.entries if entry.path not in paths]

    def look(self) -> Plan:
        """What there is to do; nothing is written."""
        return look(self.target, self.entries, self._texts)

    def run(self, plan: Plan, keeper: Keeper) -> None:
        """Do it. Raises UsageError if something appeared in the way meanwhile, and is not to be kept aside."""
        plan.set_modes()
        for path, _ in plan.directories:
            _make(plan.place(path), keeper)
        for entry, _ in plan.entries:
            place = plan.place(entry.path)
            with writing(place):
                install(self._from(entry.path), place, self._is_right(place, entry), keeper)
        for path in self._own:
            place = plan.place(path)
            if not os.path.lexists(place) and os.path.isdir(os.path.dirname(place)):
                with writing(place):
                    os.rename(self._from(path), place)

    def _from(self, path: bytes) -> str:
        return os.fsdecode(self._source + b"/" + path)

    def _list(self, wanted: Callable[[bytes], bool]) -> None:
        for directory, names, files in os.walk(self._source):
            below = directory[len(self._source) + 1 :]
            prefix = below + b"/" if below else b""
            if below and not names and not files and wanted(below):
                self.entries.append(ManifestEntry(below, "directory", 0, None))
            for name in files + [name for name in names if os.path.islink(directory + b"/" + name)]:
                if not is_own(name) and wanted(prefix + name):
                    self._add(prefix + name)
            if self.repositories:
                self._own += [prefix + name for name in (*names, *files) if name == b".git"]
            names[:] = sorted(name for name in names if not is_own(name))
        self.entries.sort(key=lambda entry: entry.path)

    def _add(self, path: bytes) -> None:
        place = self._source + b"/" + path
        found = os.lstat(place)
        if os.path.islink(place):
            self._texts[path] = os.readlink(place)
            self.entries.append(ManifestEntry(path, "link", found.st_size, None))
            return
        kind = "executable" if found.st_mode & 0o100 else "file"
        digest = digest_file(place, stat_key(found), None)
        self.entries.append(ManifestEntry(path, kind, found.st_size, digest))

    def _is_right(self, place: str, entry: ManifestEntry) -> Callable[[], bool]:
        def is_right() -> bool:
            try:
                if entry.kind == "link":
                    return os.readlink(os.fsencode(place)) == self._texts[entry.path]
                return has_digest(place, stat_key(os.lstat(place)), str(entry.digest))
            except OSError:
                return False

        return is_right


def _make(place: str, keeper: Keeper) -> None:
    """A directory; what is there instead is kept aside."""
    with writing(place):
        while True:
            try:
                os.makedirs(place)
                return
            except FileExistsError:
                if os.path.isdir(place) and not os.path.islink(place):
                    return
            keeper.set_aside(place)
