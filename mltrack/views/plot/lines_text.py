"""Curves and bands in one field, as text: dots of braille with axes, a colour and a sign for each curve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mltrack.plots import Axis
from mltrack.views.page import wrapped
from mltrack.views.plot.braille import COLOURS, FAINT, Field, framed, in_columns, inked
from mltrack.views.plot.style import GLYPHS
from mltrack.views.plot.ticks import LARGEST, scale_of
from mltrack.views.text import cell_width, clean, number, shorten

if TYPE_CHECKING:
    from mltrack.plots import Floats, Lines
    from mltrack.views.plot.ticks import Scale

MARKS = 5
"""Signs along each of several curves."""
SIGNS = (*GLYPHS, "◇")
"""Of so many curves each has a sign of its own; more have none."""
SHADES = ("38;5;25", "38;5;31", "38;5;66", "38;5;102", "38;5;143", "38;5;179", "38;5;220", "38;5;226")
"""Of curves that stand for a value: from dark blue for the least to bright yellow."""
LEAST_ROWS = 4


def draw_text(panel: Lines, width: int, height: int, colour: bool, has_legend: bool = True) -> list[str]:
    """The panel as lines of text; see the package."""
    from mltrack.views.plot.lines import scales_of

    title = shorten(clean(panel.title), width)
    lines = [inked(title, "1", colour)] if title else []
    legend = legend_of(panel, width, colour) if has_legend else []
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
    numbers, codes = numbers_of(panel), codes_of(panel)
    for curve in panel.curves:
        if curve.raw is not None:
            trace(field, track(field, curve.xs, seen(panel, curve.raw, y), (x, y)), FAINT, is_line=False)
    for band in panel.bands:
        for edge in (band.low, band.high):
            trace(field, track(field, band.xs, seen(panel, edge, y), (x, y)), FAINT, is_line=False)
    drawn = [(one.label, one.xs, one.middle) for one in panel.bands]
    drawn += [(one.label, one.xs, one.ys) for one in panel.curves]
    tracks = [(label, track(field, xs, seen(panel, ys, y), (x, y))) for label, xs, ys in drawn]
    for label, places in tracks:
        trace(field, places, codes[label])
    if 1 < len(numbers) <= len(SIGNS):
        for label, places in tracks:
            for at in marked(places, numbers[label]):
                field.mark(*at, SIGNS[numbers[label]], codes[label])


def seen(panel: Lines, values: Floats, y: Scale) -> Floats:
    """The values, those beyond ends that were asked for as gaps."""
    if panel.y_ends == (None, None):
        return values
    return [value if y.low <= value / y.divisor <= y.high else math.nan for value in map(float, values)]


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


def codes_of(panel: Lines) -> dict[str, str]:
    """Label -> its colour: that of its value, where colours stand for one."""
    found = {label: COLOURS[number % len(COLOURS)] for label, number in numbers_of(panel).items()}
    known = [curve.shade for curve in panel.curves if curve.shade is not None]
    if len(found) <= len(SIGNS) or not known:
        return found
    scale = scale_of(panel.colour or Axis(), min(known), max(known), 5, 0.0)
    for curve in panel.curves:
        share = 0.0 if curve.shade is None else scale.share(curve.shade)
        found[curve.label] = FAINT if curve.shade is None else SHADES[round(share * (len(SHADES) - 1))]
    return found


def legend_of(panel: Lines, width: int, colour: bool) -> list[str]:
    """A sign and a name for each curve; nothing for one alone; of too many for signs what is known of all."""
    numbers = numbers_of(panel)
    if len(numbers) < 2 and not panel.bands:
        return []
    if len(numbers) > len(SIGNS):
        return [inked(line, FAINT, colour) for line in wrapped(about_many(panel, len(numbers), colour), width)]
    runs = {band.label: f" (n = {band.runs})" for band in panel.bands}
    codes = codes_of(panel)
    items = []
    for label, place in numbers.items():
        text = shorten(clean(label), max(8, width - 14)) + runs.get(label, "")
        items.append((f"{inked(SIGNS[place], codes[label], colour)} {text}", cell_width(text) + 2))
    return in_columns(items, width)


def about_many(panel: Lines, many: int, colour: bool) -> str:
    """What is said of more curves than there are signs."""
    known = [curve.shade for curve in panel.curves if curve.shade is not None]
    if not known or panel.colour is None:
        return f"{many:,} curves, too many to tell apart here: fewer runs, --band, or --group-by FIELD"
    low, high = number(min(known)), number(max(known))
    ends = (f"{low} (dark)", f"{high} (bright)") if colour else (low, high)
    where = "" if colour else "; a picture shows which: -o plot.png"
    return f"{many:,} curves, {clean(panel.colour.label)} from {ends[0]} to {ends[1]}{where}"
