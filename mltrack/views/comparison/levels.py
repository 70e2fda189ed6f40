"""How much of the numbers of a comparison stands in one column, and how wide that is."""

from __future__ import annotations

from collections.abc import Sequence

from mltrack.nouns import noun
from mltrack.views.comparison.cells import Cell
from mltrack.views.text import cell_width

FULL, SHARES, BELOW, VALUES = 3, 2, 1, 0
"""Value, change and per cent side by side; value and per cent; the per cent on a line below; the value alone."""

NO_CHANGES = "No room for changes: fewer runs, a wider terminal or a pipe have them."


@noun
class Widths:
    """The cells that the parts of numbers take in one column."""

    text: int = 0
    mark: int = 0
    change: int = 0
    percent: int = 0

    @property
    def total(self) -> int:
        return self.text + sum(1 + part for part in (self.mark, self.change, self.percent) if part)


def widths_of(cells: Sequence[Cell], level: int) -> Widths:
    """How wide the parts of the numbers among some cells are; what stands below a value counts as one."""
    found = [parts(cell, level) for cell in cells if cell.is_number]
    text, *others = (max((cell_width(one[part]) for one in found), default=0) for part in range(4))
    beneath = max((cell_width(share(cell)) for cell in cells if cell.is_number), default=0) if level == BELOW else 0
    return Widths(max(text, beneath), *others)


def parts(cell: Cell, level: int) -> tuple[str, str, str, str]:
    """Value, mark, change and per cent, as far as a level has them in one line."""
    if level in (BELOW, VALUES):
        return cell.text, cell.mark, "", ""
    if level == SHARES:
        return cell.text, cell.mark, "", share(cell)
    return cell.text, cell.mark, cell.change, cell.percent


def share(cell: Cell) -> str:
    """The change in a word: the per cent, or where there is none the change itself."""
    return cell.percent or cell.change


def has_changes(cells: Sequence[Sequence[Cell]]) -> bool:
    return any(cell.change for some in cells for cell in some)


def joined(cell: Cell, widths: Widths, level: int) -> str:
    """A number with its parts, each under the ones above it; any other text as it is."""
    if not cell.is_number:
        return cell.text
    text, mark, change, percent = parts(cell, level)
    found = [right(text, widths.text)]
    found += [mark + " " * (widths.mark - cell_width(mark))] if widths.mark else []
    found += [right(change, widths.change)] if widths.change else []
    found += [right(percent, widths.percent)] if widths.percent else []
    return " ".join(found)


def right(text: str, width: int) -> str:
    return " " * (width - cell_width(text)) + text
