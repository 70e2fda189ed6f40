"""Confusion matrices: as pictures with a number in every cell, and as text; of many classes, what is most confused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mltrack.plots import Confusion
from mltrack.views.plot.places import name_text
from mltrack.views.plot.shades import ink_on, one_hue, slanted, tick_name
from mltrack.views.plot.words import bold, cut, faint, padded
from mltrack.views.text import cell_width, clean, count

if TYPE_CHECKING:
    from mltrack.views.plot.style import Style

    Paint = Callable[[str, bool], str]

NUMBERED = 20
"""Classes up to which every cell of a picture has its number."""
SHARED = 8
"""Classes up to which it has its share of the row beneath."""
FORMS = {"both": "counts, and per cent of the row", "count": "counts", "share": "per cent of the row"}
NAMED = 40
"""Classes up to which each has its name at the side."""


def shares(panel: Confusion) -> list[list[float]]:
    """Each count as a share of its row; 0 in a row without any."""
    return [[cell / (sum(row) or 1) for cell in row] for row in panel.counts]


def per_cent(share: float) -> str:
    """`97 %`; what is there but rounds to nothing is `<1 %`, what is not all never `100 %`."""
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 else f"{share * 100:.0f} %"


# -- as text


def draw_text(panel: Confusion, width: int, height: int, colour: bool) -> list[str]:
    """The matrix with counts and per cent by row, or one of them; where even that has no room, the largest mistakes."""
    head = [cut(clean(panel.title), width)] if panel.title else []
    for form in ("share",) if panel.by_row else ("both", "count", "share"):
        cells = [[cell_text(panel, row, column, form) for column in range(len(panel.classes))]
                 for row in range(len(panel.classes))]  # fmt: skip
        lines = table(panel, cells, width, colour) if len(panel.classes) <= max(height, 12) else None
        if lines is not None:
            return [*head, faint(cut(FORMS[form], width), colour), *lines]
    return head + [painted(cut(text, width), colour) for text, painted in mistakes(panel, width, height)]


def cell_text(panel: Confusion, row: int, column: int, form: str) -> str:
    number, total = panel.counts[row][column], sum(panel.counts[row])
    share = per_cent(number / total) if total else "-"
    return f"{number:,} {share:>5}" if form == "both" else f"{number:,}" if form == "count" else share


def table(panel: Confusion, cells: list[list[str]], width: int, colour: bool) -> list[str] | None:
    """The lines of the matrix, its columns by number where names have no room; None where even that is too wide."""
    names = [name_text(name) for name in panel.classes]
    heads = names
    widest, longest = max(len(text) for row in cells for text in row), max(map(cell_width, names))
    side = max(min(longest, max(8, width // 4)), len("actual"))
    room = (width - side - 2) // len(names) - 2
    if room < min(longest, 6):
        heads = [str(at) for at in range(1, len(names) + 1)]
        names = [f"{head:>{len(heads[-1])}} {name}" for head, name in zip(heads, names)]
        side = max(min(max(map(cell_width, names)), max(10, width // 4)), len("actual"))
        room = (width - side - 2) // len(names) - 2
    if room < widest:
        return None
    cell = min(room, max(widest, min(max(map(cell_width, heads)), 16)))
    lines = [faint(padded("actual", side) + " │ " + "predicted", colour)]
    lines.append(padded("", side) + " │" + "".join("  " + padded(head, cell, right=True) for head in heads))
    lines.append(faint("─" * (side + 1) + "┤" + "─" * ((cell + 2) * len(names)), colour))
    for at, (name, row) in enumerate(zip(names, cells)):
        parts = [shaded(padded(text, cell, right=True), panel, at, column, colour) for column, text in enumerate(row)]
        lines.append(padded(name, side) + " │" + "".join("  " + part for part in parts))
    return lines


def shaded(text: str, panel: Confusion, row: int, column: int, colour: bool) -> str:
    """What is right is bold, and what is nothing faint."""
    if row == column:
        return bold(text, colour)
    return text if panel.counts[row][column] else faint(text, colour)


def mistakes(panel: Confusion, width: int, height: int) -> list[tuple[str, Paint]]:
    """Of many classes: which were most often taken for another. Each line and what paints it."""
    found = [
        (number, row, column)
        for row, cells in enumerate(panel.counts)
        for column, number in enumerate(cells)
        if number and row != column
    ]
    if not found:
        return [(f"No mistake in any of {count(len(panel.classes), 'class', 'classes')}.", bold)]
    found.sort(key=lambda one: (-one[0], one[1], one[2]))
    shown = found[: max(5, height - 4)]
    many = count(len(panel.classes), "class", "classes")
    lines: list[tuple[str, Paint]] = [(f"{many}, too many for a table here; most often confused:", bold)]
    digits = max(len(f"{number:,}") for number, _, _ in shown)
    named = [name_text(panel.classes[at]) for _, *places in shown for at in places]
    each = max(4, min((width - digits - 22) // 2, max(map(cell_width, named))))
    for number, row, column in shown:
        actual, predicted = (padded(name_text(panel.classes[at]), each) for at in (row, column))
        part = per_cent(number / sum(panel.counts[row]))
        lines.append((f"  {number:>{digits},} {part:>5}  {actual} taken for {predicted}".rstrip(), plain))
    if len(found) > len(shown):
        lines.append((f"  ... and {len(found) - len(shown):,} more pairs", faint))
    return lines


def plain(text: str, colour: bool) -> str:
    return text


# -- as a picture


def draw(axes: Any, panel: Confusion, style: Style) -> None:
    """Cells shaded by their share of the row, so that rare classes are read as frequent ones are."""
    parts = shares(panel)
    colours, size = one_hue(style), len(panel.classes)
    axes.imshow(parts, cmap=colours, vmin=0, vmax=1, interpolation="nearest" if size <= 200 else "antialiased")
    if size <= NUMBERED:
        for row in range(size):
            for column in range(size):
                number_cell(axes, panel, (row, column), colours(parts[row][column]), style)
    step = -(-size // NAMED)
    names = [tick_name(name) for name in panel.classes[::step]]
    axes.set_xticks(range(0, size, step), names, **style.plain)
    axes.set_yticks(range(0, size, step), names, **style.plain)
    small = 9 if size <= 10 else 7 if size <= 25 else 6
    axes.tick_params(labelsize=small, length=0)
    if max(map(cell_width, names), default=0) * size > 40:
        slanted(axes, 90 if size > 12 else 40)
    draw_frame(axes, size, style)
    axes.set_xlabel("predicted", color=style.ink, **style.plain)
    axes.set_ylabel("actual", color=style.ink, **style.plain)
    if panel.title:
        axes.set_title(style.text(panel.title), color=style.ink, fontsize=10, **style.plain)


def draw_frame(axes: Any, size: int, style: Style) -> None:
    """Lines between the cells, and a stronger one around those that are right."""
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if size > NAMED:
        return
    for at in range(size + 1):
        axes.axhline(at - 0.5, color=style.grid, lw=0.6)
        axes.axvline(at - 0.5, color=style.grid, lw=0.6)
    for at in range(size):
        corners = [at - 0.5, at + 0.5]
        axes.plot(
            [corners[0], corners[1], corners[1], corners[0], corners[0]],
            [corners[0], corners[0], corners[1], corners[1], corners[0]],
            color=style.ink,
            lw=1.0,
            zorder=3,
        )


def number_cell(axes: Any, panel: Confusion, place: tuple[int, int], colour: Any, style: Style) -> None:
    """The count, with its share of the row beneath where there is room; or that alone."""
    row, column = place
    number, total, size = panel.counts[row][column], sum(panel.counts[row]), len(panel.classes)
    share = per_cent(number / total) if total else "-"
    text = share if panel.by_row else f"{number:,}" if size > SHARED else f"{number:,}\n{share}"
    points = 11 if size <= 4 else 9 if size <= SHARED else 7 if size <= 14 else 5.5
    axes.text(
        column, row, text, ha="center", va="center", fontsize=points, color=ink_on(colour),
        fontweight="bold" if row == column else "normal", **style.plain,
    )  # fmt: skip
