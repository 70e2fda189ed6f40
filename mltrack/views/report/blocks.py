"""The nouns of a report: sections of facts, tables, listings, commands and pictures, in whichever form.

`run`, `pair` and `many` make them, `writer` sets them on an HTML page and `markdown` writes those that a pull request
has room for. Texts are as they were recorded: whoever writes them escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.nouns import noun
from mltrack.views.sparkline import Scale, sparkline

if TYPE_CHECKING:
    from mltrack.operations.reporting.previews import Preview
    from mltrack.plots import Plot

SPARK = 24
"""Cells of a small line where it is a text."""
STYLES = frozenset(("good", "bad", "warn", "dim", "code", "strong", "spark", "new", "gone", "place", "name"))
"""What a text may be shown as. A colour is never the only sign: a word or a glyph stands beside it."""


@noun
class Course:
    """The values of a metric in their order, as a small line."""

    values: Sequence[float]
    between: Scale | None = None
    """For lines that are held against each other; by default from the lowest to the highest of these values."""


Cell = str | tuple[str, str] | Course
"""A text, a text with one of STYLES, or a small line."""


def split(cell: Cell) -> tuple[str, str]:
    """The text of a cell, and its style."""
    if isinstance(cell, Course):
        return sparkline(cell.values, SPARK, cell.between), "spark"
    return (cell, "") if isinstance(cell, str) else cell


@noun
class Say:
    """A sentence of several parts."""

    parts: tuple[Cell, ...]
    mark: str = ""
    """`warn` for what must not be missed."""


@noun
class Quote:
    """A text of one's own, such as a note: its lines are kept."""

    text: str


@noun
class Head:
    """A heading within a section, with a remark beside it."""

    text: str
    aside: str = ""


@noun
class Facts:
    """Labels and what is known under them."""

    rows: tuple[tuple[str, Cell], ...]


@noun
class Table:
    """Rows under headings; the first cell of a row is what it is about."""

    about: str
    """Says what the table holds to one who cannot see it."""
    heads: tuple[Cell, ...]
    rows: Sequence[tuple[Cell, ...]]
    aligns: str
    """`<` or `>` a column."""
    limit: int = 60
    """Rows that are shown at once; the rest is folded."""
    longest: int = 0
    """Signs of a head or a cell beyond which it is shortened on a page, and whole where one points at it; 0: never."""


@noun
class Lines:
    """A listing: each line with its style."""

    about: str
    lines: Sequence[tuple[str, str]]


@noun
class Commands:
    """Why, and the command to copy."""

    rows: tuple[tuple[str, str], ...]


@noun
class Drawing:
    """A plot."""

    plot: Plot


@noun
class Gallery:
    """Files of a run that can be seen."""

    previews: tuple[Preview, ...]


@noun
class Pair:
    """Two pictures of one path."""

    path: str
    a: Preview
    b: Preview
    names: tuple[str, str]


@noun
class Fold:
    """What is shown on request."""

    title: str
    blocks: tuple[Block, ...]
    is_open: bool = False


@noun
class Section:
    title: str
    blocks: tuple[Block, ...]


@noun
class Report:
    """A whole report."""

    title: str
    headline: tuple[Block, ...]
    sections: tuple[Section, ...]
    foot: tuple[str, ...]
    """Sentences at the end; the last says when it was made, and by what."""


Block = Say | Quote | Head | Facts | Table | Lines | Commands | Drawing | Gallery | Pair | Fold
