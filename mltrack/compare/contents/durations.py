"""What tells how long something took: lines, keys and columns. They differ each time, and count as
different all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mltrack.patterns import lazy

if TYPE_CHECKING:
    from mltrack.compare.comparators import Around

_LONGEST = 4000
_UNITS = "s|secs?|seconds?|ms|us|µs|ns|min|minutes?|h|hours?|(?:it|s|samples?|steps?)/(?:it|s|sec)"
_WORDS = "time|took|elapsed|duration|runtime|seconds"
_DURATION = lazy(
    rf"(?<![\w.])\d+(?:[.,]\d+)?(?:e-?\d+)? ?(?:{_UNITS})(?![\w/])"
    r"|(?<=\[)\d+:\d\d(?::\d\d)? ?< ?[\d:?]+"
    rf"|(?i:{_WORDS})\w*[\"' ]*[:= ] *\d+(?:(?::\d\d)+|(?=[^:\d]|$))(?:\.\d+)?"
)
"""A number with a unit, tqdm's `[00:03<00:10`, or what stands behind a word for it. A bare `10:11` is none."""
_NAME = lazy(rf"(?i:.*(?<![a-z])(?:{_WORDS}|secs?|ms)(?![a-z]).*|.*_s)")

_PATTERN = lazy(r"[*?\[\]#\"]")
"""In a name these would mean something else."""


def is_timing(a: str, b: str) -> bool:
    """Do two lines differ only in durations or rates?"""
    return a != b and len(a) + len(b) < _LONGEST and _DURATION.sub("#", a) == _DURATION.sub("#", b)


def is_duration(label: str) -> bool:
    """Does a key or column of this name tell how long something took?"""
    return len(label) < _LONGEST and _NAME.fullmatch(label) is not None


def remedy(around: Around, label: str) -> str:
    """A clause for a reason where the key or column that differs tells that: how to leave it out. Else nothing."""
    if around.depth > 1 or not is_duration(label) or _PATTERN.search(label):
        return ""
    return f' (how long something took; `verdict.ignore: ["{around.name}#{label}"]` leaves it out)'
