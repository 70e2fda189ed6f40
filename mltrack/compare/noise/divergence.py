"""Where two runs of one experiment first went apart: the first logged step of a metric, the first artifact. Pure.

Points are compared as they were logged: per metric and rank, one after the other, by step and value. The earliest over
all metrics is the one that the first run logged first, so that steps counted in different units do not mix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest

from mltrack.compare.changes import same_number
from mltrack.digest import plain
from mltrack.formats.metrics import Point
from mltrack.formats.ranked import ranked_name
from mltrack.verdicts import Divergence

UNWRITTEN = float("inf")
"""When a file was written of which nobody knows."""


def first_metric(
    then: Iterable[Point],
    now: Iterable[Point],
    runs: tuple[str, str],
    is_ignored: Callable[[str], bool] = lambda name: False,
) -> Divergence | None:
    """The first point at which the metrics of two runs differ; `runs`: their ids. Points are in the order logged.

    A metric, or the rest of one, that only one of the runs has differs at the first point that the other lacks; its
    value there is None.
    """
    before, after = in_series(then), in_series(now)
    found: list[tuple[tuple[float, int], Divergence]] = []
    for order, key in enumerate({**before, **after}):
        name = key[0] if not key[1] else ranked_name(*key)
        if is_ignored(name) or is_ignored(key[0]):
            continue
        apart = first_apart(before.get(key, []), after.get(key, []))
        if apart is not None:
            a, b = apart
            point = a or b
            assert point is not None, "something is there on one side"
            place = a[0] if a is not None else UNWRITTEN
            values = (None if a is None else plain(a[1].value), None if b is None else plain(b[1].value))
            told = Divergence("metric", name, step_of(a, b), *values, runs)
            found.append(((place, order), told))
    return min(found, key=lambda item: item[0])[1] if found else None


Placed = tuple[int, Point]
"""A point, and its place in the log of the whole run."""


def in_series(points: Iterable[Point]) -> dict[tuple[str, int], list[Placed]]:
    """Name and rank -> its points in their order."""
    found: dict[tuple[str, int], list[Placed]] = {}
    for place, point in enumerate(points):
        found.setdefault((point.name, point.rank or 0), []).append((place, point))
    return found


def first_apart(before: list[Placed], after: list[Placed]) -> tuple[Placed | None, Placed | None] | None:
    """The first points of two series that do not say the same; None if all do."""
    for a, b in zip_longest(before, after):
        if a is None or b is None:
            return a, b
        if not same_number(a[1].value, b[1].value) or not same_number(a[1].step, b[1].step):
            return in_step(a, b)
    return None


def in_step(a: Placed, b: Placed) -> tuple[Placed | None, Placed | None]:
    """Of two points of different steps, the earlier one: the other series has none there."""
    first, second = a[1].step, b[1].step
    if first is None or second is None or same_number(first, second):
        return a, b
    return (a, None) if first < second else (None, b)


def step_of(a: Placed | None, b: Placed | None) -> int | float | None:
    """The step of the first that is there, if it is a finite one."""
    step = next((item[1].step for item in (a, b) if item is not None), None)
    return step if step is not None and math.isfinite(step) else None


def first_artifact(
    then: Mapping[str, str], now: Mapping[str, str], written: Mapping[str, float], runs: tuple[str, str]
) -> Divergence | None:
    """The artifact that differs and was written first. `then` and `now`: path -> what stands for its content;
    `written`: path -> seconds since 1970 in one of the runs; one of which that is not known comes last."""
    apart = [path for path in then.keys() | now.keys() if then.get(path) != now.get(path)]
    if not apart:
        return None
    path = min(apart, key=lambda path: (written.get(path, UNWRITTEN), path))
    return Divergence("artifact", path, None, then.get(path), now.get(path), runs)


def earliest(found: Iterable[Divergence | None]) -> Divergence | None:
    """Of several comparisons with one run, the divergence at the lowest step; of those without steps the first."""
    known = [one for one in found if one is not None]
    stepped = [one for one in known if one.step is not None]
    return min(stepped, key=lambda one: one.step or 0) if stepped else next(iter(known), None)
