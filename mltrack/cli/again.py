"""`mltrack reproduce`, `checkout`, `get`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mltrack.cli.options import Into, Json, Ref
from mltrack.cli.start import say, working_directory
from mltrack.project import Project
from mltrack.views.console import show, show_json


def absolute(place: Path) -> Path:
    """A place that was typed, without `..`."""
    return Path(os.path.abspath(place))


def reproduce(
    ref: Ref,
    url: Annotated[str | None, typer.Option("--from", metavar="URL", help="The remote that has the run.")] = None,
    into: Into = None,
    as_json: Json = False,
) -> int:
    """Run a past run again from its record, and compare the results.

    Code, data and environment are restored in a directory of their own. Exits 0 when the result is the same (identical
    to within noise), 1 otherwise.
    """
    from mltrack.compare.verdict import is_success
    from mltrack.operations.reproduce import reproduce as reproduce_run
    from mltrack.records import to_dict

    done = reproduce_run(ref, working_directory(), url, into and absolute(into), say, as_json)
    if as_json:
        from mltrack.views.json import run_json

        show_json(
            {
                "verdict": to_dict(done.verdict),
                "run": run_json(done.now) if done.now else None,
                "directory": str(done.directory),
            }
        )
    else:
        from mltrack.views.verdict import verdict_page

        show(verdict_page(done.verdict))
        say(f"The reproduction is in {done.directory}")
    return 0 if is_success(done.verdict.grade) else 1


def checkout(ref: Ref, into: Into = None, as_json: Json = False) -> None:
    """Lay out the code and the inputs of a run in a new directory."""
    from mltrack.operations.bring import checkout as lay_out

    with Project.get(working_directory()) as project:
        run, place = lay_out(project, ref, into and absolute(into), say)
        if as_json:
            show_json({"run": run.id, "directory": str(place)})
        else:
            print(f"The code and inputs of {run.id} are in {place}")


def get(
    ref: Ref,
    path: Annotated[str, typer.Argument(metavar="PATH", help="An artifact or input, or a file inside one.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="PLACE", help="Where to; - is standard output.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a file of a run here. Nothing is written over."""
    from mltrack.operations import bring

    with Project.get(working_directory()) as project:
        if output == "-":
            sys.stdout.buffer.write(bring.read(project, ref, path))
            return
        place = bring.get(project, ref, path, Path(output) if output else None)
        if as_json:
            show_json({"path": path, "place": str(place)})
        else:
            print(f"Wrote {place}")
