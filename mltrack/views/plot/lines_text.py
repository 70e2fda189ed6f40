"""Curves and bands in one field, as text: dots of braille with axes, a colour and a sign for each curve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mltrack.views.plot.braille import COLOURS, FAINT, Field, framed, in_columns, inked
from mltrack.views.plot.style import GLYPHS
from mltrack.views.plot.ticks import LARGEST
from mltrack.views.text import cell_width, clean, shorten

if TYPE_CHECKING:
    from mltrack.plots import Floats, Lines
    from mltrack.views.plot.ticks import Scale

MARKS = 5
"""Signs along each of several curves."""
MOST_LABELS = 12
LEAST_ROWS = 4


def draw_text(panel: Lines, width: int, height: int, colour: bool) -> list[str]:
    """The panel as lines of text; see the package."""
    from mltrack.views.plot.lines import scales_of

    title = shorten(clean(panel.title), width)
    lines = [inked(title, "1", colour)] if title else []
    legend = legend_of(panel, width, colour)
    rows = max(LEAST_ROWS, height - len(lines) - len(legend) - 2)
    scales = scales_of(panel, (max(2, width // 14), max(2, rows // 3)))
    if scales is None:
        return [*lines, inked("no point to draw", FAINT, colour)]
    x, y = scales
    margin = max(map(cell_width, y.texts), default=0)
    field = Field(max(4, width - margin - 2), rows)
    fill(field, panel, x, y)
    unit = [inked(f"in {y.label}", FAINT, colour)] if y.label and y.label != panel.title else []
    head = [f"{lines[0]} {unit[0]}"] if lines and unit else [*lines, *unit]
    return [*head, *framed(field, x, y, colour), *legend]


def fill(field: Field, panel: Lines, x: Scale, y: Scale) -> None:
    """Draw all curves and bands of a panel: what is faint first, so that the rest lies above."""
    numbers = numbers_of(panel)
    for curve in panel.curves:
        if curve.raw is not None:
            trace(field, track(field, curve.xs, curve.raw, (x, y)), FAINT, is_line=False)
    for band in panel.bands:
        for edge in (band.low, band.high):
            trace(field, track(field, band.xs, edge, (x, y)), FAINT, is_line=False)
    drawn = [(one.label, one.xs, one.middle) for one in panel.bands]
    drawn += [(one.label, one.xs, one.ys) for one in panel.curves]
    tracks = [(numbers[label], track(field, xs, ys, (x, y))) for label, xs, ys in drawn]
    for number, places in tracks:
        trace(field, places, COLOURS[number % len(COLOURS)])
    if len(numbers) > 1:
        for number, places in tracks:
            for at in marked(places, number):
                field.mark(*at, GLYPHS[number % len(GLYPHS)], COLOURS[number % len(COLOURS)])


Track = list[tuple[int, int] | None]
"""The dots of a curve; None is a gap."""


def track(field: Field, xs: Floats, ys: Floats, scales: tuple[Scale, Scale]) -> Track:
    x, y = scales
    found: Track = []
    for across, up in zip(map(float, xs), map(float, ys)):
        has_place = math.isfinite(up) and math.isfinite(across) and not (y.is_log and up <= 0)
        if has_place and not (x.is_log and across <= 0):
            place = field.place(x.share(within(across) / x.divisor), y.share(within(up) / y.divisor))
        else:
            place = None
        if not found or place != found[-1]:
            found.append(place)
    return found


def within(value: float) -> float:
    return max(-LARGEST, min(value, LARGEST))


def trace(field: Field, places: Track, code: str, is_line: bool = True) -> None:
    """Join the dots, but for gaps."""
    before = None
    for place in places:
        if place is not None:
            if before is not None and is_line:
                field.line(before, place, code)
            else:
                field.dot(*place, code)
        before = place


def marked(places: Track, number: int) -> list[tuple[int, int]]:
    """Where the signs of a curve stand: spread along it, and elsewhere for each number."""
    known = [place for place in places if place is not None]
    if not known:
        return []
    low, high = min(at[0] for at in known), max(at[0] for at in known)
    wanted = [low + (high - low) * (mark + 0.1 + number * 0.37 % 0.8) / MARKS for mark in range(MARKS)]
    return list(dict.fromkeys(nearest(known, to) for to in wanted))


def nearest(places: list[tuple[int, int]], across: float) -> tuple[int, int]:
    return min(places, key=lambda at: abs(at[0] - across))


def numbers_of(panel: Lines) -> dict[str, int]:
    labels = dict.fromkeys([*(band.label for band in panel.bands), *(curve.label for curve in panel.curves)])
    return {label: place for place, label in enumerate(labels)}


def legend_of(panel: Lines, width: int, colour: bool) -> list[str]:
    """A sign and a name for each curve; nothing for one alone."""
    numbers = numbers_of(panel)
    if len(numbers) < 2 and not panel.bands:
        return []
    runs = {band.label: f" (n = {band.runs})" for band in panel.bands}
    items = []
    for label, number in list(numbers.items())[: MOST_LABELS if len(numbers) > MOST_LABELS + 1 else None]:
        text = shorten(clean(label), max(8, width - 14)) + runs.get(label, "")
        sign = inked(GLYPHS[number % len(GLYPHS)], COLOURS[number % len(COLOURS)], colour)
        items.append((f"{sign} {text}", cell_width(text) + 2))
    if len(numbers) > len(items):
        more = f"and {len(numbers) - len(items):,} more"
        items.append((inked(more, FAINT, colour), len(more)))
    return in_columns(items, width)
