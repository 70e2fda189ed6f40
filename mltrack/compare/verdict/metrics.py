"""The metrics of two runs -> what each comes to. Pure.

Of a metric its last value is compared, and where they say more its minimum, its maximum, the number of its points and
the step of the last; and, as far as the points are at hand (`Evidence.curves`), each of them. A curve that moved moves
with its last value: what excuses that excuses the curve, if the calibration saw it vary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltrack.compare.changes import difference, metric_number, same_number
from mltrack.compare.noise.intervals import PARTS
from mltrack.compare.verdict.grades import DIFFERENT, GRADES, IDENTICAL, WITHIN_NOISE, WITHIN_TOLERANCE
from mltrack.compare.verdict.rules import find_tolerance, is_covered, is_measure_within, is_within
from mltrack.formats.ranked import split_rank
from mltrack.nouns import noun
from mltrack.verdicts import MetricVerdict

if TYPE_CHECKING:
    from mltrack.compare.verdict.outputs import Bench
    from mltrack.config import Tolerance
    from mltrack.records import MetricSummary
    from mltrack.verdicts import Spread


@noun
class Stand:
    """Whose tolerance, and whose noise, are those of a part of a metric that has none of its own."""

    tolerance: str | None = None
    noise: str | None = None


ALONE = Stand()


def judge_metrics(bench: Bench) -> list[MetricVerdict]:
    """One verdict a metric, and one more, `<name> (points)` or the like, for what else of it differs."""
    then, now, ignored = bench.then.metrics, bench.now.metrics, bench.rules.ignore
    found: list[MetricVerdict] = []
    for name in sorted(then.keys() | now.keys()):
        if is_covered(name, ignored) or is_covered(split_rank(name)[0], ignored):
            continue
        a, b = then.get(name), now.get(name)
        if a is None or b is None:
            found.append(MetricVerdict(name, a and a.last, b and b.last, None, DIFFERENT))
            continue
        own = [judge_number(name, a.last, b.last, bench), *judge_parts(name, a, b, bench)]
        curve = judge_curve(name, bench)
        if curve is not None and GRADES.index(curve.grade) > max(GRADES.index(item.grade) for item in own):
            own.append(curve)
        found += own
    return sorted(found, key=lambda item: item.grade == IDENTICAL)


def judge_parts(name: str, a: MetricSummary, b: MetricSummary, bench: Bench) -> list[MetricVerdict]:
    """What else differs in two summaries. A minimum or maximum that is the last value on both sides says no more."""
    found = []
    for part, field in PARTS.items():
        then, now = getattr(a, field), getattr(b, field)
        if part == "last step" and a.count != b.count:
            continue  # which the points say
        is_extreme = part in ("min", "max")
        if same_number(then, now) or (is_extreme and same_number(then, a.last) and same_number(now, b.last)):
            continue
        also = name if is_extreme else None
        spread = name if is_extreme and same_number(then, a.last) else None
        found.append(judge_number(f"{name} ({part})", then, now, bench, Stand(also, spread)))
    return found


def judge_number(name: str, then: Any, now: Any, bench: Bench, stand: Stand = ALONE) -> MetricVerdict:
    before, after = metric_number(then), metric_number(now)
    change = difference(before, after)
    if same_number(before, after):
        return MetricVerdict(name, then, now, change, IDENTICAL)
    if is_within(before, change, tolerance_of(name, stand.tolerance, bench)):
        return MetricVerdict(name, then, now, change, WITHIN_TOLERANCE)
    spread = spread_of(name, bench) or (spread_of(stand.noise, bench) if stand.noise else None)
    if spread is None:
        return MetricVerdict(name, then, now, change, DIFFERENT)
    from mltrack.compare.noise.intervals import is_within as is_noise

    grade = WITHIN_NOISE if is_noise(spread, then, now) else DIFFERENT
    return MetricVerdict(name, then, now, change, grade, spread.low, spread.high)


def tolerance_of(name: str, other: str | None, bench: Bench) -> Tolerance | None:
    own = find_tolerance(name, bench.rules.tolerance)
    return own if own is not None or other is None else find_tolerance(other, bench.rules.tolerance)


def spread_of(name: str, bench: Bench) -> Spread | None:
    return bench.calibration.metrics.get(name) if bench.calibration is not None else None


def judge_curve(name: str, bench: Bench) -> MetricVerdict | None:
    """The points of a metric, if any differ: by the pair that is furthest apart."""
    curve = bench.evidence.curves.get(name)
    if curve is None:
        return None
    from mltrack.compare.noise.intervals import is_constant
    from mltrack.compare.noise.intervals import is_within as is_noise

    change = difference(metric_number(curve.then), metric_number(curve.now))
    spread = spread_of(name, bench)
    grade = DIFFERENT
    if is_measure_within(curve.measure, find_tolerance(name, bench.rules.tolerance)):
        grade = WITHIN_TOLERANCE
    elif spread is not None and not is_constant(spread):
        lasts = bench.then.metrics[name].last, bench.now.metrics[name].last
        grade = WITHIN_NOISE if is_noise(spread, *lasts) else DIFFERENT
    return MetricVerdict(f"{name} ({curve.where})", curve.then, curve.now, change, grade)
