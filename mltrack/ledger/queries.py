"""Questions to the ledger: which runs, in which order; and the runs that rows stand for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from mltrack.errors import UsageError
from mltrack.noun_json import from_dict
from mltrack.nouns import noun
from mltrack.records import CodeState, Run

if TYPE_CHECKING:
    import sqlite3

SORTABLE = {
    "id": "run.id",
    "name": "run.name",
    "experiment": "run.experiment",
    "status": "run.status",
    "command": "run.command",
    "exit_code": "run.exit_code",
    "seed": "run.seed",
    "created_at": "run.created_at",
    "started_at": "run.started_at",
    "finished_at": "run.finished_at",
    "duration_s": "run.duration_s",
    "user": "run.user",
    "host": "run.host",
    "verdict": "run.verdict",
    "code.commit": "run.code_commit",
    "code.branch": "run.code_branch",
    "environment.python": "run.python",
}
"""Fields that runs can be sorted by, besides `metrics.NAME` and `params.NAME`."""

NOT_IN_TABLES = {"environment", "hardware", "inputs", "artifacts", "resources", "log", "declared", "param_sources"}

COLUMNS = "run.record_digest, run.folded, record.json, record.package_set"


@noun
class RunQuery:
    """Which runs, in which order. The default is all that were not deleted, newest first."""

    limit: int | None = None
    sort: str = "-created_at"
    """A field, `metrics.NAME` (its last value) or `params.NAME`, after `-` largest first; runs without it come last."""
    experiment: str | None = None
    status: str | None = None
    tags: tuple[str, ...] = ()
    """Only runs that have all of them."""
    include_deleted: bool = False
    without_packages: bool = True
    """Leave `environment.packages` empty, which makes a long list several times faster."""
    brief: bool = False
    """Only what a table shows: the runs have no environment, hardware, inputs, artifacts, log."""


def select(db: sqlite3.Connection, query: RunQuery) -> list[Run]:
    """The runs that a query asks for. Raises UsageError on a field that cannot be sorted by."""
    return decode(matching(db, query), None if query.without_packages else db, query.brief)


def select_documents(db: sqlite3.Connection, query: RunQuery) -> list[dict[str, Any]]:
    """The same runs as plain JSON values, without `environment.packages`; several times faster than by way of Run."""
    order = [item.name for item in fields(Run)]
    found = []
    for document in documents(matching(db, query)):
        document["environment"].pop("packages", None)
        found.append({name: document.get(name) for name in order})
    return found


def matching(db: sqlite3.Connection, query: RunQuery) -> list[tuple[Any, ...]]:
    """The rows, with `COLUMNS`, that a query asks for."""
    join, order, values = order_by(query.sort)
    conditions: list[str] = [] if query.include_deleted else ["NOT run.deleted"]
    for column in ("experiment", "status"):
        wanted = getattr(query, column)
        if wanted is not None:
            conditions.append(f"run.{column} = ?")
            values.append(wanted)
    for tag in query.tags:
        conditions.append("EXISTS (SELECT 1 FROM tag WHERE tag.run = run.id AND tag.tag = ?)")
        values.append(tag)
    where = "WHERE " + " AND ".join(conditions) if conditions else ""
    limit = -1 if query.limit is None else query.limit
    tables = f"run JOIN record ON record.position = run.record {join}"
    return db.execute(f"SELECT {COLUMNS} FROM {tables} {where} ORDER BY {order} LIMIT ?", (*values, limit)).fetchall()


def order_by(sort: str) -> tuple[str, str, list[Any]]:
    """The JOIN, the ORDER BY and the bound values of a sort. NaN sorts like a missing value."""
    field = sort.removeprefix("-")
    direction = "DESC" if sort.startswith("-") else "ASC"
    values: list[Any] = []
    join = ""
    if field.startswith(("metrics.", "params.")):
        table, _, name = field.partition(".")
        table = table[:-1]
        column = "sort.last" if table == "metric" else "sort.value"
        join = f"LEFT JOIN {table} AS sort ON sort.run = run.id AND sort.name = ?"
        values.append(name)
        rank = f"({number(column)}) IS NULL, {number(column)} {direction}"
    elif field in SORTABLE:
        column = SORTABLE[field]
        rank = f"{column} {direction}" if field == "created_at" else f"{column} IS NULL, {column} {direction}"
    else:
        raise unknown_field(field)
    newest = "" if field == "created_at" else ", run.created_at DESC"
    return join, f"{rank}{newest}, run.id {direction if field == 'created_at' else 'ASC'}", values


def number(column: str) -> str:
    """NaN and infinities are kept by their names, as in JSON."""
    return (
        f"CASE {column} WHEN 'NaN' THEN NULL WHEN 'Infinity' THEN 9e999 WHEN '-Infinity' THEN -9e999 ELSE {column} END"
    )


def unknown_field(field: str) -> UsageError:
    import difflib

    near = difflib.get_close_matches(field, SORTABLE, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Fields: {', '.join(SORTABLE)}, metrics.NAME, params.NAME."
    return UsageError(f"Runs cannot be sorted by {field}.", hint)


def documents(rows: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """The JSON values of rows that hold `COLUMNS`, with events folded in."""
    # One call for all, because the decoder then makes each key's string once.
    found: list[dict[str, Any]] = json.loads("[" + ",".join(row[2] for row in rows) + "]")
    for (digest, folded, _, _), document in zip(rows, found):
        if folded:
            document.update(json.loads(folded))
        document["record_digest"] = digest
    return found


def decode(rows: Sequence[tuple[Any, ...]], packages_from: sqlite3.Connection | None, brief: bool = False) -> list[Run]:
    """The runs of rows that hold `COLUMNS`; with their packages, if a connection is given."""
    runs = []
    for (_, _, _, package_set), document in zip(rows, documents(rows)):
        if brief:
            document = {name: value for name, value in document.items() if name not in NOT_IN_TABLES}
        run = from_dict(Run, document)
        if packages_from is not None and package_set is not None:
            run = replace(run, environment=replace(run.environment, packages=packages(packages_from, package_set)))
        runs.append(run)
    return runs


def packages(db: sqlite3.Connection, package_set: int) -> dict[str, str]:
    query = "SELECT name, version FROM package WHERE package_set = ? ORDER BY name"
    return dict(db.execute(query, (package_set,)).fetchall())


def code_states(db: sqlite3.Connection, snapshot: str | None, limit: int) -> list[CodeState]:
    """Code states of recent runs, each once: those of the same snapshot first, then the newest."""
    same = (
        "SELECT json FROM run JOIN record ON position = record WHERE code_snapshot = ? ORDER BY created_at DESC LIMIT ?"
    )
    recent = (
        "SELECT json FROM run JOIN record ON position = record WHERE code_snapshot IS NOT NULL"
        " ORDER BY created_at DESC LIMIT ?"
    )
    rows = db.execute(same, (snapshot, limit)).fetchall() if snapshot else []
    rows += db.execute(recent, (limit,)).fetchall()
    found: list[CodeState] = []
    for (text,) in rows:
        state = from_dict(CodeState, json.loads(text)["code"])
        if state not in found:
            found.append(state)
    return found[:limit]
