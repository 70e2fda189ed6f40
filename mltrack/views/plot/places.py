"""Axes of numbers or of names alike: where each value is, and what stands at the ticks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mltrack.formats.predictions import ordered
from mltrack.nouns import noun
from mltrack.views.plot.ticks import LARGEST, MARGIN, Scale, scale_of
from mltrack.views.text import clean, duration, number, size

if TYPE_CHECKING:
    from mltrack.plots import Axis


@noun
class Places:
    """An axis with places from 0 to 1 for all its values."""

    axis: Axis
    scale: Scale | None = None
    """Of numbers; None of names."""
    names: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.axis.label if self.scale is None else self.scale.label

    @property
    def is_log(self) -> bool:
        return self.scale is not None and self.scale.is_log

    def real(self, value: float | str) -> float:
        """What a picture's axis is given for a value: the number in the unit that is shown, or the number of a name."""
        if self.scale is None:
            return float(self.names.index(str(value)))
        return float(value) / self.scale.divisor

    def share(self, value: float | str) -> float:
        """Where a value is: 0 at the low end, 1 at the high one."""
        if self.scale is None:
            return (self.real(value) + 0.5) / len(self.names)
        return min(1.0, max(0.0, self.scale.share(self.real(value))))

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Places of ticks and their texts; of many names one in some."""
        if self.scale is not None:
            return [(self.scale.share(tick), text) for tick, text in zip(self.scale.ticks, self.scale.texts)]
        step = -(-len(self.names) // max(most, 1))
        return [(self.share(name), name_text(name)) for name in self.names[::step]]

    def text(self, value: float | str) -> str:
        """A value by itself, with its unit."""
        return name_text(value) if isinstance(value, str) else amount(value, self.axis)


def places_of(axis: Axis, values: Sequence[float | str], most: int, margin: float = MARGIN) -> Places:
    """The axis for all the values: finite numbers (positive on a log axis), or texts. `most`: ticks of numbers."""
    if any(isinstance(value, str) for value in values):
        texts = set(map(str, values))
        names = tuple(name for name in axis.names if name in texts)
        return Places(axis, names=names if len(names) == len(texts) else ordered(texts))
    numbers = [max(-LARGEST, min(float(value), LARGEST)) for value in values] or [0.0]
    return Places(axis, scale_of(axis, min(numbers), max(numbers), max(most, 2), margin))


def name_text(name: str) -> str:
    """A name as it is shown; one of blanks alone in quotes."""
    return clean(name) if name.strip() else f'"{clean(name)}"'


def amount(value: float, axis: Axis) -> str:
    """A number as a person says it, by the unit of its axis."""
    if axis.unit == "s":
        return duration(value)
    return size(round(value)) if axis.unit == "bytes" else number(value)
