"""A row of numbers as a row of bars, one cell high. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
GAP = " "
"""Where there is no finite number."""


def sparkline(values: Sequence[float], width: int, between: tuple[float, float] | None = None) -> str:
    """At most `width` cells, each the mean of its share of the values; nothing where no value is finite.

    `between` are the values of the lowest and the highest bar, for lines that are to be held against each other; by
    default the lowest and highest of these.
    """
    means = shares(values, width)
    known = [value for value in means if math.isfinite(value)]
    if not known:
        return ""
    low, high = (min(known), max(known)) if between is None else between
    return "".join(bar(value, low, high) if math.isfinite(value) else GAP for value in means).rstrip(GAP)


def shares(values: Sequence[float], width: int) -> list[float]:
    """The means of `width` equal shares, of their finite values alone; NaN for a share that has none."""
    many = len(values)
    if many <= width:
        return [float(value) for value in values]
    return [mean(values[many * place // width : many * (place + 1) // width]) for place in range(width)]


def mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(value / len(known) for value in known) if known else math.nan


def bar(value: float, low: float, high: float) -> str:
    """A level line lies in the middle."""
    span = high / 2 - low / 2  # halves: the difference of two finite numbers may overflow
    if not span > 0:
        return BARS[len(BARS) // 2 - 1]
    place = (value / 2 - low / 2) / span * len(BARS)
    return BARS[min(max(int(place), 0), len(BARS) - 1)]


def extremes(*series: Sequence[float]) -> tuple[float, float] | None:
    """The lowest and the highest finite value of several series; None where there is none."""
    known = [value for values in series for value in values if math.isfinite(value)]
    return (min(known), max(known)) if known else None
