"""What a table of predictions holds: which column is the truth, which the prediction; or a finished confusion matrix.
Column names are guessed from the usual ones, and an error says what was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.errors import UsageError
from mltrack.nouns import noun
from mltrack.patterns import lazy

if TYPE_CHECKING:
    from mltrack.formats.columns import Column, Table

ACTUAL = (
    "actual",
    "y_true",
    "ytrue",
    "truth",
    "true",
    "ground_truth",
    "groundtruth",
    "gold",
    "target",
    "targets",
    "label",
    "labels",
    "true_label",
    "true_class",
    "actual_label",
    "actual_class",
    "label_true",
    "y_test",
    "expected",
    "reference",
    "class",
    "y",
)
PREDICTED = (
    "predicted",
    "prediction",
    "predictions",
    "y_pred",
    "ypred",
    "pred",
    "preds",
    "y_hat",
    "yhat",
    "predicted_label",
    "predicted_class",
    "pred_label",
    "pred_class",
    "label_pred",
    "output",
    "guess",
    "decision",
)
SCORE = (
    "score",
    "scores",
    "y_score",
    "yscore",
    "prob",
    "probs",
    "proba",
    "probas",
    "probability",
    "probabilities",
    "y_prob",
    "y_proba",
    "y_probs",
    "pred_prob",
    "pred_proba",
    "predicted_proba",
    "predicted_prob",
    "prediction_score",
    "confidence",
    "logit",
    "logits",
    "p",
)
COUNT = ("count", "counts", "frequency", "freq")
"""Names of a column that says how many rows one stands for."""
WEIGHT = ("n", "weight", "weights", "sample_weight")
"""Names of such a column where no two rows hold the same pair of classes: else it may number them, or weigh them."""
MATRIX = ("matrix", "confusion_matrix", "confusion", "counts", "cm")
CLASSES = ("classes", "labels", "class_names", "names")
MOST_CLASSES = 2000
_WHOLE = lazy(r"[+-]?\d+(\.0*)?")
SHOWN = 12
"""Names that an error lists."""


@noun
class Named:
    """What the user said of the columns."""

    actual: str | None = None
    predicted: str | None = None
    score: str | None = None
    positive: str | None = None
    """The class that the scores are for."""

    def keeps(self, name: str) -> bool:
        """Is that a column of names of classes?"""
        return name in (self.actual, self.predicted) or plainly(name) in (*ACTUAL, *PREDICTED)


@noun
class Predictions:
    """The actual and the predicted class of each row."""

    actual: Sequence[str]
    predicted: Sequence[str]
    left_out: int = 0
    """Rows where either was missing."""
    remark: str = ""
    counts: tuple[int, ...] | None = None
    """How many rows each stands for; None where it is one."""


@noun
class Matrix:
    """A confusion matrix that was counted before."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


def plainly(name: str) -> str:
    """A column's name with small letters and underscores alone."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Names of classes by their numbers where all are numbers, else as texts."""
    every = set(names)
    try:
        return tuple(sorted(every, key=lambda name: (float(name), name)))
    except ValueError:
        return tuple(sorted(every))


def find(columns: Mapping[str, Column], told: str | None, known: Sequence[str], where: str) -> str | None:
    """The column that was told, or the first of the known names. Raises UsageError for one told that is not there."""
    if told is not None:
        if told not in columns:
            raise UsageError(f"{where} has no column {told}.", f"It has: {shown(columns)}.")
        return told
    by_name = {plainly(name): name for name in reversed(list(columns))}
    return next((by_name[one] for one in known if one in by_name), None)


def shown(names: Any) -> str:
    every = [str(name) or "(no name)" for name in names]
    more = f" and {len(every) - SHOWN:,} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more if every else "no columns"


# -- confusion


