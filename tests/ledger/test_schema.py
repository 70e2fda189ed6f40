from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from mltrack.errors import FormatTooNew, StorageError
from mltrack.ledger import schema
from mltrack.ledger.ledger import Ledger
from tests.ledger.made import run


def tables(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    query = (
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name != '_sqlite_migrations' ORDER BY type, name"
    )
    return db.execute(query).fetchall()


def next_steps(break_it: bool = False) -> Migrations:
    """Today's migrations and two of tomorrow's."""
    steps = schema.migrations()

    @steps()
    def m002_colour(db: Database) -> None:
        db.execute("ALTER TABLE run_row ADD COLUMN colour TEXT")

    @steps()
    def m003_paint(db: Database) -> None:
        db.execute("UPDATE run_row SET colour = 'green'")
        if break_it:
            raise ValueError("no paint")

    return steps


def test_the_migrations_lead_from_a_blank_file_to_the_newest_schema(tmp_path: Path) -> None:
    fresh = schema.connect(tmp_path / "fresh.db")
    migrated = Database(tmp_path / "migrated.db")
    schema.migrations().apply(migrated)
    assert tables(fresh) == tables(migrated.conn)
    assert len(schema.migrations().pending(Database(memory=True))) == schema.VERSION
    fresh.close()
    migrated.close()


def test_a_ledger_waits_for_the_disk(tmp_path: Path, no_waiting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    db = schema.connect(tmp_path / "ledger.db")
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    db.close()


def test_an_older_ledger_is_backed_up_and_migrated(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        made = ledger.seal(run())
    db = schema.open_file(path)
    schema.migrate(db, path, next_steps(), 3)
    assert schema.version_of(db) == 3
    assert db.execute("SELECT colour FROM run_row").fetchall() == [("green",)]
    schema.migrate(db, path, next_steps(), 3)
    db.close()
    backups = [p for p in tmp_path.iterdir() if "backup" in p.name]
    assert [p.name for p in backups] == ["ledger.db.backup-1-1"]
    with Ledger.open(backups[0]) as kept:
        assert kept.get(made.id) == made


def test_a_backup_never_replaces_another(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    names = [schema.back_up(path, 1).name for _ in range(3)]
    assert names == ["ledger.db.backup-1-1", "ledger.db.backup-1-2", "ledger.db.backup-1-3"]


def test_a_migration_that_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        made = ledger.seal(run())
        before = tables(ledger.db)
    db = schema.open_file(path)
    with pytest.raises(StorageError, match="no paint"):
        schema.migrate(db, path, next_steps(break_it=True), 3)
    assert tables(db) == before and schema.version_of(db) == 1
    db.close()
    with Ledger.open(path) as ledger:
        assert ledger.get(made.id) == made


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        ledger.db.execute("PRAGMA user_version=2")
    before = path.read_bytes()
    with pytest.raises(FormatTooNew) as caught:
        Ledger.open(path)
    assert caught.value.hint and "Upgrade" in caught.value.hint
    assert path.read_bytes() == before


def test_every_table_and_column_of_the_document_is_there() -> None:
    text = (Path(__file__).parents[2] / "docs/reference/format-ledger.md").read_text()
    for statement in schema.NEWEST:
        kind, name, *_ = [*statement.split()[1:3], ""]
        assert kind not in ("TABLE", "VIEW") or f"`{name}`" in text, name
    words = set(re.findall(r"\w+", text))
    db = sqlite3.connect(":memory:")
    for statement in schema.NEWEST:
        db.execute(statement)
    for (view,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
        columns = [row[0] for row in db.execute(f"SELECT * FROM {view}").description]
        assert words.issuperset(columns), (view, set(columns) - words)
    db.close()
    assert f"{schema.APPLICATION_ID:#x}" in text and f"now **{schema.VERSION}**" in text
