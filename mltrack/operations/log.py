"""`mltrack log`: the output of a run, whole or as it grows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mltrack.operations.fetch import ensure_here
from mltrack.operations.find import find_run
from mltrack.operations.reconcile import ALIVE, UNKNOWN, life_of

if TYPE_CHECKING:
    from mltrack.live.outputlog import LogLine
    from mltrack.project import Project

POLL_S = 0.2


def read_output(project: Project, ref: str, follow: bool = False) -> Iterator[LogLine]:
    """The lines of a run's output; with `follow`, those still to come while it lives."""
    from mltrack.live.outputlog import read_log
    from mltrack.live.rundir import RunDir

    run = find_run(project, ref)
    if run.status != "running":
        if run.log is not None:
            ensure_here(project, [run.log.digest])
            yield from read_log(project.store.read(run.log.digest))
        return
    rundir = RunDir(project.runs / run.id)
    yield from read_log(growing(rundir, follow))


def growing(rundir: object, follow: bool) -> Iterator[bytes]:
    """The bytes of a live run's log, block by block, until the run ends (or to its end now, without `follow`)."""
    from mltrack.live.rundir import RunDir

    assert isinstance(rundir, RunDir)
    with open(rundir.output, "rb") as file:
        while True:
            block = file.read(1 << 16)
            if block:
                yield block
            elif not follow:
                return
            elif not rundir.path.exists() or life_of(rundir) not in (ALIVE, UNKNOWN):
                yield file.read()
                return
            else:
                time.sleep(POLL_S)
