"""`mltrack metrics`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mltrack.cli.options import Json
from mltrack.cli.start import working_directory
from mltrack.errors import UsageError
from mltrack.project import Project


def metrics(
    ref: Annotated[
        str | None, typer.Argument(metavar="RUN", help="An id, name, tag or unique prefix; @ is the newest run.")
    ] = None,
    test_stdout: Annotated[
        str | None, typer.Option("--test-stdout", metavar="FILE", help="Try patterns on this output; - is stdin.")
    ] = None,
    patterns: Annotated[
        list[str] | None,
        typer.Option(
            "--pattern", "-p", metavar="P", help='Such as "{name}: {value}", or auto. With RUN: try on its log.'
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """List a run's metrics, or try patterns that find metrics in output."""
    from mltrack.views.console import show, show_json
    from mltrack.views.metrics import metrics_page, trial_json, trial_page

    if test_stdout is None and not patterns:
        from mltrack.operations.find import find_run
        from mltrack.views.json import run_json

        with Project.get(working_directory()) as project:
            run = find_run(project, ref or "@")
        if as_json:
            show_json(run_json(run)["metrics"])
        else:
            show(metrics_page(run))
        return 0
    from mltrack.operations.metrics import chosen_patterns, try_on_file, try_on_run

    if test_stdout is not None and ref is not None:
        raise UsageError(
            "A run and a file were both named.", f"Try the patterns on one: mltrack metrics {ref} --pattern P"
        )
    if test_stdout is not None:
        chosen = chosen_patterns(patterns or (), working_directory())
        found = try_on_file(sys.stdin.buffer if test_stdout == "-" else Path(test_stdout), chosen)
    else:
        with Project.get(working_directory()) as project:
            found = try_on_run(project, ref or "@", patterns or ())
    if as_json:
        show_json(trial_json(found))
    else:
        show(trial_page(found))
    return 0 if any(matched.points for matched in found.lines) else 1
