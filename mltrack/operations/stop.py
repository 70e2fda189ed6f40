"""`mltrack stop`: end a running command, politely first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.errors import CheckFailed, UsageError
from mltrack.operations.find import find_run
from mltrack.operations.running.reconcile import reconcile

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run

WAIT_S = 10.0


def stop(project: Project, ref: str, grace_s: float = WAIT_S) -> Run:
    """Send SIGTERM to the run's process group, SIGKILL after the grace; returns the run once it is folded."""
    import time

    from mltrack.executors.local import stop as stop_process
    from mltrack.live.rundir import RunDir

    run = find_run(project, ref)
    if run.status != "running":
        raise UsageError(f"{run.id} is not running: it is {run.status}.", "See what runs: mltrack ls")
    rundir = RunDir(project.runs / run.id)
    facts = rundir.read("process")
    if facts is None or not stop_process(facts, rundir, grace_s):
        raise CheckFailed(f"{run.id} could not be stopped from here.", "It runs on another machine, or has just ended.")
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and any(live.id == run.id for live in reconcile(project)):
        time.sleep(0.05)
    return find_run(project, run.id)
