"""Where the values of a curve stand on the horizontal axis, when that is not the step. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    from mltrack.formats.series_columns import Columns
    from mltrack.records import Run

    Array = numpy.ndarray[Any, Any]


def since_start(run: Run, own: Columns) -> Array:
    """Seconds since the run started; since its first point, where nobody knows when it did."""
    import numpy as np

    known = own.times[np.isfinite(own.times)]
    began = seconds(run.started_at or run.created_at)
    if began is None:
        began = float(known.min()) if len(known) else 0.0
    return own.times - began


def order_of(own: Columns) -> Array:
    """0, 1, 2 ...: the order in which the points were logged."""
    import numpy as np

    return np.arange(len(own.values), dtype=np.float64)


def seconds(moment: str | None) -> float | None:
    """A recorded time as seconds since 1970; None where there is none."""
    from datetime import datetime

    try:
        return datetime.fromisoformat((moment or "").replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def at_values_of(own: Columns, other: Columns) -> Array:
    """For each value what another metric was at the same step, the last if it was logged twice; NaN where it was not.

    Without steps the first goes with the first, and so on.
    """
    import numpy as np

    if not (np.isfinite(own.steps).all() and np.isfinite(other.steps).all()):
        found = np.full(len(own.values), np.nan)
        size = min(len(own.values), len(other.values))
        found[:size] = other.values[:size]
        return found
    if len(own.steps) == len(other.steps) and bool((own.steps == other.steps).all()):
        return other.values
    order = np.argsort(other.steps, kind="stable")
    steps = other.steps[order]
    place = np.searchsorted(steps, own.steps, side="right") - 1
    is_there = (place >= 0) & (steps[place] == own.steps)
    return np.where(is_there, other.values[order][place], np.nan)
