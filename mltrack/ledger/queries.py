"""Questions to the ledger: which runs, in which order; and the runs that rows stand for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from mltrack.ledger import choosing
from mltrack.ledger.packing import Unpacker
from mltrack.ledger.rows import damaged
from mltrack.noun_json import from_dict
from mltrack.nouns import noun
from mltrack.records import CodeState, Run

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.language.tree import Node

NOT_IN_TABLES = {"environment", "hardware", "inputs", "artifacts", "resources", "log", "declared", "param_sources"}

COLUMNS = "record.digest, run.folded, record.packed, record.dictionary, record.package_set"
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
        document["environment"].pop("packages", None)
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


def documents(db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """The JSON values of rows that hold `COLUMNS`, with events folded in. Raises Damaged."""
    unpacker, texts = Unpacker(db), []
    for digest, _, packed, words, _ in rows:
        try:
            texts.append(unpacker.unpack(packed, words))
        except ValueError:
            raise damaged(digest) from None
    # One call for all, because the decoder then makes each key's string once.
    found: list[dict[str, Any]] = json.loads(b"[" + b",".join(texts) + b"]")
    for (digest, folded, _, _, _), document in zip(rows, found):
        if folded:
            document.update(json.loads(folded))
        document["record_digest"] = digest
    return found


def decode(
    db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]], with_packages: bool = False, brief: bool = False
) -> list[Run]:
    """The runs of rows that hold `COLUMNS`."""
    runs = []
    for (_, _, _, _, package_set), document in zip(rows, documents(db, rows)):
        if brief:
            document = {name: value for name, value in document.items() if name not in NOT_IN_TABLES}
        run = from_dict(Run, document)
        if with_packages and package_set is not None:
            run = replace(run, environment=replace(run.environment, packages=packages(db, package_set)))
        runs.append(run)
    return runs


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
