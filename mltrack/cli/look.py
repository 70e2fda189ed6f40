"""`mltrack show` and `log`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mltrack.cli.options import Json, NewestOr
from mltrack.cli.start import say, working_directory
from mltrack.project import Project

if TYPE_CHECKING:
    from mltrack.records import Run


def show(
    ref: NewestOr = None,
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
    from mltrack.operations.find import find_run, newest_ids
    from mltrack.views.console import show_json
    from mltrack.views.pager import paged

    with Project.get(working_directory()) as project:
        run = find_run(project, newest_ids(project, 1, say)[0] if ref is None else ref)
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

            paged(run_page(run))


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
    ref: NewestOr = None,
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
    from mltrack.operations.find import newest_ids
    from mltrack.operations.log import Part, read_output
    from mltrack.views.log import form

    stream = None if stdout == stderr else "o" if stdout else "e"
    with Project.get(working_directory()) as project:
        out = sys.stdout.buffer
        named = newest_ids(project, 1, say)[0] if ref is None else ref
        records = read_output(project, named, Part(follow, lines, stream, rank))
        for data in form(times, as_json)(records):
            out.write(data)
            if follow:
                out.flush()
