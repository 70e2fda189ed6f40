"""What repetitions of a run say of its noise: how far a metric, or the numbers in an artifact, may lie apart. Pure.

A metric gets a two-sided normal tolerance interval: with confidence 0.95 it holds at least `content` of all further
repetitions. Where several items vary, each has a larger content (Bonferroni), so that all of them together hold 0.95.
A metric that every repetition gave alike has that value alone. One that was not a finite number in some repetition
has no interval, and nothing holds against it, unless every repetition gave the same NaN or infinity. A repetition that
did not log a metric says nothing of its value; fewer than two values give no interval.

An artifact with numbers is measured by the largest difference of its cells to the recorded ones, in each repetition. A
new one holds up to the one-sided tolerance bound of these differences; both the absolute and the relative one must. And
the recorded one must be like the repetitions: no further from the first of them than they are from each other. See
`docs/guides/noise.md` for why, and for how often either is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mltrack.compare.changes import metric_number, same_number
from mltrack.compare.seeds import seeds_of
from mltrack.nouns import noun
from mltrack.verdicts import Looks, Spread, Variation

if TYPE_CHECKING:
    from mltrack.records import Run
    from mltrack.verdicts import Calibration, Measure

CONTENT = 0.95
CONFIDENCE = 0.95

FEW = 5
"""Repetitions below which an interval is so wide that it excuses nearly everything."""

LEAST_SILENT = 3
"""Repetitions that must all have given other bytes before those of an artifact are said to mean nothing."""

LEAST_SLACK = 64
"""Bytes by which the size of a file that says nothing may always be another."""

PARTS = {"points": "count", "min": "min", "max": "max", "last step": "last_step"}
"""What else is compared of a metric, as `loss (min)`, and the field of its summary."""


# -- a metric


def interval(values: Sequence[float], content: float = CONTENT, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Where at least `content` of all further values lie, with `confidence`: lowest and highest.

    The values are finite, and at least two; ValueError otherwise. Equal values give that value alone.
    """
    if len(values) < 2 or not all(map(math.isfinite, values)):
        raise ValueError("an interval is made of two or more finite values")
    if min(values) == max(values):
        return values[0], values[0]
    from mltrack.compare.noise.factors import two_sided

    mean, deviation = centre(values)
    reach = two_sided(len(values), content, confidence) * deviation
    return mean - reach, mean + reach


