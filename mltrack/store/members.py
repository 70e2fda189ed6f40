"""members.db: which directories hold a file, by its digest. A cache; losing it costs a look at the manifests.

It is told the names of manifests (`note`), reads those that the store has (`read`), and remembers which it could not.
Links, empty directories and files too small to tell anything (see `TELLING`) are not in it. Nothing here knows a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mltrack.digest import PREFIX, from_raw, to_raw
from mltrack.errors import DataMissing
from mltrack.store.disk import refused
from mltrack.store.filesystems import BESIDE, open_database
from mltrack.store.manifest import decode_manifest

if TYPE_CHECKING:
    import sqlite3

    from mltrack.store.objects import Store

APPLICATION_ID = 0x6D6C746D
"""`mltm`, in the header of the file."""
VERSION = 1
TIMEOUT_S = 30
IN_MEMORY = Path(":memory:")
TELLING = 8
"""Bytes from which on equal contents mean something: everybody writes an empty file, or `1`."""
AT_ONCE = 500
"""Values in one SELECT, and manifests read at a time; SQLite's limit may be as low as 999."""

SCHEMA = (
    "CREATE TABLE seen (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # The members of a manifest lie one after another: `first` and `last` are their ids, null until it is read.
    "CREATE TABLE manifest (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, first INTEGER, last INTEGER)",
    """CREATE TABLE member (id INTEGER PRIMARY KEY, manifest INTEGER NOT NULL, digest BLOB NOT NULL,
    size INTEGER NOT NULL, path BLOB NOT NULL)""",
    "CREATE INDEX member_by_digest ON member (digest)",
    "CREATE INDEX manifest_unread ON manifest (digest) WHERE first IS NULL",
)
COLUMNS = "manifest.digest, member.digest, member.path, member.size"
FROM_DIGESTS = f"SELECT {COLUMNS} FROM member JOIN manifest ON manifest.id = member.manifest WHERE member.digest IN"
FROM_MANIFESTS = (
    f"SELECT {COLUMNS} FROM manifest JOIN member ON member.id BETWEEN manifest.first AND manifest.last"
    " WHERE manifest.digest IN"
)


class Member(NamedTuple):
    """A file in a directory: the manifest's digest, the file's, its path in there as raw bytes, its size in bytes."""

    manifest: str
    digest: str
    path: bytes
    size_bytes: int


class Lost(Exception):
    """The index turned out to be damaged and was thrown away: what was asked is to be asked again, after filling it."""


class Members:
    """The open index, for one thread. Where it cannot be written, it is made in memory for as long as it is open.

    Every method may raise Lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = _connect(path)

    @classmethod
    def open(cls, path: Path) -> Members:
        """The index at `path`, made if it is absent; one that is unreadable or of another version is thrown away."""
        return cls(path)

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Members:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- filling

    def position(self, source: str) -> str | None:
        """How far the names of that source were noted, as `note` was told."""
        rows = self._rows("SELECT value FROM seen WHERE key = ?", (source,))
        return str(rows[0][0]) if rows else None

    def note(self, manifests: Iterable[str], source: str, position: str) -> None:
        """Remember that these manifests are named somewhere, and how far the source was looked through."""
        rows = [(to_raw(digest),) for digest in sorted(manifests)]
        with self._transaction() as database:
            database.executemany("INSERT OR IGNORE INTO manifest (digest) VALUES (?)", rows)
            database.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (source, position))

    def unread(self) -> list[str]:
        """Manifests that were noted and not read: none of them was here so far, or they are damaged."""
        return [from_raw(raw) for (raw,) in self._rows("SELECT digest FROM manifest WHERE first IS NULL")]

    def read(self, store: Store) -> None:
        """Read every noted manifest that the store has by now. Raises StorageError where the store cannot be used."""
        waiting = self.unread()
        lacking = store.missing(waiting) if waiting else set()
        here = [digest for digest in waiting if digest not in lacking]
        for start in range(0, len(here), AT_ONCE):
            listed = [(digest, _telling(data)) for digest, data in _contents(store, here[start : start + AT_ONCE])]
            with self._transaction() as database:
                for digest, rows in listed:
                    if rows is not None:
                        _add(database, to_raw(digest), rows)

    # -- asking

    def count(self) -> int:
        """How many members there are, of all manifests together."""
        return int(self._rows("SELECT coalesce(max(id), 0) FROM member")[0][0])

    def every(self) -> list[Member]:
        """Every member of every manifest."""
        query = f"SELECT {COLUMNS} FROM member JOIN manifest ON manifest.id = member.manifest"
        return list(map(_member, self._rows(query)))

    def holding(self, digests: Collection[str]) -> list[Member]:
        """Where files with these digests lie: one for each place."""
        return self._select(FROM_DIGESTS, digests)

    def inside(self, manifests: Collection[str]) -> list[Member]:
        """What lies in these directories."""
        return self._select(FROM_MANIFESTS, manifests)

    def beginning(self, prefix: str) -> set[str]:
        """Digests of files that begin with this text: `b3:` and some hex digits, at most 64."""
        digits = prefix[len(PREFIX) :]
        low, high = (bytes.fromhex(digits.ljust(64, fill)) for fill in "0f")
        rows = self._rows("SELECT DISTINCT digest FROM member WHERE digest BETWEEN ? AND ?", (low, high))
        return {from_raw(raw) for (raw,) in rows}

    def _select(self, query: str, digests: Collection[str]) -> list[Member]:
        asked = [to_raw(digest) for digest in digests]
        found: list[Member] = []
        for start in range(0, len(asked), AT_ONCE):
            some = asked[start : start + AT_ONCE]
            found += map(_member, self._rows(f"{query} ({','.join('?' * len(some))})", some))
        return found

    # -- inside

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._guarded() as database:
            return database.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guarded() as database, transaction(database):
            yield database

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        """The database; should it turn out to be damaged, a new one takes its place. Raises Lost, StorageError."""
        import sqlite3

        try:
            yield self._database
        except sqlite3.OperationalError as error:
            raise refused(self.path, OSError(None, str(error))) from error
        except sqlite3.DatabaseError as error:
            self._database.close()
            _throw_away(self.path)
            self._database = _connect(self.path)
            raise Lost(str(error)) from error


def is_telling(size_bytes: int | None) -> bool:
    """Is a file or directory of that size large enough for equal contents to mean something?"""
    return size_bytes is not None and size_bytes >= TELLING


def _member(row: tuple[bytes, bytes, bytes, int]) -> Member:
    return Member(PREFIX + row[0].hex(), PREFIX + row[1].hex(), row[2], row[3])


def _contents(store: Store, digests: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The manifests with these digests that can be read."""
    try:
        yield from store.get_batch(digests).items()
        return
    except DataMissing:
        pass  # one of them is damaged, or has gone since: the others one by one
    for digest in digests:
        try:
            yield digest, store.get_bytes(digest)
        except DataMissing:
            continue


