"""The list of runs, one a line: as many columns as the terminal has room for, those that tell runs apart first.

What is shown about one run is in `columns.py` and `chosen.py`, how columns are laid out in `fitted.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.nouns import noun
from mltrack.records import Run
from mltrack.views.page import Page, Renderable, painted
from mltrack.views.tables.columns import default_columns, of_first_rank, telling, with_short_titles
from mltrack.views.tables.fitted import Column, Fitted
from mltrack.views.tables.tabular import LONGEST_MARKDOWN, markdown, markdown_cell
from mltrack.views.text import cell_width, clean, count, shorten

if TYPE_CHECKING:
    from mltrack.operations.seeing.fields import Names, Shown

Document = Mapping[str, Any]

QUIET = ("command", "tags", "name", "experiment", "age", "status")
"""Columns that nobody is told of where they have no room."""

Constants = Sequence[tuple[str, str]]
"""What is the same in all runs: names and short values."""


def runs_table(
    runs: Sequence[Run], *, focus: Sequence[Shown] = (), now: float | None = None, total: int | None = None
) -> Renderable:
    """The table of some runs, in their order.

    `focus`: what they were chosen or sorted by, which is shown first. `now`: seconds since 1970, for ages. `total`: how
    many runs there are, if not all are shown.
    """
    if not runs:
        return no_runs(total or 0)
    moment = time.time() if now is None else now
    shown: list[Column] = []
    if focus:
        from mltrack.views.tables.chosen import focus_columns

        shown = focus_columns(focus, runs, moment)
    return RunsTable(tuple(default_columns(runs, moment, shown)), len(runs), total or len(runs))


def chosen_table(
    documents: Sequence[Document], columns: Sequence[str], *, now: float | None = None, total: int | None = None
) -> Renderable:
    """The table of some runs, given as JSON, with the columns asked for: `id`, `params.lr`, `acc`, `metrics` ...

    Raises UsageError on an unknown column.
    """
    from mltrack.operations.seeing import fields
    from mltrack.views.tables.chosen import chosen_columns

    if not documents:
        return no_runs(total or 0)
    shown = fields.shown(columns, telling_names(documents))
    made = with_short_titles(chosen_columns(shown, documents, time.time() if now is None else now))
    return RunsTable(tuple(made), len(documents), total or len(documents))


def changed_table(
    documents: Sequence[Document], columns: Sequence[str] = (), *, now: float | None = None, total: int | None = None
) -> Renderable:
    """The same with those columns only that differ between the runs; the others are named below, with their value.

    Without `columns` they are chosen from params, metrics and what else is worth a word. Raises UsageError.
    """
    from mltrack.operations.seeing import fields
    from mltrack.operations.seeing.listing import Parted, changeable, parted
    from mltrack.views.tables.chosen import chosen_columns

    if not documents:
        return no_runs(total or 0)
    names = telling_names(documents)
    first = fields.shown((() if columns else ("id", "age")), names)
    found = parted(
        fields.shown(columns, names) if columns else [*fields.shown(("status", "name"), names), *changeable(names)],
        documents,
    )
    if len(documents) == 1:
        first, found = [*first, *(one for one, _ in found.same)], Parted()
    every = [*first, *found.differing, *(one for one, _ in found.same)]
    every = [replace(one, expanded=not columns) for one in every]
    made = with_short_titles(chosen_columns(every, documents, time.time() if now is None else now))
    split = len(first) + len(found.differing)
    same = [(column.title, (column.short or column.cells)[0][0]) for column in made[split:]]
    same = [(title, value) for title, value in same if title != "status"]
    same += [("status", str(value)) for one, value in found.same if one.asked.name == "status"]
    return RunsTable(tuple(made[:split]), len(documents), total or len(documents), same)


def telling_names(documents: Sequence[Document]) -> Names:
    """The params and metrics of some runs, those that differ first."""
    from mltrack.operations.seeing.fields import Names

    params = telling([document["params"] for document in documents], False)
    return Names(params, of_first_rank(telling([document["metrics"] for document in documents], False)))


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
    """Columns of runs, and what is to be said below them."""

    columns: tuple[Column, ...]
    rows: int
    total: int
    same: Constants = ()

    def render(self, width: int | None, colour: bool) -> str:
        """The header, one line a run, what is the same in all; on a terminal also what was left away."""
        remarks = (f"{self.rows:,} of {count(self.total, 'run')} shown.",) if self.total > self.rows else ()
        text = Fitted(self.columns, remarks, QUIET, "choose with --columns").render(width, colour)
        if not self.same:
            return text
        return text + painted(same_line(self.same, width), "dim", colour) + "\n"


def same_line(same: Constants, width: int | None) -> str:
    """`the same in all: model = lstm, depth = 3 and 12 more`: what fits into one line; everything for a pipe."""
    start, parts = "the same in all: ", [clean(f"{name} = {value}") for name, value in same]
    if width is None:
        return start + ", ".join(parts)
    kept, room = 0, width - len(start) - len(f" and {len(parts):,} more")
    for part in parts:
        room -= cell_width(part) + 2
        if room < 0:
            break
        kept += 1
    rest = len(parts) - kept
    if not rest:
        return start + ", ".join(parts)
    if not kept:
        return f"{start}{count(rest, 'value')}; see them with --json."
    return f"{start}{', '.join(parts[:kept])} and {rest:,} more"


def same_lines(same: Sequence[tuple[Shown, Any]]) -> Iterator[str]:
    """The same as Markdown, below a table."""
    if same:
        told = ", ".join(
            f"{markdown(shorten(one.name, LONGEST_MARKDOWN))} = {markdown_cell(value)}" for one, value in same
        )
        yield f"\nThe same in all: {told}\n"
