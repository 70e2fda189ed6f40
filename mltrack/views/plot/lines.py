"""Curves and bands in one field, as a picture. As text they are in `lines_text.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mltrack.plots import Axis, Band, Curve, Lines
from mltrack.views.plot.lines_text import draw_text
from mltrack.views.plot.ticks import LARGEST, Scale, ends_of, scale_of

if TYPE_CHECKING:
    from mltrack.plots import Floats
    from mltrack.views.plot.style import Style

__all__ = ["draw", "draw_text", "scales_of", "shared_legend"]

MARKS = 8
"""Markers along a curve of several, so that one follows it without its colour."""
LEGEND_POINTS = 8
"""Size of its letters, in which its distances are told."""
FEW = 40
"""Points of which each has a marker, where there is but one curve."""


def scales_of(panel: Lines, ticks: tuple[int, int]) -> tuple[Scale, Scale] | None:
    """The scales of a panel's axes with at most so many ticks; None where nothing can be drawn."""
    drawn: list[Curve | Band] = [*panel.curves, *panel.bands]
    x = ends_of([one.xs for one in drawn], panel.x.is_log)
    parts = [curve.ys for curve in panel.curves] + [curve.raw for curve in panel.curves if curve.raw is not None]
    parts += [part for band in panel.bands for part in (band.middle, band.low, band.high)]
    y = ends_of(parts, panel.y.is_log)
    if x is None or y is None:
        return None
    return scale_of(panel.x, *x, ticks[0], 0.015), scale_of(panel.y, *y, ticks[1], ends=panel.y_ends)


def draw(axes: Any, panel: Lines, style: Style) -> None:
    """Draw a panel of lines in an Axes; see the package."""
    width, height = axes.bbox.width / axes.figure.dpi, axes.bbox.height / axes.figure.dpi
    scales = scales_of(panel, (max(4, int(width * 1.5)), max(4, int(height * 2.4))))
    if panel.title:
        axes.set_title(style.text(panel.title, 60), fontsize=9.5, loc="left", color=style.ink, **style.plain)
    if scales is None:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no point to draw", ha="center", transform=axes.transAxes, color=style.faint, **style.plain)
        return
    x, y = scales
    set_scales(axes, x, y, style)
    for place, band in enumerate(panel.bands):
        draw_band(axes, band, style.look(style.number(band.label, place)), scales)
    many = len({*(curve.label for curve in panel.curves), *(band.label for band in panel.bands)})
    for place, curve in enumerate(panel.curves, len(panel.bands)):
        draw_curve(axes, curve, look_of(panel, curve, style, place), (scales, many))
    if style.has_legend:
        shared_legend(axes.figure, [panel], style)


def look_of(panel: Lines, curve: Curve, style: Style, place: int) -> dict[str, Any]:
    """A curve's colour, dash and marker; its colour by its value where there is one."""
    look = style.look(style.number(curve.label, place))
    shades = [one.shade for one in panel.curves if one.shade is not None]
    if not shades:
        return look
    if curve.shade is None:
        return {**look, "color": style.faint, "linestyle": (0, (1, 1))}
    share = shade_scale(panel, shades).share(curve.shade)
    return {"color": style.colour_at(share), "linestyle": "-", "marker": "", "linewidth": 0.6 + 1.2 * share}


def shade_scale(panel: Lines, shades: Sequence[float]) -> Scale:
    return scale_of(panel.colour or Axis(), min(shades), max(shades), 5, 0.0)


def set_scales(axes: Any, x: Scale, y: Scale, style: Style) -> None:
    if x.is_log:
        axes.set_xscale("log")
    if y.is_log:
        axes.set_yscale("log")
    axes.set_xlim(x.low, x.high)
    axes.set_ylim(y.low, y.high)
    axes.minorticks_off()
    axes.set_xticks(x.ticks, x.texts, **style.plain)
    axes.set_yticks(y.ticks, y.texts, **style.plain)
    for set_label, scale in ((axes.set_xlabel, x), (axes.set_ylabel, y)):
        if scale.label:
            set_label(style.text(scale.label, 40), fontsize=8, color=style.faint, **style.plain)


def draw_curve(axes: Any, curve: Curve, look: dict[str, Any], among: tuple[tuple[Scale, Scale], int]) -> None:
    """A line, the raw values faintly behind it, and a marker for each point that has no neighbour."""
    import numpy as np

    (x, y), many = among
    xs, ys = np.asarray(curve.xs) / x.divisor, within(curve.ys) / y.divisor
    colour = look["color"]
    if curve.raw is not None:
        axes.plot(xs, within(curve.raw) / y.divisor, color=colour, linewidth=0.7, alpha=0.25, zorder=1.5)
    known = np.flatnonzero(np.isfinite(ys))
    is_dotted = many == 1 and len(known) <= FEW
    marks: Any = known.tolist() if is_dotted else marks_of(xs, known, look, x) if many > 1 else []
    axes.plot(xs, ys, markevery=marks, markersize=4 if is_dotted else 4.5, **{"linewidth": 1.4, **look})
    lonely = alone(ys)
    if len(lonely):
        axes.plot(
            xs[lonely],
            ys[lonely],
            linestyle="none",
            marker=look["marker"] or "o",
            markersize=4 if len(lonely) <= FEW else 2,
            color=colour,
        )


