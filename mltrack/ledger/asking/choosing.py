"""Which runs a query asks for, in which order: from the tables alone, before any record is read.

An order by time, a metric or a parameter follows an index and stops when there are enough. Where the first runs of the
order do not fit, the runs that do are found first (`fitting.py`), and then put in order.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mltrack.errors import UsageError
from mltrack.nouns import noun

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.ledger.language.fields import Asked

REPETITION = "calibrate"
"""Kind of parent of the runs that a calibration made: lists leave them out."""

WINDOW = 400
"""So many runs, the first of an order, are looked at one by one before all are asked which of them fit."""

NUMBER = "CASE {0} WHEN 'NaN' THEN NULL WHEN 'Infinity' THEN 9e999 WHEN '-Infinity' THEN -9e999 ELSE {0} END"
"""NaN and infinities are kept by their names, as in JSON."""

RISING = ("= '-Infinity'", "< ''", "= 'Infinity'", ">= '' AND {0} NOT IN ('NaN', 'Infinity', '-Infinity')")
"""The values of a metric or parameter, in order: numbers with the infinities around them, then texts."""

NEWEST = "run.created_at DESC, run.id"
AMONG = "run.number IN (SELECT value FROM json_each(?))"


@noun
class Where:
    """A condition on `run_row AS run`, with its values."""

    sql: str
    bound: tuple[Any, ...]


@noun
class Order:
    """An order of runs by a field; those without it come last, the newest first."""

    asked: Asked | None
    """None: by the time of their creation."""
    falls: bool

    @property
    def by_time(self) -> str:
        way = "DESC" if self.falls else "ASC"
        return f"run.created_at {way}, run.id {way}"

    @property
    def indexed(self) -> tuple[str, str, str] | None:
        """Table, column and name of values that lie together, most of them in this order in an index."""
        if self.asked is None:
            return None
        table = {"metrics": "metric_row", "params": "param_row"}.get(self.asked.field.path[0])
        if table is None:
            return None
        return table, "value" if table == "param_row" else self.asked.field.path[-1], str(self.asked.key)


def chosen(db: sqlite3.Connection, query: RunQuery) -> list[str]:
    """The ids of the runs that a query asks for, in order. Raises UsageError on a field that cannot be sorted by."""
    order = order_of(query)
    limit = -1 if query.limit is None else query.limit
    plain = plain_where(query)
    if query.where is None:
        return along(db, plain, order, limit)
    from mltrack.ledger.asking.fitting import few, fitting
    from mltrack.ledger.language.sql import add_functions, condition

    text, values = condition(query.where)
    add_functions(db, text)
    whole = Where(f"{plain.sql} AND {text}", (*plain.bound, *values))
    numbers = few(db, query.where)
    if numbers is not None:
        return by_key(db, among(whole, numbers), order, limit)
    if 0 <= limit <= WINDOW // 4 and (order.asked is None or order.indexed):
        found = along(db, whole, order, limit, window=WINDOW)
        if len(found) == limit:
            return found
    found_all = fitting(db, query.where)
    if order.indexed and 0 <= limit < len(found_all) // 10:
        return along(db, among(plain, found_all), order, limit)
    return by_key(db, among(plain, found_all), order, limit)


def order_of(query: RunQuery) -> Order:
    name, falls = query.sort.removeprefix("-"), query.sort.startswith("-")
    if name in ("created_at", "created") or not query.sort:
        return Order(None, falls or not query.sort)
    return Order(sort_field(name), falls)


def plain_where(query: RunQuery) -> Where:
    """The condition of a query, without what its `where` says."""
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
        sql.append("run.number IN (SELECT run FROM tag_row WHERE tag = ?)")
        bound.append(tag)
    return Where(" AND ".join(sql) or "1", tuple(bound))


def among(where: Where, numbers: Collection[int]) -> Where:
    """The condition, of these runs only."""
    return Where(f"{AMONG} AND {where.sql}", (json.dumps(list(numbers)), *where.bound))


def along(db: sqlite3.Connection, where: Where, order: Order, limit: int, window: int = -1) -> list[str]:
    """The first runs of an order that fit. With a window only so many are looked at, and fewer may be found."""
    if order.asked is None:
        runs = f"(SELECT * FROM run_row AS run ORDER BY {order.by_time} LIMIT {window})" if window >= 0 else "run_row"
        query = f"SELECT run.id FROM {runs} AS run WHERE {where.sql} ORDER BY {order.by_time} LIMIT ?"
        return [row[0] for row in db.execute(query, (*where.bound, limit))]
    if order.indexed is None:
        return by_key(db, where, order, limit)
    return by_value(db, where, order, limit, window)


def by_value(db: sqlite3.Connection, where: Where, order: Order, limit: int, window: int) -> list[str]:
    """Sorted by the values of a metric or parameter: one walk along its index for each part of the order, until there
    are enough; then the runs without a value, the newest first."""
    assert order.indexed is not None
    table, column, name = order.indexed
    (word,) = db.execute("SELECT max(id) FROM word WHERE text = ?", (name,)).fetchone()
    found: list[str] = []
    for part in reversed(RISING) if order.falls else RISING:
        fits = f"sort.{column} {part.format(f'sort.{column}')}"
        walk = (
            f"SELECT sort.run, sort.{column} AS value FROM {table} AS sort CROSS JOIN run_row AS run"
            f" ON run.number = sort.run WHERE sort.name = ? AND {fits}"
            f" ORDER BY sort.{column} {'DESC' if order.falls else 'ASC'}, {NEWEST} LIMIT {window}"
        )
        if window < 0:
            walk = f"SELECT run, {column} AS value FROM {table} AS sort WHERE name = ? AND {fits}"
        query = (
            f"SELECT run.id FROM ({walk}) AS sort CROSS JOIN run_row AS run ON run.number = sort.run"
            f" WHERE {where.sql} ORDER BY sort.value {'DESC' if order.falls else 'ASC'}, {NEWEST} LIMIT ?"
        )
        room = limit - len(found) if limit >= 0 else -1
        rows = db.execute(query, (word, *where.bound, room)).fetchall() if room else []
        found += [row[0] for row in rows]
        if window >= 0 and len(rows) < room and is_longer(db, (table, column, word), fits, window):
            return found  # behind the window there may be more of this part, which come before all other parts
    room = limit - len(found) if limit >= 0 else -1
    if not room or window >= 0:
        return found
    has_one = f"SELECT 1 FROM {table} AS sort WHERE sort.name = ? AND sort.run = run.number AND sort.{column} <> 'NaN'"
    query = f"SELECT run.id FROM run_row AS run WHERE {where.sql} AND NOT EXISTS ({has_one}) ORDER BY {NEWEST} LIMIT ?"
    return found + [row[0] for row in db.execute(query, (*where.bound, word, room))]


def is_longer(db: sqlite3.Connection, values: tuple[str, str, int | None], fits: str, window: int) -> bool:
    """Are there more than so many values of a part of the order?"""
    table, _, word = values
    query = f"SELECT 1 FROM {table} AS sort WHERE name = ? AND {fits} LIMIT 1 OFFSET ?"
    return db.execute(query, (word, window)).fetchone() is not None


def by_key(db: sqlite3.Connection, where: Where, order: Order, limit: int) -> list[str]:
    """Sorted by any field; runs without it come last."""
    if order.asked is None:
        return along(db, where, order, limit)
    from mltrack.ledger.language.fields import METRIC, VERSION
    from mltrack.ledger.language.literals import version_key

    field, source = order.asked.field, order.asked.field.source
    value = NUMBER.format(field.sql) if field.kind == METRIC or field.path[0] == "params" else field.sql
    if field.kind == VERSION:
        db.create_function("version_key", 1, version_key, deterministic=True)
        value = f"version_key({value})"
    named: tuple[Any, ...] = (order.asked.key,) if source is not None and source.named else ()
    runs = "run_row AS run"
    key = value
    if source is not None and field.kind == VERSION:  # each version is read once; the limit keeps them apart from runs
        keys = f"SELECT {source.own} AS own, {value} AS key FROM {source.table} WHERE {source.named or 1} LIMIT -1"
        key, runs = "keyed.key", f"{runs} LEFT JOIN ({keys}) AS keyed ON keyed.own = {source.of_run}"
    elif source is not None:
        name = f"{source.named} AND " if source.named else ""
        key = f"(SELECT {value} FROM {source.table} WHERE {name}{source.own} = {source.of_run} LIMIT 1)"
    query = (
        f"SELECT run.id, {key} AS sort_key FROM {runs} WHERE {where.sql}"
        f" ORDER BY sort_key IS NULL, sort_key {'DESC' if order.falls else 'ASC'}, {NEWEST} LIMIT ?"
    )
    return [row[0] for row in db.execute(query, (*named, *where.bound, limit))]


def hides_repetitions(query: RunQuery) -> bool:
    """Are the runs that calibrations made left out? Not where all are asked for, or what a run is the child of."""
    if query.include_deleted or query.where is None:
        return not query.include_deleted
    from mltrack.ledger.language.tree import every_asked

    return not any(asked.name.startswith("parent.") for asked in every_asked(query.where))


def sort_field(name: str, done: str = "sorted") -> Asked:
    """The field that runs are to be sorted (or grouped) by. Raises UsageError for none, and for one of several
    values."""
    from mltrack.ledger.language.fields import find_field
    from mltrack.ledger.language.lexer import tokens
    from mltrack.ledger.language.problems import QueryError

    try:
        words = tokens(name)
    except QueryError:
        words = []
    asked = find_field(words[0].text, words[0].closed) if len(words) == 2 else find_field(name)
    if asked is None:
        raise unknown_field(name, done)
    if asked.field.many:
        raise UsageError(
            f"Runs cannot be {done} by {asked.name}: a run may have several.", "Choose a field of which a run has one."
        )
    return asked


def unknown_field(name: str, done: str) -> UsageError:
    from mltrack.ledger.language.fields import FIELDS, nearest_field

    near = nearest_field(name)
    single = [name for name, field in FIELDS.items() if not field.many]
    hint = f"Did you mean {near}?" if near else f"Fields: {', '.join(single)}, metrics.NAME, params.NAME."
    return UsageError(f"Runs cannot be {done} by {name}.", hint)
