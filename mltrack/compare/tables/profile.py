"""What one column holds: its kind, how much is missing, how many values are distinct, and where its numbers lie."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mltrack.nouns import noun
from mltrack.patterns import lazy

MISSING = frozenset(
    ["", "#n/a", "#na", "<na>", "n/a", "na", "nan", "none", "null", "-nan"]
)  # fmt: skip
"""Cells of a text table that say that there is no value, in any case of letters; as pandas reads them."""

_INTEGER = lazy(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_NUMBER = lazy(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?|[-+]?(?i:inf|infinity)")
"""`007` is none: it is a name."""
_TIME = lazy(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9](?:[T ][0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?(?:Z|[-+][0-9:]+)?)?"
)
_TRUTH = frozenset(["true", "false"])

NUMBERS = ("integer", "number")


@noun
class Profile:
    """A column. `mean` and `sd` (of the sample, n - 1) are of its finite numbers; `min` and `max` of what has an order,
    times as texts. All but `count` and `missing` are null where nothing can be said."""

    kind: str
    """integer, number, boolean, time, text, or empty: no value at all."""
    count: int
    """Rows that were looked at."""
    missing: int
    distinct: int | None = None
    mean: float | None = None
    sd: float | None = None
    min: Any = None
    max: Any = None


@noun
class Column:
    """The values of a column that are there, as their kind has them, and its profile."""

    profile: Profile
    values: Sequence[Any]
    type: str
    """What a column of a typed file is called there, else the kind."""


def of_column(values: Sequence[Any], declared: str = "") -> Column:
    """The profile of a column; texts are read as numbers where all of them are. `declared`: what the file says."""
    present = [value for value in values if not is_missing(value)]
    kind, known = typed(present)
    missing = len(values) - len(known)
    if not known:
        return Column(Profile(kind, len(values), missing), known, declared or kind)
    distinct = len(set(known))
    if kind in NUMBERS:
        mean, deviation = moments(known)
        profile = Profile(kind, len(values), missing, distinct, mean, deviation, min(known), max(known))
    elif kind == "time":
        profile = Profile(kind, len(values), missing, distinct, min=min(known), max=max(known))
    else:
        profile = Profile(kind, len(values), missing, distinct)
    return Column(profile, known, declared or kind)


def is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) < 8 and value.strip().lower() in MISSING
    return value is None or value != value


def typed(values: Sequence[Any]) -> tuple[str, list[Any]]:
    """The kind that all values have, and the values as that kind."""
    if not values:
        return "empty", []
    if all(isinstance(value, bool) for value in values):
        return "boolean", [str(value).lower() for value in values]
    if all(isinstance(value, (int, float)) for value in values):
        return ("integer" if all(isinstance(value, int) for value in values) else "number"), list(values)
    texts = [value.strip() if isinstance(value, str) else str(value) for value in values]
    if all(map(_INTEGER.fullmatch, texts)):
        return "integer", list(map(int, texts))
    if all(map(_NUMBER.fullmatch, texts)):
        return "number", list(map(float, texts))
    if all(map(_TIME.fullmatch, texts)):
        return "time", texts
    if all(text.lower() in _TRUTH for text in texts):
        return "boolean", [text.lower() for text in texts]
    return "text", [value if isinstance(value, str) else str(value) for value in values]


def moments(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of the finite ones, in two passes (the second corrects the first: Chan, Golub
    and LeVeque 1983); None where a float cannot say them."""
    try:
        finite = [float(value) for value in values if math.isfinite(value)]
        if not finite:
            return None, None
        mean = math.fsum(finite) / len(finite)
        spread = (
            math.sqrt(math.fsum((value - mean) ** 2 for value in finite) / (len(finite) - 1)) if finite[1:] else None
        )
    except OverflowError:
        return None, None
    return mean, spread


def shares(values: Sequence[Any]) -> dict[Any, float]:
    """Value -> its share of the column."""
    return {value: count / len(values) for value, count in Counter(values).items()}
