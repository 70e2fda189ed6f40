"""`mltrack run`."""

from __future__ import annotations

from typing import Annotated

import typer

from mltrack.cli.options import (
    AsJson,
    Cached,
    Command,
    Env,
    Experiment,
    Image,
    Inputs,
    Isolated,
    Metrics,
    Name,
    Outputs,
    Overrides,
    Params,
    Quiet,
    Seed,
    Strict,
    Tags,
    Trace,
    Why,
)
from mltrack.cli.start import start_run


def run(
    command: Command,
    inputs: Inputs = None,
    outputs: Outputs = None,
    params: Params = None,
    metrics: Metrics = None,
    overrides: Overrides = None,
    tags: Tags = None,
    name: Name = None,
    experiment: Experiment = None,
    why: Why = None,
    env: Env = None,
    image: Image = None,
    resume_from: Annotated[
        str | None,
        typer.Option(
            "--resume-from", metavar="RUN", help="Lay out a run's artifacts in $MLTRACK_RESUME; become its child."
        ),
    ] = None,
    seed: Seed = None,
    isolated: Isolated = False,
    strict: Strict = False,
    quiet: Quiet = False,
    trace: Trace = False,
    cached: Cached = False,
    as_json: AsJson = False,
) -> int:
    """Run a command and record all that made its result.

    Code (committed or not), environment, hardware, inputs, parameters, metrics, artifacts and output are kept.
    The exit code is the command's own; 125 when mltrack failed before it started.
    """
    return start_run(
        command=command,
        inputs=inputs or (),
        outputs=outputs or (),
        params=params or (),
        metrics=metrics or (),
        overrides=overrides or (),
        tags=tags or (),
        name=name,
        experiment=experiment,
        why=why,
        env=env,
        image=image,
        resume_from=resume_from,
        seed=seed,
        isolated=isolated,
        strict=strict,
        quiet=quiet,
        trace=trace,
        cached=cached,
        as_json=as_json,
    )