def within(values: Floats) -> Any:
    """The values, those that an axis cannot reach at its end."""
    import numpy as np

    return np.clip(np.asarray(values), -LARGEST, LARGEST)


def marks_of(xs: Any, known: Any, look: dict[str, Any], x: Scale) -> list[int]:
    """Places of the markers of one of several curves: spread along it, and not where those of the others are."""
    import numpy as np

    if not len(known) or not look["marker"]:
        return []
    from mltrack.views.plot.style import MARKERS

    shift = MARKERS.index(look["marker"]) / len(MARKERS)
    across = np.log(xs[known]) if x.is_log else xs[known]
    low, high = float(across.min()), float(across.max())
    wanted = [low + (high - low) * (mark + shift) / MARKS for mark in range(MARKS)]
    return sorted({int(known[np.abs(across - place).argmin()]) for place in wanted})


def alone(ys: Any) -> Any:
    """Points with a gap on either side: no line goes through them."""
    import numpy as np

    known = np.concatenate(([False], np.isfinite(ys), [False]))
    return np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])


def draw_band(axes: Any, band: Band, look: dict[str, Any], scales: tuple[Scale, Scale]) -> None:
    import numpy as np

    x, y = scales
    xs = np.asarray(band.xs) / x.divisor
    low, middle, high = (np.asarray(part) / y.divisor for part in (band.low, band.middle, band.high))
    if y.is_log:  # the interval may go below zero, which has no place: down to the end of the axis
        low = np.maximum(low, y.low)
    axes.fill_between(xs, low, high, color=look["color"], alpha=0.2, linewidth=0)
    known = np.flatnonzero(np.isfinite(middle))
    axes.plot(xs, middle, linewidth=1.8, markevery=marks_of(xs, known, look, x), markersize=4.5, **look)
    lonely = alone(middle)
    if len(lonely):
        error = [middle[lonely] - low[lonely], high[lonely] - middle[lonely]]
        axes.errorbar(xs[lonely], middle[lonely], error, fmt=look["marker"], color=look["color"], capsize=3)


def shared_legend(figure: Any, panels: Sequence[Lines], style: Style) -> None:
    """One legend for all panels, beside them; a scale of colours where these stand for values; none for one curve."""
    from matplotlib.lines import Line2D

    shaded = [curve.shade for panel in panels for curve in panel.curves if curve.shade is not None]
    if shaded and style.legend_at != "off":
        colour_scale(figure, panels, style)
    if shaded:
        return
    handles: dict[str, tuple[Any, str]] = {}
    place = 0
    for panel in panels:
        drawn: list[Curve | Band] = [*panel.bands, *panel.curves]
        for one in drawn:
            if one.label not in handles:
                look = style.look(style.number(one.label, place))
                text = f"{style.text(one.label, 36)} (n = {one.runs})" if isinstance(one, Band) else one.label
                handles[one.label] = (Line2D([], [], linewidth=1.6, markersize=4.5, **look), text)
                place += 1
    if style.legend_at != "off" and (len(handles) > 1 or any(panel.bands for panel in panels)):
        keys, texts = zip(*handles.values())
        if style.legend_at == "inside":
            style.legend(figure.axes[0], keys, texts, loc="best")
        elif style.legend_at == "below":
            across = max(1, int(figure.get_figwidth() / (0.9 + 0.062 * max(map(len, texts)))))
            pad = style.foot * figure.get_figheight() * 72 / LEGEND_POINTS + 0.5  # above the remarks
            where = {"loc": "outside lower center", "borderaxespad": pad, "ncols": min(across, len(texts))}
            style.legend(figure, keys, texts, **where)
        else:
            style.legend(figure, keys, texts, loc="outside right upper")


def colour_scale(figure: Any, panels: Sequence[Lines], style: Style) -> None:
    """What the colours of curves stand for."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, LogNorm, Normalize

    shades = [curve.shade for panel in panels for curve in panel.curves if curve.shade is not None]
    scale = shade_scale(panels[0], shades)
    colours = ListedColormap([style.colour_at(place / 255) for place in range(256)])
    norm = (LogNorm if scale.is_log else Normalize)(scale.low, scale.high)
    mappable = ScalarMappable(norm, colours)
    bar = figure.colorbar(mappable, ax=figure.axes, pad=0.02, aspect=30, fraction=0.05)
    bar.outline.set_visible(False)
    bar.ax.minorticks_off()
    bar.ax.set_yticks(scale.ticks, scale.texts, fontsize=8, color=style.ink, **style.plain)
    bar.ax.set_title(style.text(scale.label, 24), fontsize=8, color=style.faint, **style.plain)
