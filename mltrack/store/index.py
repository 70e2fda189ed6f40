"""index.db: where each entry lies. A cache in SQLite; losing it costs a look at the packs, never an object.

Rows are written only for entries whose pack is already on the disk. Nothing here reads a pack: whoever opens the
index hands it a `survey` that tells what the packs hold, for the day when the database is new or unreadable.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mltrack.errors import StorageError
from mltrack.store.disk import temporary_beside
from mltrack.store.entries import EntryKey, Place
from mltrack.store.filesystems import BESIDE, open_database
from mltrack.store.packs import Extent, Pending

if TYPE_CHECKING:
    import sqlite3

VERSION = 2
TIMEOUT_S = 120
IN_MEMORY = Path(":memory:")
ROOM = 64 << 10
"""Bytes that must be free for SQLite to open a database in WAL mode."""
ASKED_AT_ONCE = 500
"""Keys in one SELECT; SQLite's limit may be as low as 999."""

SCHEMA = (
    """CREATE TABLE packs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
    count INTEGER NOT NULL, sealed INTEGER NOT NULL)""",
    """CREATE TABLE entries (key BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL,
    length INTEGER NOT NULL, raw_size INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE TABLE generation (name TEXT NOT NULL)",
    "INSERT INTO generation VALUES (hex(randomblob(16)))",
    """CREATE TRIGGER entry_taken_away AFTER DELETE ON entries
    BEGIN UPDATE generation SET name = hex(randomblob(16)); END""",
)

PLACES = "SELECT key, packs.name, offset, length, raw_size FROM entries JOIN packs ON packs.id = pack"

Survey = Callable[[], Pending]
T = TypeVar("T")


class Index:
    """The open database. Threads take turns."""

    def __init__(self, path: Path, survey: Survey) -> None:
        self.path = path
        self._survey = survey
        self._turn = threading.RLock()
        self._database: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def known(self, keys: Iterable[EntryKey]) -> set[EntryKey]:
        """Those of the keys that are known."""
        asked = [bytes((kind,)) + digest for kind, digest in keys]
        if not asked:
            return set()
        found = self._do(lambda database: _select(database, "SELECT key FROM entries", asked))
        return {(key[0], key[1:]) for (key,) in found}

    def packs_of(self, keys: Iterable[EntryKey]) -> dict[EntryKey, str]:
        """The names of the packs that those of the keys lie in that are known."""
        asked = [bytes((kind,)) + digest for kind, digest in keys]
        if not asked:
            return {}
        query = "SELECT key, packs.name FROM entries JOIN packs ON packs.id = pack"
        found = self._do(lambda database: _select(database, query, asked))
        return {(key[0], key[1:]): name for key, name in found}

    def places(self, keys: Iterable[EntryKey]) -> dict[EntryKey, Place]:
        """Where those of the keys lie that are known."""
        asked = [bytes((kind,)) + digest for kind, digest in keys]
        if not asked:
            return {}
        return dict(map(_place, self._do(lambda database: _select(database, PLACES, asked))))

    def digests(self) -> Iterator[EntryKey]:
        """Every key, in order; asked for in pages, so that writers are not kept waiting."""
        last = b""
        while True:
            page = self._do(lambda database, after=last: _page(database, after))  # type: ignore[misc]
            if not page:
                return
            for key in page:
                yield key[0], key[1:]
            last = page[-1]

    def covered(self, pack: str) -> Extent:
        """How far a pack is known; an empty extent if it is not."""

        def ask(database: sqlite3.Connection) -> Extent:
            row = database.execute("SELECT size, count, sealed FROM packs WHERE name = ?", (pack,)).fetchone()
            return Extent(row[0], row[1], bool(row[2])) if row else Extent(0, 0)

        return self._do(ask)

    def in_pack(self, pack: str) -> dict[EntryKey, Place]:
        """What is known to lie in a pack."""
        return self._do(lambda database: dict(map(_place, database.execute(f"{PLACES} WHERE packs.name = ?", (pack,)))))

    def rows(self) -> Iterator[tuple[EntryKey, str, int, int]]:
        """Every row: key, pack, length, raw size; asked for in pages, in the order of the keys."""
        query = (
            "SELECT key, packs.name, length, raw_size FROM entries JOIN packs ON packs.id = pack"
            " WHERE key > ? ORDER BY key LIMIT 20000"
        )
        page: list[Any] = [(b"",)]
        while page:
            page = self._do(lambda database, last=page[-1][0]: database.execute(query, (last,)).fetchall())  # type: ignore[misc]
            for key, pack, length, raw_size in page:
                yield (key[0], key[1:]), pack, length, raw_size

    def sums(self) -> tuple[int, int]:
        """Distinct digests, and the raw bytes of all chunks."""

        def ask(database: sqlite3.Connection) -> tuple[int, int]:
            objects = database.execute("SELECT count(DISTINCT substr(key, 2)) FROM entries").fetchone()[0]
            raw = database.execute("SELECT coalesce(sum(raw_size), 0) FROM entries WHERE key < x'02'").fetchone()[0]
            return objects, raw

        return self._do(ask)

    def add(self, pending: Pending) -> bool:
        """Make rows known, in one transaction; is there one of the keys whose row was there before?"""

        def write(database: sqlite3.Connection) -> bool:
            with _transaction(database):
                return _insert(database, pending) < len(pending.places)

        return self._do(write)

    def has_pack(self, pack: str) -> bool:
        """Is a pack known?"""
        query = "SELECT 1 FROM packs WHERE name = ?"
        return self._do(lambda database: database.execute(query, (pack,)).fetchone()) is not None

    def rebuild(self) -> None:
        """Replace every row by what the packs hold, in one transaction: readers see the old rows or the new."""
        self._do(lambda database: _fill(database, self._survey))

    def generation(self) -> str:
        """A name for the time since an entry was last taken away: while it stays, what was here is here."""
        return self._do(lambda database: str(database.execute("SELECT name FROM generation").fetchone()[0]))

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do some work on the database; if that turns out to be unreadable, on a new one made from the packs."""
        import sqlite3

        with self._turn:
            try:
                return work(self._connection())
            except sqlite3.OperationalError as error:
                raise _refused(self.path, error) from error
            except sqlite3.DatabaseError:
                self.close()
                self._replace()
            try:
                return work(self._connection())
            except sqlite3.DatabaseError as error:
                raise _refused(self.path, error) from error

    def _connection(self) -> sqlite3.Connection:
        """The connection; opened anew if the file under the name is not the one we opened."""
        if self._database is not None and self._identity == _identity(self.path):
            return self._database
        self.close()
        self._database = self._open()
        if self._database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            _fill(self._database, self._survey)
        self._identity = _identity(self.path)
        return self._database

    def _open(self) -> sqlite3.Connection:
        """The database; where it cannot be opened because nothing can be written there, one in memory for reading."""
        import sqlite3

        try:
            return _connect(self.path)
        except sqlite3.OperationalError:
            if self._is_writable():
                raise
            return _connect(IN_MEMORY)

    def _is_writable(self) -> bool:
        directory = self.path.parent
        disk = os.statvfs(directory)
        return os.access(directory, os.W_OK) and (not disk.f_blocks or disk.f_bavail * disk.f_frsize >= ROOM)

    def forget(self, keys: Iterable[EntryKey]) -> None:
        """Drop rows that lead to nothing sound, so that the entries count as missing and can be put again."""
        asked = [(bytes((kind,)) + digest,) for kind, digest in keys]

        def write(database: sqlite3.Connection) -> None:
            with _transaction(database):
                database.executemany("DELETE FROM entries WHERE key = ?", asked)

        self._do(write)

    def lead(self, places: dict[EntryKey, Place]) -> None:
        """Have these keys lead there, wherever they led before."""
        asked = [(bytes((kind,)) + digest,) for kind, digest in places]
        packs = {place.pack: Extent(0, 0) for place in places.values()}

        def write(database: sqlite3.Connection) -> None:
            with _transaction(database):
                database.executemany("DELETE FROM entries WHERE key = ?", asked)
                _insert(database, Pending(places, packs))

        self._do(write)

    def replace_packs(self, gone: Iterable[str], moved: Pending) -> None:
        """Forget packs and what lies in them, but for what was moved to others, in one transaction."""
        names = [(name,) for name in gone]

        def write(database: sqlite3.Connection) -> None:
            database.execute("CREATE TEMP TABLE IF NOT EXISTS gone (id INTEGER PRIMARY KEY)")
            with _transaction(database):
                database.execute("DELETE FROM temp.gone")
                database.executemany("INSERT INTO temp.gone SELECT id FROM packs WHERE name = ?", names)
                database.execute("DELETE FROM entries WHERE pack IN (SELECT id FROM temp.gone)")
                database.execute("DELETE FROM packs WHERE id IN (SELECT id FROM temp.gone)")
                _insert(database, moved)

        self._do(write)

    def extents(self) -> dict[str, int]:
        """Pack -> how many bytes of it are known."""
        return self._do(lambda database: dict(database.execute("SELECT name, size FROM packs")))

    def shorten(self, pack: str, size: int) -> None:
        """Drop the rows behind `size` bytes of a pack that lost its end, or that is gone."""

        def write(database: sqlite3.Connection) -> None:
            with _transaction(database):
                database.execute(
                    "DELETE FROM entries WHERE pack = (SELECT id FROM packs WHERE name = ?) AND offset + length > ?",
                    (pack, size),
                )
                if size:
                    database.execute("UPDATE packs SET size = 0, count = 0, sealed = 0 WHERE name = ?", (pack,))
                else:
                    database.execute("DELETE FROM packs WHERE name = ?", (pack,))

        self._do(write)

    def _replace(self) -> None:
        """Put a new database in the place of an unreadable one. Who still has that open finds out by its identity."""
        fresh = Path(temporary_beside(self.path))
        try:
            database = _connect(fresh)
            try:
                _fill(database, self._survey)
            finally:
                database.close()
            for suffix in BESIDE[1:]:
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            fresh.replace(self.path)
        finally:
            for suffix in BESIDE:
                fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)


