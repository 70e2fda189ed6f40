"""The last writes of a run: objects are flushed, then the record is sealed, then its directory goes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mltrack.errors import StorageError

if TYPE_CHECKING:
    from mltrack.live.rundir import RunDir
    from mltrack.project import Project
    from mltrack.records import Run


PATIENCE = 20
"""Times that a run which has just ended tries to get at the ledger, each as long as SQLite waits: an import of many
runs writes for a minute or two, and what was collected of a run is not collected again."""


def seal(project: Project, run: Run, rundir: RunDir, tries: int = 1) -> Run:
    """Make a finished run durable and remove its run directory; returns it with its record's digest.

    Raises StorageError, also where the ledger is locked for as long as `tries` last.
    """
    project.store.flush()
    if "stat_cache" in project.__dict__:
        project.stat_cache.flush()
    whole = replace(run, origin={**run.origin, "replica": project.ledger.replica})
    while True:
        try:
            sealed = project.ledger.seal(whole)
            break
        except StorageError as error:
            tries -= 1
            if not tries or "locked" not in str(error.__cause__):
                raise
            if project.tell is not None:
                project.tell("The run has ended. Its record waits for another mltrack command to release the ledger.")
    rundir.remove()
    return sealed
