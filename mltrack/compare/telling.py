"""Which param says most about a metric, over many runs: of those that finished, and seeds left out. Pure.

How much a param says is the share of the metric's variance between its values (the correlation ratio, eta squared:
Fisher 1925, Statistical Methods for Research Workers, section 44), of a param with many numbers the square of
Spearman's rank correlation. Both lie between 0 and 1. They only order params; nothing here proves a cause.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from mltrack.compare.best import FINISHED, counted
from mltrack.compare.many import Comparison, Row, key_of
from mltrack.compare.seeds import is_seed

if TYPE_CHECKING:
    from mltrack.plots import Scatter

LEAST_RUNS = 4
"""With a value of the metric; of fewer nothing is said."""
MOST_PARAMS = 200
"""Params that are looked at: those that most runs have."""


def main_metric(comparison: Comparison) -> Row | None:
    """The metric that a reader asks for first: known to most runs, with a known goal, and higher before lower."""
    metrics = [row for row in comparison.differing if row.section == "metrics"]
    found = [row for row in metrics if len(finite(comparison, row)) >= LEAST_RUNS]
    return min(found, key=lambda row: (row.goal is None, -len(row.known), row.goal != "max"), default=None)


def finite(comparison: Comparison, row: Row) -> dict[int, float]:
    """Place of a run -> its number; of the runs that count."""
    return {place: float(row.numbers[place]) for place in counting(comparison, row) if is_finite(row.numbers[place])}


def counting(comparison: Comparison, row: Row) -> list[int]:
    """Places of the runs with a number that finished; where none finished, of all."""
    finished = {place for place in row.numbers if comparison.runs[place].status == FINISHED}
    return list(counted(row.numbers, finished))


def is_finite(value: float | int) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def by_say(comparison: Comparison, metric: Row) -> list[tuple[float, Row]]:
    """The params that differ, those that say most about the metric first, each with how much it says."""
    values = finite(comparison, metric)
    params = [row for row in comparison.differing if row.section == "params" and not is_seed(row.name)]
    params = sorted(params, key=lambda row: -len(row.known))[:MOST_PARAMS]
    found = [(says(row, values), row) for row in params]
    return sorted(((share, row) for share, row in found if share > 0), key=lambda one: (-one[0], one[1].name))


def says(param: Row, values: Mapping[int, float]) -> float:
    """Between 0 and 1; 0 where too few runs have both."""
    places = [place for place in values if place in param.known]
    if len(places) < LEAST_RUNS:
        return 0.0
    groups = grouped(param, places)
    if 1 < len(groups) <= max(2, len(places) // 2):
        return explained(list(groups.values()), values)
    numbers = [place for place in places if place in param.numbers and is_finite(param.numbers[place])]
    if len(numbers) < LEAST_RUNS:
        return 0.0
    from mltrack.compare.rates import spearman

    rank = spearman([float(param.numbers[place]) for place in numbers], [values[place] for place in numbers])
    return 0.0 if rank is None else float(rank) ** 2


def grouped(param: Row, places: Sequence[int]) -> dict[Any, list[int]]:
    groups: dict[Any, list[int]] = {}
    for place in places:
        groups.setdefault(key_of(param.known[place]), []).append(place)
    return groups


def explained(groups: Sequence[Sequence[int]], values: Mapping[int, float]) -> float:
    """The share of the variance that lies between the groups."""
    every = [values[place] for group in groups for place in group]
    largest = max(map(abs, every))
    if not largest:
        return 0.0
    scaled = {place: value / largest for place, value in values.items()}  # a square must not overflow
    middle = fmean(scaled[place] for group in groups for place in group)
    total = sum((scaled[place] - middle) ** 2 for group in groups for place in group)
    between = sum(len(group) * (fmean(scaled[place] for place in group) - middle) ** 2 for group in groups)
    return between / total if total > 0 else 0.0


def scatter_of(comparison: Comparison, param: Row, metric: Row) -> Scatter | None:
    """The plot of a param against a metric; a param of mixed kinds is drawn as names."""
    from mltrack.plots import Axis, Dot, Scatter

    values = finite(comparison, metric)
    places = [place for place in values if place in param.known]
    numeric = all(place in param.numbers and is_finite(param.numbers[place]) for place in places)
    dots = []
    for place in places:
        run = comparison.runs[place]
        x: float | str = float(param.numbers[place]) if numeric else str(param.known[place])
        dots.append(Dot(x, values[place], run.name or run.id[:8], run=run.id))
    if len(dots) < LEAST_RUNS:
        return None
    return Scatter(
        f"{metric.name} by {param.name}", Axis(param.name, spans_decades(dots)), Axis(metric.name), tuple(dots)
    )


def spans_decades(dots: Sequence[Any]) -> bool:
    """Do positive numbers span so much that a logarithm shows them better?"""
    xs = [dot.x for dot in dots if not isinstance(dot.x, str)]
    return len(xs) == len(dots) and min(xs) > 0 and max(xs) / min(xs) >= 100
