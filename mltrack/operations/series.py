"""`mltrack show --series`: the points of one metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.errors import NotFound
from mltrack.operations.fetch import ensure_here

if TYPE_CHECKING:
    from mltrack.formats.metrics import Point
    from mltrack.project import Project
    from mltrack.records import Run


def read_series(project: Project, run: Run, name: str) -> list[Point]:
    """The points of a metric in the order in which they were logged. Raises NotFound with near names."""
    if name not in run.metrics:
        from difflib import get_close_matches

        near = get_close_matches(name, run.metrics, 3, 0.3) or list(run.metrics)[:5]
        raise NotFound(
            f"{run.id} has no metric {name}.", f"It has: {', '.join(near)}" if near else "It logged no metrics."
        )
    if run.status == "running":
        from mltrack.formats.metrics import read_journal
        from mltrack.live.rundir import RunDir

        return [point for point in read_journal(RunDir(project.runs / run.id).metrics) if point.name == name]
    from mltrack.formats.series import points_of

    assert run.series is not None, "a run with metrics has a series"
    ensure_here(project, [run.series])
    return points_of(project.store.get_bytes(run.series), name)
