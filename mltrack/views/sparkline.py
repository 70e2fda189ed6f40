"""A row of numbers as a row of bars, one cell high. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mltrack.nouns import noun

BARS = "▁▂▃▄▅▆▇█"
GAP = " "
"""Where there is no finite number."""


OUTSIDE = 0.02
"""The share of the values that may lie above a common scale, and below."""
FACTOR = 4.0
"""Between the ends of a scale from which on bars may rise by factors."""


@noun
class Scale:
    """The values of the lowest and the highest bar, and whether the bars between rise by factors."""

    low: float
    high: float
    is_log: bool = False


def sparkline(values: Sequence[float], width: int, between: Scale | None = None) -> str:
    """At most `width` cells, each the mean of its share of the values; nothing where no value is finite.

    `between` is for lines that are to be held against each other; by default the lowest and highest of these.
    """
    means = shares(values, width)
    known = [value for value in means if math.isfinite(value)]
    if not known:
        return ""
    scale = Scale(min(known), max(known)) if between is None else between
    return "".join(bar(value, scale) if math.isfinite(value) else GAP for value in means).rstrip(GAP)


def shares(values: Sequence[float], width: int) -> list[float]:
    """The means of `width` equal shares, of their finite values alone; NaN for a share that has none."""
    many = len(values)
    if many <= width:
        return [float(value) for value in values]
    return [mean(values[many * place // width : many * (place + 1) // width]) for place in range(width)]


def mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(value / len(known) for value in known) if known else math.nan


def bar(value: float, scale: Scale) -> str:
    """A level line lies in the middle."""
    low, high = scale.low, scale.high
    if scale.is_log:
        value, low, high = (math.log(max(one, scale.low)) for one in (value, low, high))
    span = high / 2 - low / 2  # halves: the difference of two finite numbers may overflow
    if not span > 0:
        return BARS[len(BARS) // 2 - 1]
    place = (value / 2 - low / 2) / span * len(BARS)
    return BARS[min(max(int(place), 0), len(BARS) - 1)]


def scale_of(*series: Sequence[float]) -> Scale | None:
    """One scale for several series, on which the bulk of the values can be told apart; None without a finite value.

    What lies beyond the second and the 98th percentile of each series is drawn at the edge, so that a spike leaves
    something of the rest. Where the values are positive, span more than a factor of four, and half of them lie in the
    lowest quarter, as those of a loss that falls steeply and then slowly, bars rise by factors.
    """
    ordered = [sorted(value for value in values if math.isfinite(value)) for values in series]
    ends = [(one[int(len(one) * OUTSIDE)], one[-1 - int(len(one) * OUTSIDE)]) for one in ordered if one]
    if not ends:
        return None
    low, high = min(least for least, _ in ends), max(most for _, most in ends)
    known = sorted(value for one in ordered for value in one)
    is_log = low > 0 and high / low > FACTOR and known[len(known) // 2] < low + (high - low) / 4
    return Scale(low, high, is_log)


def extremes(*series: Sequence[float]) -> tuple[float, float] | None:
    """The lowest and the highest finite value of several series; None where there is none."""
    known = [value for values in series for value in values if math.isfinite(value)]
    return (min(known), max(known)) if known else None
