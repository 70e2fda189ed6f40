"""`mltrack compare`."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from mltrack.cli.options import Branch, Json, Limit, Runs, Since, Sort, Where
from mltrack.cli.start import say, working_directory
from mltrack.project import Project


def compare(
    runs: Runs = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="RUN", help="Show changes against this run, not the first.")
    ] = None,
    where: Where = None,
    since: Since = None,
    branch: Branch = None,
    sort: Sort = "-created_at",
    limit: Limit = None,
    every: Annotated[bool, typer.Option("--all", help="Also what is the same in all.")] = False,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="table, csv, json, jsonl or md; a row for each run.")
    ] = "table",
    as_json: Json = False,
) -> None:
    """Compare many runs: what differs, the best and the worst; without any, the newest five.

    A row is a field and a column a run, where they fit; else the other way round.
    """
    gc.disable()  # thousands of objects that all live to the end
    from mltrack.operations.seeing.comparison import compare as compare_runs
    from mltrack.operations.seeing.selection import Choice
    from mltrack.views.comparison import comparison_view
    from mltrack.views.console import show_json
    from mltrack.views.pager import paged
    from mltrack.views.tabular import checked_form

    checked_form(form)
    choice = Choice(tuple(runs or ()), where, since, branch, sort, limit)
    with Project.get(working_directory()) as project:
        comparison = compare_runs(project, choice, against, say)
    if as_json:
        from mltrack.compare.many import to_json

        show_json(to_json(comparison, every))
    else:
        paged(comparison_view(comparison, form, every))
