"""The list of runs, one a line: as many columns as the terminal has room for, those that tell runs apart first.

Laid out by hand: importing a table library costs more than listing a thousand runs. What is shown about one run is
in `columns.py`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from mltrack.nouns import noun
from mltrack.records import Run
from mltrack.views.columns import Column, chosen_columns, default_columns
from mltrack.views.page import Page, Renderable, painted
from mltrack.views.text import cell_width, clean, count, shorten

GAP = 2
COMFORT = 20
"""Every column gets up to these many cells before any gets more."""


def runs_table(
    runs: Sequence[Run], *, columns: Sequence[str] = (), now: float | None = None, total: int | None = None
) -> Renderable:
    """The table of some runs, in their order.

    `columns`: names such as `id`, `params.lr`, `metrics`; by default those that tell the runs apart. `now`: seconds
    since 1970, for ages. `total`: how many runs there are, if not all are shown. Raises UsageError on an unknown
    column.
    """
    if not runs:
        return no_runs(total or 0)
    moment = time.time() if now is None else now
    made = chosen_columns(runs, columns, moment) if columns else default_columns(runs, moment)
    return RunsTable(tuple(made), is_chosen=bool(columns), rows=len(runs), total=total or len(runs))


def no_runs(total: int = 0) -> Page:
    """What is said instead of an empty table; `total` runs are there, but none was asked for."""
    page = Page()
    if total:
        page.line(f"No run fits. There {'is' if total == 1 else 'are'} {count(total, 'run')} in all; see them with:")
        page.line("  ", ("mltrack ls", "cyan"))
    else:
        page.line("No runs yet. Record the first one by putting this in front of any command:")
        page.line("  ", ("mltrack run -- python train.py", "cyan"))
    return page


@noun
class RunsTable:
    """Columns that are fitted to the width when they are drawn."""

    columns: tuple[Column, ...]
    is_chosen: bool
    rows: int
    total: int

    def render(self, width: int | None, colour: bool) -> str:
        """The header, one line a run, and on a terminal what was left away."""
        fitted = fit(self.columns, width, keep_all=self.is_chosen)
        drawn = [draw(column, cells, colour) for column, cells in fitted]
        gap = " " * GAP
        lines = [gap.join(parts).rstrip(" ") for parts in zip(*drawn, strict=True)]
        if width is not None:
            lines += [painted(text, "dim", colour) for text in self.remarks({column.name for column, _ in fitted})]
        return "\n".join(lines) + "\n"

    def remarks(self, shown: set[str]) -> list[str]:
        remarks = []
        if self.total > self.rows:
            remarks.append(f"{self.rows:,} of {count(self.total, 'run')} shown.")
        missing = [clean(column.name) for column in self.columns if column.name not in shown and "." in column.name]
        if missing:
            names = ", ".join(missing[:3]) + (f" and {len(missing) - 3:,} more" if len(missing) > 3 else "")
            remarks.append(f"No room for {names}; choose with --columns.")
        return remarks


def fit(columns: Sequence[Column], width: int | None, keep_all: bool) -> list[tuple[Column, int]]:
    """The columns that have room, in their order, each with its cells; the most telling ones are given room first."""
    if width is None:
        return [(column, column.width) for column in columns]
    room = width + GAP
    by_rank = sorted(columns, key=lambda column: column.rank)
    cells: dict[str, int] = {}
    for column in by_rank:
        least = min(column.width, column.least)
        if keep_all or least + GAP <= room or not cells:
            cells[column.name] = least
            room -= least + GAP
    for comfort in (COMFORT, width):
        for column in by_rank:
            if column.name in cells and room > 0:
                given = min(room, min(column.width, comfort) - cells[column.name])
                if given > 0 and (column.short is None or cells[column.name] + given >= column.width):
                    cells[column.name] += given
                    room -= given
    return [(column, cells[column.name]) for column in columns if column.name in cells]


def draw(column: Column, cells: int, colour: bool) -> list[str]:
    """The header and the values of a column, each exactly `cells` wide."""
    is_whole = column.short is None or cells >= column.width
    values = column.cells if is_whole or column.short is None else column.short
    widths = column.widths if is_whole else [cell_width(text) for text, _ in values]
    drawn = []
    for (text, style), used in zip(((column.title, "dim"), *values), (cell_width(column.title), *widths), strict=True):
        if used > cells:
            text = shorten(text, cells)
            used = cell_width(text)
        blank = " " * (cells - used)
        if colour and style:
            text = painted(text, style, colour)
        drawn.append(blank + text if column.is_number else text + blank)
    return drawn
