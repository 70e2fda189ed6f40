"""More runs than anybody reads one by one: of each field how many values there are, and from where to where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mltrack.compare.many import Comparison, Row, key_of
from mltrack.views.comparison.cells import BEST, ids_of, value_text
from mltrack.views.comparison.side import MOST, hidden_fields, sections_of
from mltrack.views.page import Cell, Grid, Page
from mltrack.views.text import count, shorten

COMMON = 3
"""As many of the commonest texts are named."""
LONGEST = 14
"""Cells of one of them."""


def summarised(comparison: Comparison, rows: Sequence[Row], width: int | None, colour: bool) -> list[str]:
    """A line for each field, in sections."""
    ids = ids_of(comparison.runs)
    page = Page()
    for section in sections_of(rows, MOST):
        page.heading(section.name.capitalize())
        page.grid(Grid([line(row, ids) for row in section.rows], "<>><<", whole=(1, 2, 3)))
        if section.hidden:
            page.line((hidden_fields(section), "dim"))
    return page.render(width, colour).splitlines()


def line(row: Row, ids: Sequence[str]) -> tuple[Cell, ...]:
    """Name, number of values, how many runs have none, range or commonest values, and the best run."""
    lacking = row.count - len(row.known)
    best: Cell = ""
    if row.best:
        others = f" and {len(row.best) - 1:,} more" if len(row.best) > 1 else ""
        best = (f"{BEST} {value_text(row, row.known[row.best[0]])} {ids[row.best[0]]}{others}", "green")
    values = count(row.distinct - bool(lacking), "value")
    return row.name, values, (f"{lacking:,} without" if lacking else "", "dim"), reach(row), best


def reach(row: Row) -> str:
    """From the least to the largest of numbers, and how many are none; the commonest of anything else."""
    if row.numbers and row.distinct > COMMON:
        low, high = min(row.numbers.values()), max(row.numbers.values())
        others = [value for place, value in row.known.items() if place not in row.numbers]
        told = f"{value_text(row, low)} to {value_text(row, high)}"
        return f"{told}, {commonest(row, others)}" if others else told
    return commonest(row, list(row.known.values()))


def commonest(row: Row, values: Sequence[Any]) -> str:
    """The commonest of some values, each with how many have it."""
    first = {key_of(value): value for value in values}
    if len(first) > COMMON and len(first) == len(values):
        return "all different"
    most = Counter(map(key_of, values)).most_common(COMMON)
    told = ", ".join(f"{shorten(value_text(row, first[key]), LONGEST)} ×{number:,}" for key, number in most)
    return told + (", ..." if len(first) > COMMON else "")
