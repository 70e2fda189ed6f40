"""The pack files: which there are, reading from them, and appending to one under a lock.

    store/open/NAME      being appended to, by the process that holds its lock; free ones are adopted
    store/packs/NAME     sealed: a table at the end, never written again

Names are random and mean nothing. What an entry is, `entries` knows; where an object lies, `index` knows.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from mltrack.errors import Damaged, DataMissing
from mltrack.store import entries
from mltrack.store.disk import begin_sync, sync_directory, write_all, write_each, writing
from mltrack.store.entries import HEADER_SIZE, EntryKey, Place, scan

PACK_SIZE = 64 << 20
"""A pack is sealed when it has reached this many bytes,"""
PACK_ENTRIES = 100_000
"""or holds this many entries."""

SPILL = 4 << 20
"""Bytes that a writer gathers before it writes them."""

OPEN_FILES = 32


@dataclass
class Extent:
    """How far the index covers a pack."""

    size: int
    count: int
    sealed: bool = False


@dataclass
class Pending:
    """What the index is to be told: where entries lie, and how far each pack is covered."""

    places: dict[EntryKey, Place] = field(default_factory=dict)
    packs: dict[str, Extent] = field(default_factory=dict)


class Packs:
    """The packs below one store's directory. Threads take turns."""

    def __init__(self, path: Path) -> None:
        self.sealed = path / "packs"
        self.open = path / "open"
        self._handles: dict[str, int] = {}
        self._turn = threading.Lock()

    def make(self) -> None:
        """Make the directories."""
        for directory in (self.sealed, self.open):
            with writing(directory):
                directory.mkdir(exist_ok=True)

    def names(self) -> list[tuple[str, bool]]:
        """Every pack: name, and whether it is sealed. Open ones first, so that one sealed meanwhile is not missed."""
        found: dict[str, bool] = {}
        for directory, sealed in ((self.open, False), (self.sealed, True)):
            try:
                found.update((path.name, sealed) for path in directory.iterdir() if path.suffix == ".pack")
            except FileNotFoundError:
                continue
        return sorted(found.items())

    def file(self, name: str) -> BinaryIO:
        """The pack, opened for reading. Raises DataMissing."""
        for directory in (self.sealed, self.open, self.sealed):  # sealed while we looked: the third try finds it
            try:
                return (directory / name).open("rb")
            except FileNotFoundError:
                continue
        # Over a network our view of a directory may be some seconds old; to list it asks the server.
        directory = self.sealed if dict(self.names()).get(name, True) else self.open
        try:
            return (directory / name).open("rb")
        except FileNotFoundError:
            raise gone(name, self.sealed)

    def size(self, name: str) -> int:
        """Bytes of the pack's file; 0 if it is gone."""
        for directory in (self.sealed, self.open, self.sealed):
            try:
                return (directory / name).stat().st_size
            except FileNotFoundError:
                continue
        return 0

    def size_now(self, name: str) -> int:
        """The same, never from what a network filesystem remembers: to open a file asks the server."""
        try:
            with self.file(name) as file:
                return os.fstat(file.fileno()).st_size
        except DataMissing:
            return 0

    def read(self, place: Place) -> tuple[bytes, bytes]:
        """Header and payload of the entry at a place; fewer bytes where the file ends.

        Raises DataMissing if the pack is gone, Damaged if the disk cannot read it.
        """
        with self._turn:
            try:
                handle = self._handle(place.pack)
                head = os.pread(handle, HEADER_SIZE, place.offset)
                payload = os.pread(handle, place.length - HEADER_SIZE, place.offset + HEADER_SIZE)
            except OSError as error:
                if error.errno == errno.ESTALE:  # NFS: it was removed by another machine
                    os.close(self._handles.pop(place.pack))
                    raise gone(place.pack, self.sealed) from error
                raise Damaged(
                    f"The pack {place.pack} cannot be read: {error.strerror}.", "See whether the disk is healthy."
                ) from error
        return head, payload

    def _handle(self, name: str) -> int:
        handle = self._handles.pop(name, None)
        if handle is None:
            with self.file(name) as file:
                handle = os.dup(file.fileno())
            while len(self._handles) >= OPEN_FILES:
                os.close(self._handles.pop(next(iter(self._handles))))
        self._handles[name] = handle
        return handle

    def survey(self, name: str, sealed: bool, known: Extent, pending: Pending) -> None:
        """Add what a pack holds behind its known extent to `pending`.

        A sealed pack's table is believed (its own digest holds); without one the entries are read and verified.
        """
        with self.file(name) as file:
            size = file.seek(0, 2)
            rows = entries.read_table(file, size) if sealed else None
            count = known.count
            if rows is None:
                walk = scan(file, known.size, verify=True, resync=True)
                rows = list(walk)
                size = size if sealed else walk.end
                os.fsync(file.fileno())
            else:
                count = 0
        pending.places.update((key, Place(name, *place)) for key, *place in rows)
        pending.packs[name] = Extent(size, count + len(rows), sealed)

    def close(self) -> None:
        while self._handles:
            os.close(self._handles.popitem()[1])


