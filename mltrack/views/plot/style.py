"""How pictures look: colours that people tell apart who do not see colours alike, dashes, markers, fonts, texts.

The colours are those of Okabe and Ito ("Color Universal Design", 2008). They are never the only sign: every curve of
several has a marker too, and after seven curves other dashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mltrack.nouns import noun
from mltrack.views.text import clean, shorten

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW, BLACK = "#E69F00", "#56B4E9", "#F0E442", "#000000"
LIGHT = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DARK = (SKY, ORANGE, GREEN, PURPLE, YELLOW, VERMILLION, "#FFFFFF")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.2, 1.4)), (0, (6, 2, 1.2, 2)))
MARKERS = ("o", "s", "^", "D", "v", "X", "P", "<", ">", "p", "*")
GLYPHS = ("●", "■", "▲", "◆", "▼", "✕", "✚", "◀", "▶", "⬟", "★")
"""The markers in text, in the same order."""
LEGENDS = ("right", "inside", "below", "off")
FONTS = ("DejaVu Sans",)
LEFT_TO_RIGHT = "\u200e"
LONGEST = 44
"""Cells of a label in a legend."""
MOST_LABELS = 20
"""Lines of a legend; of more curves the last says how many are not named."""


@noun
class Style:
    """Colours and fonts of one picture."""

    paper: str
    ink: str
    faint: str
    """Of axes and remarks."""
    grid: str
    colours: tuple[str, ...]
    fonts: tuple[str, ...] = FONTS
    numbers: Mapping[str, int] | None = None
    """Label -> the number of its look, so that a run looks alike in all panels."""
    has_legend: bool = True
    """Does each panel show a legend of its own?"""
    legend_at: str = "right"
    """One of LEGENDS; `right` is beside the panels."""
    foot: float = 0.0
    """Share of the height that remarks take, below all else."""
    is_dark: bool = False

    @property
    def plain(self) -> dict[str, Any]:
        """What every text is given: our fonts, and no mathematics between dollars."""
        return {"parse_math": False, "fontfamily": list(self.fonts)}

    def text(self, value: str, longest: int = 200) -> str:
        """A recorded text as it may be drawn. One with words from right to left is still a line from left to right."""
        text = shorten(clean(value), longest)
        return text if text.isascii() or not is_backward(text) else LEFT_TO_RIGHT + text

    def number(self, label: str, place: int) -> int:
        """Which look a label has: that of all panels, else by its place in this one."""
        return place if self.numbers is None else self.numbers.get(label, place)

    def look(self, number: int) -> dict[str, Any]:
        """Colour, dash and marker of the curve with that number."""
        return {
            "color": self.colours[number % len(self.colours)],
            "linestyle": DASHES[number // len(self.colours) % len(DASHES)],
            "marker": MARKERS[number % len(MARKERS)],
        }

    def legend(self, axes: Any, handles: Sequence[Any], labels: Sequence[str], **where: Any) -> Any:
        """A legend of an Axes or a Figure; of many labels the first, and how many more there are."""
        if self.legend_at == "off":
            return None
        from matplotlib.lines import Line2D

        shown, names = list(handles), [self.text(label, LONGEST) for label in labels]
        if len(names) > MOST_LABELS:
            shown = [*shown[: MOST_LABELS - 1], Line2D([], [], linestyle="none")]
            names = [*names[: MOST_LABELS - 1], f"and {len(labels) - MOST_LABELS + 1:,} more"]
        options = {"frameon": False, "fontsize": 8, "handlelength": 2.6, "labelcolor": self.ink, **where}
        # A label that begins with an underscore would not be shown, so the texts come after.
        legend = axes.legend(shown, [f"{place}" for place in range(len(names))], **options)
        for text, name in zip(legend.get_texts(), names):
            text.set(text=name, **self.plain)
        return legend

    def colour_at(self, share: float) -> Any:
        """A colour for a number, from 0 to 1: from dark to bright in a scale that is read without colours too."""
        from matplotlib import colormaps

        low, high = (0.2, 1.0) if self.is_dark else (0.0, 0.85)
        return colormaps["cividis"](low + (high - low) * share)


def style_of(dark: bool) -> Style:
    """The style of a picture for a light page, or for a dark one."""
    if dark:
        return Style("#16181c", "#e8e8e8", "#9aa0a8", "#33373e", DARK, is_dark=True)
    return Style("#ffffff", "#1a1a1a", "#5f6670", "#e3e5e8", LIGHT)


def is_backward(text: str) -> bool:
    from unicodedata import bidirectional

    return any(bidirectional(sign) in ("R", "AL") for sign in text)
