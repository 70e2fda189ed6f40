"""stat.db: the digest that a file had when its stat fields were these. Losing it costs hashing, never a truth.

A row is final, and kept at all, only if the file had been left alone well before it was hashed, by the filesystem's
own clock: a later write then changes a stat field for certain. Two filesystems break that, and are never cached: in
memory a second write through mmap leaves all fields as they are, and over a network they may be old.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mltrack.digest import from_raw, to_raw
from mltrack.nouns import noun
from mltrack.store.disk import refused, remove, temporary_beside
from mltrack.store.filesystems import BESIDE, mount_of_device, open_database

if TYPE_CHECKING:
    import sqlite3

QUIET_NS = 60 * 10**9
"""How long a file must have been left alone. Writes through mmap are seen at the latest when the kernel has written the
page back, some 35 s later; FAT counts in steps of 2 s."""

STAT = struct.Struct("<QQqqq")
SIZE = struct.Struct("<16xq16x")
VERSION = 2
TIMEOUT_S = 10


class StatKey(NamedTuple):
    """What `stat` says that changes when a file does."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@noun
class RememberedTree:
    """A directory as it was kept: its manifest, and the packs that held all of it in that generation of the store.

    Both are empty where it was hashed but not kept.
    """

    digest: str
    generation: str = ""
    packs: tuple[str, ...] = ()


