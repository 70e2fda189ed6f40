"""`mltrack ls`, `show`, `log`, `diff`."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace
from typing import Annotated

import typer

from mltrack.cli.options import Json, Ref
from mltrack.cli.start import working_directory
from mltrack.project import Project

ON_A_TERMINAL = 20
"""Runs that a list shows on a terminal, unless --limit says otherwise."""


def ls(
    sort: Annotated[
        str, typer.Option("--sort", metavar="[-]FIELD", help="created_at, duration_s, metrics.NAME, params.NAME ...")
    ] = "-created_at",
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="How many at most.")] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="NAME,...", help="id,status,params.lr,metrics ...")
    ] = None,
    experiment: Annotated[str | None, typer.Option("--experiment", metavar="NAME", help="Only this group.")] = None,
    status: Annotated[str | None, typer.Option("--status", metavar="WORD", help="finished, failed, ...")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="WORD", help="Only runs with this tag.")] = None,
    hidden: Annotated[bool, typer.Option("--all", help="Hidden runs too.")] = False,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    gc.disable()  # thousands of objects that all live to the end: looking for garbage takes a third of the time
    from mltrack.ledger.queries import RunQuery
    from mltrack.operations.find import list_documents, list_runs
    from mltrack.views.console import show
    from mltrack.views.json import dumps_lines
    from mltrack.views.table import runs_table

    project = Project.find(working_directory())
    if project is None:
        show(dumps_lines([]) if as_json else runs_table([]))
        return
    if limit is None and not as_json and sys.stdout.isatty():
        limit = ON_A_TERMINAL
    query = RunQuery(limit, sort, experiment, status, tuple(tags or ()), hidden)
    with project:
        if as_json:
            show(dumps_lines(list_documents(project, query)))
            return
        runs = list_runs(project, replace(query, brief=not columns))
        show(runs_table(runs, columns=columns.split(",") if columns else (), total=project.ledger.count()))
        if hidden and project.ledger.deleted_ids():
            show(f"Hidden: {', '.join(sorted(project.ledger.deleted_ids()))}")


def show(
    ref: Ref,
    series: Annotated[str | None, typer.Option("--series", metavar="NAME", help="The points of one metric.")] = None,
    as_json: Json = False,
) -> None:
    """Tell the story of one run."""
    from mltrack.operations.find import find_run
    from mltrack.views.console import show as show_page
    from mltrack.views.console import show_json

    with Project.get(working_directory()) as project:
        run = find_run(project, ref)
        if series is not None:
            from mltrack.operations.series import read_series

            points = read_series(project, run, series)
            if as_json:
                show_json([{"step": point.step, "value": point.value, "at": point.at} for point in points])
            else:
                from mltrack.views.series import series_page

                show_page(series_page(series, [(point.step, point.value) for point in points]))
        elif as_json:
            from mltrack.views.json import run_json

            show_json(run_json(run))
        else:
            from mltrack.views.show import run_page

            show_page(run_page(run))


def log(
    ref: Ref,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line: at_s, stream, text.")] = False,
) -> None:
    """Print the output of a run."""
    from mltrack.operations.log import read_output

    with Project.get(working_directory()) as project:
        out = sys.stdout.buffer
        for line in read_output(project, ref, follow):
            if as_json:
                import json

                entry = {"at_s": line.at_s, "stream": line.stream, "text": line.data.decode(errors="replace")}
                out.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
            else:
                out.write(line.data + (b"\n" if line.ends else b""))
            if follow:
                out.flush()


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run; by default the one before the newest.")] = "@~1",
    b: Annotated[str, typer.Argument(metavar="B", help="Another; by default the newest.")] = "@",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 when they differ.")] = False,
    as_json: Json = False,
) -> int:
    """Show every difference between two runs."""
    from mltrack.operations.differences import diff as diff_runs
    from mltrack.views.console import show as show_page
    from mltrack.views.console import show_json

    with Project.get(working_directory()) as project:
        run_a, run_b, differences = diff_runs(project, a, b)
    if as_json:
        from mltrack.compare.differences import to_json

        show_json(to_json(differences))
    else:
        from mltrack.views.differences import differences_page

        show_page(differences_page(differences, run_a, run_b))
    return int(exit_code and not differences.is_empty)
