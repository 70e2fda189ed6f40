"""What a table holds for ROC and precision-recall curves: labels with scores for one or more classes, or curves that
were made before, as sklearn and DVC write them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.errors import UsageError
from mltrack.formats.predictions import (
    ACTUAL,
    PREDICTED,
    SCORE,
    Named,
    empty,
    find,
    names_in,
    scores_by_class,
    shown,
    without_point,
)
from mltrack.nouns import noun

if TYPE_CHECKING:
    import numpy

    from mltrack.formats.columns import Column, Table

FPR = ("fpr", "false_positive_rate", "fp_rate", "fall_out")
TPR = ("tpr", "true_positive_rate", "tp_rate", "sensitivity", "recall")
RECALL = ("recall", "sensitivity", "tpr")
PRECISION = ("precision", "ppv", "positive_predictive_value")
OBVIOUS = {"1", "true", "yes", "y", "t", "positive", "pos", "p"}
"""Names of the class that scores are for, beside one of the next."""
OPPOSITE = {"0", "-1", "false", "no", "n", "f", "negative", "neg"}


@noun
class Scored:
    """The actual class of each row, and its score for one or more classes."""

    actual: Sequence[str]
    scores: Mapping[str, numpy.ndarray]
    """By the class that they speak for."""
    left_out: int = 0


@noun
class Ready:
    """Curves that were made before, by the class they are of, "" for the only one: their points as they came."""

    courses: Mapping[str, tuple[numpy.ndarray, numpy.ndarray]]


def curve_of(table: Table, kind: str, named: Named, where: str) -> Scored | Ready:
    """Labels with scores, or ready curves of a `kind`: `roc` or `pr`. Raises UsageError."""
    actual = find(table.columns, named.actual, ACTUAL, where)
    if named.score is None and named.actual is None:
        courses = ready_in(table, kind)
        if courses:
            return Ready({name: whole_rates(*course, where) for name, course in courses.items()})
    if actual is not None:
        scored = scored_of(table, named, actual, where)
        if scored is not None:
            return scored
    sides = "fpr and tpr" if kind == "roc" else "recall and precision"
    lacking = "actual classes" if actual is None else "scores"
    raise UsageError(
        f"{where} has no {lacking}. Found: {shown(table.columns)}.",
        f"Needed: actual classes and scores (--actual COL --score COL), or a ready curve: {sides}.",
    )


def ready_in(table: Table, kind: str) -> dict[str, tuple[Any, Any]]:
    """The curves that stand in the table, or in the objects of a JSON value, one for each class."""
    from mltrack.formats.columns import columns_in

    courses = {}
    for name, inner in table.document.items() if isinstance(table.document, dict) else ():
        pair = ready_pair(columns_in(inner, lambda name: False), kind) if isinstance(inner, (dict, list)) else None
        if pair is not None:
            courses[str(name)] = pair
    if len(courses) > 1:
        return courses
    found = ready_pair(table.columns, kind) or bare_pair(table.document, kind)
    return {} if found is None else {"": found}


def bare_pair(document: Any, kind: str) -> tuple[Any, Any] | None:
    """The curve of two or three lists of numbers without names, as sklearn returns them: `[fpr, tpr, thresholds]`,
    `[precision, recall, thresholds]` (of the last one fewer). Of two lists one of which goes up and down, the other
    is the recall."""
    import numpy

    if not isinstance(document, list) or len(document) not in (2, 3) or not all(map(is_numbers, document)):
        return None
    first, second = (numpy.array(one, float) for one in document[:2])
    if len(first) != len(second) or len(first) < 2 or len(document[-1]) not in (len(first), len(first) - 1):
        return None
    if kind == "roc":
        return first, second
    return (second, first) if goes_one_way(second) or not goes_one_way(first) else (first, second)


def is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in value)


def goes_one_way(values: Any) -> bool:
    return bool((values[1:] >= values[:-1]).all() or (values[1:] <= values[:-1]).all())


def ready_pair(columns: Mapping[str, Column], kind: str) -> tuple[Any, Any] | None:
    xs, ys = (FPR, TPR) if kind == "roc" else (RECALL, PRECISION)
    x, y = find(columns, None, xs, ""), find(columns, None, ys, "")
    if x is None or y is None or x == y:
        return None
    a, b = columns[x], columns[y]
    return None if isinstance(a, list) or isinstance(b, list) or len(a) != len(b) or len(a) < 2 else (a, b)


def whole_rates(xs: Any, ys: Any, where: str) -> tuple[Any, Any]:
    """The points that have both values. Raises UsageError for what is no rate."""
    import numpy

    whole = numpy.isfinite(xs) & numpy.isfinite(ys)
    x, y = xs[whole], ys[whole]
    if len(x) < 2 or min(x.min(), y.min()) < -1e-6 or max(x.max(), y.max()) > 1 + 1e-6:
        raise UsageError(f"{where} has a curve with values that are no rates.", "Rates lie between 0 and 1.")
    return x.clip(0.0, 1.0), y.clip(0.0, 1.0)


def scored_of(table: Table, named: Named, actual: str, where: str) -> Scored | None:
    """The classes and their scores; None where there are no scores at all."""
    import numpy

    truth = without_point(names_in(table.columns[actual]))
    classes = sorted({one for one in truth if one is not None})
    if not classes:
        raise empty(where)
    positive = told_class(named.positive, classes, where) or obvious(classes)
    by_class = scores_by_class(table, classes, named)
    single = find(table.columns, named.score, [*SCORE, *PREDICTED], where)
    if named.score is None and by_class and (positive is None or positive in by_class):
        missing = [one for one in classes if one not in by_class]
        if positive is None and missing:
            raise UsageError(f"{where} has no scores for {shown(missing)}.", f"It has scores for {shown(by_class)}.")
        scores = by_class if positive is None else {positive: by_class[positive]}
    elif single is not None and single != actual and (values := as_numbers(table.columns[single])) is not None:
        scores = {named_class(positive, classes, where, single): values}
    elif named.score is not None:
        raise UsageError(f"{where}: the column {named.score} is not of numbers.", "Scores are numbers.")
    else:
        return None
    whole = numpy.array([one is not None for one in truth], bool)
    for values in scores.values():
        whole &= ~numpy.isnan(values)
    kept = numpy.flatnonzero(whole)
    rows = truth if len(kept) == len(truth) else [truth[at] for at in kept.tolist()]
    return Scored([str(one) for one in rows], {name: one[kept] for name, one in scores.items()}, len(truth) - len(kept))


def told_class(positive: str | None, classes: Sequence[str], where: str) -> str | None:
    """The class that the user called positive, `1.0` for `1` too. Raises UsageError for one that is not there."""
    if positive is None or positive in classes:
        return positive
    plain = without_point([positive])[0]
    if plain not in classes:
        raise UsageError(f"{where} has no class {positive}.", f"It has: {shown(classes)}.")
    return plain


def as_numbers(column: Column) -> Any:
    """A column as floats; None where it is of names."""
    from mltrack.formats.columns import column as made

    values = made(column, False) if isinstance(column, list) else column
    return None if isinstance(values, list) else values


def obvious(classes: Sequence[str]) -> str | None:
    """Of two classes the one that says of itself that it is the positive one: 1, true, yes, pos."""
    positive = [one for one in classes if one.lower() in OBVIOUS]
    others = [one for one in classes if one.lower() in OPPOSITE]
    return positive[0] if len(positive) == 1 and len(positive) + len(others) == len(classes) <= 2 else None


def named_class(positive: str | None, classes: Sequence[str], where: str, score: str) -> str:
    """The class that a single column of scores is for. Raises UsageError where nobody knows."""
    if positive is not None:
        return positive
    if len(classes) > 2:
        raise UsageError(
            f"{where} has {len(classes):,} classes ({shown(classes)}) and one column of scores, {score}.",
            f"Needed: scores for each class, as score_{classes[0]}, or --positive CLASS for that one against the rest.",
        )
    raise UsageError(
        f"{where}: is {score} for {' or '.join(classes) or 'no class'}?",
        "Say which class is positive: --positive CLASS",
    )
