"""The course of a metric as a small line within a row: a picture that is part of the page, in the colour of its text.

Only numbers of ours are in it; what it says besides its shape, it says as a text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mltrack.views.report.blocks import Course
from mltrack.views.report.html import Element, of, tag
from mltrack.views.sparkline import Scale, extremes
from mltrack.views.text import number

WIDE, HIGH, EDGE = 96, 20, 2
"""Of the field of a line, and what its thickness needs at the sides."""


def course_line(course: Course) -> Element:
    """The line, with its lowest and highest value as its title; nothing where no value is finite."""
    own = extremes(course.values)
    if own is None:
        return of("span", "spark")
    scale = course.between or Scale(*own)
    about = f"{number(course.values[0])} .. {number(course.values[-1])}; min {number(own[0])}, max {number(own[1])}"
    lines = [tag("polyline", {"points": points}) for points in lines_of(course.values, scale)]
    drawn = tag("svg", {"viewbox": f"0 0 {WIDE} {HIGH}", "role": "img", "aria-label": about}, *lines)
    return tag("span", {"class": "spark", "title": about}, drawn)


def lines_of(values: Sequence[float], scale: Scale) -> list[str]:
    """The points of each part without a gap; a part of one point is a short stroke."""
    parts: list[list[tuple[float, float]]] = [[]]
    last = max(len(values) - 1, 1)
    for place in few(values):
        if math.isfinite(values[place]):
            parts[-1].append((EDGE + place / last * (WIDE - 2 * EDGE), height(values[place], scale)))
        elif parts[-1]:
            parts.append([])
    strokes = [
        part if part[1:] else [(part[0][0] - 0.5, part[0][1]), (part[0][0] + 0.5, part[0][1])] for part in parts if part
    ]
    return [" ".join(f"{x:.1f},{y:.1f}" for x, y in part) for part in strokes]


def few(values: Sequence[float]) -> list[int]:
    """Places of as many values as are seen: of each share the lowest and the highest, and one of a gap."""
    many = len(values)
    if many <= 2 * WIDE:
        return list(range(many))
    found: set[int] = {0, many - 1}
    for share in range(WIDE):
        places = range(many * share // WIDE, many * (share + 1) // WIDE)
        known = [place for place in places if math.isfinite(values[place])]
        ends = (min(known, key=values.__getitem__), max(known, key=values.__getitem__)) if known else (places[0],)
        found.update(ends)
    return sorted(found)


def height(value: float, scale: Scale) -> float:
    """Downwards, as pictures count; a level line lies in the middle."""
    low, high = scale.low, scale.high
    if scale.is_log:
        value, low, high = (math.log(max(one, scale.low)) for one in (value, low, high))
    span = high / 2 - low / 2  # halves: the difference of two finite numbers may overflow
    share = (value / 2 - low / 2) / span if span > 0 else 0.5
    return HIGH - EDGE - min(max(share, 0.0), 1.0) * (HIGH - 2 * EDGE)
