"""Lines that tell how long something took. They differ each time, and count as different all the same."""

from __future__ import annotations

from mltrack.patterns import lazy

_LONGEST = 4000
_UNITS = "s|secs?|seconds?|ms|us|µs|ns|min|minutes?|h|hours?|(?:it|s|samples?|steps?)/(?:it|s|sec)"
_DURATION = lazy(
    rf"(?<![\w.])\d+(?:[.,]\d+)?(?:e-?\d+)? ?(?:{_UNITS})(?![\w/])"
    r"|(?<!\d)(?:\d+:)?\d?\d:\d\d(?:\.\d+)?(?!\d)"
    r"|(?i:time|took|elapsed|duration|runtime)\w*[\"' ]*[:= ] *\d+(?:\.\d+)?"
)


def is_timing(a: str, b: str) -> bool:
    """Do two lines differ only in durations or rates?"""
    return a != b and len(a) + len(b) < _LONGEST and _DURATION.sub("#", a) == _DURATION.sub("#", b)
