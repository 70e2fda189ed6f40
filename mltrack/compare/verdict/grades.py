"""The grades of a verdict, the best first, and how many of them come to one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

IDENTICAL = "identical"
EQUIVALENT = "equivalent"
WITHIN_TOLERANCE = "within tolerance"
WITHIN_NOISE = "within noise"
DIFFERENT = "different"
NOTHING_TO_COMPARE = "nothing to compare"
COULD_NOT_RUN = "could not run"

GRADES = (IDENTICAL, EQUIVALENT, WITHIN_TOLERANCE, WITHIN_NOISE, DIFFERENT, NOTHING_TO_COMPARE, COULD_NOT_RUN)
"""All grades, the best first."""


def is_success(grade: str) -> bool:
    """Does a reproduction with this grade hold?"""
    return grade in GRADES[: GRADES.index(DIFFERENT)]


def worst(grades: Iterable[str]) -> str:
    """The grade of a whole whose items have these.

    An item of `nothing to compare` says nothing: with others beside it the whole is at best `within noise`, because
    only noise silences an item; alone it leaves nothing to compare.
    """
    found = list(grades)
    told = [grade for grade in found if grade != NOTHING_TO_COMPARE]
    if not told:
        return NOTHING_TO_COMPARE
    floor = [WITHIN_NOISE] if len(told) < len(found) else []
    return max(told + floor, key=GRADES.index)
