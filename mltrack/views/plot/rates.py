"""ROC and precision-recall curves: as a picture, and as text by way of lines."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mltrack.plots import Axis, Curve, Lines, Rates
from mltrack.views.plot.words import faint

if TYPE_CHECKING:
    from mltrack.views.plot.style import Style

AXES = {"roc": ("false positive rate", "true positive rate"), "pr": ("recall", "precision")}
SHORT = {"roc": ("FPR", "TPR"), "pr": ("recall", "precision")}
NARROW = 30
"""Cells up to which a text has the short names."""
CHANCE = 33
"""Dots of the line of chance in a text."""


def draw_text(panel: Rates, width: int, height: int, colour: bool) -> list[str]:
    """The curves as lines over rates from 0 to 1."""
    from mltrack.views.plot.lines import draw_text as draw_lines

    x, y = AXES[panel.kind] if width > NARROW else SHORT[panel.kind]
    if panel.kind == "pr":
        return draw_lines(
            Lines(panel.title, Axis(x), Axis(y), tuple(map(in_steps, panel.curves))), width, height, colour
        )
    curves = tuple(over_chance(curve) if at == 0 else curve for at, curve in enumerate(panel.curves))
    lines = draw_lines(Lines(panel.title, Axis(x), Axis(y), curves), width, height - 1, colour)
    return [*lines, faint("dotted: chance", colour)]


def over_chance(curve: Curve) -> Curve:
    """The same with dots on the diagonal that chance gives, as what lies faintly behind it: the curve gets points at
    even distances for that, on its own line."""
    import numpy

    xs, ys = numpy.asarray(curve.xs, float), numpy.asarray(curve.ys, float)
    even = numpy.linspace(xs[0], xs[-1], CHANCE)[1:-1]
    even = even[~numpy.isin(even, xs)]
    places = numpy.searchsorted(xs, even)
    across, up = numpy.insert(xs, places, even), numpy.insert(ys, places, numpy.interp(even, xs, ys))
    return replace(curve, xs=across, ys=up, raw=numpy.where(numpy.isin(across, even), across, math.nan))


def in_steps(curve: Curve) -> Curve:
    """The same with each y reaching back to the x before it, as the average precision counts it."""
    xs = [x for x in curve.xs for _ in (0, 1)][:-1]
    ys = [y for y in curve.ys for _ in (0, 1)][1:]
    return replace(curve, xs=xs, ys=ys)


def draw(axes: Any, panel: Rates, style: Style) -> None:
    """The curves in a square; of ROC with the diagonal that chance gives."""
    handles, labels = [], []
    if panel.kind == "roc":
        axes.plot([0, 1], [0, 1], color=style.faint, lw=1, ls=(0, (1, 3)), zorder=1)
        axes.annotate(
            "chance",
            (0.5, 0.5),
            xytext=(4, -10),
            textcoords="offset points",
            fontsize=8,
            color=style.faint,
            **style.plain,
        )
    for number, curve in enumerate(panel.curves):
        (line,) = axes.plot(
            curve.xs,
            curve.ys,
            **style.look(style.number(curve.label, number)),
            lw=1.6,
            markevery=(number * 0.013 % 0.1, 0.12),
            markersize=4.5,
            drawstyle="default" if panel.kind == "roc" else "steps-pre",
            clip_on=False,
            zorder=2,
        )
        handles.append(line)
        labels.append(curve.label)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
    axes.set_aspect("equal")
    x, y = AXES[panel.kind]
    axes.set_xlabel(x, color=style.ink, **style.plain)
    axes.set_ylabel(y, color=style.ink, **style.plain)
    if panel.title:
        axes.set_title(style.text(panel.title), color=style.ink, **style.plain)
    if len(labels) > 1:  # of one curve the title says it
        style.legend(axes, handles, labels, loc="center left", bbox_to_anchor=(1.02, 0.5))
