"""`mltrack compare`."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.choosing import choosing
from mltrack.cli.options import Json, Many
from mltrack.cli.start import say, working_directory
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.operations.seeing.selection import Choice


@choosing
def compare(
    choice: Choice,
    against: Annotated[
        str | None, typer.Option("--against", metavar="RUN", help="Show changes against this run, not the first.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="NAME,...", help="Only these: params.lr, acc, seed, metrics ...")
    ] = None,
    metrics: Annotated[
        Many, typer.Option("--metric", "-m", metavar="NAME|PATTERN", help="Only these metrics: loss, 'val/*' ...")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also what is the same in all.")] = False,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="table, csv, json, jsonl or md; a row for each run.")
    ] = "table",
    as_json: Json = False,
) -> None:
    """Compare many runs: what differs, the best and the worst; without any, the newest five.

    Runs stand as they are named; those of a query the oldest first. A row is a field and a column a run, where they
    fit; else the other way round.
    """
    gc.disable()  # thousands of objects that all live to the end
    from mltrack.operations.seeing.comparison import compare as compare_runs
    from mltrack.operations.seeing.comparison import rows_asked
    from mltrack.operations.seeing.fields import split_columns
    from mltrack.views.comparison import comparison_view
    from mltrack.views.console import show_json
    from mltrack.views.pager import paged
    from mltrack.views.tables.tabular import checked_form

    checked_form(form)
    names = split_columns(columns)
    with Project.get(working_directory()) as project:
        comparison = compare_runs(project, choice, against, say)
    rows = rows_asked(comparison, names, metrics or (), every)
    if as_json:
        from mltrack.compare.many import to_json

        show_json(to_json(comparison, rows))
    else:
        paged(comparison_view(comparison, form, rows))
