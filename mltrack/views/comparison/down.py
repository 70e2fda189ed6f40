"""More runs than fit side by side: a line for each run, a column for each field, the most telling fields first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from mltrack.compare.gathering import CIRCUMSTANCES
from mltrack.compare.many import Comparison, Row
from mltrack.views.comparison.cells import Cell, cell_of, ids_of, label_of, rank_of
from mltrack.views.comparison.levels import FULL, NO_CHANGES, SHARES, VALUES, has_changes, joined, right, widths_of
from mltrack.views.page import painted, wrapped
from mltrack.views.tables.columns import TAKEN
from mltrack.views.tables.fitted import Column, draw, fit
from mltrack.views.text import cell_width, clean, count, shorten

ENOUGH = 6
"""With as many fields shown, changes and per cents are worth their room."""
LEAST_COLUMN = 4

LATER = {"outcome": 90.0, "command": 100.0, "code": 200.0, "environment": 300.0, "inputs": 250.0, "hardware": 400.0}
LATER |= {"artifacts": 500.0, CIRCUMSTANCES: 600.0}
"""Where sections stand behind params and metrics, which come in turn."""


def runs_down(comparison: Comparison, rows: Sequence[Row], width: int | None, colour: bool) -> list[str]:
    """A head, a line for each run, and on a terminal what had no room."""
    telling = by_telling(rows)
    tried = telling if width is None else telling[: max(1, width // LEAST_COLUMN)]
    cells = [[cell_of(row, place) for place in range(row.count)] for row in tried]
    for level in (FULL,) if width is None else (FULL, SHARES, VALUES):
        columns = [*run_columns(comparison), *field_columns(tried, cells, level)]
        fitted = fit(columns, width)
        if len(fitted) == len(columns) or len(fitted) - 2 >= ENOUGH or level == VALUES:
            break
    drawn = [draw(column, given, colour) for column, given in fitted]
    lines = ["  ".join(parts).rstrip(" ") for parts in zip(*drawn, strict=True)]
    if width is not None:
        shown = {column.name for column, _ in fitted}
        missing = [clean(row.field) for row in telling if row.field not in shown]
        told = [NO_CHANGES] if level == VALUES and has_changes(cells) else []
        below = [line for text in (*told, *without_room(missing)) for line in wrapped(text, width)]
        lines += [painted(line, "dim", colour) for line in below]
    return lines


def without_room(missing: Sequence[str]) -> list[str]:
    """What is said of fields that are not shown."""
    if not missing:
        return []
    names = ", ".join(shorten(name, 40) for name in missing[:3])
    more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
    return [f"No room for {names}{more}; a pipe, --format csv and --json have {count(len(missing), 'field')} more."]


def by_telling(rows: Sequence[Row]) -> list[Row]:
    """How they ended; metrics and params in turn, those that most runs have first; then the other sections."""
    params = sorted((row for row in rows if row.section == "params"), key=rank_of)
    metrics = sorted((row for row in rows if row.section == "metrics"), key=rank_of)
    turn = [one for pair in zip_longest(metrics, params) for one in pair if one is not None]
    ended = [row for row in rows if row.section == "outcome" and row.name == "status"]
    others = [row for row in rows if row.section not in ("params", "metrics") and row not in ended]
    return ended + turn + sorted(others, key=lambda row: (row.name != "seed", LATER[row.section]))


def run_columns(comparison: Comparison) -> list[Column]:
    """Ids, and names where some run has one; the baseline's id is marked by a word below the table's head."""
    ids = [(text, "yellow") for text in ids_of(comparison.runs)]
    made = [Column("id", "id", ids, 0, least=cell_width(ids[0][0]))]
    if any(run.name for run in comparison.runs):
        names = [(clean(run.name or ""), "bold") for run in comparison.runs]
        made.append(Column("name", "name", names, 1, least=12))
    return made


def field_columns(rows: Sequence[Row], cells: Sequence[Sequence[Cell]], level: int) -> list[Column]:
    titles = titles_of(rows)
    return [
        field_column(row, title, found, (rank, level))
        for rank, (row, title, found) in enumerate(zip(rows, titles, cells, strict=True), 2)
    ]


def field_column(row: Row, title: str, cells: Sequence[Cell], how: tuple[int, int]) -> Column:
    """A column of one field. Numbers are never cut; a long title or text may be."""
    rank, level = how
    widths = widths_of(cells, level)
    words = [(joined(cell, widths, level), cell.style) for cell in cells]
    natural = max(cell_width(text) for text, _ in words)
    is_number = any(cell.is_number for cell in cells)
    least = max(widths.total, min(natural, 10), min(cell_width(title), 9))
    if is_number and cell_width(title) <= widths.total:  # above the values, not above their per cents
        title = right(title, widths.text)
        title += " " * (widths.total - cell_width(title))
    return Column(row.field, title, words, rank, least, is_number)


def titles_of(rows: Sequence[Row]) -> list[str]:
    """`model.encoder.depth` as `depth`, and `loss` for `metrics.loss`, where no other field ends like that, and that is
    no field of every run: `params.seed`."""
    names = [label_of(row.name) for row in rows]
    ends = [name.rsplit(".", 1)[-1] for name in names]
    is_named = [row.section in ("params", "metrics") for row in rows]
    taken = [named and name.lower() in TAKEN for named, name in zip(is_named, names, strict=True)]
    is_short = [named and bool(end) and end.lower() not in TAKEN for named, end in zip(is_named, ends, strict=True)]
    return [
        end if short and ends.count(end) == 1 else name if names.count(name) == 1 and not own else clean(row.field)
        for row, end, name, short, own in zip(rows, ends, names, is_short, taken, strict=True)
    ]
