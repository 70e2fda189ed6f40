"""`.mltrack/expanded/`: whole files, read-only, that reflinks, hard links and symbolic links are made from.

A cache: every byte in it is in the store too, and it may be removed at any time (symbolic links into it then lead
nowhere). Its files can be written to by a program that insists, so each is proved before it is used again.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.progress import Progress
from mltrack.store.disk import create, remove, temporary_beside, writing
from mltrack.store.placing import has_digest
from mltrack.store.statcache import stat_key

if TYPE_CHECKING:
    from mltrack.store.objects import Store
    from mltrack.store.statcache import StatCache

READ_ONLY = {False: 0o444, True: 0o555}

Wanted = tuple[str, bool]
"""Digest, and whether it is executable: a hard link has the mode of what it is a link to."""


class Expanded:
    """The whole files below `path`, made from `store` as they are asked for. For one thread."""

    def __init__(self, path: Path, open_cache: Callable[[], StatCache] | None = None) -> None:
        self.path = path
        self._open_cache = open_cache
        self._cache: StatCache | None = None

    def make(self) -> None:
        """Make the directory. Raises StorageError."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        if self._open_cache is not None:
            self._cache = self._open_cache()

    def place(self, wanted: Wanted) -> str:
        digest, executable = wanted
        name = digest.partition(":")[2]
        return f"{self.path}/{name[:2]}/{name[2:]}{'.x' if executable else ''}"

    def bring(self, store: Store, wanted: Iterable[Wanted], progress: Progress | None = None) -> dict[Wanted, str]:
        """The whole file of each, made where it is not there or is not what it should be. Raises as `Store.read`."""
        from mltrack.store.spans import read_span, small_and_large

        places = {one: self.place(one) for one in dict.fromkeys(wanted)}
        lacking = {one: place for one, place in places.items() if not self._holds(one, place)}
        with writing(self.path):
            for directory in {os.path.dirname(place) for place in lacking.values()}:
                os.makedirs(directory, exist_ok=True)
        small, large = small_and_large(store, {digest for digest, _ in lacking})
        for span in small:
            for digest, data in read_span(store, span):
                for executable in (False, True):
                    if (digest, executable) in lacking:
                        self._write(store, (digest, executable), data)
                        if progress is not None:
                            progress(len(data))
        for digest in large:
            for executable in (False, True):
                if (digest, executable) in lacking:
                    self._write(store, (digest, executable), None, progress)
        if self._cache is not None:
            self._cache.flush()
        return places

    def _write(self, store: Store, wanted: Wanted, data: bytes | None, progress: Progress | None = None) -> None:
        from mltrack.store.disk import write_all
        from mltrack.store.spans import pour

        place = self.place(wanted)
        temporary = temporary_beside(place)
        try:
            with writing(place):
                handle = create(temporary, 0o600)
                try:
                    if data is None:
                        pour(store, wanted[0], handle, progress)
                    else:
                        write_all(handle, data)
                    os.fchmod(handle, READ_ONLY[wanted[1]])
                finally:
                    os.close(handle)
                os.replace(temporary, place)
        except BaseException:
            remove(temporary)
            raise

    def _holds(self, wanted: Wanted, place: str) -> bool:
        """Is the file there, and proved to be what it should be? Its fields do where they are final."""
        try:
            found = os.lstat(place)
        except OSError:
            return False
        if not stat.S_ISREG(found.st_mode):
            return False
        key, name, when = stat_key(found), os.fsencode(place), 0
        right = stat.S_IMODE(found.st_mode) == READ_ONLY[wanted[1]]
        if self._cache is not None:
            if self._cache.lookup(name, key) == wanted[0]:
                return right
            when = self._cache.now_ns()
        if not right or not has_digest(place, key, wanted[0]):
            return False
        if self._cache is not None:
            self._cache.record(name, key, wanted[0], when)
        return True

    def totals(self) -> tuple[int, int]:
        """How many files there are, and the bytes of them that nobody else holds by a hard link."""
        files = size = 0
        for directory, _, names in os.walk(self.path):
            for name in names:
                try:
                    found = os.lstat(f"{directory}/{name}")
                except FileNotFoundError:
                    continue
                files += 1
                size += found.st_size if found.st_nlink == 1 else 0
        return files, size

    def remove(self) -> None:
        """Remove all of it. Hard links and clones made from it keep their content."""
        with writing(self.path):
            if self.path.exists():
                shutil.rmtree(self.path)
