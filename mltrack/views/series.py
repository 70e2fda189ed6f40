"""The points of one metric: a plot of dots for a terminal, plain lines of step and value for a pipe."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.compare.changes import metric_number
from mltrack.digest import plain
from mltrack.nouns import noun
from mltrack.views.page import Renderable, painted
from mltrack.views.text import clean, count, scalar

if TYPE_CHECKING:
    from mltrack.formats.metrics import Point

ROWS = 14
"""Lines of the plot, its horizontal axis among them."""
WIDEST = 100


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
        values = [self.finite(point) for point in self.points]
        drawn = [value for value in values if value is not None]
        lines = [f"{painted(clean(self.name), 'bold', colour)}  {count(len(self.points), 'point')}"]
        if drawn:
            lines += self.plot([math.nan if value is None else value for value in values], width, colour)
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

    def plot(self, values: list[float], width: int, colour: bool) -> list[str]:
        """The values over their steps; in the order logged, where some have no step that is a number."""
        from mltrack.plots import Axis, Curve, Lines
        from mltrack.views.plot.lines_text import draw_text

        steps = [self.finite((None, step)) if isinstance(step, (int, float)) else None for step, _ in self.points]
        known = [step for step in steps if step is not None]
        is_stepped = len(known) == len(values)
        xs = known if is_stepped else [float(place) for place in range(len(values))]
        panel = Lines("", Axis("step" if is_stepped else "points"), Axis(), (Curve(self.name, xs, values),))
        return draw_text(panel, min(WIDEST, width), ROWS, colour)


def point_line(step: Any, value: float | str) -> str:
    """A point for a pipe; the first case is nearly all of a long series."""
    if type(step) is int and type(value) is float and value - value == 0:
        return f"{step}\t{value!r}\n"
    return f"{scalar(step)}\t{scalar(metric_number(value))}\n"