def confusion_of(table: Table, named: Named, where: str) -> Predictions | Matrix:
    """Actual and predicted classes, or a ready matrix. Raises UsageError with what was found and what is needed."""
    actual = find(table.columns, named.actual, ACTUAL, where)
    predicted = find(table.columns, named.predicted, PREDICTED, where)
    if actual is not None and predicted is not None and actual != predicted:
        truth, guess = names_in(table.columns[actual]), names_in(table.columns[predicted])
        kept = [at for at, (a, b) in enumerate(zip(truth, guess)) if a is not None and b is not None]
        a, b = ([str(side[at]) for at in kept] for side in (truth, guess))
        found = spelled_alike(a, b, len(truth) - len(kept), where)
        others = {name: one for name, one in table.columns.items() if name not in (actual, predicted)}
        return counted(found, others, kept)
    ready = matrix_of(table)
    if ready is not None:
        return ready
    if actual is not None and named.predicted is None:
        likeliest = by_largest_score(table, named, actual)
        if likeliest is not None:
            return likeliest
    have = f"Found: {shown(table.columns)}."
    lacking = "actual and predicted classes" if actual is None else "predicted classes"
    raise UsageError(
        f"{where} has no {lacking}. {have}",
        "Needed: a column of actual and one of predicted classes (--actual COL --predicted COL), or a square matrix.",
    )


def spelled_alike(actual: list[str], predicted: list[str], left_out: int, where: str) -> Predictions:
    """The rows with one spelling of each class: a column of `1` and one of `1.0` mean the same. Raises UsageError
    for what is measured and not classes."""
    known = {*actual, *predicted}
    if not known:
        raise empty(where)
    turned = {name: name[:-2] for name in known if name.endswith(".0") and name[:-2] in known}
    if turned:
        actual, predicted = [[turned.get(one, one) for one in side] for side in (actual, predicted)]
    if len(known) > MOST_CLASSES:
        raise UsageError(f"{where} has {len(known):,} classes.", f"A confusion matrix has at most {MOST_CLASSES:,}.")
    return Predictions(actual, predicted, left_out)


def counted(found: Predictions, others: Mapping[str, Column], kept: Sequence[int]) -> Predictions:
    """The rows as often as a column of counts says, with a word on it; or on why such a column is not used."""
    name = find(others, None, (*COUNT, *WEIGHT), "")
    if name is None:
        return found
    column = others[name]
    values = [] if isinstance(column, list) else column[list(kept)].tolist()
    if len(values) < len(kept) or not all(one >= 0 and one % 1 == 0 for one in values):
        return replace(found, remark=f"The column {name} is not used: it does not hold a whole number in every row.")
    if plainly(name) in WEIGHT and len(set(zip(found.actual, found.predicted))) < len(kept):
        return replace(found, remark=f"The column {name} is not used: each row is one. Call it count if it is one.")
    return replace(found, counts=tuple(map(int, values)), remark=f"Each row counts as often as its {name} says.")


def without_point(names: Sequence[str | None]) -> Sequence[str | None]:
    """Names of classes, where all are whole numbers, without the `.0` that numpy and pandas write behind them."""
    known = {name for name in names if name is not None}
    if not all(_WHOLE.fullmatch(name) for name in known):
        return names
    turned = {name: name.partition(".")[0] for name in known}
    return [None if name is None else turned[name] for name in names]


def empty(where: str) -> UsageError:
    return UsageError(f"{where} has no row with a class.", "Is it complete? A header alone makes no plot.")


def names_in(column: Column) -> Sequence[str | None]:
    """A column as names of classes."""
    from mltrack.formats.columns import texts

    return column if isinstance(column, list) else texts(column.tolist())


def by_largest_score(table: Table, named: Named, actual: str) -> Predictions | None:
    """For each row the class with the largest score, where there are scores for every class."""
    import numpy

    truth = names_in(table.columns[actual])
    scores = scores_by_class(table, sorted({one for one in truth if one is not None}), named)
    if len(scores) < 2:
        return None
    classes, every = list(scores), numpy.column_stack(list(scores.values()))
    whole = numpy.isfinite(every).all(axis=1) & numpy.array([one is not None for one in truth])
    best = numpy.argmax(numpy.where(numpy.isnan(every), -numpy.inf, every), axis=1)
    kept = [at for at, is_whole in enumerate(whole.tolist()) if is_whole]
    return Predictions(
        [str(truth[at]) for at in kept],
        [classes[best[at]] for at in kept],
        len(truth) - len(kept),
        "The predicted class is the one with the largest score.",
    )


