"""`ls --best`: the runs that finished first, by the rule of `compare/best.py`, and what is to be said of the others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.compare.best import FINISHED, is_better

if TYPE_CHECKING:
    from mltrack.ledger.asking.queries import RunQuery
    from mltrack.ledger.language.fields import Asked
    from mltrack.ledger.language.tree import Node
    from mltrack.operations.request import Tell
    from mltrack.project import Project
    from mltrack.records import Run


def parts(query: RunQuery) -> tuple[RunQuery, RunQuery]:
    """A query in two: the runs that finished and have what it sorts by (NaN is none), and all others; each sorted."""
    from mltrack.ledger.asking.choosing import sort_field
    from mltrack.ledger.language.fields import FIELDS, METRIC, Asked
    from mltrack.ledger.language.tree import Compare, Every, IsNull, Literal, Not

    def also(node: Node) -> RunQuery:
        return replace(query, where=node if query.where is None else Every((node, query.where)))

    asked = sort_field(query.sort.removeprefix("-"))
    finished = Compare(Asked("status", FIELDS["status"]), "=", (Literal(FINISHED),))
    has: Node = IsNull(asked, negated=True)
    if asked.field.kind == METRIC:
        has = Compare(asked, ">=", (Literal("-inf", -math.inf),))
    counted = Every((finished, has))
    return also(counted), also(Not(counted))


def best_runs(project: Project, query: RunQuery) -> list[Run]:
    """The runs of a query that sorts the best first, those first that finished."""
    from mltrack.operations.find import list_runs

    first, others = parts(query)
    found = list_runs(project, first)
    room = None if query.limit is None else query.limit - len(found)
    return found if room == 0 else [*found, *list_runs(project, replace(others, limit=room))]


def best_documents(project: Project, query: RunQuery) -> Iterator[dict[str, Any]]:
    """The same as JSON values, without packages, one after another."""
    from mltrack.operations.find import each_document

    first, others = parts(query)
    given = 0
    for document in each_document(project, first):
        given += 1
        yield document
    room = None if query.limit is None else query.limit - given
    if room != 0:
        yield from each_document(project, replace(others, limit=room))


def tell_unfinished(project: Project, query: RunQuery, tell: Tell) -> None:
    """Say which better run is not the best, or that no run finished: whatever explains what heads the list."""
    from mltrack.ledger.asking.choosing import sort_field
    from mltrack.operations.find import list_documents
    from mltrack.operations.seeing.fields import Shown

    asked: Asked = sort_field(query.sort.removeprefix("-"))
    read = Shown(asked.name, asked.field.kind, asked).read
    goal = "max" if query.sort.startswith("-") else "min"
    top = list_documents(project, replace(query, limit=1, sort=query.sort))
    value = finite(read(top[0])) if top else None
    if value is None or top[0]["status"] == FINISHED:
        return
    name = asked.key or asked.name
    counted = [finite(read(one)) for one in list_documents(project, replace(parts(query)[0], limit=1))]
    if not counted:
        tell(f"no run that has {name} finished: the first is the best of those that did not")
    elif counted[0] is not None and is_better(value, counted[0], goal):
        who = f"{top[0]['id'][:8]} ({top[0]['status']})"
        tell(f"{who} is better in {name} ({value:.6g}), but did not finish: it is not the best")


def finite(value: Any) -> float | int | None:
    """A number, infinities too; None for anything else."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
    return value if is_number else None
