"""The series of a run as far as they are here and quickly read: for the small lines beside metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError

if TYPE_CHECKING:
    from mltrack.project import Project
    from mltrack.records import Run

MOST_BYTES = 1 << 20
"""Of all series of a run; more would take a tenth of a second, and more still."""
LEAST_POINTS = 3


def known_series(project: Project, run: Run, names: Collection[str]) -> Mapping[str, Sequence[float]]:
    """Metric -> its values in order, of the first rank. Empty for a run that lives, and where the points are not here,
    or are many; nothing is fetched."""
    from mltrack.formats.ranked import split_rank
    from mltrack.formats.series import all_points

    worth = {name for name in names if name in run.metrics and run.metrics[name].count >= LEAST_POINTS}
    if not worth or run.series is None or run.status == "running":
        return {}
    found: dict[str, list[float]] = {}
    try:
        if not project.store.has(run.series) or project.store.size(run.series) > MOST_BYTES:
            return {}
        wanted = {name: split_rank(name) for name in worth}
        plain = {base: name for name, (base, rank) in wanted.items() if rank is None or rank == 0}
        for point in all_points([project.store.get_bytes(run.series)]):
            if point.name in plain and not point.rank:
                found.setdefault(plain[point.name], []).append(point.value)
    except (MltrackError, ValueError):
        return {}
    return {name: values for name, values in found.items() if len(values) >= LEAST_POINTS}
