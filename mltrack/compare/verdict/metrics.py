"""The metrics of two runs -> what each comes to. Pure.

Of a metric the last value and the number of points are compared; its minimum and maximum follow from points that are
not at hand here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltrack.compare.changes import difference, metric_number, same_number
from mltrack.compare.verdict.grades import DIFFERENT, IDENTICAL, WITHIN_NOISE, WITHIN_TOLERANCE
from mltrack.compare.verdict.rules import find_tolerance, is_covered, is_within
from mltrack.formats.ranked import split_rank
from mltrack.verdicts import MetricVerdict

if TYPE_CHECKING:
    from mltrack.compare.verdict.outputs import Bench


def judge_metrics(bench: Bench) -> list[MetricVerdict]:
    """One verdict a metric, and one more, `<name> (points)`, where the number of points differs."""
    then, now, ignored = bench.then.metrics, bench.now.metrics, bench.rules.ignore
    found: list[MetricVerdict] = []
    for name in sorted(then.keys() | now.keys()):
        if is_covered(name, ignored) or is_covered(split_rank(name)[0], ignored):
            continue
        a, b = then.get(name), now.get(name)
        if a is None or b is None:
            found.append(MetricVerdict(name, a and a.last, b and b.last, None, DIFFERENT))
            continue
        found.append(judge_number(name, a.last, b.last, bench))
        if a.count != b.count:
            found.append(judge_number(f"{name} (points)", a.count, b.count, bench))
    return sorted(found, key=lambda item: item.grade == IDENTICAL)


def judge_number(name: str, then: Any, now: Any, bench: Bench) -> MetricVerdict:
    before, after = metric_number(then), metric_number(now)
    change = difference(before, after)
    if same_number(before, after):
        return MetricVerdict(name, then, now, change, IDENTICAL)
    if is_within(before, change, find_tolerance(name, bench.rules.tolerance)):
        return MetricVerdict(name, then, now, change, WITHIN_TOLERANCE)
    spread = bench.calibration.metrics.get(name) if bench.calibration is not None else None
    if spread is None:
        return MetricVerdict(name, then, now, change, DIFFERENT)
    from mltrack.compare.noise.intervals import is_within as is_noise

    grade = WITHIN_NOISE if is_noise(spread, then, now) else DIFFERENT
    return MetricVerdict(name, then, now, change, grade, spread.low, spread.high)
