"""A comparison of many runs, told to a person in the layout that fits, or as rows for other programs.

Few runs are columns; where they have no room, runs are lines and fields are columns; on a terminal very many are summed
up. A pipe gets everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mltrack.compare.differences import SECTIONS
from mltrack.compare.gathering import CIRCUMSTANCES
from mltrack.compare.many import Comparison, Row
from mltrack.nouns import noun
from mltrack.views.comparison.cells import BEST, NOISE, WORST, cell_of, ids_of
from mltrack.views.comparison.down import runs_down
from mltrack.views.comparison.remarks import remarks
from mltrack.views.comparison.side import side_by_side
from mltrack.views.comparison.summary import summarised
from mltrack.views.page import Renderable, painted, wrapped
from mltrack.views.tables.tabular import tabular
from mltrack.views.text import clean, command_line, count

FEW = 8
"""As many runs may be columns."""
MANY = 100
"""More runs than this are summed up on a terminal."""


def comparison_view(comparison: Comparison, form: str = "table", rows: Sequence[Row] | None = None) -> Renderable | str:
    """The comparison in one of `tabular.FORMATS`: the rows that are given, by default those that differ.

    Raises UsageError.
    """
    rows = comparison.differing if rows is None else tuple(rows)
    if form == "table":
        return ComparisonPage(comparison, rows)
    if form == "md" and len(comparison.runs) <= FEW:
        return fields_in_markdown(comparison, rows)
    return tabular(*as_table(comparison, rows), form)


def as_table(comparison: Comparison, rows: Sequence[Row]) -> tuple[list[str], list[list[Any]]]:
    """Names of columns and a row for each run, with values exactly as they are: for CSV and the like."""
    names = ["id", "name", *(row.field for row in rows)]
    columns = [[plain_value(row, value) for value in row.values] for row in rows]
    found = [[run.id, run.name, *(column[place] for column in columns)] for place, run in enumerate(comparison.runs)]
    return names, found


def plain_value(row: Row, value: Any) -> Any:
    return command_line(value) if row.name == "command" and row.section == "command" and value else value


def fields_in_markdown(comparison: Comparison, rows: Sequence[Row]) -> str:
    """Fields down, runs across, short enough for a pull request."""
    ids = ids_of(comparison.runs)
    names = [f"{one} {run.name or ''}".strip() for one, run in zip(ids, comparison.runs, strict=True)]
    found = [[row.field, *(markdown_text(row, place) for place in range(row.count))] for row in rows]
    text = tabular(["", *names], found, "md")
    assert isinstance(text, str)
    return text


def markdown_text(row: Row, place: int) -> str:
    """`0.91 ★ (+1.3 %)`."""
    cell = cell_of(row, place)
    if place not in row.known:
        return ""
    change = cell.percent or cell.change
    return " ".join(part for part in (cell.text, cell.mark, f"({change})" if change else "") if part)


@noun
class ComparisonPage:
    """What `console.show` puts out: it knows its width only then."""

    comparison: Comparison
    rows: tuple[Row, ...]

    def render(self, width: int | None, colour: bool) -> str:
        """Some words, then the runs in the layout that fits."""
        runs = self.comparison.runs
        rows = self.rows
        told = [(line, style) for text, style in self.intro(width) for line in wrapped(text, width)]
        lines = [painted(text, style, colour) for text, style in told]
        if not rows:
            return "\n".join(lines) + "\n"
        laid = None
        if width is not None and len(runs) > MANY:
            laid = summarised(self.comparison, rows, width, colour)
        elif len(runs) <= FEW:
            laid = side_by_side(self.comparison, rows, width, colour)
        if laid is None:
            laid = runs_down(self.comparison, rows, width, colour)
        return "\n".join([*lines, "", *laid]) + "\n"

    def intro(self, width: int | None) -> list[tuple[str, str]]:
        """What was compared, where it differs, and what the marks mean."""
        runs = self.comparison.runs
        base = runs[self.comparison.baseline]
        if len(runs) == 1:
            return [(f"Only one run: {clean(base.id)}. Name others, or a query that more than one fits.", "bold")]
        lines = [(f"{count(len(runs), 'run')}. {summary(self.comparison)}", "bold")]
        if not self.rows:
            return lines
        if width is not None and len(runs) > MANY:
            text = "Too many to show one by one: see fewer with --limit 20 or a query; a pipe and --json have all."
            return [*lines, (text, "dim"), *self.remarks()]
        name = f" ({clean(base.name)})" if base.name else ""
        marks = f"{BEST} best, {WORST} worst of a metric" if any(row.best for row in self.rows) else ""
        noise = f"{NOISE} within noise" if any(noted_inside(row) for row in self.rows) else ""
        told = ", ".join(part for part in (marks, noise) if part)
        against = f"Changes are against {ids_of(runs)[self.comparison.baseline]}{name}."
        return [*lines, (f"{against}{f' {told}.' if told else ''}", "dim"), *self.remarks()]

    def remarks(self) -> list[tuple[str, str]]:
        return [(text, "yellow") for text in remarks(replace(self.comparison, rows=self.rows))]


def noted_inside(row: Row) -> bool:
    return any(noted.is_inside for noted in row.noise.values())


def summary(comparison: Comparison) -> str:
    """`They differ in code, params and metrics.`"""
    found = {row.section for row in comparison.differing}
    names = [section for section in SECTIONS if section in found]
    if not names:
        return "No differences" + (" but in circumstances." if CIRCUMSTANCES in found else ".")
    return f"They differ in {', '.join(names[:-1]) + ' and ' if names[1:] else ''}{names[-1]}."
