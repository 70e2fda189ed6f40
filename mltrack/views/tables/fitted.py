"""Columns that are fitted to a terminal: the most telling ones get room first, and numbers are never cut.

Laid out by hand: importing a table library costs more than listing a thousand runs. What stands in the columns is said
elsewhere (`columns.py`, `tabular.py`); nothing here knows a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from mltrack.nouns import noun
from mltrack.views.page import painted, wrapped
from mltrack.views.text import cell_width, clean, shorten

GAP = 2
COMFORT = 20
"""Every column gets up to these many cells before any gets more."""

Words = tuple[str, str]
"""A clean text and its style."""


@noun
class Column:
    """One column: clean cells, the order in which columns are given room (`rank`), and the least width of use."""

    name: str
    title: str
    cells: Sequence[Words]
    rank: float
    least: int = 4
    is_number: bool = False
    short: Sequence[Words] | None = None
    """What to show where the cells do not fit."""
    must: bool = False
    """It was asked for by name: it is there however narrow the terminal is."""

    @cached_property
    def widths(self) -> list[int]:
        """The cells that each value takes."""
        return [cell_width(text) for text, _ in self.cells]

    @cached_property
    def width(self) -> int:
        return max(cell_width(self.title), *self.widths, 0)


@noun
class Fitted:
    """Columns that are fitted to the width when they are drawn."""

    columns: tuple[Column, ...]
    remarks: tuple[str, ...] = ()
    """Lines below, for a person at a terminal."""
    quiet: tuple[str, ...] = ()
    """Names of columns that nobody is told of where they have no room."""
    advice: str = ""
    """How to see what had no room."""

    def render(self, width: int | None, colour: bool) -> str:
        """The header, one line a row, and on a terminal the remarks and what was left away."""
        fitted = fit(self.columns, width)
        gap = " " * GAP
        drawn = [draw(column, cells, colour) for column, cells in fitted]
        lines = [gap.join(parts).rstrip(" ") for parts in zip(*drawn, strict=True)]
        if width is not None:
            shown = {*self.quiet, *(column.name for column, _ in fitted)}
            missing = [clean(column.name) for column in self.columns if column.name not in shown]
            remarks = [*self.remarks, *left_away(missing, self.advice)]
            lines += [painted(line, "dim", colour) for text in remarks for line in wrapped(text, width)]
        return "\n".join(lines) + "\n" if lines else ""


def left_away(names: Sequence[str], advice: str) -> list[str]:
    """What is said of columns that had no room."""
    if not names:
        return []
    told = ", ".join(shorten(name if name == name.strip() else f'"{name}"', 40) for name in names[:3])
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return [f"No room for {told}{more}{f'; {advice}' if advice else ''}."]


def fit(columns: Sequence[Column], width: int | None) -> list[tuple[Column, int]]:
    """The columns that have room, in their order, each with its cells; the most telling ones are given room first."""
    if width is None:
        return [(column, column.width) for column in columns]
    room = width + GAP
    by_rank = sorted(columns, key=lambda column: (not column.must, column.rank))
    cells: dict[str, int] = {}
    for column in by_rank:
        least = min(column.width, column.least)
        if column.must or least + GAP <= room or not cells:
            cells[column.name] = least
            room -= least + GAP
    for comfort in (COMFORT, width):
        for column in by_rank:
            if column.name in cells and room > 0:
                given = min(room, min(column.width, comfort) - cells[column.name])
                if given > 0 and (column.short is None or cells[column.name] + given >= column.width):
                    cells[column.name] += given
                    room -= given
    return [(column, cells[column.name]) for column in columns if column.name in cells]


def draw(column: Column, cells: int, colour: bool) -> list[str]:
    """The header and the values of a column, each exactly `cells` wide."""
    is_whole = column.short is None or cells >= column.width
    values = column.cells if is_whole or column.short is None else column.short
    widths = column.widths if is_whole else [cell_width(text) for text, _ in values]
    drawn = []
    for (text, style), used in zip(((column.title, "dim"), *values), (cell_width(column.title), *widths), strict=True):
        if used > cells:
            text = shorten(text, cells)
            used = cell_width(text)
        blank = " " * (cells - used)
        if colour and style:
            text = painted(text, style, colour)
        drawn.append(blank + text if column.is_number else text + blank)
    return drawn
