"""`mltrack verdict`."""

from __future__ import annotations

from typing import Annotated

import typer

from mltrack.cli.options import Json, Ref
from mltrack.cli.start import say, working_directory
from mltrack.project import Project
from mltrack.views.console import show, show_json


def verdict(
    ref: Ref,
    against: Annotated[
        str | None, typer.Option("--against", metavar="RUN", help="Any other run; the verdict is not kept then.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Judge a reproduction or a rerun again, by today's settings and calibrations, with no run.

    It is compared with the run that it repeats, and a verdict that comes out otherwise takes the place of the old one.
    Exits 0 when the result is the same (identical to within noise), 1 otherwise.
    """
    from mltrack.compare.verdict.grades import is_success
    from mltrack.operations.judging.verdict import judge_again

    with Project.get(working_directory()) as project:
        done = judge_again(project, ref, against)
    if as_json:
        from mltrack.noun_json import to_dict

        show_json({"verdict": to_dict(done.verdict), "run": done.now.id, "kept": done.is_kept, "before": done.before})
    else:
        from mltrack.views.verdict import verdict_page

        show(verdict_page(done.verdict, done.now.id))
        if done.before is not None and done.before != done.verdict.grade:
            say(f"The verdict was {done.before!r} before.")
    return 0 if is_success(done.verdict.grade) else 1
