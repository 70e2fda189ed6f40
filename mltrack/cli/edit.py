"""`mltrack tag`, `note`, `rm`, `restore`, `stop`."""

from __future__ import annotations

from typing import Annotated

import typer

from mltrack.cli.options import Json, Ref
from mltrack.cli.shown import shown
from mltrack.cli.start import working_directory
from mltrack.project import Project


def tag(
    ref: Ref,
    tags: Annotated[list[str], typer.Argument(metavar="TAG...", help="Short words without spaces.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take them off instead.")] = False,
    as_json: Json = False,
) -> None:
    """Attach short words to a run, or take them off."""
    from mltrack.operations import edit

    with Project.get(working_directory()) as project:
        run = edit.tag(project, ref, tuple(tags), remove)
        shown(run, as_json, f"{run.id} has the tags: {', '.join(run.tags) or 'none'}")


def note(
    ref: Ref,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is worth knowing about the run.")],
    as_json: Json = False,
) -> None:
    """Add a text to a run."""
    from mltrack.operations import edit

    with Project.get(working_directory()) as project:
        run = edit.note(project, ref, text)
        shown(run, as_json, f"{run.id} has {len(run.notes)} note{'s' if len(run.notes) > 1 else ''}.")


def rm(ref: Ref, as_json: Json = False) -> None:
    """Hide a run. Nothing is deleted: `mltrack restore` brings it back."""
    from mltrack.operations import edit

    with Project.get(working_directory()) as project:
        run = edit.remove(project, ref)
        shown(run, as_json, f"{run.id} is hidden. Bring it back: mltrack restore {run.id}")


def restore(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The whole id of a hidden run.")], as_json: Json = False
) -> None:
    """Bring a hidden run back."""
    from mltrack.operations import edit

    with Project.get(working_directory()) as project:
        run = edit.restore(project, run_id)
        shown(run, as_json, f"{run.id} is back.")


def stop(
    ref: Ref,
    grace: Annotated[float, typer.Option("--grace", metavar="SECONDS", min=0, help="Before SIGKILL.")] = 10.0,
    as_json: Json = False,
) -> None:
    """End a running command: SIGTERM first, SIGKILL after the grace."""
    from mltrack.operations.stop import stop as stop_run

    with Project.get(working_directory()) as project:
        run = stop_run(project, ref, grace)
        shown(run, as_json, f"{run.id} is {run.status}.")
