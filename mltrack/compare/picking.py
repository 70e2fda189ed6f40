"""The rows of a comparison that somebody asked for by name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from mltrack.compare.many import Comparison, Row
from mltrack.errors import UsageError

SIGNS = frozenset("*?[")


def picked(comparison: Comparison, fields: Sequence[str], metrics: Sequence[str] = ()) -> tuple[Row, ...]:
    """The rows of some fields and metrics, in the order of the comparison, whether they differ or not.

    `fields`: names as queries have them, bare names of params and metrics, ends of names that no other has, and whole
    sections. `metrics`: names of metrics, or patterns. Raises UsageError for one that no run has.
    """
    asked = [row for name in fields for row in of_field(comparison.rows, name)]
    asked += [row for name in metrics for row in of_metric(comparison.rows, name)]
    wanted = {(row.section, row.name) for row in asked}
    return tuple(row for row in comparison.rows if (row.section, row.name) in wanted)


def of_field(rows: Sequence[Row], name: str) -> list[Row]:
    """Raises UsageError."""
    exact = [row for row in rows if row.field == name]
    section = [row for row in rows if row.section == name]
    return exact or section or found(rows, name.removeprefix("-"), "field")


def of_metric(rows: Sequence[Row], name: str) -> list[Row]:
    """Raises UsageError."""
    known = [row for row in rows if row.section == "metrics"]
    if SIGNS.intersection(name) and not any(row.name == name for row in known):
        fitting = [row for row in known if fnmatchcase(row.name, name)]
        return fitting or found(known, name, "metric")
    return found(known, name, "metric")


def found(rows: Sequence[Row], name: str, what: str) -> list[Row]:
    """The row of a name: by its field, by its own name, by an end of it that is the only one. Raises UsageError."""
    bare = name.replace('"', "")
    ways = (
        [row for row in rows if bare in (row.field, row.field.replace('"', ""), f"{row.section}.{row.name}")],
        [row for row in rows if row.name == bare and row.section in ("metrics", "params")],
        [row for row in rows if row.name == bare],
        [row for row in rows if row.field.endswith((f".{bare}", f"/{bare}"))],
    )
    every = next((way for way in ways if way), [])
    if len({row.field for row in every}) == 1 or (every and every[0].name == bare):
        return every
    if every:
        raise UsageError(f"{name} may be {listed(row.field for row in every)}.", "Write one of them in full.")
    near = get_close_matches(bare, [row.name for row in rows], 3)
    raise UsageError(
        f"None of these runs has a {what} called {name}.",
        f"Did you mean {listed(dict.fromkeys(near))}?" if near else "See what there is: mltrack compare --all",
    )


def listed(names: Iterable[str]) -> str:
    *some, last = list(names)[:4]
    return f"{', '.join(some)} or {last}" if some else last
