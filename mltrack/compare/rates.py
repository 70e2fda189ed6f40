"""How well scores and predictions meet the truth, and how well two fields go together: pure, over sequences.

ROC and precision-recall curves, their areas, confusion counts, ranks and Spearman's correlation. Nothing is read here,
and numpy is imported only where it counts: importing this file costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mltrack.formats.predictions import ordered
from mltrack.nouns import noun

if TYPE_CHECKING:
    import numpy

    Floats = numpy.ndarray

FEWEST = 4
"""Pairs below which a correlation of ranks is not told: three are in perfect order once in three times by chance."""

OPEN = 5e-5
"""Of the unit square, what a ready curve may leave unsaid at each end: less than the last digit of an area shows."""

DRAWN = 1000
"""Buckets of a long curve, of which each keeps at most four points."""


@noun
class Course:
    """A curve of rates over all thresholds: `xs` and `ys` from the highest threshold to the lowest."""

    xs: Floats
    ys: Floats
    area: float
    """Under a ROC curve by trapezoids; of precision and recall the average precision. NaN of a part of a curve."""
    positives: int = 0
    negatives: int = 0


def counts_by_threshold(labels: Any, scores: Any) -> tuple[Floats, Floats]:
    """True and false positives when all with at least some score are called positive: a pair for each different
    score, the highest first. Equal scores are one threshold: rows are never split by the order they came in."""
    import numpy

    truth, score = numpy.asarray(labels, bool), numpy.asarray(scores, float)
    order = numpy.argsort(-score, kind="stable")
    truth, score = truth[order], score[order]
    ends = numpy.flatnonzero(numpy.append(score[1:] != score[:-1], True)) if len(score) else numpy.zeros(0, int)
    hits = numpy.cumsum(truth)[ends]
    return hits, ends + 1 - hits


def roc(labels: Any, scores: Any) -> Course:
    """The ROC curve of scores (larger: rather positive) against truth values, from (0, 0) to (1, 1).

    Its area is by trapezoids, which for tied scores counts half of each tied pair, as the Mann-Whitney statistic does:
    Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006), algorithms 1 and 2.
    Raises ValueError where all rows are positive, or none is: there is no such curve.
    """
    import numpy

    hits, misses = counts_by_threshold(labels, scores)
    positives, negatives = totals(hits, misses)
    if not positives or not negatives:
        raise ValueError("a ROC curve needs positive and negative rows")
    xs, ys = numpy.append(0.0, misses / negatives), numpy.append(0.0, hits / positives)
    return Course(xs, ys, trapezoids(xs, ys), positives, negatives)


def precision_recall(labels: Any, scores: Any) -> Course:
    """Precision over recall, from recall 0 (precision 1 by convention) to 1.

    Its area is the average precision, the sum of (R_n - R_(n-1)) P_n over thresholds n, as
    `sklearn.metrics.average_precision_score` defines it: not by trapezoids, since between two points of this curve
    precision is not a straight line (Davis and Goadrich, "The relationship between Precision-Recall and ROC curves",
    ICML 2006). Raises ValueError where no row is positive.
    """
    import numpy

    hits, misses = counts_by_threshold(labels, scores)
    positives, negatives = totals(hits, misses)
    if not positives:
        raise ValueError("precision and recall need positive rows")
    recall, precision = hits / positives, hits / (hits + misses)
    area = steps(numpy.append(0.0, recall), numpy.append(1.0, precision))
    return Course(numpy.append(0.0, recall), numpy.append(1.0, precision), area, positives, negatives)


def totals(hits: Floats, misses: Floats) -> tuple[int, int]:
    return (int(hits[-1]), int(misses[-1])) if len(hits) else (0, 0)


def ready_roc(xs: Any, ys: Any) -> Course:
    """A ROC curve from its points in any order. Raises ValueError for points that are of no one such curve.

    It never falls, and by definition it runs from (0, 0) to (1, 1). Before its first point and behind its last it can
    lie anywhere in a rectangle: where these are no larger than OPEN it is closed, else it is a part, without an area.
    """
    import numpy

    order = numpy.lexsort((ys, xs))
    x, y = xs[order], ys[order]
    if (y[1:] < y[:-1] - 1e-6).any():
        raise ValueError("a ROC curve never falls, and these points do: are they of several curves?")
    if max(x[0] * y[0], (1 - x[-1]) * (1 - y[-1])) > OPEN:
        return Course(x, y, math.nan)
    if x[0] or y[0]:
        x, y = numpy.append(0.0, x), numpy.append(0.0, y)
    if x[-1] < 1 or y[-1] < 1:
        x, y = numpy.append(x, 1.0), numpy.append(y, 1.0)
    return Course(x, y, trapezoids(x, y))


def ready_precision_recall(xs: Any, ys: Any) -> Course:
    """A curve of precision over recall from its points in any order.

    Among points of one recall those of higher thresholds have the higher precision: the same hits among fewer rows.
    The sum of the average precision begins at recall 0, whether there is a point or not; without one at recall 1 it
    has no end, and the curve is a part, without an area.
    """
    import numpy

    order = numpy.lexsort((-ys, xs))
    x, y = xs[order], ys[order]
    if 1 - x[-1] > OPEN:
        return Course(x, y, math.nan)
    if x[0] > 0:
        x, y = numpy.append(0.0, x), numpy.append(1.0, y)
    return Course(x, y, steps(x, y))


def trapezoids(xs: Any, ys: Any) -> float:
    """The area below straight lines through the points, in their order; negative where x runs backwards."""
    import numpy

    x, y = numpy.asarray(xs, float), numpy.asarray(ys, float)
    return float(numpy.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1])) / 2)


def steps(xs: Any, ys: Any) -> float:
    """The area below steps: each y reaches back to the x before it."""
    import numpy

    x, y = numpy.asarray(xs, float), numpy.asarray(ys, float)
    return float(numpy.sum((x[1:] - x[:-1]) * y[1:]))


def corners(xs: Any, ys: Any) -> tuple[Floats, Floats]:
    """A curve without the points that lie on a horizontal or vertical line between their neighbours."""
    import numpy

    x, y = numpy.asarray(xs, float), numpy.asarray(ys, float)
    if len(x) < 3:
        return x, y
    flat = ((x[1:-1] == x[:-2]) & (x[1:-1] == x[2:])) | ((y[1:-1] == y[:-2]) & (y[1:-1] == y[2:]))
    kept = numpy.concatenate(([True], ~flat, [True]))
    return x[kept], y[kept]


def thinned(xs: Any, ys: Any, buckets: int = DRAWN) -> tuple[Floats, Floats]:
    """A curve whose x never falls with at most four points a bucket of x, or itself where it is short.

    Of each bucket the first, the last, the lowest and the highest point stay: no step and no peak is lost.
    """
    import numpy

    x, y = numpy.asarray(xs, float), numpy.asarray(ys, float)
    if len(x) <= 4 * buckets:
        return x, y
    span = x[-1] - x[0] or 1.0
    bucket = numpy.minimum(((x - x[0]) / span * buckets).astype(int), buckets - 1)
    starts = numpy.flatnonzero(numpy.append(True, bucket[1:] != bucket[:-1]))
    ends = numpy.append(starts[1:], len(x)) - 1
    by_height = numpy.lexsort((y, bucket))  # within each bucket from low to high; buckets stay where they are
    kept = numpy.unique(numpy.concatenate((starts, ends, by_height[starts], by_height[ends])))
    return x[kept], y[kept]


def confusion(
    actual: Sequence[str], predicted: Sequence[str], counts: Sequence[int] | None = None
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """The classes of either, in order, and for each actual one how often each was predicted. `counts`: how many rows
    each pair stands for, where that is not one."""
    from collections import Counter

    pairs: Counter[tuple[str, str]] = Counter()
    if counts is None:
        pairs.update(zip(actual, predicted))
    else:
        for row, column, count in zip(actual, predicted, counts):
            pairs[row, column] += count
    classes = ordered({name for pair in pairs for name in pair})
    return classes, tuple(tuple(pairs[row, column] for column in classes) for row in classes)


def rearranged(
    classes: Sequence[str], counts: Sequence[Sequence[int]], wanted: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """The counts with a row and a column for each class that is wanted, in that order; of one not known, zeros."""
    at = {name: place for place, name in enumerate(classes)}
    return tuple(
        tuple(counts[at[row]][at[column]] if row in at and column in at else 0 for column in wanted) for row in wanted
    )


def accuracy(counts: Sequence[Sequence[int]]) -> float | None:
    """The share of rows on the diagonal; None of no rows."""
    total = sum(map(sum, counts))
    return sum(row[place] for place, row in enumerate(counts)) / total if total else None


def ranks(values: Any) -> Floats:
    """The place of each value in order, from 1; equal values share the mean of their places."""
    import numpy

    _, group, sizes = numpy.unique(numpy.asarray(values, float), return_inverse=True, return_counts=True)
    last = numpy.cumsum(sizes)
    return ((last - sizes + 1 + last) / 2)[group]


def spearman(xs: Any, ys: Any) -> float | None:
    """Spearman's rank correlation of pairs of finite numbers: Pearson's of their ranks, ties sharing a mean rank.

    C. Spearman, "The proof and measurement of association between two things", American Journal of Psychology 15
    (1904); for ties see M. G. Kendall, "Rank correlation methods" (1948), chapter 3. None for fewer than FEWEST pairs,
    and where one of them is always the same.
    """
    if len(xs) < FEWEST:
        return None
    import numpy

    a, b = ranks(xs), ranks(ys)
    a, b = a - a.mean(), b - b.mean()
    size = float(numpy.sqrt(numpy.dot(a, a) * numpy.dot(b, b)))
    return max(-1.0, min(1.0, float(numpy.dot(a, b)) / size)) if size else None
