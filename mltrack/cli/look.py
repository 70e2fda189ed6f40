"""`mltrack ls`, `show`, `log`, `diff`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import Branch, Json, Limit, Ref, Since, Sort
from mltrack.cli.start import say, working_directory
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.ledger.queries import RunQuery
    from mltrack.records import Run

ON_A_TERMINAL = 20
"""Runs that a list shows on a terminal, unless --limit says otherwise."""


def ls(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[QUERY]...", help='Which runs, such as: "metrics.acc > 0.9 and tag:best".'),
    ] = None,
    sort: Sort = "-created_at",
    limit: Limit = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="NAME,...", help="id,status,params.lr,metrics ...")
    ] = None,
    experiment: Annotated[str | None, typer.Option("--experiment", metavar="NAME", help="Only this group.")] = None,
    status: Annotated[str | None, typer.Option("--status", metavar="WORD", help="finished, failed, ...")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="WORD", help="Only runs with this tag.")] = None,
    since: Since = None,
    branch: Branch = None,
    verdicts: Annotated[
        bool, typer.Option("--verdicts", help="Only runs that were compared with another, and what came out.")
    ] = False,
    hidden: Annotated[bool, typer.Option("--all", help="Hidden runs too, and those of calibrations.")] = False,
    as_json: Json = False,
) -> None:
    """List runs, newest first; those that fit a query, if there is one.

    A query compares fields, with and, or, not and parentheses around: metrics.acc > 0.9 and params.model = lstm.
    """
    gc.disable()  # thousands of objects that all live to the end: looking for garbage takes a third of the time
    from mltrack.ledger.queries import RunQuery
    from mltrack.operations.asking import condition_of
    from mltrack.views.console import show
    from mltrack.views.json import dumps_lines
    from mltrack.views.table import runs_table

    where = condition_of(words or (), since, branch)
    project = Project.find(working_directory())
    if project is None:
        show(dumps_lines([]) if as_json else runs_table([]))
        return
    if limit is None and not as_json and sys.stdout.isatty():
        limit = ON_A_TERMINAL
    query = RunQuery(limit, sort, experiment, status, tuple(tags or ()), hidden, where=where)
    if verdicts:
        from mltrack.operations.repeating.verdict import with_verdicts

        query = with_verdicts(query)
    with project:
        list_them(project, query, columns.split(",") if columns else (), verdicts, as_json)


def list_them(project: Project, query: RunQuery, columns: Sequence[str], verdicts: bool, as_json: bool) -> None:
    """Print the runs that a query asks for: as a table, as their verdicts, or as JSON."""
    from mltrack.operations.asking import tell_unknown
    from mltrack.operations.find import list_documents, list_runs
    from mltrack.views.console import show
    from mltrack.views.json import dumps_lines
    from mltrack.views.table import runs_table

    tell_unknown(project, query, say)
    if as_json:
        show(dumps_lines(list_documents(project, query)))
        return
    if verdicts:
        from mltrack.views.verdicts import verdicts_page

        show(verdicts_page(list_runs(project, replace(query, brief=True))))
        return
    runs = list_runs(project, replace(query, brief=not columns))
    hidden = query.include_deleted
    show(runs_table(runs, columns=columns, total=project.ledger.count(hidden)))
    if hidden and project.ledger.deleted_ids():
        show(f"Hidden: {', '.join(sorted(project.ledger.deleted_ids()))}")


def show(
    ref: Ref,
    series: Annotated[str | None, typer.Option("--series", metavar="NAME", help="The points of one metric.")] = None,
    rank: Annotated[
        int | None, typer.Option("--rank", metavar="N", min=0, help="With --series: the points that rank N logged.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="A live view while it runs; q leaves it.")] = False,
    observed: Annotated[
        bool, typer.Option("--observed", help="What it read and wrote, with the rule that placed each path.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="With --observed: what was left out too.")] = False,
    as_json: Json = False,
) -> None:
    """Tell the story of one run."""
    from mltrack.operations.find import find_run
    from mltrack.views.console import show as show_page
    from mltrack.views.console import show_json

    with Project.get(working_directory()) as project:
        run = find_run(project, ref)
        if watch and run.status == "running":
            from mltrack.operations.watch import Watch
            from mltrack.views.watch import follow

            if not follow(Watch(project, run).look, as_json):
                return
            run = find_run(project, run.id)
        if observed:
            show_observed(project, run, everything, as_json)
        elif series is not None:
            show_series(project, run, (series, rank), as_json)
        elif as_json:
            from mltrack.views.json import run_json

            show_json(run_json(run))
        else:
            from mltrack.views.show import run_page

            show_page(run_page(run))


def show_observed(project: Project, run: Run, everything: bool, as_json: bool) -> None:
    """What a run read and wrote, with the rule that placed each path."""
    from mltrack.observe.rules import RULES
    from mltrack.operations.observing.observed import read_observed
    from mltrack.views.console import show, show_json
    from mltrack.views.observed import observed_json, observed_page

    lines = read_observed(project, run)
    if as_json:
        show_json(observed_json(lines, everything))
    else:
        show(observed_page(lines, RULES, everything, run.observation.unseen if run.observation else ()))


def show_series(project: Project, run: Run, which: tuple[str, int | None], as_json: bool) -> None:
    """The points of a metric, by its name and the rank that logged it."""
    from mltrack.operations.series import read_series
    from mltrack.views.console import show
    from mltrack.views.series import series_json, series_page

    points = read_series(project, run, *which)
    if as_json:
        show(series_json(points))
    else:
        show(series_page(which[0], [(point.step, point.value) for point in points]))


def log(
    ref: Ref,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    lines: Annotated[
        int | None,
        typer.Option("--lines", "-n", metavar="N", min=0, help="Only the last lines; of a bar its last state."),
    ] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="Only what it wrote to standard output.")] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="Only what it wrote to standard error.")] = False,
    rank: Annotated[
        int | None, typer.Option("--rank", metavar="N", min=0, help="Only what rank N of several processes wrote.")
    ] = None,
    times: Annotated[bool, typer.Option("--times", "-t", help="The time since the start before each line.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line: at_s, stream, text, ends.")] = False,
) -> None:
    """Print the output of a run."""
    from mltrack.operations.log import Part, read_output
    from mltrack.views.log import form

    stream = None if stdout == stderr else "o" if stdout else "e"
    with Project.get(working_directory()) as project:
        out = sys.stdout.buffer
        records = read_output(project, ref, Part(follow, lines, stream, rank))
        for data in form(times, as_json)(records):
            out.write(data)
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
