"""A page of the terminal -> blocks of a report, so that a verdict or a run's noise is told in the same words."""

from __future__ import annotations

from collections.abc import Sequence

from mltrack.views.page import Block as Drawn
from mltrack.views.page import Cell as DrawnCell
from mltrack.views.page import Field, Grid, Item, Line, Listing, Page
from mltrack.views.report.blocks import Block, Cell, Facts, Head, Lines, Say, Table

STYLES = {"green": "good", "red": "bad", "yellow": "warn", "dim": "dim", "cyan": "strong", "bold": "strong"}
"""The colours of a terminal, and what they mean."""


def blocks_of(page: Page, about: str) -> list[Block]:
    """The blocks of a page but for its hints; `about` says what its tables hold where no heading does."""
    made: list[Block] = []
    title = about
    is_after_gap = False
    for block in page.blocks:
        if isinstance(block, Line) and is_after_gap and is_heading(block):
            title = text_of(block.cells[0])
            made.append(Head(title, "".join(map(text_of, block.cells[1:])).strip()))
        else:
            made += one(block, title)
        is_after_gap = block == Line(())
    return made


def is_heading(line: Line) -> bool:
    """As `Page.heading` makes it."""
    return len(line.cells) == 2 and style_of(line.cells[0]) == "bold" and style_of(line.cells[1]) == "dim"


def one(block: Drawn, about: str) -> Sequence[Block]:
    if isinstance(block, Line):
        return [] if block.terminal_only or not block.cells else [Say(tuple(map(cell, block.cells)))]
    if isinstance(block, Field):
        return [Facts(((block.label, cell((block.text, block.style))),))]
    if isinstance(block, Item):
        return [Say((cell(block.mark), " ", cell((block.text, block.style))))]
    if isinstance(block, Grid):
        return [table(block, about)]
    if isinstance(block, Listing):
        return [Lines(about, [(text, STYLES.get(style, "")) for text, style in block.lines])]
    return []


def table(grid: Grid, about: str) -> Table:
    heads = tuple(text_of(head) for head in grid.header) if grid.header else ("",) * len(grid.aligns)
    return Table(about, heads, [tuple(map(cell, row)) for row in grid.rows], grid.aligns)


def text_of(drawn: DrawnCell) -> str:
    return drawn if isinstance(drawn, str) else drawn[0]


def style_of(drawn: DrawnCell) -> str:
    return "" if isinstance(drawn, str) else drawn[1]


def cell(drawn: DrawnCell) -> Cell:
    """The same text; of several styles the one with a meaning."""
    words = [STYLES[word] for word in style_of(drawn).split() if word in STYLES]
    meaning = next((word for word in words if word != "strong"), words[0] if words else "")
    return (text_of(drawn), meaning) if meaning else text_of(drawn)
