"""Questions to the ledger: which runs, in which order; and the runs that rows stand for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from mltrack.ledger.asking import choosing
from mltrack.ledger.keeping.members import is_without, without
from mltrack.ledger.keeping.packing import Unpacker
from mltrack.ledger.keeping.rows import damaged
from mltrack.noun_json import from_dict
from mltrack.nouns import noun
from mltrack.records import CodeState, Run

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.language.tree import Node

NOT_IN_TABLES = {"environment", "hardware", "inputs", "artifacts", "resources", "log", "declared", "param_sources"}

COLUMNS = "record.digest, record.imported, run.folded, record.packed, record.dictionary, record.package_set"
RUN_WITH_RECORD = "run_row AS run JOIN record ON record.position = run.record"

PAGE = 500
"""Runs whose records are read at once."""


@noun
class RunQuery:
    """Which runs, in which order. The default is all that were not deleted, newest first."""

    limit: int | None = None
    sort: str = "-created_at"
    """A field of the query language that has one value, after `-` largest first; runs without it come last."""
    experiment: str | None = None
    status: str | None = None
    tags: tuple[str, ...] = ()
    """Only runs that have all of them."""
    include_deleted: bool = False
    """Those that were deleted too, and those that calibrations made."""
    without_packages: bool = True
    """Leave `environment.packages` empty, which makes a long list several times faster."""
    brief: bool = False
    """Only what a table shows: the runs have no environment, hardware, inputs, artifacts, log."""
    where: Node | None = None
    """What must hold of them, as `language.parser` reads it; a query that names what a run is the child of also finds
    those that calibrations made."""


def select(db: sqlite3.Connection, query: RunQuery) -> list[Run]:
    """The runs that a query asks for. Raises UsageError on a field that cannot be sorted by."""
    return decode(db, matching(db, query), not query.without_packages, query.brief)


def select_documents(db: sqlite3.Connection, query: RunQuery) -> list[dict[str, Any]]:
    """The same runs as plain JSON values, without `environment.packages`; several times faster than by way of Run."""
    order = [item.name for item in fields(Run)]
    found = []
    for document in documents(db, matching(db, query)):
        document.get("environment", {}).pop("packages", None)
        found.append({name: document.get(name) for name in order})
    return found


def matching(db: sqlite3.Connection, query: RunQuery) -> list[tuple[Any, ...]]:
    """The rows, with `COLUMNS`, that a query asks for. Raises UsageError on a field that cannot be sorted by."""
    ids = choosing.chosen(db, query)
    found: dict[str, tuple[Any, ...]] = {}
    for start in range(0, len(ids), PAGE):
        page = ids[start : start + PAGE]
        marks = ", ".join("?" * len(page))
        rows = db.execute(
            f"SELECT {COLUMNS}, run.id FROM {RUN_WITH_RECORD} WHERE run.id IN ({marks})",
            page,
        )
        found.update((row[-1], row[:-1]) for row in rows)
    return [found[id] for id in ids]


def documents(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]], brief: bool = False) -> list[dict[str, Any]]:
    """The JSON values of rows that hold `COLUMNS`, with events folded in, and without `NOT_IN_TABLES` if they are to
    be brief. Raises Damaged."""
    unpacker, texts = Unpacker(db), []
    for digest, _, _, packed, words, _ in rows:
        try:
            texts.append(unpacker.unpack(packed, words))
        except ValueError:
            raise damaged(digest) from None
    found = brief_values(texts) if brief else values_of(texts)
    imports: dict[int, dict[str, Any]] = {}
    for (digest, number, folded, _, _, _), document in zip(rows, found):
        if folded:
            document.update(json.loads(folded))
        if number is not None:
            if number not in imports:
                imports[number] = import_of(db, number)
            document["imported"] = imports[number]
        document["record_digest"] = digest
    return found


def decode(
    db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]], with_packages: bool = False, brief: bool = False
) -> list[Run]:
    """The runs of rows that hold `COLUMNS`."""
    runs = []
    for (*_, package_set), document in zip(rows, documents(db, rows, brief)):
        run = from_dict(Run, document)
        if with_packages and package_set is not None:
            run = replace(run, environment=replace(run.environment, packages=packages(db, package_set)))
        runs.append(run)
    return runs


def values_of(texts: Sequence[bytes]) -> list[dict[str, Any]]:
    """What some JSON says: in one call, because the decoder then makes each key's string once."""
    found: list[dict[str, Any]] = json.loads(b"[" + b",".join(texts) + b"]")
    return found


def brief_values(texts: Sequence[bytes]) -> list[dict[str, Any]]:
    """The same without `NOT_IN_TABLES`; most of their text is not even read."""
    try:
        found = values_of([without(text, NOT_IN_TABLES) for text in texts])
    except ValueError:
        found = []
    if len(found) != len(texts) or not all(is_without(document, NOT_IN_TABLES) for document in found):
        found = values_of(texts)  # something in them looks like those
    return [{name: value for name, value in one.items() if name not in NOT_IN_TABLES} for one in found]


def import_of(db: sqlite3.Connection, number: int) -> dict[str, Any]:
    """What is known of the file that a record came from, as JSON of `records.Imported`."""
    at, by, file, proved = db.execute(
        "SELECT at, by, file, digest_proved FROM import WHERE id = ?", (number,)
    ).fetchone()
    return {"at": at, "by": by, "file": file, "digest_proved": bool(proved)}


def packages(db: sqlite3.Connection, package_set: int) -> dict[str, str]:
    query = "SELECT name, version FROM package_row WHERE package_set = ? ORDER BY name"
    return dict(db.execute(query, (package_set,)).fetchall())


def code_states(db: sqlite3.Connection, snapshot: str | None, limit: int) -> list[CodeState]:
    """Code states of recent runs, each once: those of the same snapshot first, then the newest."""
    record = (
        "SELECT packed, dictionary FROM run_row JOIN record ON position = record"
        " JOIN code_fact ON code_fact.id = run_row.code WHERE code_fact.snapshot {} ORDER BY created_at DESC LIMIT ?"
    )
    rows = db.execute(record.format("= ?"), (snapshot, limit)).fetchall() if snapshot else []
    rows += db.execute(record.format("IS NOT NULL"), (limit,)).fetchall()
    unpacker = Unpacker(db)
    found: list[CodeState] = []
    for packed, words in rows:
        state = from_dict(CodeState, json.loads(unpacker.unpack(packed, words))["code"])
        if state not in found:
            found.append(state)
    return found[:limit]
