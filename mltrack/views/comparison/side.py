"""Few runs side by side: a column for each, a line for each field, in sections. Says when it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from mltrack.compare.gathering import CIRCUMSTANCES
from mltrack.compare.many import Comparison, Row
from mltrack.nouns import noun
from mltrack.views.comparison import levels
from mltrack.views.comparison.cells import Cell, cell_of, ids_of, label_of, rank_of
from mltrack.views.comparison.levels import joined, widths_of
from mltrack.views.page import painted, wrapped
from mltrack.views.text import cell_width, clean, shorten

MOST = 40
"""A terminal shows at most this many fields of a section."""
INDENT, GAP = 2, 2
LEAST_TEXT = 10
"""Cells that a text keeps of itself."""
LEAST_LABEL, LONGEST_LABEL = 12, 40

Words = tuple[str, str]
"""A clean text and its style."""


@noun
class Section:
    """The fields of a section that are shown, and how many are not."""

    name: str
    rows: tuple[Row, ...]
    hidden: int


@noun
class Column:
    """One run: ids and names above, then its cells; how wide they are, and how narrow they may become."""

    heads: tuple[Words, ...]
    cells: tuple[Words, ...]
    below: tuple[Words, ...]
    """What stands on a line of its own below each cell; empty texts where there is nothing."""
    least: int
    width: int


def side_by_side(comparison: Comparison, rows: Sequence[Row], width: int | None, colour: bool) -> list[str] | None:
    """The lines of the sections; None where a terminal has not the room for that many runs."""
    sections = sections_of(rows, None if width is None else MOST)
    shown = [row for section in sections for row in section.rows]
    cells = [[cell_of(row, place) for row in shown] for place in range(len(comparison.runs))]
    labels = [label_of(row.name) for row in shown]
    for level in (levels.FULL, levels.SHARES, levels.BELOW, levels.VALUES):
        columns = [column(found, heads, level) for found, heads in zip(cells, heads_of(comparison), strict=True)]
        laid = lay_out(max(map(cell_width, labels), default=0), columns, width)
        if laid is not None:
            is_bare = level == levels.VALUES and levels.has_changes(cells)
            aside = ["", *wrapped(levels.NO_CHANGES, width)] if is_bare else []
            return [*drawn(sections, labels, columns, laid, colour), *(painted(one, "dim", colour) for one in aside)]
    return None


def sections_of(rows: Sequence[Row], most: int | None) -> list[Section]:
    """Rows by their sections; where there are more than so many of one, the most telling of them, in their order."""
    found = []
    for name, group in groupby(rows, key=lambda row: row.section):
        every = tuple(group)
        shown = every
        if most is not None and len(every) > most:
            kept = sorted(range(len(every)), key=lambda place: rank_of(every[place]))[:most]
            shown = tuple(every[place] for place in sorted(kept))
        found.append(Section(name, shown, len(every) - len(shown)))
    return found


def heads_of(comparison: Comparison) -> list[tuple[Words, ...]]:
    """The id of each run, and below it its name where some run has one."""
    ids = ids_of(comparison.runs)
    if not any(run.name for run in comparison.runs):
        return [((one, "yellow"),) for one in ids]
    return [((one, "yellow"), (clean(run.name or ""), "bold")) for one, run in zip(ids, comparison.runs, strict=True)]


def column(cells: Sequence[Cell], heads: tuple[Words, ...], level: int) -> Column:
    widths = widths_of(cells, level)
    words = tuple((joined(cell, widths, level), cell.style) for cell in cells)
    natural = max(cell_width(text) for text, _ in (*heads, *words))
    least = max(widths.total, min(natural, LEAST_TEXT), cell_width(heads[0][0]))
    return Column(heads, words, tuple(beneath(cell, widths, level) for cell in cells), least, natural)


def beneath(cell: Cell, widths: levels.Widths, level: int) -> Words:
    """The change of a number, below its value."""
    told = levels.share(cell) if level == levels.BELOW and cell.is_number else ""
    return (levels.right(told, widths.text), "dim") if told else ("", "")


def lay_out(label: int, columns: Sequence[Column], width: int | None) -> list[int] | None:
    """The cells of the labels and then of each run; None where they do not fit."""
    if width is None:
        return [label, *(column.width for column in columns)]
    label = min(label, min(LONGEST_LABEL, max(LEAST_LABEL, width // 4)))
    given = [column.least for column in columns]
    room = width - INDENT - label - GAP * len(columns) - sum(given)
    if room < 0:
        return None
    while room:
        wanting = [place for place, column in enumerate(columns) if given[place] < column.width]
        if not wanting:
            break
        given[min(wanting, key=given.__getitem__)] += 1
        room -= 1
    return [label, *given]


def drawn(
    sections: Sequence[Section], labels: Sequence[str], columns: Sequence[Column], laid: Sequence[int], colour: bool
) -> list[str]:
    """The heads, then each section below its name."""
    lines = [
        line([("", ""), *(column.heads[at] for column in columns)], laid, colour) for at in range(len(columns[0].heads))
    ]
    place = 0
    for section in sections:
        lines += ["", painted(section.name.capitalize(), "bold", colour)]
        for _ in section.rows:
            lines.append(line([(labels[place], ""), *(column.cells[place] for column in columns)], laid, colour))
            if section.name != CIRCUMSTANCES and any(column.below[place][0] for column in columns):
                lines.append(line([("", ""), *(column.below[place] for column in columns)], laid, colour))
            place += 1
        if section.hidden:
            lines.append(painted(hidden_fields(section), "dim", colour))
    return lines


def hidden_fields(section: Section) -> str:
    return f"  ... and {section.hidden:,} more; a pipe and --json have them all"


def line(words: Sequence[Words], laid: Sequence[int], colour: bool) -> str:
    """Texts in their columns."""
    parts = []
    for (text, style), width in zip(words, laid, strict=True):
        short = shorten(text, width)
        start = len(short) - len(short.lstrip(" "))  # no paint on what only aligns
        blank = " " * (width - cell_width(short))
        parts.append(short[:start] + painted(short[start:], style, colour) + blank)
    return " " * INDENT + (" " * GAP).join(parts).rstrip(" ")
