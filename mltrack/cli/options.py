"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Ref = Annotated[str, typer.Argument(metavar="RUN", help="An id, name, tag or unique prefix; @ is the newest run.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Into = Annotated[Path | None, typer.Option("--into", metavar="DIR", help="The directory to make.")]
RemoteName = Annotated[
    str | None, typer.Option("--remote", metavar="NAME", help="Which remote; by default origin, or the only one.")
]
