"""What a person adds to a run afterwards: tags, notes, removal. Each is an event; the sealed record never changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mltrack.errors import Ambiguous, NotFound, UsageError
from mltrack.operations.find import find_run
from mltrack.operations.request import checked_tag
from mltrack.redact import Redactor

SHORTEST_PREFIX = 4

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run


def sealed_run(project: Project, ref: str) -> Run:
    """The run that `ref` names; UsageError while it is still running."""
    run = find_run(project, ref)
    if run.status == "running":
        raise UsageError(f"{run.id} is still running.", "Edit it when it has ended, or end it: mltrack stop " + run.id)
    return run


def tag(project: Project, ref: str, tags: tuple[str, ...], remove: bool = False) -> Run:
    """Attach short words to a run, or take them off."""
    run = sealed_run(project, ref)
    redactor = Redactor(os.environ)
    for word in [redactor.text(checked_tag(word)) for word in tags]:
        if (word in run.tags) == remove:
            project.ledger.add_event("untag" if remove else "tag", run.id, word)
    return project.ledger.get(run.id)


def note(project: Project, ref: str, text: str) -> Run:
    """Add a free text to a run."""
    run = sealed_run(project, ref)
    if not text.strip():
        raise UsageError("The note is empty.", f"For example: mltrack note {run.id} 'the data was shuffled'")
    project.ledger.add_event("note", run.id, Redactor(os.environ).text(text))
    return project.ledger.get(run.id)


def remove(project: Project, ref: str) -> Run:
    """Hide a run. Nothing is deleted from the store: `restore` brings it back."""
    run = sealed_run(project, ref)
    project.ledger.add_event("delete", run.id, None)
    return run


def restore(project: Project, run_id: str) -> Run:
    """Bring a removed run back; it is named by its id, or the beginning of it."""
    fitting = sorted(hidden for hidden in project.ledger.deleted_ids() if hidden.startswith(run_id.lower()))
    if len(fitting) != 1 or len(run_id) < SHORTEST_PREFIX:
        if fitting:
            raise Ambiguous(f"{run_id} may be {' or '.join(fitting)}.", "Type more of the id.")
        raise NotFound(f"No hidden run is called {run_id}.", "See the hidden ones: mltrack ls --all")
    project.ledger.add_event("restore", fitting[0], None)
    return project.ledger.get(fitting[0])