class _transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK on an error."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._database.execute("COMMIT" if kind is None else "ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    import sqlite3

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=TIMEOUT_S, isolation_level=None, check_same_thread=False)

    database = connect() if path == IN_MEMORY else open_database(path, connect)
    try:
        database.execute("PRAGMA synchronous = FULL")
    except BaseException:
        database.close()
        raise
    return database


def _fill(database: sqlite3.Connection, survey: Survey) -> None:
    with _transaction(database):
        for table in ("entries", "packs", "generation"):
            database.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in SCHEMA:
            database.execute(statement)
        _insert(database, survey())
        database.execute(f"PRAGMA user_version = {VERSION}")


def _insert(database: sqlite3.Connection, pending: Pending) -> int:
    """Add the rows of keys that have none; how many those were."""
    database.executemany(
        "INSERT INTO packs (name, size, count, sealed) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
        " count = iif(excluded.size >= size, excluded.count, count), size = max(size, excluded.size),"
        " sealed = max(sealed, excluded.sealed)",
        [(name, extent.size, extent.count, extent.sealed) for name, extent in pending.packs.items()],
    )
    ids = {
        name: database.execute("SELECT id FROM packs WHERE name = ?", (name,)).fetchone()[0] for name in pending.packs
    }
    added = database.executemany(
        "INSERT OR IGNORE INTO entries (key, pack, offset, length, raw_size) VALUES (?, ?, ?, ?, ?)",
        sorted(
            (bytes((kind,)) + digest, ids[place[0]], *place[1:]) for (kind, digest), place in pending.places.items()
        ),
    )
    return max(0, added.rowcount)


def _select(database: sqlite3.Connection, query: str, asked: list[bytes]) -> list[Any]:
    """The rows of a query for these keys, in as few statements as may be."""
    found: list[Any] = []
    for start in range(0, len(asked), ASKED_AT_ONCE):
        some = asked[start : start + ASKED_AT_ONCE]
        found.extend(database.execute(f"{query} WHERE key IN ({','.join('?' * len(some))})", some))
    return found


def _page(database: sqlite3.Connection, after: bytes) -> list[bytes]:
    rows = database.execute("SELECT key FROM entries WHERE key > ? ORDER BY key LIMIT 5000", (after,))
    return [key for (key,) in rows]


def _place(row: tuple[bytes, str, int, int, int]) -> tuple[EntryKey, Place]:
    return (row[0][0], row[0][1:]), Place(*row[1:])


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _refused(path: Path, error: Exception) -> StorageError:
    return StorageError(
        f"The index {path} cannot be used: {error}.",
        "See whether the disk is full, the directory writable, and no other program holds the file.",
    )
