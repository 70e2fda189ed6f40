"""Several layouts of one thing, of which the terminal gets the first that fits."""

from __future__ import annotations

from dataclasses import replace

from mltrack.nouns import noun
from mltrack.views.page import Grid, split
from mltrack.views.text import cell_width

NAME = 28
"""Cells that a column which may be shortened must have at least, if it has so much to tell."""


@noun
class Fitting:
    """Grids from the richest to the plainest; the last is taken where none fits."""

    grids: tuple[Grid, ...]
    for_pipe: Grid

    def draw(self, width: int | None, colour: bool) -> list[str]:
        if width is None:
            return self.for_pipe.draw(width, colour)
        for grid in self.grids:
            if needs(grid) <= width:
                return replace(grid, is_last_below=False).draw(width, colour)
        return self.grids[-1].draw(width, colour)


def needs(grid: Grid) -> int:
    """How wide a terminal must be for all that it shows of a grid, with long names and texts shortened."""
    rows = [*([grid.header] if grid.header is not None else []), *grid.rows[: grid.limit]]
    shown = [[split(cell)[0] for cell in row] for row in rows]
    widths = [max((cell_width(row[place]) for row in shown), default=0) for place in range(len(grid.aligns))]
    least = [width if place in grid.whole else min(width, NAME) for place, width in enumerate(widths)]
    return grid.indent + sum(least) + grid.gap * (len(least) - 1)
