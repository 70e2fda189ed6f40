"""Which runs a query asks for, in which order: from the tables alone, before any record is read.

A record is many times larger than what decides about it, so the ids come first. An order by a metric or a parameter
follows the index of its values and stops when there are enough.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mltrack.errors import UsageError
from mltrack.nouns import noun

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.language.fields import Asked
    from mltrack.ledger.language.tree import Compare, Node
    from mltrack.ledger.queries import RunQuery

REPETITION = "calibrate"
"""Kind of parent of the runs that a calibration made: lists leave them out."""

FEW = 1000
"""As many runs or fewer are looked at one by one, instead of walking through all in their order."""

RECORD = " JOIN record ON record.position = run.record"

NUMBER = "CASE {0} WHEN 'NaN' THEN NULL WHEN 'Infinity' THEN 9e999 WHEN '-Infinity' THEN -9e999 ELSE {0} END"
"""NaN and infinities are kept by their names, as in JSON."""

RISING = ("= '-Infinity'", "< ''", "= 'Infinity'", ">= '' AND {0} NOT IN ('NaN', 'Infinity', '-Infinity')")
"""The values of a metric or parameter, in order: numbers with the infinities around them, then texts."""


@noun
class Where:
    """A condition on `run`, with its values."""

    sql: str
    bound: tuple[Any, ...]
    is_narrow: bool = False
    """It names the few runs that can fit."""


def chosen(db: sqlite3.Connection, query: RunQuery) -> list[str]:
    """The ids of the runs that a query asks for, in order. Raises UsageError on a field that cannot be sorted by."""
    where = where_of(db, query)
    limit = -1 if query.limit is None else query.limit
    name, falls = query.sort.removeprefix("-"), query.sort.startswith("-")
    if name in ("created_at", "created") or not query.sort:
        way = "DESC" if falls or not query.sort else "ASC"
        return listed(db, where, f"run.created_at {way}, run.id {way}", limit)
    asked = sort_field(name)
    values = {"metrics": ("metric", "last"), "params": ("param", "value")}.get(asked.field.path[0])
    if values is None or asked.field.path[-1] not in ("last", "*") or where.is_narrow:
        return by_key(db, where, asked, falls, limit)
    return by_value(db, where, (*values, str(asked.key)), falls, limit)


def listed(db: sqlite3.Connection, where: Where, order: str, limit: int) -> list[str]:
    tables = "run" + (RECORD if "record.json" in where.sql else "")
    query = f"SELECT run.id FROM {tables} WHERE {where.sql} ORDER BY {order} LIMIT ?"
    return [row[0] for row in db.execute(query, (*where.bound, limit))]


def by_key(db: sqlite3.Connection, where: Where, asked: Asked, falls: bool, limit: int) -> list[str]:
    """Sorted by any field; runs without it come last."""
    from mltrack.ledger.language.fields import METRIC, VERSION
    from mltrack.ledger.language.literals import version_key

    field = asked.field
    value = NUMBER.format(field.sql) if field.kind == METRIC or field.path[0] == "params" else field.sql
    if field.kind == VERSION:
        db.create_function("version_key", 1, version_key, deterministic=True)
        value = f"version_key({value})"
    named = () if asked.key is None else (asked.key,)
    key = value if field.rows is None else f"(SELECT {value} FROM {field.rows} LIMIT 1)"
    tables = "run" + (RECORD if "record.json" in where.sql + key else "")
    query = (
        f"SELECT run.id, {key} AS sort_key FROM {tables} WHERE {where.sql}"
        f" ORDER BY sort_key IS NULL, sort_key {'DESC' if falls else 'ASC'}, run.created_at DESC, run.id LIMIT ?"
    )
    return [row[0] for row in db.execute(query, (*named, *where.bound, limit))]


def by_value(db: sqlite3.Connection, where: Where, values: tuple[str, str, str], falls: bool, limit: int) -> list[str]:
    """Sorted by the values (table, column, name) of a metric or parameter: one walk along its index for each part of
    the order, until there are enough; then the runs without a value, the newest first."""
    table, column, name = values
    record = RECORD if "record.json" in where.sql else ""
    found: list[str] = []

    def take(query: str, *bound: Any) -> None:
        room = limit - len(found) if limit >= 0 else -1
        if room:
            found.extend(row[0] for row in db.execute(f"{query} LIMIT ?", (*bound, room)))

    for part in reversed(RISING) if falls else RISING:
        take(
            f"SELECT run.id FROM {table} AS sort CROSS JOIN run ON run.id = sort.run{record}"
            f" WHERE sort.name = ? AND sort.{column} {part.format(f'sort.{column}')} AND {where.sql}"
            f" ORDER BY sort.{column} {'DESC' if falls else 'ASC'}, run.created_at DESC, run.id",
            name,
            *where.bound,
        )
    has_one = f"SELECT 1 FROM {table} AS sort WHERE sort.run = run.id AND sort.name = ? AND sort.{column} <> 'NaN'"
    take(
        f"SELECT run.id FROM run{record} WHERE NOT EXISTS ({has_one}) AND {where.sql}"
        " ORDER BY run.created_at DESC, run.id",
        name,
        *where.bound,
    )
    return found


def where_of(db: sqlite3.Connection, query: RunQuery) -> Where:
    """The condition of a query."""
    sql: list[str] = [] if query.include_deleted else ["NOT run.deleted"]
    bound: list[Any] = []
    if hides_repetitions(query):
        sql.append(f"run.parent_kind IS NOT '{REPETITION}'")
    for column in ("experiment", "status"):
        wanted = getattr(query, column)
        if wanted is not None:
            sql.append(f"run.{column} = ?")
            bound.append(wanted)
    for tag in query.tags:
        sql.append("EXISTS (SELECT 1 FROM tag WHERE tag.run = run.id AND tag.tag = ?)")
        bound.append(tag)
    few: list[str] | None = None
    if query.where is not None:
        from mltrack.ledger.language.sql import add_functions, condition

        text, values = condition(query.where)
        add_functions(db, text)
        few = narrowed(db, query.where)
        if few is not None:
            sql.append(f"run.id IN ({', '.join('?' * len(few))})")
            bound += few
        sql.append(text)
        bound += values
    return Where(" AND ".join(sql) or "1", tuple(bound), few is not None)


def hides_repetitions(query: RunQuery) -> bool:
    """Are the runs that calibrations made left out? Not where all are asked for, or what a run is the child of."""
    if query.include_deleted or query.where is None:
        return not query.include_deleted
    from mltrack.ledger.language.tree import every_asked

    return not any(asked.name.startswith("parent.") for asked in every_asked(query.where))


def narrowed(db: sqlite3.Connection, node: Node) -> list[str] | None:
    """The only runs that can fit, if an index shows that they are few: what a rare value asks for is found at once."""
    from mltrack.ledger.language.tree import Compare, Every

    items = node.items if isinstance(node, Every) else (node,)
    few: set[str] | None = None
    for item in items:
        lookup = indexed(item) if isinstance(item, Compare) and not item.negated else None
        if lookup is not None:
            found = [row[0] for row in db.execute(f"{lookup[0]} LIMIT {FEW + 1}", lookup[1])]
            if len(found) <= FEW:
                few = set(found) if few is None else few.intersection(found)
    return None if few is None else sorted(few)


def indexed(node: Compare) -> tuple[str, list[Any]] | None:
    """A question, answered by an index alone, for every run for which the comparison can hold."""
    from mltrack.ledger.language.sql import holds, one_of

    asked = node.asked
    key = [] if asked.key is None else [asked.key]
    if asked.field.path[0] == "params" and node.operator == "=":
        if not all(one.number is None or math.isfinite(one.number) for one in node.literals):
            return None
        ways = [(one.text, one.number, one.truth, one.listed) for one in node.literals]
        sql, bound = one_of("value", [way for four in ways for way in four if way is not None])
        return f"SELECT run FROM param WHERE name = ? AND {sql}", key + bound
    tables = {"tag": "tag", "inputs.digest": "input", "artifacts.digest": "artifact"}
    table = "metric" if asked.field.path[-1] == "last" else tables.get(asked.name)
    if table is None or (table != "metric" and node.operator != "="):
        return None
    sql, bound = holds(asked.field, node.operator, node.literals)
    named = f"{table}.name = ? AND " if table == "metric" else ""
    return f"SELECT {table}.run FROM {table} WHERE {named}{sql}", key + bound


def sort_field(name: str) -> Asked:
    """The field that runs are to be sorted by. Raises UsageError for none, and for one of several values."""
    from mltrack.ledger.language.fields import find_field
    from mltrack.ledger.language.lexer import tokens
    from mltrack.ledger.language.problems import QueryError

    try:
        words = tokens(name)
    except QueryError:
        words = []
    asked = find_field(words[0].text, words[0].closed) if len(words) == 2 else find_field(name)
    if asked is None:
        raise unknown_field(name)
    if asked.field.many:
        raise UsageError(f"Runs cannot be sorted by {asked.name}: a run may have several.", "Sort by another field.")
    return asked


def unknown_field(name: str) -> UsageError:
    from mltrack.ledger.language.fields import FIELDS, nearest_field

    near = nearest_field(name)
    single = [name for name, field in FIELDS.items() if not field.many]
    hint = f"Did you mean {near}?" if near else f"Fields: {', '.join(single)}, metrics.NAME, params.NAME."
    return UsageError(f"Runs cannot be sorted by {name}.", hint)
