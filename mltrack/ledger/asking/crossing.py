"""Groups of runs by the values of some fields, with the metrics of the finished ones.

Counted from the tables; no record is read, and no run is made. Whole columns go through each step, which is several
times faster than a run at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from mltrack.ledger.asking.choosing import Where, among, plain_where, sort_field
from mltrack.ledger.asking.grouping import Group, GroupMetric, Points, id_of
from mltrack.ledger.asking.names import every_name
from mltrack.ledger.language.fields import BOOL, Asked
from mltrack.ledger.telling import told

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.ledger.ledger import Ledger

Key = tuple[Any, ...]
"""The values of a group, one for each field; true and false are each in a tuple, so that they are not 1 and 0."""


@told
def known_names(ledger: Ledger, table: str) -> Sequence[str]:
    """Every `param` or `metric` that some run has, each once."""
    return every_name(ledger.db, table)


@told
def crossed(
    ledger: Ledger, query: RunQuery, fields: Sequence[str], metrics: Mapping[str, str | None]
) -> Sequence[Group]:
    """The groups of the runs that a query asks for, in no order: the value of each is a tuple with one for each field.

    `metrics`: those that are wanted, each with `max` or `min` as is better, or None; they are of finished runs only,
    and a group has only those of which it has a value. The query's order and limit do not count. Raises UsageError for
    a field that is none, or of which a run may have several values.
    """
    db = ledger.db
    asked = [sort_field(name, "grouped") for name in fields]
    numbers, statuses, times, *columns = columns_of(db, where_of(db, query), list(map(own_column, asked)))
    parts = [values_of(db, one, column) for one, column in zip(asked, columns)]
    keys: list[Key] = list(zip(*parts)) if parts else [()] * len(numbers)
    ended = Counter(zip(keys, statuses))
    newest = dict(zip(keys, zip(times, numbers)))  # the runs are in this order
    finished = {number: key for number, key, status in zip(numbers, keys, statuses) if status == "finished"}
    of_group: dict[Key, dict[str, int]] = {key: {} for key in newest}
    for (key, status), count in sorted(ended.items(), key=lambda item: str(item[0][1])):
        of_group[key][status] = count
    summaries: dict[Key, dict[str, GroupMetric]] = {key: {} for key in newest}
    for name in metrics if finished else ():
        for key, points in points_of(db, name, finished).items():
            summaries[key][name] = points.summary(db, metrics[name])
    return [
        Group(
            tuple(map(value_of, key, asked)),
            sum(of_group[key].values()),
            of_group[key],
            id_of(db, number),
            created_at,
            summaries[key],
        )
        for key, (created_at, number) in newest.items()
    ]


def where_of(db: sqlite3.Connection, query: RunQuery) -> Where:
    where = plain_where(query)
    if query.where is None:
        return where
    from mltrack.ledger.asking.fitting import fitting

    return among(where, fitting(db, query.where))


def columns_of(db: sqlite3.Connection, where: Where, names: Sequence[str]) -> Sequence[Sequence[Any]]:
    """Numbers, statuses, times of creation and these columns of the runs, the oldest first."""
    every = ("run.number", "run.status", "run.created_at", *names)
    rows = db.execute(f"SELECT {', '.join(every)} FROM run_row AS run WHERE {where.sql}", where.bound).fetchall()
    rows.sort(key=itemgetter(0))
    rows.sort(key=itemgetter(2))
    return list(zip(*rows)) if rows else [()] * len(every)


def own_column(asked: Asked) -> str:
    """What a run itself has of a field: its value, or what it is found by in another table."""
    return asked.field.sql if asked.field.source is None else asked.field.source.of_run


def values_of(db: sqlite3.Connection, asked: Asked, own: Sequence[Any]) -> Iterable[Any]:
    """The values of a field, given what the runs themselves have of it."""
    source = asked.field.source
    if source is None:
        return own
    kind = "param.type" if asked.field.path[0] == "params" else "NULL"
    query = f"SELECT {source.own}, {asked.field.sql}, {kind} FROM {source.table} WHERE {source.named or 1}"
    rows = db.execute(query, (asked.key,) if source.named else ())
    found = {key: (bool(value),) if type_name == "bool" else value for key, value, type_name in rows}
    return map(found.get, own)


def value_of(value: Any, asked: Asked) -> Any:
    """A value of a key as people know it."""
    if value.__class__ is tuple:
        return value[0]
    return bool(value) if asked.field.kind == BOOL and value is not None else value


def points_of(db: sqlite3.Connection, name: str, group_of: Mapping[int, Key]) -> dict[Key, Points]:
    """The finite last values of a metric by the groups of their runs."""
    query = "SELECT last, run FROM metric_row WHERE name = (SELECT id FROM word WHERE text = ?) AND last < ''"
    found: dict[Key, Points] = {}
    for value, run in db.execute(query, (name,)):
        key = group_of.get(run)
        if key is None:
            continue
        points = found.get(key)
        if points is None:
            points = found[key] = Points()
        points.values.append(value)
        points.runs.append(run)
    return found
