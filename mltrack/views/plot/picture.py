"""A plot as the bytes of a picture. The same plot gives the same bytes: no dates, no names that are drawn by chance.

matplotlib's settings, which a file of the user's may have changed, are its own defaults while we draw, and as before
afterwards. `pyplot`, which takes half a second and keeps every figure, is never imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from mltrack.nouns import noun
from mltrack.plots import Lines
from mltrack.views.plot.fonts import fonts_for
from mltrack.views.plot.kinds import kind_of
from mltrack.views.plot.style import LONGEST, Style, style_of
from mltrack.views.text import cell_width, clean

if TYPE_CHECKING:
    from mltrack.plots import Plot

FORMS = ("png", "svg", "pdf")
DPI = 120
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
PANEL = (3.6, 2.7)
"""Inches of one panel among several."""
ALONE = (8.0, 4.6)


@noun
class Look:
    """How a picture is to look, apart from its size."""

    dark: bool = False
    dpi: int = DPI
    """Pixels of an inch, of a PNG."""
    legend: str = "right"
    """One of `style.LEGENDS`."""


def picture(
    plot: Plot,
    form: str,
    *,
    width: float | None = None,
    height: float | None = None,
    dark: bool = False,
    look: Look | None = None,
) -> bytes:
    """The plot as `png`, `svg` or `pdf`; `width` and `height` in inches, by default as large as it needs.

    `look` says more than `dark`, and takes its place.
    """
    look = look or Look(dark)
    with own_settings():
        from io import BytesIO

        beside_it = beside(plot) if look.legend == "right" else 0.0
        figure = drawn(plot, size_of(plot, width, height, beside_it), look)
        canvas = canvas_of(form)(figure)
        out = BytesIO()
        getattr(canvas, f"print_{form}")(out, metadata=METADATA[form])
        return out.getvalue()


@contextmanager
def own_settings() -> Iterator[None]:
    """matplotlib's defaults and no warnings (of signs that no font has), for a while."""
    import logging
    import warnings

    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import matplotlib

        with matplotlib.rc_context():
            own: dict[Any, Any] = {
                name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")
            }
            own |= {"svg.hashsalt": "mltrack", "path.simplify_threshold": 0.2}
            dict.update(matplotlib.rcParams, own)  # past the checks of each value, which they have been through
            yield


def canvas_of(form: str) -> Any:
    from importlib import import_module

    name = {"png": "agg", "svg": "svg", "pdf": "pdf"}[form]
    canvas = {"png": "FigureCanvasAgg", "svg": "FigureCanvasSVG", "pdf": "FigureCanvasPdf"}[form]
    return getattr(import_module(f"matplotlib.backends.backend_{name}"), canvas)


def size_of(plot: Plot, width: float | None, height: float | None, legend: float) -> tuple[float, float]:
    """Inches: those asked for, or those that the panels need and a legend so wide beside them."""
    rows, columns = grid_of(len(plot.panels))
    if len(plot.panels) == 1:
        wide, high = ALONE
    else:
        wide, high = max(PANEL[0] * columns, ALONE[0]), PANEL[1] * rows + 0.6
    return width or wide + legend, height or high


def beside(plot: Plot) -> float:
    """Inches that a legend beside the panels takes."""
    labels = labels_of(plot)
    if len(labels) < 2 or any(getattr(panel, "colour", None) is not None for panel in plot.panels):
        return 0.0
    return 0.6 + 0.062 * min(LONGEST, max(cell_width(clean(label)) for label in labels))


def grid_of(panels: int) -> tuple[int, int]:
    """Rows and columns for so many panels."""
    columns = 1 if panels == 1 else 2 if panels in (2, 4) else 3 if panels <= 12 else 5
    return max(1, math.ceil(panels / columns)), columns


def drawn(plot: Plot, size: tuple[float, float], look: Look) -> Any:
    """The plot as a figure of matplotlib."""
    from matplotlib.figure import Figure

    labels = labels_of(plot)
    lines = [panel for panel in plot.panels if isinstance(panel, Lines)]
    is_shared = len(plot.panels) > 1 and len(lines) == len(plot.panels)
    style = replace(style_of(look.dark), fonts=fonts_for(list(texts_of(plot))), numbers=labels)
    style = replace(style, has_legend=not is_shared, legend_at=look.legend)
    figure = Figure(figsize=size, dpi=look.dpi, facecolor=style.paper)
    rows, columns = grid_of(len(plot.panels))
    below = remarks_of(figure, plot, style, size[0])
    style = replace(style, foot=below)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06, rect=(0, below, 1, 1 - below))
    for place, panel in enumerate(plot.panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        dressed(axes, style)
        kind_of(panel).draw(axes, panel, style)
    if plot.title:
        figure.suptitle(style.text(plot.title, 100), x=0.01, ha="left", fontsize=12, color=style.ink, **style.plain)
    if is_shared:
        from mltrack.views.plot.lines import shared_legend

        shared_legend(figure, lines, style)
    return figure


def dressed(axes: Any, style: Style) -> None:
    """An axes without its upper and right side, in our colours."""
    axes.set_facecolor(style.paper)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(style.faint)
    axes.tick_params(colors=style.faint, labelcolor=style.ink, labelsize=8, which="both")
    axes.grid(True, color=style.grid, linewidth=0.6)
    axes.set_axisbelow(True)


def remarks_of(figure: Any, plot: Plot, style: Style, width: float) -> float:
    """The remarks at the foot of the picture; the share of its height that they take."""
    from textwrap import wrap

    signs = max(30, int(width * 17))
    lines = [line for remark in plot.remarks for line in wrap(style.text(remark, 600), signs)][:8]
    if not lines:
        return 0.0
    height = figure.get_figheight()
    figure.text(
        0.01, 0.06 / height, "\n".join(lines), ha="left", va="bottom", fontsize=7, color=style.faint, **style.plain
    )
    return float((len(lines) * 0.125 + 0.1) / height)


def labels_of(plot: Plot) -> dict[str, int]:
    """The labels of all curves and bands, numbered as they come."""
    found = {label: place for place, label in enumerate(plot.looks)}
    for panel in plot.panels:
        for one in (*getattr(panel, "bands", ()), *getattr(panel, "curves", ())):
            found.setdefault(one.label, len(found))
    return found


def texts_of(item: Any) -> Iterator[str]:
    """Every text in a plot."""
    if isinstance(item, str):
        yield item
    elif isinstance(item, (tuple, list)):
        for one in item:
            if not isinstance(one, (float, int)):
                yield from texts_of(one)
    elif is_dataclass(item):
        for field in fields(item):
            yield from texts_of(getattr(item, field.name))
