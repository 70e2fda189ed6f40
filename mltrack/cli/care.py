"""`mltrack init`, `verify`, `doctor`, `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mltrack.cli.options import Json
from mltrack.cli.start import say, working_directory
from mltrack.project import Project

DAMAGED = 6
CHECK_FAILED = 1


def init() -> None:
    """Write a settings file to fill in. Not needed before a first run."""
    from mltrack.operations.init import init as write_settings

    with Project.open(working_directory()) as project:
        path = write_settings(project)
        print(f"Wrote {path}" if path else "There is a mltrack.yaml already.")
        print("Record a first run: mltrack run -- python train.py")


def verify(
    remote: Annotated[bool, typer.Option("--remote", help="Check the remote instead of the store here.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Which remote.")] = None,
    as_json: Json = False,
) -> int:
    """Check every digest, here or on a remote. Exits 6 when something is missing or damaged."""
    from mltrack.operations.share import verify_remote
    from mltrack.operations.verify import not_fetched
    from mltrack.operations.verify import verify as verify_here
    from mltrack.records import to_dict
    from mltrack.views.console import show_json

    with Project.get(working_directory()) as project:
        problems = verify_remote(project, name) if remote else verify_here(project)
        if as_json:
            show_json(to_dict(problems))
        else:
            for problem in problems:
                print(f"{problem.kind}: {problem.message}")
            if not problems:
                print("Everything holds.")
                elsewhere = 0 if remote else not_fetched(project)
                if elsewhere:
                    say(f"data not fetched of {elsewhere} runs from elsewhere; bring it: mltrack pull --data")
            elif not remote:
                say("A remote may have good copies: mltrack pull --data")
    return DAMAGED if problems else 0


def doctor(as_json: Json = False) -> int:
    """Check that mltrack can work here. Exits 1 when something is wrong."""
    from mltrack.operations.doctor import examine
    from mltrack.records import to_dict
    from mltrack.views.console import show_json

    findings = examine(working_directory())
    if as_json:
        show_json(to_dict(findings))
    else:
        for finding in findings:
            print(f"{finding.state:8} {finding.what}" + (f"  ->  {finding.advice}" if finding.advice else ""))
    return CHECK_FAILED if any(finding.state == "failure" for finding in findings) else 0


def demo(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="A new directory; by default mltrack-demo, or mltrack-demo-2, ..."),
    ] = None,
) -> int:
    """See the whole story on a real data set, in a minute."""
    from mltrack.cli.demo import free_directory, tell_story

    here = Path(working_directory())
    return tell_story(here / directory if directory else free_directory(here))
