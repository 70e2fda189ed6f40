"""`mltrack run`."""

from __future__ import annotations

from typing import Annotated

import typer

from mltrack.cli.start import start_run

Many = list[str] | None
Tags = Annotated[Many, typer.Option("--tag", metavar="WORD", help="A short word to find the run by.")]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="A name for the run.")]
Experiment = Annotated[str | None, typer.Option("--experiment", metavar="NAME", help="A name for a group of runs.")]
Why = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="Why you run it: you will want to know.")]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", min=0, help="Recorded; given as PYTHONHASHSEED and MLTRACK_SEED.")
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Work in a frozen copy of the tree.")]
Strict = Annotated[bool, typer.Option("--strict", help="Do not start if a file would be left out.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show nothing; the output is still recorded.")]
Trace = Annotated[bool, typer.Option("--trace", help="Watch its files with strace: sees all, and slows it down.")]
Cached = Annotated[
    bool, typer.Option("--cached", help="Where a past run was the very same, take that, with its outputs put back.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the run as JSON when it has ended.")]


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command, as you would type it.")],
    inputs: Annotated[
        Many, typer.Option("--input", metavar="PATH", help="A file, directory or glob that the command reads.")
    ] = None,
    outputs: Annotated[
        Many, typer.Option("--output", metavar="PATH", help="A file, directory or glob that it writes.")
    ] = None,
    params: Annotated[Many, typer.Option("--params", metavar="FILE[:KEY,...]", help="A file of parameters.")] = None,
    metrics: Annotated[
        Many, typer.Option("--metrics", metavar="FILE", help="A file of metrics that it writes, or stdout:PATTERN.")
    ] = None,
    overrides: Annotated[
        Many, typer.Option("--set", metavar="KEY=VALUE", help="Change a parameter for this run only.")
    ] = None,
    tags: Tags = None,
    name: Name = None,
    experiment: Experiment = None,
    why: Why = None,
    env: Annotated[
        str | None,
        typer.Option("--env", metavar="KIND", help="Kind of environment: auto, python, conda, docker, system ..."),
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", metavar="REF", help="Run in a container of this image.")
    ] = None,
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
