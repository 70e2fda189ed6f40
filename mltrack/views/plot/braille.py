"""A field of dots in braille characters, each with its colour: lines, marks and frames of plots in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mltrack.views.plot import words
from mltrack.views.text import cell_width

if TYPE_CHECKING:
    from mltrack.views.plot.ticks import Scale

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of a braille character, by row and column."""
COLOURS = tuple(f"38;5;{number}" for number in words.COLOURS)
"""Of curves."""
FAINT = "2"


def inked(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code and text.strip() else text


class Field:
    """Cells of braille dots; a place is a share from left to right and from bottom to top."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns = columns
        self.rows = rows
        self.bits = [[0] * columns for _ in range(rows)]
        self.codes = [[""] * columns for _ in range(rows)]
        self.signs: dict[tuple[int, int], str] = {}

    def dot(self, x: int, y: int, code: str) -> None:
        """Set a dot, counted from the upper left; outside there is none."""
        if 0 <= x < self.columns * 2 and 0 <= y < self.rows * 4:
            self.bits[y // 4][x // 2] |= DOTS[y % 4][x % 2]
            self.codes[y // 4][x // 2] = code

    def place(self, x: float, y: float) -> tuple[int, int]:
        """The dot of a place in shares."""
        return round(x * (self.columns * 2 - 1)), round((1 - y) * (self.rows * 4 - 1))

    def line(self, start: tuple[int, int], end: tuple[int, int], code: str) -> None:
        """Dots from one to another."""
        (x, y), (to_x, to_y) = start, end
        steps = max(abs(to_x - x), abs(to_y - y), 1)
        for step in range(steps + 1):
            self.dot(round(x + (to_x - x) * step / steps), round(y + (to_y - y) * step / steps), code)

    def mark(self, x: int, y: int, sign: str, code: str) -> None:
        """A sign instead of dots, in the cell of a dot."""
        if 0 <= x < self.columns * 2 and 0 <= y < self.rows * 4:
            self.signs[(y // 4, x // 2)] = sign
            self.codes[y // 4][x // 2] = code

    def draw(self, colour: bool) -> list[str]:
        """The rows as lines, each as wide as the field."""
        lines = []
        for row in range(self.rows):
            parts: list[str] = []
            run, code = "", ""
            for column in range(self.columns):
                bits = self.bits[row][column]
                sign = self.signs.get((row, column)) or (chr(0x2800 + bits) if bits else " ")
                own = self.codes[row][column]
                if own != code and sign != " ":
                    parts.append(inked(run, code, colour))
                    run, code = "", own
                run += sign
            lines.append("".join((*parts, inked(run, code, colour))))
        return lines


def framed(field: Field, x: Scale, y: Scale, colour: bool) -> list[str]:
    """A field with its axes, ticks and their texts, and what the axes show."""
    by_row = {field.place(0, y.share(tick))[1] // 4: text for tick, text in zip(y.ticks, y.texts)}
    margin = max((cell_width(text) for text in by_row.values()), default=0)
    lines = []
    for row, dots in enumerate(field.draw(colour)):
        text = by_row.get(row, "")
        edge = "┤" if row in by_row else "│"
        lines.append(f"{inked(text.rjust(margin) + ' ' + edge, FAINT, colour)}{dots}")
    by_column = {field.place(x.share(tick), 0)[0] // 2: text for tick, text in zip(x.ticks, x.texts)}
    base = "".join("┬" if column in by_column else "─" for column in range(field.columns))
    lines.append(inked(" " * (margin + 1) + "└" + base, FAINT, colour))
    below = beneath(by_column.items(), field.columns, x.label)
    lines.append(inked(" " * (margin + 2) + below, FAINT, colour))
    return lines


def beneath(texts: Iterable[tuple[int, str]], columns: int, label: str) -> str:
    """Texts centred below their columns as far as they have room, and at the right end what they are."""
    room = [" "] * columns
    end = columns - cell_width(label) - 2 if label else columns
    for column, text in texts:
        start = min(max(0, column - len(text) // 2), columns - len(text))
        cells = range(max(0, start - 1), min(columns, start + len(text) + 1))
        if start >= 0 and start + len(text) <= end and all(room[cell] == " " for cell in cells):
            room[start : start + len(text)] = text
    line = "".join(room)
    return f"{line[: columns - cell_width(label)]}{label}" if label and end > 0 else line


def in_columns(items: Sequence[tuple[str, int]], width: int) -> list[str]:
    """Texts with their widths in cells beside each other, as many in a line as there is room for."""
    lines: list[str] = []
    line, used = "", 0
    for text, cells in items:
        if line and used + 3 + cells > width:
            lines.append(line)
            line, used = "", 0
        line, used = (f"{line}   {text}", used + 3 + cells) if line else (text, cells)
    return [*lines, line] if line else lines
