"""A page: lines, fields and grids of styled cells, laid out for a terminal of some width or, plainly, for a pipe.

Every cell is cleaned when it is drawn, so no recorded text can send an escape sequence. For a pipe (`width` is None)
nothing is shortened, wrapped or left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Protocol

from mltrack.nouns import noun
from mltrack.views.text import cell_width, clean, kept_in_place, shorten

STYLES = {"bold": "1", "dim": "2", "reverse": "7", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
LABEL = 13
"""Cells of the labels of fields."""
NARROWEST = 8
"""No column is shortened below this."""
LONGEST = 60
"""Of the columns that are `capped`."""

Cell = str | tuple[str, str]
"""A text, or a text with its style: one or more names of STYLES, separated by blanks."""


class Block(Protocol):
    """A part of a page."""

    def draw(self, width: int | None, colour: bool) -> list[str]:
        """Its lines; `width` in cells, None for a pipe."""
        ...


class Renderable(Protocol):
    """What `console.show` can put out."""

    def render(self, width: int | None, colour: bool) -> str:
        """The text with a final newline; `width` in cells, None for a pipe."""
        ...


def split(cell: Cell) -> tuple[str, str]:
    """The clean text of a cell, and its style."""
    return (clean(cell), "") if isinstance(cell, str) else (clean(cell[0]), cell[1])


def painted(text: str, style: str, colour: bool) -> str:
    if not colour or not style or not text:
        return text
    return f"\x1b[{codes(style)}m{text}\x1b[0m"


@cache
def codes(style: str) -> str:
    return ";".join(STYLES[name] for name in style.split())


@noun
class Line:
    """Cells one after another, never cut: a terminal wraps them so that they can be copied whole."""

    cells: tuple[Cell, ...]
    terminal_only: bool = False

    def draw(self, width: int | None, colour: bool) -> list[str]:
        if self.terminal_only and width is None:
            return []
        return ["".join(painted(*split(cell), colour) for cell in self.cells).rstrip(" ")]


@noun
class Words:
    """Cells one after another, wrapped between words for a terminal, the next lines under the first."""

    cells: tuple[Cell, ...]
    indent: int = 0

    def draw(self, width: int | None, colour: bool) -> list[str]:
        room = max(NARROWEST, width - self.indent) if width else None
        parts = [split(cell) for cell in self.cells]
        styles = [style for text, style in parts for _ in text]
        lines, at = [], 0
        for line in wrapped("".join(text for text, _ in parts), room):
            runs = groupby(zip(line, styles[at:]), key=itemgetter(1))
            drawn = "".join(painted("".join(char for char, _ in run), style, colour) for style, run in runs)
            lines.append(" " * self.indent + drawn)
            at += len(line) + 1  # the blank between two words that became the end of a line
        return lines


@noun
class Field:
    """A label and a text that is wrapped beside it; a terminal gets the `brief` text, if there is one."""

    label: str
    text: str
    style: str = ""
    brief: str | None = None

    def draw(self, width: int | None, colour: bool) -> list[str]:
        room = max(20, width - LABEL) if width else None
        label = painted(self.label, "dim", colour) + " " * (LABEL - cell_width(self.label))
        lines = wrapped(clean(self.text if room is None or self.brief is None else self.brief), room)
        return [
            ((label if place == 0 else " " * LABEL) + painted(line, self.style, colour)).rstrip(" ")
            for place, line in enumerate(lines)
        ]


@noun
class Item:
    """A mark and a text that is wrapped beside it."""

    mark: Cell
    text: str
    style: str = ""
    indent: int = 2
    longest: int | None = None
    """Cells of the text that a terminal gets; of none, nothing at all."""

    def draw(self, width: int | None, colour: bool) -> list[str]:
        if width and self.longest == 0:
            return []
        mark, style = split(self.mark)
        start = self.indent + cell_width(mark) + 1
        text = clean(self.text) if not width or self.longest is None else shorten(clean(self.text), self.longest)
        lines = wrapped(text, max(20, width - start) if width else None)
        first = " " * self.indent + painted(mark, style, colour) + " "
        return [
            (first if place == 0 else " " * start) + painted(line, self.style, colour)
            for place, line in enumerate(lines)
        ]


def wrapped(text: str, width: int | None) -> list[str]:
    """The words of a text in lines of at most `width` cells; a longer word keeps a line of its own."""
    if width is None or cell_width(text) <= width:
        return [text]
    lines: list[str] = []
    line, used = "", 0
    for word in text.split(" "):
        cells = cell_width(word)
        if line and used + 1 + cells > width:
            lines.append(line)
            line, used = word, cells
        else:
            line, used = (f"{line} {word}", used + 1 + cells) if line else (word, cells)
    return [*lines, line]


@noun
class Grid:
    """Rows of cells in columns. `aligns` has "<" or ">" for each column; a terminal shows at most `limit` rows."""

    rows: Sequence[Sequence[Cell]]
    aligns: str
    header: Sequence[Cell] | None = None
    indent: int = 2
    gap: int = 2
    limit: int | None = None
    more: str = "... and {} more"
    whole: tuple[int, ...] = ()
    """Columns that are never shortened."""
    is_last_below: bool = False
    """Where rows are too long, are the texts of the last column wrapped, each below its row?"""
    capped: tuple[int, ...] = ()
    """Columns that a terminal does not let grow beyond LONGEST where there are several rows: one long value would put
    all others far from their names."""

    def draw(self, width: int | None, colour: bool) -> list[str]:
        rows = list(self.rows)
        hidden = 0
        if width is not None and self.limit is not None and len(rows) > self.limit:
            hidden = len(rows) - self.limit
            rows = rows[: self.limit]
        if self.header is not None:
            rows = [self.header, *rows]
        cells = [[split(cell) for cell in row] for row in rows]
        is_below = self.is_last_below and width is not None and self.natural_width(cells) > width
        lines = (self.with_last_below if is_below else self.laid_out)(cells, width, colour)
        if hidden:
            lines.append(" " * self.indent + painted(self.more.format(f"{hidden:,}"), "dim", colour))
        return lines

    def natural_width(self, cells: list[list[tuple[str, str]]]) -> int:
        """How wide a terminal must be for every cell to be shown whole."""
        widths = [max((cell_width(row[place][0]) for row in cells), default=0) for place in range(len(self.aligns))]
        return self.indent + sum(widths) + self.gap * (len(widths) - 1)

    def with_last_below(self, cells: list[list[tuple[str, str]]], width: int | None, colour: bool) -> list[str]:
        first = replace(self, aligns=self.aligns[:-1]).laid_out([row[:-1] for row in cells], width, colour)
        start = self.indent + 2
        lines = []
        for line, row in zip(first, cells, strict=True):
            text, style = row[-1]
            below = wrapped(text, max(20, width - start) if width else None) if text else []
            lines += [line, *(" " * start + painted(part, style, colour) for part in below)]
        return lines

    def laid_out(self, cells: list[list[tuple[str, str]]], width: int | None, colour: bool) -> list[str]:
        measured = [[cell_width(text) for text, _ in row] for row in cells]
        widths = [max((row[place] for row in measured), default=0) for place in range(len(self.aligns))]
        if width is not None:
            if len(self.rows) > 1:
                widths = [min(used, LONGEST) if place in self.capped else used for place, used in enumerate(widths)]
            widths = narrowed(widths, width - self.indent - self.gap * (len(widths) - 1), self.whole)
        lines = []
        for row, sizes in zip(cells, measured, strict=True):
            parts = []
            for place, (text, style) in enumerate(row):
                used = sizes[place]
                if used > widths[place]:
                    text = shorten(text, widths[place])
                    used = cell_width(text)
                blank = " " * (widths[place] - used)
                drawn = painted(text if width is None else kept_in_place(text), style, colour)
                parts.append(blank + drawn if self.aligns[place] == ">" else drawn + blank)
            lines.append((" " * self.indent + (" " * self.gap).join(parts)).rstrip(" "))
        return lines


def narrowed(widths: list[int], room: int, whole: Collection[int] = ()) -> list[int]:
    """The widths with the widest ones cut until all fit in the room (or cannot be cut further), but for the `whole`."""
    others = [place for place in range(len(widths)) if place not in whole]
    widths = [width if place in whole else min(width, max(room, NARROWEST)) for place, width in enumerate(widths)]
    while others and sum(widths) > room:
        widest = max(others, key=widths.__getitem__)
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    return widths


@noun
class Listing:
    """Lines of another program's text, whose tabs stay; a terminal shows at most `limit` of them."""

    lines: Sequence[tuple[str, str]]
    limit: int
    more: str

    def draw(self, width: int | None, colour: bool) -> list[str]:
        shown = self.lines if width is None else self.lines[: self.limit]
        drawn = [painted("\t".join(map(clean, text.split("\t"))), style, colour) for text, style in shown]
        if len(shown) < len(self.lines):
            drawn.append(painted(self.more.format(f"{len(self.lines) - len(shown):,}"), "dim", colour))
        return drawn


