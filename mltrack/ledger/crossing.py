"""Groups of runs by several fields at once, with the metrics of the finished ones. Counted from the tables, as in
`grouping.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.ledger.choosing import sort_field
from mltrack.ledger.grouping import Gathered, Group, gather_metric, gathered, group_of, where_of
from mltrack.ledger.language.fields import BOOL, Asked
from mltrack.ledger.names import every_name
from mltrack.ledger.telling import told

if TYPE_CHECKING:
    from mltrack.ledger.ledger import Ledger
    from mltrack.ledger.queries import RunQuery


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
    where = where_of(db, query)
    asked = [sort_field(name, "grouped") for name in fields]
    of_field = [gathered(db, where, one)[1] for one in asked]
    groups: dict[tuple[int, ...], Gathered] = {}
    finished: dict[int, Gathered] = {}
    sql = f"SELECT run.number, run.status, run.created_at FROM run_row AS run WHERE {where.sql}"
    for number, status, created_at in db.execute(sql, where.bound):
        own = [found[number] for found in of_field]
        key = tuple(map(id, own))
        group = groups.get(key)
        if group is None:
            group = groups[key] = Gathered(tuple(map(value_of, own, asked)))
        group.statuses[status] = group.statuses.get(status, 0) + 1
        group.newest = max(group.newest, (created_at, number))
        if status == "finished":
            finished[number] = group
    for name in metrics if finished else ():
        gather_metric(db, name, finished)
    return [group_of(db, one, {name: metrics[name] for name in one.values}) for one in groups.values()]


def value_of(one: Gathered, asked: Asked) -> Any:
    """The value of a field, where the table has a number for it."""
    return bool(one.value) if asked.field.kind == BOOL and one.value is not None else one.value
