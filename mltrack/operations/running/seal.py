"""The last writes of a run: objects are flushed, then the record is sealed, then its directory goes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mltrack.live.rundir import RunDir
    from mltrack.project import Project
    from mltrack.records import Run


def seal(project: Project, run: Run, rundir: RunDir) -> Run:
    """Make a finished run durable and remove its run directory; returns it with its record's digest."""
    project.store.flush()
    if "stat_cache" in project.__dict__:
        project.stat_cache.flush()
    sealed = project.ledger.seal(replace(run, origin={**run.origin, "replica": project.ledger.replica}))
    rundir.remove()
    return sealed