@dataclass
class Page:
    """Blocks in the order in which they are told."""

    blocks: list[Block] = field(default_factory=list)

    def line(self, *cells: Cell) -> None:
        self.blocks.append(Line(cells))

    def words(self, *cells: Cell, indent: int = 0) -> None:
        """A sentence."""
        self.blocks.append(Words(cells, indent))

    def blank(self) -> None:
        """An empty line, unless the page is at its start or has just had one."""
        if self.blocks and self.blocks[-1] != Line(()):
            self.blocks.append(Line(()))

    def heading(self, text: str, aside: str = "") -> None:
        """A section's name after an empty line, with a remark beside it."""
        self.blank()
        self.blocks.append(Line(((text, "bold"), (f"  {aside}" if aside else "", "dim"))))

    def field(self, label: str, text: str, style: str = "", brief: str | None = None) -> None:
        self.blocks.append(Field(label, text, style, brief))

    def grid(self, grid: Grid) -> None:
        self.blocks.append(grid)

    def hint(self, *cells: Cell) -> None:
        """A line that is only of use to a person at a terminal."""
        self.blocks.append(Line(cells, terminal_only=True))

    def add(self, blocks: Iterable[Block]) -> None:
        self.blocks.extend(blocks)

    def render(self, width: int | None, colour: bool) -> str:
        """The page as text; see `Renderable`."""
        lines = [line for block in self.blocks for line in block.draw(width, colour)]
        return "\n".join(lines).rstrip("\n") + "\n" if lines else ""
