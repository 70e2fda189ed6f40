"""Pictures of a report: plots in light and dark, and files of runs, all of them within the page as data."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

from mltrack.views.report.html import Element, of, tag
from mltrack.views.text import short_digest, size

if TYPE_CHECKING:
    from mltrack.operations.reporting.previews import Preview
    from mltrack.plots import Panel, Plot
    from mltrack.views.report.blocks import Pair

LARGEST_SVG = 150_000
"""Bytes above which a plot is smaller as a PNG."""
WIDTH, HEIGHT = 5.2, 3.3
"""Of a panel, in inches: one that still can be read on a telephone."""
DARK = "screen and (prefers-color-scheme: dark)"


def data(form: str, content: bytes) -> str:
    """The address of a picture that lies in it."""
    return f"data:image/{form};base64,{b64encode(content).decode('ascii')}"


def figure(preview: Preview) -> Element:
    """A picture of a run. An SVG is shown as a picture too: no script runs in it, and it loads nothing."""
    told = f"{size(preview.size_bytes)}, {short_digest(preview.digest)}"
    return tag(
        "figure",
        None,
        tag("img", {"src": data(preview.form, preview.data), "alt": f"The picture {preview.path}"}),
        tag("figcaption", None, of("bdi", "name", preview.path), " ", of("span", "dim", told)),
    )


def plot_figures(plot: Plot) -> list[Element]:
    """A picture a panel, in the colours of the reader's choice, on paper in the light ones; then what must be known."""
    from mltrack.views.plot.picture import labels_of

    looks = tuple(labels_of(plot))
    made = [panel_figure(panel, looks) for panel in plot.panels]
    remarks = [of("p", "dim", remark) for remark in plot.remarks]
    return [of("div", "plots", *made), *remarks]


def panel_figure(panel: Panel, looks: tuple[str, ...]) -> Element:
    about = f"Plot: {panel.title}. The numbers are in the tables."
    inner = tag(
        "picture",
        None,
        tag("source", {"media": DARK, "srcset": drawn(panel, looks, True)}),
        tag("img", {"src": drawn(panel, looks, False), "alt": about}),
    )
    return of("figure", "plot", inner)


def drawn(panel: Panel, looks: tuple[str, ...], dark: bool) -> str:
    from mltrack.plots import Plot
    from mltrack.views.plot.picture import picture

    plot = Plot("", (panel,), looks=looks)
    content = picture(plot, "svg", width=WIDTH, height=HEIGHT, dark=dark)
    if len(content) <= LARGEST_SVG:
        return data("svg+xml", content)
    return data("png", picture(plot, "png", width=WIDTH, height=HEIGHT, dark=dark))


def pair_figure(pair: Pair) -> Element:
    """Two pictures side by side; by a switch one over the other, with a border that can be drawn."""
    name = f"over-{sha256(repr((pair.path, pair.names)).encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    sides = [
        of(
            "div",
            side,
            of("div", "of", f"{letter} ", of("bdi", "name", run)),
            of("div", "frame", tag("img", {"src": data(one.form, one.data), "alt": f"{pair.path} of run {run}"})),
        )
        for side, letter, one, run in (("a", "a", pair.a, pair.names[0]), ("b", "b", pair.b, pair.names[1]))
    ]
    return tag(
        "figure",
        None,
        tag("figcaption", None, of("bdi", "name", pair.path)),
        tag("input", {"type": "checkbox", "id": name, "class": "switch"}),
        tag("label", {"for": name}, "one over the other (draw the corner)"),
        of("div", "pair", *sides),
    )
