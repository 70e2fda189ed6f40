"""Groups of runs: for each value of a field, how many runs, how they ended, and what came of their metrics.

Counted from the tables; no record is read, and no run is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from mltrack.ledger.choosing import Where, among, plain_where, sort_field
from mltrack.nouns import noun

if TYPE_CHECKING:
    import sqlite3

    from mltrack.ledger.language.fields import Asked
    from mltrack.ledger.queries import RunQuery


@noun
class GroupMetric:
    """A metric over the runs of a group, by the last value of each."""

    count: int
    """Runs that have a finite value of it; the other figures are of these."""
    mean: float | None = None
    deviation: float | None = None
    """The sample's standard deviation; None of fewer than two values."""
    best: str | None = None
    """Id of the best run, of equals the one that came last; None where nobody said whether larger is better."""
    best_value: float | None = None


@noun
class Group:
    """The runs that share a value of a field."""

    value: Any
    """As the ledger's tables have it: None for the runs without one; of a parameter that is a list, its JSON."""
    runs: int
    statuses: Mapping[str, int]
    """How many ended how."""
    newest: str
    """Id of the newest run."""
    newest_at: str
    """When it was created."""
    metrics: Mapping[str, GroupMetric] = field(default_factory=dict)


class Gathered:
    """What is counted of a group while its runs go by."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.statuses: dict[str, int] = {}
        self.newest = ("", 0)
        self.values: dict[str, list[tuple[float, int]]] = {}


def grouped(db: sqlite3.Connection, query: RunQuery, field_name: str, metrics: Mapping[str, str | None]) -> list[Group]:
    """The groups of the runs that a query asks for, by a field of one value: the largest first, of equals the newest.

    `metrics`: the names of those that are wanted, each with `max` or `min` as is better, or None. The query's order
    and limit do not count. Raises UsageError for a field that is none, or of which a run may have several values.
    """
    asked = sort_field(field_name, "grouped")
    groups, of_run = gathered(db, where_of(db, query), asked)
    for name in metrics:
        gather_metric(db, name, of_run)
    made = [group_of(db, one, metrics) for one in groups]
    made.sort(key=lambda group: group.newest_at, reverse=True)
    return sorted(made, key=lambda group: -group.runs)


def where_of(db: sqlite3.Connection, query: RunQuery) -> Where:
    where = plain_where(query)
    if query.where is None:
        return where
    from mltrack.ledger.fitting import fitting

    return among(where, fitting(db, query.where))


def gathered(db: sqlite3.Connection, where: Where, asked: Asked) -> tuple[list[Gathered], dict[int, Gathered]]:
    """The groups, and the group of each run's number."""
    source, value = asked.field.source, asked.field.sql
    kind = "param.type" if asked.field.path[0] == "params" else "NULL"
    named: tuple[Any, ...] = (asked.key,) if source is not None and source.named else ()
    runs = "run_row AS run"
    if source is not None:  # read once, and apart from the runs, which the limit sees to
        rows = f"SELECT {source.own} AS own, {value} AS value, {kind} AS kind FROM {source.table}"
        runs += f" LEFT JOIN ({rows} WHERE {source.named or 1} LIMIT -1) AS keyed ON keyed.own = {source.of_run}"
        value, kind = "keyed.value", "keyed.kind"
    groups: dict[Any, Gathered] = {}
    of_run: dict[int, Gathered] = {}
    query = f"SELECT run.number, run.status, run.created_at, {value}, {kind} FROM {runs} WHERE {where.sql}"
    for number, status, created_at, found, type_name in db.execute(query, (*named, *where.bound)):
        key = (found, type_name == "bool", found.__class__ is str)
        group = groups.get(key)
        if group is None:
            group = groups[key] = Gathered(bool(found) if type_name == "bool" else found)
        of_run[number] = group
        group.statuses[status] = group.statuses.get(status, 0) + 1
        if (created_at, number) > group.newest:
            group.newest = (created_at, number)
    return list(groups.values()), of_run


def gather_metric(db: sqlite3.Connection, name: str, of_run: Mapping[int, Gathered]) -> None:
    """Add the finite last values of a metric to the groups."""
    query = "SELECT last, run FROM metric_row WHERE name = (SELECT id FROM word WHERE text = ?) AND last < ''"
    for point in db.execute(query, (name,)):
        group = of_run.get(point[1])
        if group is not None:
            group.values.setdefault(name, []).append(point)


def group_of(db: sqlite3.Connection, one: Gathered, metrics: Mapping[str, str | None]) -> Group:
    created_at, number = one.newest
    return Group(
        one.value,
        sum(one.statuses.values()),
        dict(sorted(one.statuses.items())),
        id_of(db, number),
        created_at,
        {name: metric_of(db, one.values.get(name, []), goal) for name, goal in metrics.items()},
    )


def metric_of(db: sqlite3.Connection, points: list[tuple[float, int]], goal: str | None) -> GroupMetric:
    if not points:
        return GroupMetric(0)
    values = [float(value) for value, _ in points]
    mean = sum_of(values) / len(values)
    squares = sum_of([(value - mean) * (value - mean) for value in values])
    deviation = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None
    if goal is None:
        return GroupMetric(len(values), mean, deviation)
    best = (max if goal == "max" else min)(value for value, _ in points)
    return GroupMetric(
        len(values), mean, deviation, id_of(db, max(run for value, run in points if value == best)), best
    )


def sum_of(values: list[float]) -> float:
    """Of values that may be larger together than a float can be."""
    try:
        return math.fsum(values)
    except OverflowError:
        return sum(values)


def id_of(db: sqlite3.Connection, number: int) -> str:
    return str(db.execute("SELECT id FROM run_row WHERE number = ?", (number,)).fetchone()[0])