def stat_key(found: os.stat_result) -> StatKey:
    return StatKey(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def size_of(fields: bytes) -> int:
    """The size among packed fields."""
    size: int = SIZE.unpack(fields)[0]
    return size


class StatCache:
    """The open cache. Paths are absolute, as bytes. Not for use by two threads at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = _connect(path)
        self._waiting: dict[bytes, tuple[bytes, bytes] | None] = {}
        self._waiting_trees: dict[bytes, tuple[bytes, bytes, bytes, bytes]] = {}
        self._trusted: dict[int, bool] = {}

    @classmethod
    def open(cls, path: Path) -> StatCache:
        """The cache at `path`, made if it is absent; an unreadable one is thrown away."""
        return cls(path)

    def now_ns(self) -> int:
        """The filesystem's own clock: the time it gives to a file that is made now. To be read before hashing."""
        probe = temporary_beside(self.path)
        try:
            handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                return os.fstat(handle).st_mtime_ns
            finally:
                os.close(handle)
        except OSError as error:
            raise refused(self.path, error) from error
        finally:
            remove(probe)

    def lookup(self, path: bytes, key: StatKey) -> str | None:
        """The digest of the file, if these are the fields it was finally recorded with."""
        if path in self._waiting:
            row = self._waiting[path]
        else:
            row = _sound(self._rows("SELECT path, stat, digest, checksum FROM files WHERE path = ?", path)).get(path)
        return from_raw(row[1]) if row is not None and row[0] == STAT.pack(*key) else None

    def lookup_below(self, directory: bytes) -> dict[bytes, tuple[bytes, bytes]]:
        """All that is recorded below a directory: path -> (fields as `STAT.pack(*key)`, raw digest)."""
        start = directory.rstrip(b"/") + b"/"
        query = "SELECT path, stat, digest, checksum FROM files WHERE path >= ? AND path < ?"
        found = _sound(self._rows(query, start, start[:-1] + b"0"))
        for path, row in self._waiting.items():
            if path.startswith(start):
                found.pop(path, None)
                if row is not None:
                    found[path] = row
        return found

    def _rows(self, query: str, *values: bytes) -> list[Any]:
        """The rows of a query; none, and a new cache, if the database turns out to be damaged."""
        import sqlite3

        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            return []
        except sqlite3.DatabaseError:
            self._begin_anew()
            return []

    def _begin_anew(self) -> None:
        self._database.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self._database = _connect(self.path)

    def record(self, path: bytes, key: StatKey, digest: str, when_ns: int) -> None:
        """Remember the digest of a file that had these fields before and after hashing began at `when_ns`.

        `when_ns` is from `now_ns`. If the file was touched shortly before, nothing is remembered.
        """
        self.record_all([(path, STAT.pack(*key), to_raw(digest))], when_ns)

    def record_all(self, found: Iterable[tuple[bytes, bytes, bytes]], when_ns: int) -> None:
        """`record` for many: path, packed fields, raw digest."""
        for path, fields, digest in found:
            self._waiting[path] = (fields, digest) if self.is_final(fields, when_ns) else None

    def is_final(self, fields: bytes, when_ns: int) -> bool:
        """Will any later write to a file with these packed fields be seen in them?"""
        device, _, _, mtime, ctime = STAT.unpack(fields)
        return when_ns - max(mtime, ctime) >= QUIET_NS and self._trusts(device)

    def tree(self, path: bytes, listing: bytes) -> RememberedTree | None:
        """What is known of a directory, if it had exactly this listing, all of it final."""
        found = self._waiting_trees.get(path)
        if found is None:
            query = "SELECT listing, digest, generation, packs, checksum FROM trees WHERE path = ?"
            rows = self._rows(query, path)
            if not rows or rows[0][4] != _checksum(path, *rows[0][:4]):
                return None
            found = rows[0][:4]
        if found[0] != listing:
            return None
        return RememberedTree(from_raw(found[1]), found[2].decode(), tuple(found[3].decode().split()))

    def record_tree(self, path: bytes, listing: bytes, tree: RememberedTree) -> None:
        """Remember the manifest of a directory whose files and links are all final."""
        packs = " ".join(tree.packs).encode()
        self._waiting_trees[path] = (listing, to_raw(tree.digest), tree.generation.encode(), packs)

    def flush(self) -> None:
        """Write what was recorded, in one transaction. A cache that cannot be written is no failure."""
        import sqlite3

        kept = [(path, *row, _checksum(path, *row)) for path, row in sorted(self._waiting.items()) if row is not None]
        dropped = [(path,) for path, row in self._waiting.items() if row is None]
        trees = [(path, *row, _checksum(path, *row)) for path, row in self._waiting_trees.items()]
        self._waiting, self._waiting_trees = {}, {}
        try:
            with self._database:
                self._database.executemany("DELETE FROM files WHERE path = ?", dropped)
                self._database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", kept)
                self._database.executemany("INSERT OR REPLACE INTO trees VALUES (?, ?, ?, ?, ?, ?)", trees)
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            self._begin_anew()

    def close(self) -> None:
        self._database.close()

    def _trusts(self, device: int) -> bool:
        if device not in self._trusted:
            self._trusted[device] = mount_of_device(device).is_trusted
        return self._trusted[device]


def _connect(path: Path) -> sqlite3.Connection:
    import sqlite3

    try:
        return _prepare(path)
    except sqlite3.OperationalError as error:
        raise refused(path, OSError(None, str(error))) from error
    except sqlite3.DatabaseError:
        for suffix in BESIDE:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _prepare(path)


def _prepare(path: Path) -> sqlite3.Connection:
    import sqlite3

    database = open_database(path, lambda: sqlite3.connect(path, timeout=TIMEOUT_S, check_same_thread=False))
    try:
        database.execute("PRAGMA synchronous = NORMAL")
        if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            with database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("DROP TABLE IF EXISTS files")
                database.execute("DROP TABLE IF EXISTS trees")
                database.execute(
                    "CREATE TABLE trees (path BLOB PRIMARY KEY, listing BLOB NOT NULL, digest BLOB NOT NULL,"
                    " generation BLOB NOT NULL, packs BLOB NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID"
                )
                database.execute(
                    "CREATE TABLE files (path BLOB PRIMARY KEY, stat BLOB NOT NULL, digest BLOB NOT NULL,"
                    " checksum INTEGER NOT NULL) WITHOUT ROWID"
                )
                database.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        database.close()
        raise
    return database


def _sound(rows: list[tuple[bytes, bytes, bytes, int]]) -> dict[bytes, tuple[bytes, bytes]]:
    """Those rows whose checksum holds."""
    return {path: (stat, digest) for path, stat, digest, checksum in rows if checksum == _checksum(path, stat, digest)}


def _checksum(*parts: bytes) -> int:
    """CRC-32 of the parts one behind the other."""
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return checksum
