"""Colours that say how much, and the matplotlib axes that several kinds of panels share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mltrack.views.plot.places import Places, name_text
from mltrack.views.text import cell_width, number, shorten

if TYPE_CHECKING:
    from mltrack.views.plot.style import Style

LONGEST = 24
"""Cells of a name at a tick."""
MOST_NAMES = 40
"""Names at an axis; of more, one in some."""


def many_hues(style: Style) -> Any:
    """The style's scale for numbers as matplotlib wants it beside a bar."""
    from matplotlib.colors import ListedColormap

    return ListedColormap([style.colour_at(at / 255) for at in range(256)])


def one_hue(style: Style) -> Any:
    """From the paper's colour to a strong blue, or on dark paper a light one."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = (style.paper, "#1b4f72", "#56b4e9") if style.is_dark else (style.paper, "#7fb5dc", "#084a86")
    return LinearSegmentedColormap.from_list("share", ends)


def ink_on(colour: Any) -> str:
    """Black or white, whichever has more contrast on the colour, by WCAG's relative luminance."""
    red, green, blue = (one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in colour[:3])
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "white"


def tick_name(text: str) -> str:
    return shorten(name_text(text), LONGEST)


def set_axis(axes: Any, places: Places, side: str, style: Style) -> None:
    """The label, scale and ticks of an axis, and its names where it is one of texts."""
    axis = axes.xaxis if side == "x" else axes.yaxis
    limit = axes.set_xlim if side == "x" else axes.set_ylim
    if places.scale is None:
        step = -(-len(places.names) // MOST_NAMES)
        names = [tick_name(name) for name in places.names[::step]]
        axis.set_ticks(range(0, len(places.names), step), names, **style.plain)
        limit(-0.5, len(places.names) - 0.5)
        if side == "x" and sum(map(cell_width, names)) > 60:
            slanted(axes, 30)
    else:
        if places.is_log:
            (axes.set_xscale if side == "x" else axes.set_yscale)("log")
        axis.set_ticks(places.scale.ticks, places.scale.texts, **style.plain)
        axis.set_ticks([], minor=True)
        limit(places.scale.low, places.scale.high)
    axis.set_label_text(style.text(places.label, 60), color=style.ink, fontsize=9, **style.plain)


def slanted(axes: Any, angle: int) -> None:
    """The texts below the horizontal axis aslant, each ending at its tick."""
    for label in axes.get_xticklabels():
        label.set(rotation=angle, ha="right", va="center" if angle == 90 else "top", rotation_mode="anchor")


def colour_bar(axes: Any, mappable: Any, label: str, style: Style) -> None:
    """What the colours mean, at the right."""
    from matplotlib.ticker import FuncFormatter

    bar = axes.figure.colorbar(mappable, ax=axes, pad=0.02)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(float(f"{value:.6g}"))))
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=style.ink, which="both", labelsize=8)
    bar.set_label(style.text(label, 40), color=style.ink, fontsize=9, **style.plain)
