"""From what a person types to a run that is to be repeated, the project that records it, and the directory for it."""

from __future__ import annotations

from pathlib import Path

from mltrack.digest import plain
from mltrack.errors import CheckFailed, MltrackError, NotFound
from mltrack.operations.find import find_run
from mltrack.operations.request import Tell
from mltrack.project import Project
from mltrack.records import Run, new_id
from mltrack.redact import PLACEHOLDER

REPETITIONS = ("reproduce", "calibrate")
"""Kinds of parents that a run only repeats: it is no other experiment."""


def begin(ref: str, start: Path, url: str | None, into: Path | None, tell: Tell) -> tuple[Project, Run, Path]:
    """The project that records, the run to reproduce, and the directory to work in."""
    project, run, top = located(ref, start, url, into, tell)
    try:
        return project, check_whole(run), top
    except BaseException as error:
        project.__exit__(type(error))
        raise


def located(ref: str, start: Path, url: str | None, into: Path | None, tell: Tell) -> tuple[Project, Run, Path]:
    """The same for any run, whether it can be reproduced or not."""
    from mltrack.operations.share import clone_records, pull_from

    found = Project.find(start)
    top = into
    if found is None:
        if url is None:
            raise NotFound(
                "There is no mltrack project here.", "Name where the run is: mltrack reproduce ID --from URL"
            )
        top = into or start / f"reproduced-{ref.lstrip('@~') or 'run'}"
    project = found or clone_records(url or "", top or start, tell)
    try:
        if found is not None and url is not None:
            pull_from(project, url, tell)
        return project, to_repeat(project, ref, tell), top or project.work / new_id()
    except BaseException as error:
        project.__exit__(type(error))
        raise


def to_repeat(project: Project, ref: str, tell: Tell) -> Run:
    """The run that a person means to have again: of a reproduction that they did not name by its id, the run that it
    repeats."""
    named = run = find_run(project, ref)
    if run.name != ref and run.id.startswith(plain(ref).lower()):
        return run
    while run.parent is not None and run.parent.kind in REPETITIONS:
        try:
            run = project.ledger.get(run.parent.run)
        except MltrackError:
            break
    if run.id != named.id:
        tell(f"{ref} is {named.id}, a repetition of {run.id}: that is taken")
    return run


def check_whole(run: Run) -> Run:
    """Refuse at once what cannot be reproduced."""
    if run.status == "running":
        raise CheckFailed(f"{run.id} is still running.", "Reproduce it when it has ended.")
    if any(PLACEHOLDER in word for word in run.command):
        raise CheckFailed(
            f"The command of {run.id} held a secret, which was not recorded.",
            f"Open a shell in it, and type the command again: mltrack shell {run.id}",
        )
    return run
