"""How far numbers lie apart: pairs of cells go in, a Measure comes out. The same rules for every format.

- Equal are `1` and `1.0`, `0.0` and `-0.0`, NaN and NaN, an infinity and itself.
- `largest` is a finite number only if nothing differs but finite numbers: so a tolerance can be held against it. It is
  "Infinity" where an infinity came or went, and "NaN" where NaN stands against a number, or where a cell differs that
  is no number on both sides (text, a truth value, nothing).
- `largest_relative` is relative to the recorded number; where that is zero and the new one is not, it is "Infinity".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mltrack.verdicts import Measure

Where = str | Callable[[], str]
"""The name of a cell, or what makes it up when it is needed."""

_RANKS = {"Infinity": 1, "NaN": 2}


class Tally:
    """Counts cells and remembers the one that is furthest off."""

    def __init__(self) -> None:
        self.cells = self.changed = 0
        self.largest: float | str | None = None
        self.largest_relative: float | str | None = None
        self.where: str | None = None
        self.pair: tuple[Any, Any] = (None, None)
        """The recorded and the new value of that cell."""

    def equal(self, cells: int = 1) -> None:
        """Cells that are the same on both sides."""
        self.cells += cells

    def numbers(self, a: float | int, b: float | int, where: Where) -> bool:
        """A cell that holds a number on both sides. Is it the same?"""
        self.cells += 1
        if a == b or (a != a and b != b):
            return True
        self._add(distance(a, b), relative(a, b), where, (a, b))
        return False

    def apart(self, by: float | str, relatively: float | str, where: Where, pair: tuple[Any, Any]) -> None:
        """A cell whose numbers differ, by a distance that is known."""
        self.cells += 1
        self._add(by, relatively, where, pair)

    def others(self, a: Any, b: Any, where: Where) -> None:
        """A cell that differs, and is no number on at least one side."""
        self.cells += 1
        self._add("NaN", "NaN", where, (a, b))

    def _add(self, by: float | str, relatively: float | str, where: Where, pair: tuple[Any, Any]) -> None:
        self.changed += 1
        if self.largest is None or rank(by) > rank(self.largest):
            self.largest, self.where, self.pair = by, where if isinstance(where, str) else where(), pair
        if self.largest_relative is None or rank(relatively) > rank(self.largest_relative):
            self.largest_relative = relatively

    def measure(self) -> Measure:
        return Measure(self.cells, self.changed, self.largest, self.largest_relative, self.where)


def rank(value: float | str) -> tuple[int, float]:
    """Sort key of distances: "NaN" is the worst."""
    return (_RANKS[value], 0.0) if isinstance(value, str) else (0, value)


def distance(a: float | int, b: float | int) -> float | str:
    """|b - a| as JSON can hold it."""
    if a != a or b != b:
        return "NaN"
    if math.inf in (a, b) or -math.inf in (a, b):
        return "Infinity"
    try:
        return plain(float(abs(b - a)))
    except OverflowError:
        return "Infinity"


def relative(a: float | int, b: float | int) -> float | str:
    """|b - a| / |a| as JSON can hold it."""
    apart = distance(a, b)
    if isinstance(apart, str):
        return apart
    try:
        return plain(abs(b - a) / abs(a)) if a else "Infinity"
    except OverflowError:
        return "Infinity"


def plain(value: float) -> float | str:
    return "Infinity" if math.isinf(value) else value


def summary(measure: Measure, unit: str = "value") -> str:
    """`3 of 120 values differ, most of all at row 3, column loss by 0.25`."""
    plural = "" if measure.cells == 1 else "s"
    verb = "differs" if measure.changed == 1 else "differ"
    text = f"{measure.changed:,} of {measure.cells:,} {unit}{plural} {verb}"
    if isinstance(measure.largest, float):
        return f"{text}, most of all {measure.where} by {measure.largest:.3g}"
    return f"{text}, among them {measure.where}" if measure.where else text
