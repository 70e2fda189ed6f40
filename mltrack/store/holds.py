"""What living processes rely on before a record says so: packs that the store's gc must leave alone.

    store/gc.lock            flock: shared while a hold is taken, exclusive while gc decides and deletes
    store/holds/HOST.TOKEN   names of packs, one a line; its owner keeps an flock on it while it lives

A hold is of a whole pack: one line for each pack that a process meets, whatever it finds or puts there. Nothing here
knows what a run is, or decides what goes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mltrack.store.disk import write_all, writing
from mltrack.store.locks import lock_file, unlock_file

LOCK = "gc.lock"
FOLDER = "holds"
ELSEWHERE_S = 14 * 86400
"""How long the hold of another machine counts after its last line: its lock may not be seen from here."""

FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Holds:
    """The hold of this process on packs of the store at `path`. Its user sees to it that threads take turns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = -1
        self._depth = 0
        self._file = -1
        self._place: Path | None = None
        self.packs: set[str] = set()
        """Names of the packs that are held."""

    @contextmanager
    def taking(self) -> Iterator[None]:
        """While this lasts gc deletes nothing: the time to look where something is, and to hold it. May be nested."""
        with writing(self._path / LOCK):
            if self._lock < 0:
                self._lock = os.open(self._path / LOCK, FLAGS, 0o666)
        lock_file(self._lock, wait=True, shared=True)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                unlock_file(self._lock)

    def add(self, packs: Iterable[str]) -> None:
        """Hold these packs until `release`. Only while `taking`. Raises StorageError."""
        fresh = sorted(set(packs) - self.packs)
        if not fresh:
            return
        with writing(self._path / FOLDER):
            if self._file < 0:
                self._begin()
            # The first line end closes what an earlier write that failed may have left.
            write_all(self._file, "\n".join(["", *fresh, ""]).encode())
        self.packs.update(fresh)

    def _begin(self) -> None:
        folder = self._path / FOLDER
        folder.mkdir(exist_ok=True)
        self._place = folder / f"{host()}.{os.urandom(8).hex()}"
        self._file = os.open(self._place, FLAGS | os.O_EXCL | os.O_APPEND, 0o666)
        lock_file(self._file, wait=False)

    def release(self) -> None:
        """Rely on nothing any more."""
        if self._file >= 0:
            if self._place is not None:
                self._place.unlink(missing_ok=True)
            unlock_file(self._file)  # a forked child shares the lock: closing alone would not end it
            os.close(self._file)
        if self._lock >= 0:
            os.close(self._lock)
        self._lock, self._file, self._place = -1, -1, None
        self.packs = set()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """While this lasts no process can take a hold on packs of the store at `path`; one that does so waits."""
    with writing(path / LOCK):
        lock = os.open(path / LOCK, FLAGS, 0o666)
    try:
        lock_file(lock, wait=True)
        yield
    finally:
        unlock_file(lock)
        os.close(lock)


def held(path: Path, keep_free: bool) -> set[str]:
    """The packs that are held. Call it `alone`.

    A hold whose owner is gone is over and removed, unless it is another machine's and younger than ELSEWHERE_S, or
    `keep_free` says that what its owner relied on may still be named.
    """
    found: set[str] = set()
    try:
        places = list((path / FOLDER).iterdir())
    except FileNotFoundError:
        return found
    for place in places:
        try:
            if keep_free or _is_owned(place) or _is_fresh_elsewhere(place):
                found.update(place.read_text(errors="replace").split())
            else:
                place.unlink()
        except FileNotFoundError:  # its owner came to a clean end meanwhile
            continue
    return found


def _is_owned(place: Path) -> bool:
    """Does a process live that keeps the lock of this hold?"""
    handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return not lock_file(handle, wait=False, shared=True)
    finally:
        os.close(handle)


def _is_fresh_elsewhere(place: Path) -> bool:
    return place.name.rpartition(".")[0] != host() and time.time() - place.stat().st_mtime < ELSEWHERE_S


def host() -> str:
    """The name of this machine, as part of a file's name."""
    return os.uname().nodename.replace("/", "_")