def gone(name: str, directory: Path) -> DataMissing:
    return DataMissing(f"The pack {name} is gone from {directory}.", "Run `mltrack verify` to see what was in it.")


class PackWriter:
    """An open pack that this process holds the lock of."""

    def __init__(self, packs: Packs, name: str, handle: int) -> None:
        self.name = name
        self.extent = Extent(0, 0)
        """Where the next entry will lie, and how many there are."""
        self._packs = packs
        self._handle = handle
        self._rows = bytearray()
        """The table's rows of what was appended here, behind what was taken over."""
        self._older_size, self._older_count = len(entries.PACK_HEADER), 0
        self._begun = 0
        """Up to where the disk was told to begin."""
        self._waiting: list[bytes | memoryview] = []
        self._waiting_count = 0
        self._waiting_size = 0

    @property
    def full(self) -> bool:
        return self.extent.sealed or self.extent.size >= PACK_SIZE or self.extent.count >= PACK_ENTRIES

    @property
    def path(self) -> Path:
        return self._packs.open / self.name

    def begin(self) -> None:
        """Start an empty pack."""
        with writing(self.path):
            os.ftruncate(self._handle, 0)
            os.lseek(self._handle, 0, os.SEEK_SET)
            write_all(self._handle, entries.PACK_HEADER)
        self.extent = Extent(len(entries.PACK_HEADER), 0)
        sync_directory(self._packs.open)

    def take_over(self, covered: Extent, pending: Pending) -> None:
        """Go on where another writer stopped: see `adopt`."""
        size = os.fstat(self._handle).st_size
        if not len(entries.PACK_HEADER) <= covered.size <= size:
            covered = Extent(0, 0)
        with self.path.open("rb") as file:
            walk = scan(file, covered.size, verify=True, resync=True)
            found = {key: Place(self.name, *place) for key, *place in walk}
        if walk.end < len(entries.PACK_HEADER):
            self.begin()
            return
        self.extent = Extent(walk.end, covered.count + len(found))
        self._older_size, self._older_count, self._begun = self.extent.size, self.extent.count, self.extent.size
        pending.places.update(found)
        pending.packs[self.name] = self.extent
        if walk.sealed:
            self.sync()
            self._move()
            return
        with writing(self.path):
            if walk.end < size:
                os.ftruncate(self._handle, walk.end)
            os.lseek(self._handle, walk.end, os.SEEK_SET)

    def append(self, key: EntryKey, parts: tuple[bytes | memoryview, ...], raw_size: int) -> Place:
        """Add an entry, given in parts; the place it has. It is in the file only after `spill`.

        A view is written at once: its memory is the caller's, who may use it again.
        """
        offset = self.extent.size
        size = sum(map(len, parts))
        self._rows += entries.TABLE_ROW.pack(*key, offset, size, raw_size)
        self._gather(parts, size)
        return Place(self.name, offset, size, raw_size)

    def _gather(self, parts: tuple[bytes | memoryview, ...], size: int) -> None:
        self._waiting.extend(parts)
        self._waiting_count += 1
        self._waiting_size += size
        self.extent.size += size
        self.extent.count += 1
        if self._waiting_size >= SPILL or isinstance(parts[-1], memoryview):
            self.spill()

    def spill(self) -> None:
        """Write what was gathered. On a full disk the file is cut back to its last whole entry."""
        if not self._waiting:
            return
        start = self.extent.size - self._waiting_size
        try:
            with writing(self.path):
                write_each(self._handle, self._waiting)
            self._begin_sync()
        except BaseException:
            os.ftruncate(self._handle, start)
            os.lseek(self._handle, start, os.SEEK_SET)
            self.extent = Extent(start, self.extent.count - self._waiting_count)
            del self._rows[(self.extent.count - self._older_count) * entries.TABLE_ROW.size :]
            raise
        finally:
            self._waiting, self._waiting_size, self._waiting_count = [], 0, 0

    def _begin_sync(self) -> None:
        """Let the disk begin early: else the fsync at the end waits for all of it."""
        if self.extent.size - self._begun >= SPILL:
            begin_sync(self._handle, self._begun, self.extent.size - self._begun)
            self._begun = self.extent.size

    def sync(self) -> None:
        """Everything appended survives a power cut after this."""
        self.spill()
        with writing(self.path):
            os.fsync(self._handle)

    def seal(self) -> None:
        """Write the table and move the pack to the sealed ones; nothing can be appended any more."""
        if self.extent.sealed:
            return
        self.spill()
        table = entries.encode_packed_table(self._older_rows() + bytes(self._rows), self.extent.size)
        self._gather((table,), len(table))
        self.sync()
        self._move()

    def _older_rows(self) -> bytes:
        """The table's rows of what other writers had appended."""
        if not self._older_count:
            return b""
        with self.path.open("rb") as file:
            walk = scan(file, resync=True)
            return entries.pack_rows(takewhile(lambda row: row[1] < self._older_size, walk))

    def _move(self) -> None:
        with writing(self._packs.sealed / self.name):
            self.path.rename(self._packs.sealed / self.name)
        sync_directory(self._packs.sealed)
        self.extent.sealed = True

    def release(self) -> None:
        """Give up the lock; another writer may adopt the pack. What was not synced may be lost in a power cut."""
        from mltrack.store.locks import unlock_file

        if self._handle >= 0:
            unlock_file(self._handle)  # a forked child shares the lock: closing alone would not end it
            os.close(self._handle)
            self._handle = -1


