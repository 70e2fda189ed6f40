"""After the run: metric points from declared files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mltrack.errors import MltrackError
from mltrack.records import Warning

if TYPE_CHECKING:
    from mltrack.formats.metrics import Point


def points_in_files(files: Sequence[tuple[str, Path]]) -> tuple[list[Point], list[Warning]]:
    """The points in metrics files (the name in the record, the place); a broken file is a warning."""
    from mltrack.formats.metrics import read_metrics

    points: list[Point] = []
    warnings: list[Warning] = []
    for name, place in files:
        try:
            points += read_metrics(place)
        except (MltrackError, OSError) as error:
            warnings.append(Warning("metrics-unreadable", f"The metrics file {name} could not be read: {error}"))
    return points, warnings
