"""The tables of the ledger, how a new file gets them and how an older one is migrated.

A new file is made from `NEWEST` by plain SQL, because sqlite-utils costs 0.3 s to import; `migrations()` leads from any
older version to the same schema, and a test holds the two together. See `docs/reference/format-ledger.md`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, FormatTooNew, StorageError
from mltrack.store.filesystems import open_database

if TYPE_CHECKING:
    import sqlite3

    from sqlite_utils import Database, Migrations

APPLICATION_ID = 0x6D6C7472
"""`mltr`, in the header of the file: tells a ledger from any other SQLite file."""

VERSION = 1
"""`PRAGMA user_version` of the newest schema: how many migrations it has had."""

SYNCHRONOUS = "FULL"
"""Every commit is on the disk when it returns."""

MENDING = "Move it away and run `mltrack pull`; or try `sqlite3 ledger.db .recover` on a copy."

HEADER_SIZE = 100
"""Bytes of the header of an SQLite file."""

ROOM = 64 << 10
"""Bytes that must be free for SQLite's `-shm` and `-wal` files; with less, the ledger is opened for reading only."""

BUSY_S = 30
"""How long a statement waits for another process's transaction."""

FIRST = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE record (
    position INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL,
    json TEXT NOT NULL,
    package_set INTEGER,
    packages_at INTEGER
)""",
    "CREATE INDEX record_by_run ON record (run)",
    """CREATE TABLE event (
    digest TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    run TEXT NOT NULL,
    value TEXT NOT NULL,
    clock TEXT NOT NULL,
    at TEXT NOT NULL,
    replica TEXT NOT NULL,
    user TEXT,
    extra TEXT
)""",
    "CREATE INDEX event_by_run ON event (run)",
    """CREATE TABLE run (
    id TEXT PRIMARY KEY,
    record INTEGER NOT NULL,
    record_digest TEXT NOT NULL,
    name TEXT,
    experiment TEXT,
    status TEXT NOT NULL,
    command TEXT NOT NULL,
    cwd TEXT NOT NULL,
    exit_code INTEGER,
    signal INTEGER,
    seed INTEGER,
    created_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    duration_s REAL,
    user TEXT,
    host TEXT,
    why TEXT,
    fingerprint TEXT,
    code_commit TEXT,
    code_branch TEXT,
    code_dirty INTEGER,
    code_snapshot TEXT,
    code_tree TEXT,
    environment_digest TEXT,
    environment_kind TEXT,
    python TEXT,
    package_set INTEGER,
    parent_kind TEXT,
    parent_run TEXT,
    replica TEXT,
    verdict TEXT,
    deleted INTEGER NOT NULL DEFAULT 0,
    folded TEXT
)""",
    "CREATE INDEX run_by_time ON run (created_at)",
    "CREATE INDEX run_by_name ON run (name)",
    "CREATE INDEX run_by_snapshot ON run (code_snapshot)",
    "CREATE INDEX run_by_fingerprint ON run (fingerprint)",
    """CREATE TABLE param (
    run TEXT NOT NULL,
    name TEXT NOT NULL,
    value,
    type TEXT NOT NULL,
    source TEXT,
    PRIMARY KEY (run, name)
) WITHOUT ROWID""",
    "CREATE INDEX param_by_value ON param (name, value)",
    """CREATE TABLE metric (
    run TEXT NOT NULL,
    name TEXT NOT NULL,
    last,
    min,
    max,
    count INTEGER,
    last_step,
    PRIMARY KEY (run, name)
) WITHOUT ROWID""",
    "CREATE INDEX metric_by_value ON metric (name, last)",
    """CREATE TABLE input (
    run TEXT NOT NULL,
    path TEXT NOT NULL,
    path_b64 TEXT,
    kind TEXT NOT NULL,
    digest TEXT,
    size_bytes INTEGER,
    files INTEGER,
    role TEXT,
    found TEXT,
    kept INTEGER,
    changed_during_run INTEGER
)""",
    "CREATE INDEX input_by_run ON input (run)",
    "CREATE INDEX input_by_digest ON input (digest)",
    """CREATE TABLE artifact (
    run TEXT NOT NULL,
    path TEXT NOT NULL,
    path_b64 TEXT,
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    size_bytes INTEGER,
    files INTEGER,
    found TEXT
)""",
    "CREATE INDEX artifact_by_run ON artifact (run)",
    "CREATE INDEX artifact_by_digest ON artifact (digest)",
    "CREATE TABLE tag (run TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (run, tag)) WITHOUT ROWID",
    "CREATE INDEX tag_by_tag ON tag (tag)",
    "CREATE TABLE note (run TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (run, number))",
    "CREATE TABLE package_set (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE)",
    """CREATE TABLE package (
    package_set INTEGER NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (package_set, name)
) WITHOUT ROWID""",
    """CREATE VIEW run_package AS
    SELECT run.id AS run, package.name, package.version FROM run JOIN package USING (package_set)""",
    """CREATE VIEW record_conflict AS
    SELECT run, digest, digest = (SELECT record_digest FROM run WHERE id = record.run) AS shown FROM record
    WHERE run IN (SELECT run FROM record GROUP BY run HAVING count(*) > 1)""",
    "CREATE TABLE segment (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE remote_segment (
    remote TEXT NOT NULL,
    segment INTEGER NOT NULL,
    PRIMARY KEY (remote, segment)
) WITHOUT ROWID""",
    """CREATE TABLE segment_item (
    item TEXT NOT NULL,
    segment INTEGER NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (item, segment)
) WITHOUT ROWID""",
    "CREATE INDEX segment_item_by_segment ON segment_item (segment)",
)
"""Version 1, frozen: what `m001_initial` makes."""

