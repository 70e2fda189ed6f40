"""A dot a run: as a picture, and as text with a letter or a mark for each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mltrack.plots import Dot, Scatter
from mltrack.views.plot.places import Places, amount, name_text, places_of
from mltrack.views.plot.shades import colour_bar, many_hues, set_axis
from mltrack.views.plot.style import GLYPHS, MARKERS
from mltrack.views.plot.words import coloured, cut, faint
from mltrack.views.text import cell_width, clean, count, shorten

if TYPE_CHECKING:
    from mltrack.views.plot.style import Style

LABELLED = 12
"""Dots that each get a letter or their label."""
RAMP = ".+o@"
"""From the smallest quarter of the shades to the largest."""
MOST_GROUPS = 10
TICKS = (8, 7)
"""Of a picture's axes."""


def draw_text(panel: Scatter, width: int, height: int, colour: bool) -> list[str]:
    """The panel as lines: the field, its axes, and which sign is what."""
    signs, legend = lettered(panel) if len(panel.dots) <= LABELLED else marked(panel)
    head = [cut(clean(panel.title), width)] if panel.title else []
    rows = max(6, height - len(head) - 4 - min(len(legend), height // 2))
    x, y = scales(panel, (max(3, width // 14), max(3, rows // 3)))
    field = Field(x, y, width, rows)
    for dot, (sign, number) in zip(panel.dots, signs):
        field.put(dot, sign, number)
    lines = [*head, faint(cut(clean(y.label), width), colour), *field.lines(colour)]
    lines.append(faint(cut(" " * field.left + clean(x.label).rjust(field.columns), width), colour))
    if any(len({sign for sign, _ in here}) > 1 for here in field.cells.values()):
        legend.append(("* several in one place", 7))
    return [*lines, *(coloured(cut(text, width), number, colour) for text, number in legend)]


def scales(panel: Scatter, most: tuple[int, int]) -> tuple[Places, Places]:
    """Both axes, with so many ticks at most."""
    return (
        places_of(panel.x, [dot.x for dot in panel.dots], most[0]),
        places_of(panel.y, [dot.y for dot in panel.dots], most[1]),
    )


Signs = list[tuple[str, int]]
"""For each dot its sign and the number of its colour."""


def lettered(panel: Scatter) -> tuple[Signs, Signs]:
    """A letter for each dot, and below the field what it stands for."""
    ranks = {name: place for place, name in enumerate(scales(panel, TICKS)[1].names)}
    order = sorted(range(len(panel.dots)), key=lambda at: rank_of(panel.dots[at].y, ranks), reverse=True)
    letters = {at: chr(ord("a") + place) for place, at in enumerate(order)}
    groups = group_numbers(panel)
    signs = [(letters[at], groups.get(dot.group, 0)) for at, dot in enumerate(panel.dots)]
    legend = []
    for at in order:
        dot = panel.dots[at]
        shade = f", {said(dot.shade, panel)}" if dot.shade is not None else f", {clean(dot.group)}" if dot.group else ""
        at_y, at_x = tick(dot.y, panel.y), tick(dot.x, panel.x)
        legend.append((f"{letters[at]}  {at_y} at {at_x}{shade}  {shorten(clean(dot.label), 40)}", signs[at][1]))
    return signs, legend


def rank_of(value: float | str, places: Mapping[str, int]) -> float:
    return places[value] if isinstance(value, str) else value


def tick(value: float | str, axis: Any) -> str:
    return shorten(name_text(value), 24) if isinstance(value, str) else amount(value, axis)


def said(shade: float, panel: Scatter) -> str:
    return amount(shade, panel.colour) if panel.colour is not None else f"{shade:g}"


def marked(panel: Scatter) -> tuple[Signs, Signs]:
    """A mark for each group, or by the size of the shade; and what each means."""
    shades = sorted(dot.shade for dot in panel.dots if dot.shade is not None)
    label = clean(panel.colour.label) if panel.colour is not None else ""
    if shades:
        bounds = [shades[len(shades) * quarter // 4] for quarter in (1, 2, 3)]
        signs = [(RAMP[sum(dot.shade >= one for one in bounds)], 0) if dot.shade is not None else ("x", 1)
                 for dot in panel.dots]  # fmt: skip
        edges = [shades[0], *bounds, shades[-1]]
        legend = [
            (f"{sign} {label} {said(a, panel)} to {said(b, panel)}", 0) for sign, a, b in zip(RAMP, edges, edges[1:])
        ]
        bare = sum(dot.shade is None for dot in panel.dots)
        return signs, [*legend, *([(f"x {count(bare, 'run')} without", 1)] if bare else [])]
    groups = group_numbers(panel)
    signs = [(GLYPHS[groups[dot.group] % len(GLYPHS)], groups[dot.group]) for dot in panel.dots]
    if len(groups) < 2:
        return signs, [(f"{GLYPHS[0]} {count(len(panel.dots), 'run')}", 0)]
    sizes = Counter(groups[dot.group] for dot in panel.dots)
    names = {number: clean(group) for group, number in groups.items() if number < MOST_GROUPS - 1}
    others = len(groups) - len(names)
    legend = [(f"{GLYPHS[at]} {label} {name} ({sizes[at]:,})", at) for at, name in sorted(names.items())]
    if others:
        last = MOST_GROUPS - 1
        legend.append((f"{GLYPHS[last]} {count(others, 'other value')} ({sizes[last]:,})", last))
    return signs, legend


def group_numbers(panel: Scatter) -> Mapping[str, int]:
    """A number for each group: the most frequent have their own, the others share the last."""
    sizes = Counter(dot.group for dot in panel.dots)
    order = sorted(sizes, key=lambda group: (-sizes[group], group))
    return {group: min(place, MOST_GROUPS - 1) for place, group in enumerate(order)}


class Field:
    """Cells between two axes."""

    def __init__(self, x: Places, y: Places, width: int, rows: int) -> None:
        self.x, self.y, self.rows = x, y, rows
        self.y_ticks = [(at, shorten(text, max(6, width // 4))) for at, text in y.ticks(max(2, rows // 3))]
        self.left = max((cell_width(text) for _, text in self.y_ticks), default=0) + 2
        self.columns = max(8, width - self.left)
        self.cells: dict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)

    def put(self, dot: Dot, sign: str, number: int) -> None:
        self.cells[self.row(self.y.share(dot.y)), self.column(self.x.share(dot.x))].append((sign, number))

    def row(self, place: float) -> int:
        return min(self.rows - 1, max(0, round((1 - place) * (self.rows - 1))))

    def column(self, place: float) -> int:
        return min(self.columns - 1, max(0, round(place * (self.columns - 1))))

    def lines(self, colour: bool) -> list[str]:
        """The rows with the axis at their left, the axis below, and its ticks."""
        at_row = {self.row(place): text for place, text in self.y_ticks}
        lines = []
        for row in range(self.rows):
            text = at_row.get(row, "")
            edge = faint(" " * (self.left - 2 - cell_width(text)) + text + (" ┤" if text else " │"), colour)
            lines.append((edge + "".join(self.cell(row, column, colour) for column in range(self.columns))).rstrip())
        return [*lines, *self.below(colour)]

    def cell(self, row: int, column: int, colour: bool) -> str:
        here = self.cells.get((row, column))
        if not here:
            return " "
        if len(here) == 1 or len({sign for sign, _ in here}) == 1:
            return coloured(here[0][0], here[0][1], colour)
        return "*"

    def below(self, colour: bool) -> list[str]:
        """The axis, and as many of its ticks as have room."""
        most = max(2, self.columns // 12)
        axis, texts, free = ["─"] * self.columns, "", 0
        for place, text in self.x.ticks(most):
            column = self.column(place)
            text = shorten(text, max(4, self.columns // max(len(self.x.names) and min(most, len(self.x.names)), 3) - 1))
            start = max(free, min(column - cell_width(text) // 2, self.columns - cell_width(text)))
            if free and start + cell_width(text) > self.columns - (start == free):
                continue  # no room is left behind the one before
            axis[column] = "┬"
            texts += " " * (start - free + (1 if free and start == free else 0)) + text
            free = cell_width(texts) + 1
            texts += " "
        side = " " * (self.left - 2) + " "
        return [faint(f"{side}└{''.join(axis)}", colour), faint(f"{side} {texts}".rstrip(), colour)]


# -- as a picture


def draw(axes: Any, panel: Scatter, style: Style) -> None:
    """Dots by group or shade; their labels where there are few."""
    x, y = scales(panel, TICKS)
    xs, ys = [x.real(dot.x) for dot in panel.dots], [y.real(dot.y) for dot in panel.dots]
    if any(dot.shade is not None for dot in panel.dots):
        draw_shaded(axes, panel, style, (xs, ys))
    else:
        draw_groups(axes, panel, style, (xs, ys))
    set_axis(axes, x, "x", style)
    set_axis(axes, y, "y", style)
    if panel.title:
        axes.set_title(style.text(panel.title), color=style.ink, **style.plain)
    if len(panel.dots) <= LABELLED:
        label_dots(axes, panel, style, (xs, ys))


def draw_groups(axes: Any, panel: Scatter, style: Style, places: tuple[list[float], list[float]]) -> None:
    groups = group_numbers(panel)
    handles, labels = [], []
    for number in sorted(set(groups.values())):
        own = [at for at, dot in enumerate(panel.dots) if groups[dot.group] == number]
        names = [group for group, one in groups.items() if one == number]
        handles.append(
            axes.plot(
                [places[0][at] for at in own],
                [places[1][at] for at in own],
                linestyle="none",
                marker=MARKERS[number % len(MARKERS)],
                markersize=6,
                color=style.look(number)["color"],
                markeredgecolor=style.paper,
                markeredgewidth=0.6,
                alpha=0.9 if len(panel.dots) < 500 else 0.5,
                clip_on=False,
                zorder=3,
            )[0]
        )
        labels.append(
            f"{names[0]} ({len(own):,})" if len(names) == 1 else f"{count(len(names), 'other value')} ({len(own):,})"
        )
    if len(groups) > 1:
        style.legend(axes, handles, labels)


def draw_shaded(axes: Any, panel: Scatter, style: Style, places: tuple[list[float], list[float]]) -> None:
    """Colours from dark to light, and larger dots for larger numbers: without colours they still say it."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    own = [at for at, dot in enumerate(panel.dots) if dot.shade is not None]
    bare = [at for at, dot in enumerate(panel.dots) if dot.shade is None]
    shades = [dot.shade for dot in panel.dots if dot.shade is not None]
    low, high = min(shades), max(shades)
    norm = (LogNorm if low > 0 and high / 100 >= low else Normalize)(low, high)
    hues = many_hues(style)
    parts = [float(norm(shade)) if high > low else 0.5 for shade in shades]
    axes.scatter(
        [places[0][at] for at in own],
        [places[1][at] for at in own],
        s=[(4 + 5 * part) ** 2 for part in parts],
        c=hues(parts),
        edgecolors=style.paper,
        linewidths=0.6,
        clip_on=False,
        zorder=3,
    )
    if bare:
        axes.scatter([places[0][at] for at in bare], [places[1][at] for at in bare], s=25, c=style.faint, marker="x")
    if high > low:
        label = panel.colour.label if panel.colour is not None else ""
        colour_bar(axes, ScalarMappable(norm, hues), label, style)


def label_dots(axes: Any, panel: Scatter, style: Style, places: tuple[list[float], list[float]]) -> None:
    """Each label beside its dot, where no other label is in the way: above, below, then not at all."""
    taken: list[tuple[float, float, float, float]] = []
    for dot, x, y in zip(panel.dots, *places):
        text = shorten(clean(dot.label), 28)
        across, up = axes.transData.transform((x, y))
        right = across > axes.bbox.x0 + axes.bbox.width * 0.75
        wide, high = 5.0 * cell_width(text) * axes.figure.dpi / 72, 11.0 * axes.figure.dpi / 72
        for offset in (4, -12, 14, -22):
            left = across - wide - 6 if right else across + 6
            low = up + offset * axes.figure.dpi / 72
            box = (left, low, left + wide, low + high)
            is_inside = axes.bbox.y0 < low and box[3] < axes.bbox.y1  # else it would meet the title, or the ticks
            if is_inside and all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in taken):
                taken.append(box)
                axes.annotate(
                    text,
                    (x, y),
                    xytext=(-6 if right else 6, offset),
                    textcoords="offset points",
                    ha="right" if right else "left",
                    fontsize=8,
                    color=style.ink,
                    **style.plain,
                )
                break
