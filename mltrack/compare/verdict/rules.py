"""What a project asks of a verdict: tolerances, and what is left out. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mltrack.formats.ranked import split_rank
from mltrack.nouns import noun

if TYPE_CHECKING:
    from mltrack.config import Tolerance
    from mltrack.verdicts import Measure


@noun
class Rules:
    """What a project asks of a verdict.

    `tolerance`: pattern -> Tolerance, of metrics by their names and of files with numbers by their paths; an exact
    name wins, else the first pattern that fits. `ignore`: patterns of metric names and artifact paths that are left
    out, and `path#key` of keys or columns in files. `metric_files`: patterns of files declared as metrics; the numbers
    in them are compared as metrics.
    """

    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    metric_files: tuple[str, ...] = ()


def find_tolerance(name: str, tolerances: Mapping[str, Tolerance]) -> Tolerance | None:
    """The tolerance of exactly this name, else of the first pattern that fits it; a metric's is that of its ranks."""
    names = (name, split_rank(name)[0])
    exact = [tolerances[one] for one in names if one in tolerances]
    fitting = (limit for pattern, limit in tolerances.items() if any(fnmatchcase(one, pattern) for one in names))
    return exact[0] if exact else next(fitting, None)


def is_within(then: float | None, change: float | None, tolerance: Tolerance | None) -> bool:
    """Is a change at most the absolute limit, or the relative one times the recorded value, whichever is wider?"""
    if tolerance is None or then is None or change is None:
        return False
    return is_at_most(abs(change), max(tolerance.abs or 0.0, (tolerance.rel or 0.0) * abs(then)))


def is_measure_within(measure: Measure, tolerance: Tolerance | None) -> bool:
    """Are the numbers of a file, if nothing else differs in it, all within one of the two limits?"""
    if tolerance is None or not isinstance(measure.largest, (int, float)):
        return False
    if tolerance.abs is not None and is_at_most(measure.largest, tolerance.abs):
        return True
    relative = measure.largest_relative
    return tolerance.rel is not None and isinstance(relative, (int, float)) and is_at_most(relative, tolerance.rel)


def is_at_most(difference: float, limit: float) -> bool:
    """0.3 - 0.2 is a hair more than 0.1; a limit of 0.1 is meant to allow it."""
    return difference <= limit or math.isclose(difference, limit, rel_tol=1e-9)


def keys_left_out(path: str, ignore: Sequence[str]) -> tuple[str, ...]:
    """Of the patterns of what is left out, those of keys or columns in the file at this path, or of this name wherever
    it lies: `log.csv#seconds`."""
    names = path, path.rpartition("/")[2]
    pairs = (pattern.rpartition("#") for pattern in ignore if "#" in pattern)
    return tuple(key for file, _, key in pairs if file and key and any(is_covered(name, (file,)) for name in names))


def is_covered(name: str, patterns: Sequence[str]) -> bool:
    """Does a pattern name this metric or path, or (ending in a slash) a directory above it?"""
    return any(
        name == pattern or fnmatchcase(name, pattern) or (pattern.endswith("/") and name.startswith(pattern))
        for pattern in patterns
    )
