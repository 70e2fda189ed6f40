"""Paths of two runs that mean the same place: only the time, or the number that a directory got, differs. Pure.

`outputs/2026-01-02/10-30-00/model.bin` is in the next run `outputs/2026-01-03/08-00-00/model.bin`, and where a log
directory counts up (`logs/ppo/CartPole-v1_3/`, `version_0/`) an empty machine begins again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mltrack.patterns import lazy

_TIMES = lazy(
    r"(?<!\d)(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d"
    r"(?:[-_T ]?[0-2]\d[-_.:h]?[0-5]\d(?:[-_.:m]?[0-6]\d)?)?(?:[.,_]\d+)?(?!\d)"
    r"|(?<!\d)[0-2]\d[-_.:h][0-5]\d[-_.:m][0-6]\d(?:[.,_]\d+)?(?!\d)"
    r"|(?<!\d)1\d{9}(?:\d{3}|\d{6})?(?:\.\d+)?(?!\d)"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[0-3]\d(?=_)"
)
_COUNTER = lazy(r"(?<=[A-Za-z_.-])\d+$|^\d+$")
_EVENTS = lazy(r"events\.out\.tfevents\..*")
_HOST = lazy(r"(#_#)_.*")
"""TensorBoard's own names for a log end in the host's: `Jan02_10-30-00_host`."""


def shape(path: str) -> str:
    """A path without times, and without the numbers at the ends of its directories' names."""
    *directories, name = path.split("/")
    kept = [_COUNTER.sub("#", _HOST.sub(r"\1", _TIMES.sub("#", part))) for part in directories]
    return "/".join([*kept, _EVENTS.sub("events#", _TIMES.sub("#", name))])


def same_places(before: Iterable[str], after: Iterable[str]) -> dict[str, str]:
    """Path of the later run -> path of the earlier one that means the same place, for paths that only one run has.

    Where several have one shape they go by their order, and only if both runs have as many.
    """
    old, new = set(before), set(after)
    groups: dict[str, tuple[list[str], list[str]]] = {}
    for side, paths in enumerate((old - new, new - old)):
        for path in paths:
            form = shape(path)
            if form != path:
                groups.setdefault(form, ([], []))[side].append(path)
    pairs: dict[str, str] = {}
    for first, second in groups.values():
        if len(first) == len(second):
            pairs.update(zip(sorted(second, key=in_order), sorted(first, key=in_order)))
    return pairs


def in_order(path: str) -> list[tuple[int, str]]:
    """Sort key by which 10 comes after 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]
