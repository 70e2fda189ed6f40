"""Names that a past run looked for in vain, or found elsewhere, as far as its record tells: is there something now?

A program that comes first on PATH, what a link of the code leads to, a directory among the code. What was only looked
for and is in no listing of the record is not known here: `docs/guides/cached.md` says so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mltrack.observe.names import is_cache

if TYPE_CHECKING:
    from mltrack.operations.running.touched import Touched


class Names:
    """The names that one run's programs may find now and did not find then."""

    def __init__(self, touched: Touched) -> None:
        self.touched = touched
        self.now = touched.now

    def all(self) -> Iterator[str]:
        yield from self.programs()
        yield from self.links()
        yield from self.directories()

    def programs(self) -> Iterator[str]:
        """Programs that would be found on PATH before one of the same name that was started."""
        places = [place for place in self.now.recording.variables.get("PATH", "").split(os.pathsep) if place]
        cwd = os.path.join(self.now.root, self.now.recording.opening.cwd)
        places = [os.path.normpath(os.path.join(cwd, place)) for place in places]
        for line in self.touched.lines:
            directory, name = os.path.split(os.path.join(self.now.root, line.path))
            if directory not in places or "w" in line.letters:
                continue
            for place in places[: places.index(directory)]:
                if self.has_come(f"{place}/{name}"):
                    yield f"{place}/{name} is new, and comes first on PATH"

    def has_come(self, place: str) -> bool:
        """Is a program there that came after the run began?"""
        try:
            found = os.lstat(place)
        except OSError:
            return False
        return not self.touched.is_older(found) and os.access(place, os.X_OK) and not os.path.isdir(place)

    def links(self) -> Iterator[str]:
        """Links of the code that lead to what came later, and that the run did not read: it found nothing there."""
        for name in sorted(self.now.code):
            path = os.fsdecode(name)
            place = os.path.join(self.now.root, path)
            if not os.path.islink(place):
                continue
            real = os.path.realpath(place)
            below = os.path.relpath(real, self.now.root)
            is_known = {real, below, path} & self.known or self.touched.is_code(below)
            if is_known or any(one.startswith(f"{below}/") for one in self.touched.written):
                continue
            try:
                found = os.lstat(real)
            except OSError:
                continue
            if not self.touched.is_older(found):
                yield f"{path} leads to {real}, which is new or was changed"

    @cached_property
    def known(self) -> frozenset[str]:
        """What was read or written: that is compared by itself."""
        return frozenset(line.path for line in self.touched.lines if line.letters)

    def directories(self) -> Iterator[str]:
        """Directories that came into a listed one of the code, and that no run made: git does not tell of them."""
        listed = {line.path for line in self.touched.lines if not line.letters}
        for line in self.touched.lines:
            path = os.path.relpath(os.path.join(self.now.root, line.path), self.now.root)
            is_of_code = os.fsencode(path) in self.touched.with_code and not path.startswith("..")
            if line.letters or not is_of_code or line.path in self.touched.names_kept:
                continue
            try:
                names = sorted(os.listdir(os.path.join(self.now.root, path)))
            except OSError:
                continue
            for name in names:
                below = os.path.normpath(os.path.join(path, name))
                if below not in listed and self.is_new_directory(below):
                    yield f"{below} is new"

    def is_new_directory(self, path: str) -> bool:
        """Is it a directory that came after the run began, neither by code, nor by a run or a tool?"""
        from mltrack.observe.trace import born_ns
        from mltrack.operations.running.touched import is_of_tools

        place = os.path.join(self.now.root, path)
        if is_cache(os.fsencode(path)) or is_of_tools(path) or not stat.S_ISDIR(os.lstat(place).st_mode):
            return False
        born = born_ns(os.fsencode(place)) or 0
        return born >= self.touched.since_ns and not self.touched.holds_known(path)