NEWEST = FIRST
"""The schema of `VERSION` in one go, for a new file."""


def migrations() -> Migrations:
    """Every step from a blank file to `NEWEST`, in order. Append to it; never change a step that was released."""
    from sqlite_utils import Migrations

    steps = Migrations("ledger")

    @steps()
    def m001_initial(db: Database) -> None:
        for statement in FIRST:
            db.execute(statement)

    return steps


def connect(path: Path) -> sqlite3.Connection:
    """An open ledger at the newest version: made, or migrated after a backup, when that is due.

    Where the directory cannot be written, the
    connection reads only. Raises FormatTooNew, Damaged, or sqlite3.Error when the file cannot be opened at all.
    """
    connection = open_file(path)
    try:
        connection.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
        version = version_of(connection)
        if version == 0:
            create(connection, path)
        elif connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise not_a_ledger(path)
        elif version > VERSION:
            raise too_new(path, version)
        elif version < VERSION:
            migrate(connection, path, migrations(), VERSION)
    except BaseException:
        connection.close()
        raise
    return connection


def check_header(path: Path) -> None:
    """Look at the first bytes only, without SQLite. Raises FormatTooNew, or Damaged for what is no ledger at all."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEADER_SIZE)
    except FileNotFoundError:
        return
    if head and not head.startswith(b"SQLite format 3\0"):
        raise not_a_ledger(path)
    version, pages = int.from_bytes(head[60:64], "big"), int.from_bytes(head[28:32], "big")
    size, wal = path.stat().st_size, path.with_name(path.name + "-wal")
    if size < pages * int.from_bytes(head[16:18], "big") and not (wal.exists() and wal.stat().st_size):
        raise Damaged(f"The ledger {path} is damaged: it lost its end.", MENDING)
    if version > VERSION:
        raise too_new(path, version)


def too_new(path: Path, version: int) -> FormatTooNew:
    return FormatTooNew(
        f"{path} was written by a newer mltrack (format {version}; this one knows {VERSION}).",
        "Upgrade mltrack. Nothing was changed.",
    )


def open_file(path: Path) -> sqlite3.Connection:
    import sqlite3

    def attempt(options: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?{options}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )

    if not path.exists() or (os.access(path.parent, os.W_OK) and has_room(path.parent)):
        return open_database(path, lambda: attempt("mode=rwc"))
    # SQLite wants to write beside a WAL file even to read it; where it cannot, and no WAL is left over, the file alone
    # is all there is.
    wal = path.with_name(path.name + "-wal")
    return attempt("mode=ro" if wal.exists() and wal.stat().st_size else "mode=ro&immutable=1")


def has_room(directory: Path) -> bool:
    """Can SQLite make the files there that it needs beside a WAL file? Not on a full disk."""
    disk = os.statvfs(directory)
    return not disk.f_blocks or disk.f_bavail * disk.f_frsize >= ROOM


def version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def not_a_ledger(path: Path) -> Damaged:
    return Damaged(f"{path} is not an mltrack ledger.", "Move that file away; mltrack makes a new one.")


def create(connection: sqlite3.Connection, path: Path) -> None:
    """Give a blank file its tables; when two processes meet here, one makes them and the other finds them."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if version_of(connection):
            return
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise not_a_ledger(path)
        for statement in NEWEST:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")


def migrate(connection: sqlite3.Connection, path: Path, steps: Migrations, target: int) -> None:
    """Lead an older ledger to version `target`: a backup beside it first, then all steps in one transaction.

    A step that fails leaves the ledger as it was, and the backup where it is. Raises StorageError.
    """
    from sqlite_utils import Database

    with connection:
        connection.execute("BEGIN EXCLUSIVE")
        version = version_of(connection)
        if version >= target:
            return  # another process was faster
        backup = back_up(path, version)
        database = Database(connection, execute_plugins=False)
        mark_applied(database, steps, version)
        try:
            steps.apply(database)
        except Exception as error:
            raise StorageError(
                f"{path} could not be brought from format {version} to {target}: {error}.",
                f"It is unchanged, and a copy is in {backup}. Use the mltrack that wrote it until this is mended.",
            ) from error
        connection.execute(f"PRAGMA user_version={target}")


def mark_applied(database: Database, steps: Migrations, version: int) -> None:
    """Note the steps that a file made from `NEWEST` never went through; `user_version` says how many those are."""
    steps.ensure_migrations_table(database)
    known = {step.name for step in steps.applied(database)}
    names = [step.name for step in steps.pending(database)]
    for name in names[: max(0, version - len(known))]:
        database.table(steps.migrations_table).insert(
            {"migration_set": steps.name, "name": name, "applied_at": "made at this version"}
        )


def back_up(path: Path, version: int) -> Path:
    """Copy the ledger, WAL included, to `ledger.db.backup-<version>-<n>`; called under the migration's lock."""
    import sqlite3

    number = 1
    while (target := path.with_name(f"{path.name}.backup-{version}-{number}")).exists():
        number += 1
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    source, copy = sqlite3.connect(path), sqlite3.connect(partial)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    return target