def matrix_of(table: Table) -> Matrix | None:
    """A square of counts: of JSON in any of the usual shapes, or of CSV with or without names at its sides."""
    if table.document is not None:
        return matrix_in(table.document, 0)
    names = list(table.columns)
    side = table.columns.get(names[0]) if names else None
    has_side = isinstance(side, list) or (table.has_header and side is not None and len(side) == len(names) - 1)
    inner = names[1:] if has_side else names
    rows = list(zip(*(counts_in(table.columns[name]) for name in inner)))
    if not inner or len(rows) != len(inner):
        return None
    classes = inner if table.has_header else [str(at) for at in range(len(inner))]
    if has_side and side is not None:
        labels = [str(one) for one in names_in(side)]
        if set(labels) != set(classes) or len(set(labels)) != len(labels):
            return None
        rows = [rows[labels.index(name)] for name in classes]
    return matrix(classes, rows)


def counts_in(column: Column) -> Sequence[Any]:
    return column if isinstance(column, list) else column.tolist()


def matrix_in(document: Any, depth: int) -> Matrix | None:
    """[[3, 1], [0, 4]], {"classes": [...], "matrix": [[...]]}, {"cat": {"cat": 3, "dog": 1}, "dog": {...}}"""
    if isinstance(document, list):
        return matrix([str(at) for at in range(len(document))], document)
    if not isinstance(document, dict):
        return None
    rows = next((document[key] for key in MATRIX if key in document), None)
    if isinstance(rows, (list, dict)) and depth < 3:
        names = next((document[key] for key in CLASSES if isinstance(document.get(key), list)), None)
        if isinstance(rows, dict) or names is None:
            return matrix_in(rows, depth + 1)
        return matrix([str(name) for name in names], rows)
    if document and all(isinstance(row, dict) for row in document.values()):
        classes = list(dict.fromkeys([*document, *(name for row in document.values() for name in row)]))
        return matrix(classes, [[document.get(row, {}).get(one, 0) for one in classes] for row in classes])
    return None


def matrix(classes: Sequence[str], rows: Sequence[Any]) -> Matrix | None:
    """The counts, if these are a square of them: whole numbers from 0."""
    if not 0 < len(classes) <= MOST_CLASSES or len(rows) != len(classes) or len(set(classes)) != len(classes):
        return None
    if not all(isinstance(row, (list, tuple)) and len(row) == len(classes) for row in rows):
        return None
    try:
        counts = tuple(tuple(int(cell) for cell in row) for row in rows)
        is_whole = all(a == b and b >= 0 for row, cells in zip(rows, counts) for a, b in zip(row, cells))
    except (TypeError, ValueError, OverflowError):
        return None
    return Matrix(tuple(classes), counts) if is_whole else None


def scores_by_class(table: Table, classes: Sequence[str], named: Named) -> dict[str, Any]:
    """The columns of scores that are called after a class: `cat`, `score_cat`, `cat_prob`; or those of a list in each
    row, in the order of the classes as sklearn has them: sorted, numbers by size."""
    numbers = {name: one for name, one in table.columns.items() if not isinstance(one, list) and name != named.actual}
    plain = {plainly(name): name for name in reversed(list(numbers))}
    found = {}
    for one in ordered(classes):
        words = [plainly(one), f"{plainly(one)}_0"] if one.isdigit() else [plainly(one)]
        spellings = [text for word in words for score in SCORE for text in (f"{score}_{word}", f"{word}_{score}")]
        exact = [one] if one in numbers and not is_amount(one) else []
        column = next((plain[spelling] for spelling in spellings if spelling in plain), None) or next(iter(exact), None)
        if column is not None:
            found[one] = numbers[column]
    lists = [name for name in numbers if "#" in name]
    key = next(
        (name.partition("#")[0] for name in lists if plainly(name.partition("#")[0]) in [*SCORE, named.score]), ""
    )
    places = [name for name in lists if key and name.startswith(f"{key}#")]
    if not found and len(places) == len(classes):
        found = {one: numbers[place] for one, place in zip(ordered(classes), places)}
    return found


def is_amount(name: str) -> bool:
    """Would a column of that name rather be one without a header?"""
    return name.isdigit()