def _telling(data: bytes) -> list[tuple[bytes, int, bytes]] | None:
    """Digest, size and path of the telling files of a manifest; None if it is damaged."""
    try:
        entries = decode_manifest(data)
    except DataMissing:
        return None
    return [
        (to_raw(entry.digest), entry.size, entry.path)
        for entry in entries
        if entry.digest is not None and entry.kind in ("file", "executable") and entry.size >= TELLING
    ]


def _add(database: sqlite3.Connection, manifest: bytes, rows: list[tuple[bytes, int, bytes]]) -> None:
    """The members of a manifest, unless another process has added them. Called inside a transaction."""
    query = "SELECT id FROM manifest WHERE digest = ? AND first IS NULL"
    found = database.execute(query, (manifest,)).fetchone()
    if found is None:
        return
    last = database.execute("SELECT coalesce(max(id), 0) FROM member").fetchone()[0]
    database.executemany(
        "INSERT INTO member (id, manifest, digest, size, path) VALUES (?, ?, ?, ?, ?)",
        ((number, found[0], *row) for number, row in enumerate(rows, last + 1)),
    )
    database.execute("UPDATE manifest SET first = ?, last = ? WHERE id = ?", (last + 1, last + len(rows), found[0]))


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK on an error."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    """The database; a new one for what is none of ours, one in memory where nothing can be written."""
    import sqlite3

    try:
        return _prepare(path)
    except sqlite3.OperationalError:
        return _prepare(IN_MEMORY)
    except sqlite3.DatabaseError:
        _throw_away(path)
        return _prepare(path)


def _throw_away(path: Path) -> None:
    for suffix in BESIDE:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _prepare(path: Path) -> sqlite3.Connection:
    import sqlite3

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=TIMEOUT_S, isolation_level=None)

    database = connect() if path == IN_MEMORY else open_database(path, connect)
    try:
        database.execute("PRAGMA synchronous = NORMAL")
        if not _is_ours(database):
            with transaction(database):
                _make(database)
    except BaseException:
        database.close()
        raise
    return database


def _is_ours(database: sqlite3.Connection) -> bool:
    found = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    return found == [APPLICATION_ID, VERSION]


def _make(database: sqlite3.Connection) -> None:
    """Give it our tables and no others, unless another process has just done so."""
    if _is_ours(database):
        return
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    for (name,) in database.execute(tables).fetchall():
        database.execute(f'DROP TABLE "{name}"')
    for statement in SCHEMA:
        database.execute(statement)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {VERSION}")
