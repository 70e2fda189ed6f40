"""Parallel coordinates: as a picture, and as text with a track for each value of each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mltrack.plots import Parallel
from mltrack.views.plot.places import Places, name_text, places_of
from mltrack.views.plot.shades import many_hues, tick_name
from mltrack.views.plot.words import bold, coloured, cut, faint, padded
from mltrack.views.text import cell_width, clean, number, shorten

if TYPE_CHECKING:
    from mltrack.views.plot.style import Style

MISSING = -0.09
"""Height below the axes of what has no value."""
NARROWEST = 12
"""Cells of an axis in a text."""
SHORTEST = 3
"""Cells of a track."""
WIDEST = 26
TICKS = 6


def scales(panel: Parallel) -> list[Places]:
    columns = [[row[at] for row in panel.rows] for at in range(len(panel.axes))]
    return [
        places_of(axis, [one for one in column if one is not None], TICKS, 0.0)
        for axis, column in zip(panel.axes, columns)
    ]


# -- as text


def draw_text(panel: Parallel, width: int, height: int, colour: bool) -> list[str]:
    """A line a run, the largest of the last axis first; each value by its place on a track and in figures."""
    label = min(max(map(cell_width, map(clean, panel.labels)), default=0), max(8, width // 5))
    shown = axes_shown(panel, (width - label) // (NARROWEST + 2))
    cells = min(WIDEST, (width - label) // max(len(shown), 1) - 2)
    every = scales(panel)
    names = short_names([name_text(axis.label) for axis in panel.axes], cells)
    head = padded("", label) + "".join("  " + padded(names[at], cells) for at in shown)
    lines = [cut(clean(panel.title), width)] if panel.title else []
    lines.append(bold(head.rstrip(), colour))
    tracks = {at: tracks_of(every[at], [row[at] for row in panel.rows], cells) for at in shown}
    order = list(range(len(panel.rows)))[::-1]
    kept, hidden = middle_out(order, max(6, height - len(lines) - 2))
    for at in kept:
        if at is None:
            lines.append(faint(cut(f"... {hidden:,} runs between", width), colour))
            continue
        paint = level(panel, every, panel.rows[at])
        parts = "".join("  " + coloured(tracks[one][at], paint, colour) for one in shown)
        lines.append(padded(clean(panel.labels[at]), label) + parts)
    if len(shown) < len(panel.axes):
        hidden_names = [name_text(axis.label) for at, axis in enumerate(panel.axes) if at not in shown]
        lines.append(faint(cut(without_room(hidden_names, width), width), colour))
    return [line.rstrip() for line in lines]


def without_room(names: Sequence[str], width: int) -> str:
    """The names of axes that a wider terminal has room for, as many as fit in a line."""
    head = f"no room for {'1 axis' if len(names) == 1 else f'{len(names):,} axes'}: "
    for kept in range(len(names), 0, -1):
        text = head + ", ".join(names[:kept]) + (f" and {len(names) - kept:,} more" if kept < len(names) else "")
        if cell_width(text) <= width:
            return text
    return head.rstrip(": ")


def short_names(names: Sequence[str], cells: int) -> list[str]:
    """Names without the beginning that a neighbour has too (`layer.1.`), where they are too long."""
    found = []
    for at, name in enumerate(names):
        beside = [*names[max(at - 1, 0) : at], *names[at + 1 : at + 2]]
        shared = max((shared_start(name, one) for one in beside), default=0)
        cut_at = max(name.rfind(".", 0, shared), name.rfind("/", 0, shared)) + 1
        found.append(name[cut_at:] if cell_width(name) > cells else name)
    return found


def shared_start(a: str, b: str) -> int:
    """How many signs two texts have in common at their beginning."""
    return next((at for at, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def axes_shown(panel: Parallel, room: int) -> list[int]:
    """As many axes as there is room for, in their order: the last one, then those that go most with it."""
    last = len(panel.axes) - 1
    weights = panel.weights or (0.0,) * len(panel.axes)
    by_weight = sorted(range(last), key=lambda at: -weights[at])
    return sorted([*by_weight[: max(room, 1) - 1], last])


def middle_out(order: Sequence[int], most: int) -> tuple[list[int | None], int]:
    """The first and the last of too many, with None for those between, and how many these are."""
    if len(order) <= most:
        return list(order), 0
    above = (most - 1 + 1) // 2
    below = most - 1 - above
    return [*order[:above], None, *order[len(order) - below :]], len(order) - above - below


def tracks_of(scale: Places, values: Sequence[float | str | None], cells: int) -> list[str]:
    """`─────●── 0.01` for each value, all of one length: it gives way to the figures, but for SHORTEST cells. Without
    a value a word instead."""
    most = max(5, cells - 1 - SHORTEST)
    texts = ["" if value is None else fitted(scale, value, most) for value in values]
    room = min(cells - 1 - max(map(cell_width, texts), default=0), cells - 8)
    found = []
    for value, text in zip(values, texts):
        if value is None:
            text = "missing"
        elif room >= SHORTEST:
            at = round(scale.share(value) * (room - 1))
            text = "─" * at + "●" + "─" * (room - 1 - at) + " " + text
        found.append(padded(text, cells))
    return found


def fitted(scale: Places, value: float | str, width: int) -> str:
    """A value in at most so many cells: a number with fewer digits, never cut; a name shortened."""
    text = scale.text(value)
    if cell_width(text) > width and isinstance(value, float) and not scale.axis.unit:
        rounded = (number(float(f"{value:.{digits}g}")) for digits in (4, 3, 2, 1))
        text = next((one for one in rounded if len(one) <= width), f"{value:.0e}")
    return shorten(text, width)


def level(panel: Parallel, every: Sequence[Places], row: Sequence[float | str | None]) -> int:
    """Number of the colour: blue for the upper half of the last axis, vermilion for the lower, grey without."""
    at = panel.coloured_by
    value = None if at is None else row[at]
    if at is None or value is None:
        return 7
    return 0 if every[at].share(value) >= 0.5 else 1


# -- as a picture


def draw(axes: Any, panel: Parallel, style: Style) -> None:
    """A line a run: its colour by the last axis, and the larger that is the thicker, and the more on top."""
    every = scales(panel)
    axes.set_axis_off()
    axes.set_xlim(-0.35, len(every) - 1 + 0.35)
    axes.set_ylim(MISSING - 0.07, 1.2)
    has_missing = any(value is None for row in panel.rows for value in row)
    draw_runs(axes, panel, every, style)
    for at in range(len(every)):
        draw_axis(axes, at, every, style)
        if has_missing:
            axes.plot([at - 0.06, at + 0.06], [MISSING] * 2, color=style.faint, lw=1, zorder=4)
    if has_missing:
        axes.text(-0.1, MISSING, "missing", ha="right", va="center", fontsize=8, color=style.ink, **style.plain)
    if panel.title:
        axes.set_title(style.text(panel.title), color=style.ink, **style.plain)


def draw_runs(axes: Any, panel: Parallel, every: Sequence[Places], style: Style) -> None:
    """The lines of all runs in their order: whole from axis to axis, dotted down to where a value is missing."""
    from matplotlib.collections import LineCollection

    hues, at = many_hues(style), panel.coloured_by
    parts: dict[bool, list[tuple[Any, Any, float]]] = {True: [], False: []}
    for row in panel.rows:
        heights = [MISSING if value is None else places.share(value) for places, value in zip(every, row)]
        share = None if at is None or row[at] is None else heights[at]
        look = (style.faint, 0.7) if share is None else (hues(share), 0.7 + 1.8 * share)
        for place in range(len(row) - 1):
            is_whole = row[place] is not None and row[place + 1] is not None
            parts[is_whole].append(([(place, heights[place]), (place + 1, heights[place + 1])], *look))
    fade = 0.9 if len(panel.rows) < 60 else 0.6 if len(panel.rows) < 400 else 0.3
    for is_whole, found in parts.items():
        if found:
            lines, colours, weights = zip(*found)
            dash: Any = "-" if is_whole else (0, (1, 2))
            axes.add_collection(
                LineCollection(lines, colors=colours, linewidths=weights, linestyles=dash, alpha=fade, zorder=2)
            )


def draw_axis(axes: Any, at: int, every: Sequence[Places], style: Style) -> None:
    """A vertical line with ticks, their texts, and the name above; all names aslant where one is long."""
    scale, count = every[at], len(every)
    room = 84 // count
    is_slanted = any(cell_width(clean(one.label)) > room for one in every)
    axes.plot([at, at], [0, 1], color=style.ink, lw=1.2, zorder=4)
    for place, text in scale.ticks(12):
        axes.plot([at - 0.02, at + 0.02], [place] * 2, color=style.ink, lw=1, zorder=4)
        axes.text(
            at + 0.035, place, tick_name(text), ha="left", va="center", fontsize=8, color=style.ink, zorder=5,
            bbox={"facecolor": style.paper, "edgecolor": "none", "alpha": 0.75, "pad": 0.8}, **style.plain,
        )  # fmt: skip
    axes.text(
        at, 1.05, style.text(name_text(scale.label), 28 if is_slanted else room), ha="left" if is_slanted else "center",
        va="bottom", rotation=25 if is_slanted else 0, rotation_mode="anchor", fontsize=8 if is_slanted else 9,
        fontweight="bold" if at == count - 1 else "normal", color=style.ink, **style.plain,
    )  # fmt: skip
