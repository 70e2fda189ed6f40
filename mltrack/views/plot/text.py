"""A plot as text for a terminal: its panels beside each other as there is room, and what a reader must know."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mltrack.nouns import noun
from mltrack.plots import Lines
from mltrack.views.page import painted, wrapped
from mltrack.views.plot.kinds import kind_of
from mltrack.views.text import cell_width, clean, shorten

if TYPE_CHECKING:
    from mltrack.plots import Panel, Plot

PIPE = 80
"""Cells of a line where nobody says how many there are."""
WIDEST = 130
"""Of one panel alone; more makes it no clearer."""
BESIDE = 44
"""Cells from which on a panel may have a neighbour."""
ROWS, ROWS_OF_MANY = 20, 12
GAP = 3
_CODE = re.compile("\x1b\\[[0-9;]*m")


def text_plot(plot: Plot, width: int | None = None, height: int | None = None, colour: bool = False) -> TextPlot:
    """A plot for `console.show`. Of width, height (in cells) and colour what is given wins over the terminal's."""
    return TextPlot(plot, width, height, colour)


@noun
class TextPlot:
    """What `text_plot` makes."""

    plot: Plot
    width: int | None = None
    height: int | None = None
    colour: bool = False
    has_legend: bool = True

    def render(self, width: int | None, colour: bool) -> str:
        """The text with a final newline; `width` in cells, None for a pipe."""
        wide = max(20, self.width or width or PIPE)
        return "\n".join(self.lines(wide, colour or self.colour)) + "\n"

    def lines(self, wide: int, colour: bool) -> list[str]:
        panels = self.plot.panels
        title = shorten(clean(self.plot.title), wide)
        lines = [painted(title, "bold", colour), ""] if title else []
        columns = 1 if len(panels) == 1 else max(1, min(3, len(panels), (wide + GAP) // (BESIDE + GAP)))
        own = min(wide if self.width else WIDEST, (wide - GAP * (columns - 1)) // columns)
        high = self.height or (ROWS if len(panels) == 1 else ROWS_OF_MANY)
        for first in range(0, len(panels), columns):
            row = [self.panel_lines(panel, own, high, colour) for panel in panels[first : first + columns]]
            lines += [*side_by_side(row, own), *([""] if first + columns < len(panels) else [])]
        for remark in self.plot.remarks:
            lines += [painted(line, "yellow", colour) for line in wrapped(clean(remark), wide)]
        return lines

    def panel_lines(self, panel: Panel, width: int, height: int, colour: bool) -> list[str]:
        if isinstance(panel, Lines) and not self.has_legend:
            from mltrack.views.plot.lines_text import draw_text

            return draw_text(panel, width, height, colour, has_legend=False)
        return kind_of(panel).draw_text(panel, width, height, colour)


def side_by_side(blocks: list[list[str]], width: int) -> list[str]:
    """Blocks of lines beside each other, each as wide as is said."""
    if len(blocks) == 1:
        return [line.rstrip() for line in blocks[0]]
    high = max(map(len, blocks))
    rows = zip(*([*block, *[""] * (high - len(block))] for block in blocks))
    return [(" " * GAP).join(filled(line, width) for line in row).rstrip() for row in rows]


def filled(line: str, width: int) -> str:
    """A line with blanks up to its width; what colours it takes no cell."""
    return line + " " * max(0, width - cell_width(_CODE.sub("", line)))
