"""`mltrack preflight`."""

from __future__ import annotations

from typing import Annotated

import typer

from mltrack.cli.options import Command, Env, Image, Inputs, Json, Metrics, Outputs, Overrides, Params, Seed
from mltrack.cli.start import say, working_directory
from mltrack.errors import UsageError
from mltrack.operations.request import RunRequest

NOT_MET = 1


def preflight(
    command: Command,
    inputs: Inputs = None,
    outputs: Outputs = None,
    params: Params = None,
    metrics: Metrics = None,
    overrides: Overrides = None,
    env: Env = None,
    image: Image = None,
    seed: Seed = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no package index and no registry.")] = False,
    min_grade: Annotated[
        str | None, typer.Option("--min-grade", metavar="A|B|C|D", help="Exit 1 when the grade is worse than this.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Say how well a run could be got again, before it runs.

    A grade from A to F, with each reason and its remedy. Nothing is started or kept. Exits 0, whatever the grade,
    unless --min-grade asks for a better one.
    """
    from mltrack.compare.preflight.grade import GRADES, is_worse
    from mltrack.noun_json import to_dict
    from mltrack.operations.preflight import preflight as look
    from mltrack.views.console import show, show_json
    from mltrack.views.preflight import forecast_page

    if min_grade is not None and min_grade.upper() not in GRADES:
        raise UsageError(f"{min_grade!r} is no grade.", f"Grades are {', '.join(GRADES)}; A is the best.")
    request = RunRequest(
        command=tuple(command),
        cwd=working_directory(),
        inputs=tuple(inputs or ()),
        outputs=tuple(outputs or ()),
        params=tuple(params or ()),
        metrics=tuple(metrics or ()),
        overrides=tuple(overrides or ()),
        seed=seed,
        environment_kind=env,
        environment_options={} if image is None else {"image": image},
    )
    found = look(working_directory(), request, offline, say)
    is_met = min_grade is None or not is_worse(found.preflight.grade, min_grade.upper())
    if as_json:
        shown = to_dict(found)
        show_json({"grade": found.preflight.grade, "holds": is_met, **shown.pop("preflight"), **shown})
    else:
        show(forecast_page(found))
    return 0 if is_met else NOT_MET