def centre(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation of two or more finite values; NaN where no number can say them."""
    if min(values) == max(values):
        return values[0], 0.0
    offsets = [value - values[0] for value in values]  # or what large numbers have in common would eat their digits
    scale = max(map(abs, offsets))
    if not math.isfinite(scale):
        return math.nan, math.nan
    scaled = [offset / scale for offset in offsets]
    mean = math.fsum(scaled) / len(scaled)
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in scaled) / (len(scaled) - 1))
    return values[0] + mean * scale, deviation * scale


def spread(values: Iterable[float | str | None], content: float = CONTENT, confidence: float = CONFIDENCE) -> Spread:
    """One metric over the repetitions, None for each that did not log it."""
    logged = list(values)
    found = [value for value in logged if value is not None]
    numbers = numbers_of(found)
    missing = len(logged) - len(found)
    if len(numbers) < 2 or len(numbers) < len(found):
        return Spread(tuple(found), missing=missing)
    mean, deviation = centre(numbers)
    low, high = interval(numbers, content, confidence)
    if not all(map(math.isfinite, (mean, deviation, low, high))):
        return Spread(tuple(found), missing=missing)
    return Spread(tuple(found), mean, deviation, low, high, missing)


def numbers_of(values: Iterable[float | str]) -> list[float]:
    """The finite numbers among the values of a metric."""
    return [number for number in map(finite, values) if number is not None]


def finite(value: float | str) -> float | None:
    number = metric_number(value)
    try:
        return None if number is None or not math.isfinite(number) else float(number)
    except OverflowError:  # an integer that no float can say
        return None


def varied(values: Iterable[float | str | None]) -> bool:
    """Did any two repetitions that logged the metric give other values?"""
    found = [value for value in values if value is not None]
    return any(not same_number(found[0], value) for value in found[1:])


def share(items: int, content: float = CONTENT) -> float:
    """The content that each of so many items needs for all of them together to have `content` (Bonferroni)."""
    return 1 - (1 - content) / max(items, 1)


def holds(spread: Spread, value: float | str | None) -> bool:
    """Does a value lie where repetitions of the run lie? Never, where they say nothing of it."""
    if value is None or not spread.values:
        return False
    if len(spread.values) > 1 and not varied(spread.values):
        return same_number(spread.values[0], value)
    number = metric_number(value)
    if spread.low is None or spread.high is None or number is None:
        return False
    return spread.low <= number <= spread.high


def is_within(spread: Spread, then: float | str | None, now: float | str | None) -> bool:
    """Is a difference explained by noise? Both the recorded value and the new one must hold."""
    return holds(spread, then) and holds(spread, now)


def is_constant(spread: Spread) -> bool:
    """Did all repetitions that logged it give the same?"""
    return not varied(spread.values)


# -- an artifact


def bound(differences: Sequence[float], content: float = CONTENT, confidence: float = CONFIDENCE) -> float | None:
    """How large a difference to the recorded numbers may be, from those of two or more repetitions; else None."""
    if len(differences) < 2 or not all(0 <= one < math.inf for one in differences):
        return None
    from mltrack.compare.noise.factors import one_sided

    mean, deviation = centre(differences)
    limit = mean + one_sided(len(differences), content, confidence) * deviation
    return limit if math.isfinite(limit) else None


def explains(variation: Variation | None, measure: Measure | None) -> bool:
    """Is the difference between the numbers of two artifacts as small as between repetitions? The absolute difference
    must hold, and the relative one where every repetition had one (a recorded zero has none)."""
    if variation is None or measure is None or variation.missing or variation.allowed is None:
        return False
    if not is_at_most(measure.largest, variation.allowed):
        return False
    return variation.allowed_relative is None or is_at_most(measure.largest_relative, variation.allowed_relative)


def is_at_most(difference: float | str | None, limit: float) -> bool:
    return isinstance(difference, (int, float)) and difference <= limit


def says_nothing(variation: Variation | None, repetitions: int) -> bool:
    """Were the bytes of an artifact other ones in every repetition, and nothing in them could be measured? Those of a
    text always say something: a person reads it."""
    if variation is None or repetitions < LEAST_SILENT or variation.missing or variation.as_recorded:
        return False
    if variation.looks is None or variation.looks.is_text or variation.looks.smallest == 0:
        return False
    return variation.contents == repetitions and variation.allowed is None and variation.largest is None


def looks_alike(seen: Looks, one: Looks | None) -> bool:
    """Is an artifact like those of the repetitions, as far as size, first bytes and text or none go? The size may be as
    far beside theirs as theirs are from each other, and a hundredth of it."""
    if one is None or one.is_text != seen.is_text or not one.smallest or not one.begins.startswith(seen.begins):
        return False
    slack = seen.largest - seen.smallest + max(seen.largest // 100, LEAST_SLACK)
    return seen.smallest - slack <= one.smallest and one.largest <= seen.largest + slack


def in_common(looks: Sequence[Looks]) -> Looks:
    """What several have in common; there is at least one."""
    first, last = min(one.begins for one in looks), max(one.begins for one in looks)
    begins = next((first[:at] for at, sign in enumerate(first) if last[at : at + 1] != sign), first)
    return Looks(
        min(one.smallest for one in looks),
        max(one.largest for one in looks),
        begins[: len(begins) // 2 * 2],
        any(one.is_text for one in looks),
    )


def is_steady(variation: Variation, repetitions: int) -> bool:
    """Did every repetition give the same artifact, or none of them any?"""
    return variation.missing in (0, repetitions) and variation.contents <= 1


# -- all of a run


def spreads(
    rows: Sequence[Mapping[str, float | str]], others: int = 0, confidence: float = CONFIDENCE
) -> tuple[dict[str, Spread], float]:
    """Each metric over the repetitions (one row each), and the content that its interval was made for.

    `others`: items that vary and are judged together with the metrics.
    """
    names = sorted({name for row in rows for name in row})
    columns = {name: [row.get(name) for row in rows] for name in names}
    content = share(sum(map(varied, columns.values())) + others)
    return {name: spread(column, content, confidence) for name, column in columns.items()}, content


# -- between any two runs


@noun
class Noted:
    """What a calibration says of the difference in one metric between two runs."""

    is_inside: bool
    """Both values lie in the interval."""
    repetitions: int
    vary: str
    low: float | None
    high: float | None
    calibration: str
    """Its id."""


def between(a: Run, b: Run, repeated: Iterable[Run] = ()) -> dict[str, Noted]:
    """The metrics that differ between two runs, as far as a calibration of either, or of a run that one of them
    repeats (`repeated`), knows their noise."""
    calibration = calibration_between(a, b, (a, b, *repeated))
    if calibration is None:
        return {}
    found = {}
    for name in a.metrics.keys() & b.metrics.keys() & calibration.metrics.keys():
        then, now, known = a.metrics[name].last, b.metrics[name].last, calibration.metrics[name]
        if not same_number(then, now):
            inside, many = is_within(known, then, now), len(calibration.runs)
            found[name] = Noted(inside, many, calibration.vary, known.low, known.high, calibration.id)
    return found


def calibration_between(a: Run, b: Run, runs: Iterable[Run]) -> Calibration | None:
    """The calibration that a difference between two runs is held against: where seeds or params differ, rather one
    with other seeds; where they do not, none such, for it would excuse too much."""
    known = list(runs)
    ways = ("seed", "nothing") if seeds_of(a) != seeds_of(b) or a.params != b.params else ("nothing",)
    found = (best(run.calibrations, way) for way in ways for run in known)
    return next((one for one in found if one is not None), None)


def best(calibrations: Iterable[Calibration], vary: str) -> Calibration | None:
    """Of the calibrations of one run that varied this, the one with the most repetitions; of equals the newest."""
    found = [one for one in calibrations if one.vary == vary]
    return max(reversed(found), key=lambda one: len(one.runs), default=None)
