"""How a new file gets the tables of the ledger, and how an older one is migrated.

A new file is made from `tables.NEWEST` by plain SQL, because sqlite-utils costs 0.3 s to import; `migrations()` leads
from any older version to the same schema, and a test holds the two together. See `docs/reference/format-ledger.md`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import Damaged, FormatTooNew, StorageError
from mltrack.ledger.tables import FIRST, NEWEST
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
