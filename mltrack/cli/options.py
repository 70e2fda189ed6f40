"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Ref = Annotated[str, typer.Argument(metavar="RUN", help="An id, name, tag or unique prefix; @ is the newest run.")]
NewestOr = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="An id, name, tag or unique prefix; by default the newest run.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Into = Annotated[Path | None, typer.Option("--into", metavar="DIR", help="The directory to make.")]
RemoteName = Annotated[
    str | None, typer.Option("--remote", metavar="NAME", help="Which remote; by default origin, or the only one.")
]

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

Command = Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command, as you would type it.")]
Inputs = Annotated[
    Many, typer.Option("--input", metavar="PATH", help="A file, directory or glob that the command reads.")
]
Outputs = Annotated[Many, typer.Option("--output", metavar="PATH", help="A file, directory or glob that it writes.")]
Params = Annotated[Many, typer.Option("--params", metavar="FILE[:KEY,...]", help="A file of parameters.")]
Metrics = Annotated[
    Many, typer.Option("--metrics", metavar="FILE", help="A file of metrics that it writes, or stdout:PATTERN.")
]
Overrides = Annotated[Many, typer.Option("--set", metavar="KEY=VALUE", help="Change a parameter for this run only.")]
Env = Annotated[
    str | None,
    typer.Option("--env", metavar="KIND", help="Kind of environment: auto, python, conda, docker, system ..."),
]
Image = Annotated[str | None, typer.Option("--image", metavar="REF", help="Run in a container of this image.")]

Runs = Annotated[
    Many,
    typer.Argument(
        metavar="[RUN|QUERY]...", help='Runs by id, name, tag or @, or those of a query: "metrics.acc > 0.9".'
    ),
]
Where = Annotated[str | None, typer.Option("--where", metavar="QUERY", help="The runs of a query, all of them.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only runs created since: 2d, today, 2026-11-01 ...")
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Only runs created until then: 2d, 2026-11-01, all of it.")
]
Branch = Annotated[str | None, typer.Option("--branch", metavar="NAME", help="Only runs of this branch.")]
Sort = Annotated[
    str,
    typer.Option("--sort", metavar="[-]FIELD", help="duration, metrics.NAME, params.NAME ...; with - largest first."),
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="How many at most.")]
