"""The points of one metric: a plot of dots for a terminal, plain lines of step and value for a pipe."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.compare.changes import metric_number
from mltrack.digest import plain
from mltrack.nouns import noun
from mltrack.views.page import Renderable, painted
from mltrack.views.text import cell_width, clean, count, number, scalar

if TYPE_CHECKING:
    from mltrack.formats.metrics import Point

ROWS = 12
WIDEST = 100
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of a braille character, by row and column."""


def series_page(name: str, points: Sequence[tuple[Any, float | str]]) -> Renderable:
    """A metric's points, as (step, value) in the order logged; values that are no finite number leave a gap."""
    return Series(name, tuple(points))


def series_json(points: Iterable[Point]) -> str:
    """The points as a JSON list, one a line: a million of them take seconds less than indented."""
    from mltrack.views.json import dumps_lines

    return dumps_lines([{"step": point.step, "value": plain(point.value), "at": point.at} for point in points])


@noun
class Series:
    """What `series_page` draws."""

    name: str
    points: tuple[tuple[Any, float | str], ...]

    def render(self, width: int | None, colour: bool) -> str:
        """A plot with its scales, or for a pipe one point a line, separated by a tab."""
        if width is None:
            return "".join([point_line(step, value) for step, value in self.points])
        drawn = [
            (float(place), float(value))
            for place, value in enumerate(map(self.finite, self.points))
            if value is not None
        ]
        lines = [f"{painted(clean(self.name), 'bold', colour)}  {count(len(self.points), 'point')}"]
        if drawn:
            lines += self.plot(drawn, width, colour)
        missing = len(self.points) - len(drawn)
        if missing:
            lines.append(painted(f"{count(missing, 'point')} not drawn: no finite number.", "yellow", colour))
        return "\n".join(lines) + "\n"

    @staticmethod
    def finite(point: tuple[Any, float | str]) -> float | None:
        value = metric_number(point[1])
        if value is None:
            return None
        try:
            return float(value) if math.isfinite(value) else None
        except OverflowError:
            return None

    def plot(self, drawn: list[tuple[float, float]], width: int, colour: bool) -> list[str]:
        low, high = min(value for _, value in drawn), max(value for _, value in drawn)
        top, bottom = number(high), number(low)
        margin = max(cell_width(top), cell_width(bottom))
        columns = max(10, min(WIDEST, width - margin - 3))
        labels = {0: top, ROWS - 1: bottom} if low < high else {ROWS // 2: top}
        lines = []
        for row, dots in enumerate(braille(drawn, columns, len(self.points))):
            label = labels.get(row, "")
            lines.append(f"{label:>{margin}} │{painted(dots, 'cyan', colour)}".rstrip(" "))
        first, last = scalar(self.points[0][0]), scalar(self.points[-1][0])
        gap = max(1, columns - cell_width(first) - cell_width(last))
        lines.append(painted(f"{'':>{margin}}  {first}{' ' * gap}{last}", "dim", colour))
        return lines


def point_line(step: Any, value: float | str) -> str:
    """A point for a pipe; the first case is nearly all of a long series."""
    if type(step) is int and type(value) is float and value - value == 0:
        return f"{step}\t{value!r}\n"
    return f"{scalar(step)}\t{scalar(metric_number(value))}\n"


def braille(points: Sequence[tuple[float, float]], columns: int, length: int) -> list[str]:
    """Points (place, value) as ROWS lines of braille characters; places run from 0 to length - 1."""
    low, high = min(value for _, value in points), max(value for _, value in points)
    # Halves first: the difference of two finite numbers may overflow.
    span = high / 2 - low / 2
    cells = [[0] * columns for _ in range(ROWS)]
    for place, value in points:
        x = round(place / max(length - 1, 1) * (columns * 2 - 1))
        y = round((high / 2 - value / 2) / span * (ROWS * 4 - 1)) if span else ROWS * 2
        cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
    return ["".join(chr(0x2800 + bits) if bits else " " for bits in row) for row in cells]
