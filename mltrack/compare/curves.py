"""Curves as numbers: smoothing, thinning for a picture, and the mean of runs that are alike but for the seed. Pure.

Arrays are numpy's, of one length; NaN is a gap and stays where it is. Nothing here knows of pixels or of files.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy

    Array = numpy.ndarray[Any, Any]

MOST_COMMON = 4000
"""Places at which curves whose steps differ are compared."""
BLOCK = 64
"""Points of which one product of matrices makes the smoothed ones."""
TAME = 1e-100, 1e100
"""Sizes whose squares and sums are numbers; others are scaled first."""


# -- smoothing


def smoothed(ys: Array, by: float) -> Array:
    """The values smoothed: below 1 by an exponential mean of that weight, from 1 on by the mean of so many points."""
    import numpy as np

    known = np.isfinite(ys)
    found = np.full(len(ys), np.nan)
    if known.any():
        scale = scale_of([ys[known]])
        values = scaled(ys[known], scale)
        found[known] = unscaled(exponential(values, by) if by < 1 else windowed(values, int(by)), scale)
    return found


def scale_of(parts: Sequence[Array]) -> float:
    """A power of two by which values are divided before they are reckoned with; 1 for all that are not extreme."""
    largest = max((max(float(part.max()), -float(part.min())) for part in parts if len(part)), default=0.0)
    if largest == 0 or TAME[0] <= largest <= TAME[1]:
        return 1.0
    return math.ldexp(1.0, max(-1000, math.frexp(largest)[1] - 1))


def scaled(values: Array, scale: float) -> Array:
    return values if scale == 1 else values / scale


def unscaled(values: Array, scale: float) -> Array:
    """The values times their scale; what is beyond the largest number is that number."""
    import numpy as np

    if scale == 1:
        return values
    most = float(np.finfo(np.float64).max)
    found: Array = np.clip(values, -most / scale, most / scale) * scale
    return found


def exponential(values: Array, weight: float) -> Array:
    """Each value's mean with those before it, which count `weight` times as much with every step back.

    Debiased as in Adam (Kingma and Ba 2015, section 3): divided by the sum of the weights, so that the first value is
    the first value and does not start at zero.
    """
    import numpy as np

    size = len(values)
    middle = float(values[0])
    padded = np.zeros(-(-size // BLOCK) * BLOCK)
    padded[:size] = values - middle
    steps = np.arange(BLOCK)
    back = steps[None, :] - steps[:, None]
    within = np.where(back >= 0, weight ** np.maximum(back, 0.0), 0.0)
    rows = padded.reshape(-1, BLOCK) @ within
    decay = weight ** (steps + 1.0)
    before = np.empty(len(rows))
    last, tail = 0.0, float(decay[-1])
    for place, own in enumerate(rows[:, -1].tolist()):
        before[place] = last
        last = own + tail * last
    sums = (rows + before[:, None] * decay[None, :]).reshape(-1)[:size]
    many = np.arange(1.0, size + 1)
    weights = -np.expm1(many * math.log(weight)) / (1 - weight) if weight > 0 else np.ones(size)
    found: Array = sums / weights + middle
    return found


def windowed(values: Array, width: int) -> Array:
    """Each value's mean with its neighbours, `width` in all; fewer at the ends."""
    import numpy as np

    size = len(values)
    middle = float(values[0])
    sums = np.concatenate(([0.0], np.cumsum(values - middle)))
    places = np.arange(size)
    low = np.maximum(places - (width - 1) // 2, 0)
    high = np.minimum(places + width // 2 + 1, size)
    found: Array = (sums[high] - sums[low]) / (high - low) + middle
    return found


# -- thinning


def thinned(xs: Array, ys: Sequence[Array], columns: int, is_log: bool = False) -> Array:
    """Which points to draw in so many columns of pixels, in their order: the line looks as that of all of them.

    Of each column the first, the last, the lowest and the highest of each of `ys` (M4: Jugel, Jerzak, Hackenbroich and
    Markl, "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 2014); no peak is hidden. Where x goes back
    and forth, so many runs of neighbouring points take the place of columns.
    """
    import numpy as np

    size = len(xs)
    if size <= 4 * columns * len(ys):
        return np.arange(size)
    with np.errstate(invalid="ignore", divide="ignore"):
        places = np.log(xs) if is_log else xs
        is_sorted = bool((places[1:] >= places[:-1]).all()) and bool(np.isfinite(places[[0, -1]]).all())
    series = list(ys)
    if is_sorted and places[-1] > places[0]:
        places = scaled(places, scale_of([places[[0, -1]]]))
        cells = ((places - places[0]) * (columns / (places[-1] - places[0]))).astype(np.int64)
    else:
        cells = np.arange(size) * columns // size
        series.append(xs)
    starts = np.flatnonzero(np.concatenate(([True], cells[1:] != cells[:-1])))
    ends = np.concatenate((starts[1:], [size])) - 1
    kept = np.zeros(size, bool)
    kept[starts] = kept[ends] = True
    for values in series:
        for extreme in (np.fmin, np.fmax):
            best = np.repeat(extreme.reduceat(values, starts), ends - starts + 1)
            kept[firsts(np.flatnonzero(values == best), cells)] = True
    known = np.logical_or.reduce([np.isfinite(values) for values in ys])
    return np.flatnonzero(kept & (known | whole_gaps(known, starts, ends)))


def firsts(places: Array, cells: Array) -> Array:
    """Of the places in each cell the first."""
    import numpy as np

    own = cells[places]
    return places[np.concatenate(([True], own[1:] != own[:-1]))] if len(places) else places


def whole_gaps(known: Array, starts: Array, ends: Array) -> Array:
    """Points in cells that have no number at all: a gap narrower than a cell cannot be seen."""
    import numpy as np

    has_any = np.logical_or.reduceat(known, starts)
    return np.repeat(~has_any, ends - starts + 1)


# -- several runs as one


def band(curves: Sequence[tuple[Array, Array]], confidence: float = 0.95) -> tuple[Array, Array, Array, Array] | None:
    """Curves (xs, ys) -> common xs, the mean, and the interval of confidence of the mean: its low and high ends.

    By Student's t: mean ± t(n - 1) s / sqrt(n), for n values that are drawn alike and independently from a normal
    population (Student, "The probable error of a mean", Biometrika 6, 1908). None for fewer than two curves, and where
    they have no x in common.
    """
    import numpy as np

    if len(curves) < 2:
        return None
    whole = [known_points(xs, ys) for xs, ys in curves]
    common = common_places([xs for xs, _ in whole])
    if not len(common):
        return None
    n = len(whole)
    scale = scale_of([ys for _, ys in whole])
    whole = [(xs, scaled(ys, scale)) for xs, ys in whole]
    centre = at_places(*whole[0], common)  # or what large numbers have in common would eat their digits
    mean = np.zeros(len(common))
    squares = np.zeros(len(common))
    for xs, ys in whole[1:]:  # one curve after the other: all of them at once are a matrix of gigabytes
        mean += (at_places(xs, ys, common) - centre) / n
    for xs, ys in whole:
        squares += (at_places(xs, ys, common) - centre - mean) ** 2
    reach = student(n - 1, confidence) * np.sqrt(squares / (n - 1)) / math.sqrt(n)
    middle = centre + mean
    low, middle, high = (unscaled(part, scale) for part in (middle - reach, middle, middle + reach))
    return common, middle, low, high


def known_points(xs: Array, ys: Array) -> tuple[Array, Array]:
    """The points without gaps; the arrays themselves, where there is none."""
    import numpy as np

    known = np.isfinite(xs) & np.isfinite(ys)
    return (xs, ys) if known.all() else (xs[known], ys[known])


def common_places(each: Sequence[Array]) -> Array:
    """The places where all curves are: those of their points between the latest begin and the earliest end."""
    import numpy as np

    if any(len(xs) == 0 for xs in each):
        return np.empty(0)
    if all(is_same(xs, each[0]) for xs in each):
        return np.unique(each[0])
    low, high = max(xs.min() for xs in each), min(xs.max() for xs in each)
    places: Array = np.unique(np.concatenate(each))
    places = places[(places >= low) & (places <= high)]
    if len(places) > MOST_COMMON:
        places = np.linspace(places[0], places[-1], MOST_COMMON)
    return places


def is_same(a: Array, b: Array) -> bool:
    return a is b or (len(a) == len(b) and bool((a == b).all()))


def at_places(xs: Array, ys: Array, places: Array) -> Array:
    """A curve's values at some places, on straight lines between its points; of several at one x the last.

    The curve has no gaps."""
    import numpy as np

    if is_same(xs, places):
        return ys
    order = np.argsort(xs, kind="stable")
    xs, ys = xs[order], ys[order]
    last = np.concatenate((xs[1:] != xs[:-1], [True]))
    return np.interp(places, xs[last], ys[last])


@lru_cache(256)
def student(degrees: int, confidence: float) -> float:
    """t such that a value of Student's distribution lies between -t and t with that probability.

    From the exact sums for whole degrees of freedom (Abramowitz and Stegun, "Handbook of Mathematical Functions",
    26.7.3 and 26.7.4), by bisection.
    """
    low, high = 0.0, 1.0
    while within_student(high, degrees) < confidence and high < 1e12:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if within_student(middle, degrees) < confidence else (low, middle)
    return (low + high) / 2


def within_student(t: float, degrees: int) -> float:
    """The probability of a value between -t and t."""
    angle = math.atan2(t, math.sqrt(degrees))
    cosine, sine = math.cos(angle), math.sin(angle)
    if degrees % 2 == 0:
        term = total = 1.0
        for k in range(2, degrees - 1, 2):
            term *= cosine * cosine * (k - 1) / k
            total += term
        return sine * total
    if degrees == 1:
        return 2 / math.pi * angle
    term = total = cosine
    for k in range(3, degrees - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total)