def adopt(packs: Packs, covered: Callable[[str], Extent], pending: Pending) -> PackWriter:
    """A free open pack, or a new one if all are held.

    `covered` tells how far the index knows a pack. Whole entries behind that, left by a writer that died, are added to
    `pending`; what is torn behind them is cut off.
    """
    with writing(packs.open):
        names = sorted(path.name for path in packs.open.iterdir() if path.suffix == ".pack")
    for name in names:
        handle = try_lock(packs.open / name)
        if handle is None:
            continue
        writer = PackWriter(packs, name, handle)
        try:
            writer.take_over(covered(name), pending)
            if not writer.full:
                return writer
            writer.seal()
            pending.packs[name] = writer.extent
        except BaseException:
            writer.release()
            raise
        writer.release()
    return _new(packs)


def _new(packs: Packs) -> PackWriter:
    while True:
        name = f"{os.urandom(16).hex()}.pack"
        with writing(packs.open / name):
            handle = try_lock(packs.open / name, os.O_CREAT | os.O_EXCL)
        if handle is None:
            continue
        if os.fstat(handle).st_size == 0:  # else another adopted it, and let it go, before we had the lock
            writer = PackWriter(packs, name, handle)
            try:
                writer.begin()
            except BaseException:
                writer.release()
                raise
            return writer
        os.close(handle)


def try_lock(path: Path, flags: int = 0) -> int | None:
    """The file, opened and locked; None if another holds it, or if it was sealed before we had the lock."""
    from mltrack.store.locks import lock_file

    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o666)
    except FileNotFoundError:
        return None
    try:
        if lock_file(handle, wait=False) and path.stat().st_ino == os.fstat(handle).st_ino:
            return handle
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None
