"""Questions of `run --cached` to the ledger: which past runs had the same fingerprint, or the same command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.digest import plain
from mltrack.ledger.asking.queries import COLUMNS, RUN_WITH_RECORD, decode
from mltrack.ledger.keeping.deriving import command_fact

if TYPE_CHECKING:
    import sqlite3

    from mltrack.records import Run

PARENTS = ("rerun", "resume")
"""Kinds of runs that are a person's own work in this worktree, beside those without a parent."""

FINISHED = (
    f"SELECT {COLUMNS} FROM {RUN_WITH_RECORD}"
    " WHERE NOT run.deleted AND run.status = 'finished' AND run.exit_code = 0"
    f" AND (run.parent_kind IS NULL OR run.parent_kind IN ({', '.join(map(repr, PARENTS))}))"
)
NEWEST = " ORDER BY run.created_at DESC, run.id DESC LIMIT ?"


def with_fingerprint(db: sqlite3.Connection, fingerprint: str, limit: int) -> list[Run]:
    """Finished runs of that fingerprint, newest first."""
    rows = db.execute(f"{FINISHED} AND run.fingerprint = ?{NEWEST}", (fingerprint, limit)).fetchall()
    return decode(db, rows, with_packages=True)


def with_command(db: sqlite3.Connection, command: Sequence[str], limit: int) -> list[Run]:
    """Finished runs of that command as it is recorded, newest first."""
    same = " AND run.command = (SELECT id FROM command_fact WHERE key = ?)"
    rows = db.execute(f"{FINISHED}{same}{NEWEST}", (command_fact(plain(list(command)))[0], limit)).fetchall()
    return decode(db, rows, with_packages=True)


def with_beginning(db: sqlite3.Connection, words: Sequence[str], newest: int) -> list[Run]:
    """The newest finished run whose command begins with these words, among the newest few."""
    words_of = "run.id, (SELECT words FROM command_fact WHERE id = run.command)"
    rows = db.execute(f"{FINISHED.replace(COLUMNS, words_of)}{NEWEST}", (newest,)).fetchall()
    ids = [run_id for run_id, command in rows if json.loads(command)[: len(words)] == list(words)]
    found = db.execute(f"{FINISHED} AND run.id = ?", ids[:1]).fetchall() if ids else []
    return decode(db, found, with_packages=True)


def is_kept(db: sqlite3.Connection, digest: str) -> bool:
    """Does a run that was not deleted keep these bytes, as an artifact or an input?"""
    query = (
        "SELECT 1 FROM artifact JOIN run ON run.id = artifact.run WHERE digest = :digest AND NOT deleted"
        " UNION ALL SELECT 1 FROM input JOIN run ON run.id = input.run WHERE digest = :digest AND kept AND NOT deleted"
        " LIMIT 1"
    )
    return db.execute(query, {"digest": digest}).fetchone() is not None
