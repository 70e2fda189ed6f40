"""Which runs fit a condition, as a set of their numbers: each comparison is one walk along an index, and what several
come to is found between the sets. Cheaper than to look at every run, where all of them have to be asked.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mltrack.ledger.language.sql import add_functions, condition, exists, holds, one_of, rows_that, value_part
from mltrack.ledger.language.tree import Compare, Every, IsNull, Node, Not, Some

if TYPE_CHECKING:
    import sqlite3

FEW = 1000
"""As many runs or fewer are looked at one by one."""


def fitting(db: sqlite3.Connection, node: Node) -> set[int]:
    """The numbers of the runs for which the condition holds."""
    if isinstance(node, Not):
        return every_number(db) - fitting(db, node.item)
    if isinstance(node, Every):
        return fitting_all(db, node)
    if isinstance(node, Some):
        return set().union(*(fitting(db, item) for item in node.items))
    sql, bound, is_wanted = walk_of(node)
    add_functions(db, sql)
    found = {row[0] for row in db.execute(sql, bound)}
    return found if is_wanted else every_number(db) - found


def fitting_all(db: sqlite3.Connection, node: Every) -> set[int]:
    """Where few are left over, they are looked at one by one."""
    found: set[int] | None = None
    for item in node.items:
        if found is not None and len(found) <= FEW:
            return still_fitting(db, found, node)
        some = fitting(db, item)
        found = some if found is None else found & some
    return every_number(db) if found is None else found


def still_fitting(db: sqlite3.Connection, numbers: set[int], node: Node) -> set[int]:
    if not numbers:
        return numbers
    import json

    text, bound = condition(node)
    add_functions(db, text)
    among = "run.number IN (SELECT value FROM json_each(?))"
    query = f"SELECT number FROM run_row AS run WHERE {among} AND {text}"
    return {row[0] for row in db.execute(query, (json.dumps(list(numbers)), *bound))}


def every_number(db: sqlite3.Connection) -> set[int]:
    return {row[0] for row in db.execute("SELECT number FROM run_row")}


def walk_of(node: Compare | IsNull) -> tuple[str, list[Any], bool]:
    """A question for the numbers of runs, its values, and whether these are the runs that fit or the others."""
    asked, source = node.asked, node.asked.field.source
    is_own = source is not None and source.of_run == "run.number"
    if isinstance(node, IsNull):
        part: tuple[str, list[Any]] = (f"{asked.field.sql} IS NOT NULL", [])
        is_wanted = node.negated
    else:
        part = value_part(node)
        is_wanted = not (node.negated and asked.field.many)
    if source is None and isinstance(node, IsNull):
        return f"SELECT run.number FROM run_row AS run WHERE {part[0]}", part[1], is_wanted
    if source is None:
        return f"SELECT run.number FROM run_row AS run WHERE {part[0]}", part[1], True
    if is_own:
        rows, bound = rows_that(asked, part)
        return f"SELECT {source.own} {rows}", bound, is_wanted
    sql, bound = exists(asked, part)
    return f"SELECT run.number FROM run_row AS run WHERE {sql}", bound, is_wanted


def few(db: sqlite3.Connection, node: Node) -> list[int] | None:
    """The only runs that can fit, if an index shows that they are few: what a rare value asks for is found at once."""
    items = node.items if isinstance(node, Every) else (node,)
    found: set[int] | None = None
    for item in items:
        lookup = indexed(item) if isinstance(item, Compare) and not item.negated else None
        if lookup is not None:
            numbers = [row[0] for row in db.execute(f"{lookup[0]} LIMIT {FEW + 1}", lookup[1])]
            if len(numbers) <= FEW:
                found = set(numbers) if found is None else found.intersection(numbers)
    return None if found is None else sorted(found)


def indexed(node: Compare) -> tuple[str, list[Any]] | None:
    """A question, answered by an index alone, for every run for which the comparison can hold."""
    asked, source = node.asked, node.asked.field.source
    if asked.name == "id" and node.operator == "=":
        sql, bound = holds(asked.field, "=", node.literals)
        return f"SELECT run.number FROM run_row AS run WHERE {sql}", bound
    if source is None:
        return None
    if asked.field.path[0] == "params" and node.operator == "=":
        if not all(one.number is None or math.isfinite(one.number) for one in node.literals):
            return None
        ways = [(one.text, one.number, one.truth, one.listed) for one in node.literals]
        part = one_of("param.value", [way for four in ways for way in four if way is not None])
    elif asked.field.path[-1] == "last" or (
        asked.name in ("tag", "inputs.digest", "inputs.path", "artifacts.digest") and node.operator == "="
    ):
        part = holds(asked.field, node.operator, node.literals)
    else:
        return None
    rows, bound = rows_that(asked, part)
    return f"SELECT {source.own} {rows}", bound
