"""The places in the user's project that other mounts cover: made by us as the caller, for an engine makes them as root.

An empty one that we made goes when the container is gone, unless another container uses it: removing a directory would
take away what is mounted there. Whoever uses one holds a shared lock on it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mltrack.environments.docker.inside import Place

TRIES = 10


def targets_of(mounts: Iterable[Mapping[str, Any]], place: Place) -> list[tuple[str, bool]]:
    """(where the target of a mount lies in the project on this machine, is it a file), for those that lie in it."""
    found = []
    for mount in mounts:
        target = Path(mount["Target"])
        if Path(place.at) in target.parents:
            found.append((str(place.root / target.relative_to(place.at)), not os.path.isdir(mount["Source"])))
    return found


class Targets:
    """Those of one container, from before its start until it is gone."""

    def __init__(self, project: str) -> None:
        self.project = os.path.realpath(project)
        self.held: list[tuple[int, str]] = []
        self.made: list[str] = []

    def make(self, targets: Iterable[tuple[str, bool]]) -> None:
        """Make what is missing. What cannot be made is left to the engine, which says why."""
        for path, is_file in targets:
            for _ in range(TRIES):
                with suppress(OSError):
                    if self.take(path, is_file):
                        break

    def take(self, path: str, is_file: bool) -> bool:
        """Make a place if it is missing, and lock it. False, or OSError, if another container's client made or removed
        it meanwhile."""
        self.make_parents(os.path.dirname(path))
        if not os.path.lexists(path) and self.is_ours(path):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)) if is_file else os.mkdir(path)
            self.made.append(path)
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        fcntl.flock(fd, fcntl.LOCK_SH)
        try:
            is_there = os.path.samestat(os.fstat(fd), os.lstat(path))
        except FileNotFoundError:
            is_there = False
        if is_there:
            self.held.append((fd, path))
        else:
            os.close(fd)
        return is_there

    def make_parents(self, path: str) -> None:
        if not os.path.lexists(path) and self.is_ours(path):
            self.make_parents(os.path.dirname(path))
            os.mkdir(path)
            self.made.append(path)

    def is_ours(self, path: str) -> bool:
        """Does it lie in the project, links followed?"""
        return os.path.realpath(path).startswith(f"{self.project}{os.sep}")

    def remove(self) -> None:
        """Remove what we made, and is empty and unused."""
        for fd, path in self.held:
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path in self.made:
                    self.made.remove(path)
                    self.drop(path)
            os.close(fd)
        for path in reversed(self.made):
            with suppress(OSError):
                if os.path.isdir(path) and not any(held == path for _, held in self.held):
                    os.rmdir(path)

    def drop(self, path: str) -> None:
        if os.path.isdir(path):
            os.rmdir(path)
        elif os.path.getsize(path) == 0:
            os.unlink(path)
