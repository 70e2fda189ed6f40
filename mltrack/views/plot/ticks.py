"""Where ticks stand on an axis and what is written beside them: for pictures and for text alike. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mltrack.nouns import noun
from mltrack.views.text import number

if TYPE_CHECKING:
    from mltrack.plots import Axis, Floats

    Ends = tuple[float | None, float | None]

TIMES = ((86400.0 * 2, 86400.0, "d"), (3600.0 * 2, 3600.0, "h"), (60.0 * 3, 60.0, "min"), (0.0, 1.0, "s"))
"""From which length on, in seconds, an axis of time has which unit."""
BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
MARGIN = 0.04
"""Of the span, beyond the first and the last value."""
COVERED = 0.5
"""Share of an axis that lies between its first and its last tick, at least."""
LARGEST = 5e307
"""Beyond it spans overflow."""
SMALLEST = 1e-300
"""On a log axis."""


@noun
class Scale:
    """One axis: the values from end to end, in the unit that is shown, and the ticks with their texts."""

    low: float
    high: float
    ticks: tuple[float, ...]
    texts: tuple[str, ...]
    is_log: bool = False
    label: str = ""
    divisor: float = 1.0
    """What values are divided by before they are drawn."""

    def share(self, value: float) -> float:
        """Where a value (divided already) is: 0 at the low end, 1 at the high one; beyond them at that end."""
        if self.is_log:
            low, span = math.log(self.low), math.log(self.high) - math.log(self.low)
            share = (math.log(max(value, SMALLEST)) - low) / span
        else:
            span = self.high / 2 - self.low / 2
            share = (value / 2 - self.low / 2) / span if span else 0.5
        return min(max(share, 0.0), 1.0)


def scale_of(
    axis: Axis, low: float, high: float, most: int, margin: float = MARGIN, *, ends: Ends = (None, None)
) -> Scale:
    """The scale of an axis for values from `low` to `high`, with at most so many ticks (at least 2).

    `ends`: where the axis ends, whatever the values are; None where they say so.
    """
    if ends != (None, None):
        low, high = reaching(low, high, ends)
    low, high = (min(max(end, -LARGEST), LARGEST) for end in (low, high))
    divisor, unit = unit_of(axis.unit, max(abs(low), abs(high)))
    low, high = low / divisor, high / divisor
    is_log = axis.is_log and low > 0
    if is_log:
        low, high = max(low, SMALLEST), max(high, SMALLEST)
    only = low if low == high else None
    low, high = (widened_log if is_log else widened)(low, high, margin)
    low, high = (own if end is None else end / divisor for own, end in zip((low, high), ends))
    ticks = [only] if only is not None else log_ticks(low, high, most) if is_log else nice_ticks(low, high, most)
    label = f"{axis.label} ({unit})" if axis.label and unit else unit or axis.label
    texts = [number(only)] if only is not None else tick_texts(ticks)
    return Scale(low, high, tuple(ticks), tuple(texts), is_log, label, divisor)


def reaching(low: float, high: float, ends: Ends) -> tuple[float, float]:
    """The ends of the values, of which none lies beyond an end of the axis."""
    least, most = ends
    low, high = low if least is None else least, high if most is None else most
    if low < high:
        return low, high
    if most is None:  # all values lie below
        return low, low + (abs(low) or 1.0)
    return (low, high) if least is not None else (high - (abs(high) or 1.0), high)


def unit_of(unit: str, largest: float) -> tuple[float, str]:
    """What to divide values by, and what they are then."""
    if unit == "s":
        return next((divisor, name) for least, divisor, name in TIMES if largest >= least)
    if unit == "bytes":
        return next(((float(size), name) for size, name in BYTES if largest >= size), (1.0, "B"))
    return 1.0, unit


def widened(low: float, high: float, margin: float) -> tuple[float, float]:
    if low == high:
        room = abs(low) * 0.1 or 1.0
        return low - room, high + room
    room = (high / 2 - low / 2) * 2 * margin
    return low - room, high + room


def widened_log(low: float, high: float, margin: float) -> tuple[float, float]:
    factor = 2.0 if low == high else math.exp((math.log(high) - math.log(low)) * margin)
    return max(low / factor, SMALLEST), min(high * factor, LARGEST)


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two values: two at least, and some near both ends."""
    span = high - low
    if not math.isfinite(span) or span <= 0 or low + span / 1000 == low:
        return [low, high]
    power = 10.0 ** math.floor(math.log10(span / most))
    steps = [power * factor for factor in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)]
    places = [(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)) for step in steps]
    chosen = next((at for at, (first, last) in enumerate(places) if last - first < most), None)
    if chosen is None:
        return [low, high]
    first, last = places[chosen]
    if (last - first) * steps[chosen] < span * COVERED:  # few and in one corner: some of finer ones
        finer = spread(places, steps, most, chosen)
        if finer:
            return finer
    return [multiple(place, steps[chosen]) for place in range(first, last + 1)]


def spread(places: Sequence[tuple[int, int]], steps: Sequence[float], most: int, coarsest: int) -> list[float]:
    """Of the coarsest ticks that reach far enough the first, the last, and as many between as are allowed."""
    span = max((last - first) * step for (first, last), step in zip(places, steps))
    for at in range(coarsest - 1, -1, -1):
        first, last = places[at]
        if last > first and (last - first) * steps[at] >= span * 0.75:
            parts = next(parts for parts in range(max(1, most - 1), 0, -1) if (last - first) % parts == 0)
            return [multiple(place, steps[at]) for place in range(first, last + 1, (last - first) // parts)]
    return []


def multiple(place: int, step: float) -> float:
    return float(f"{place * step:.12g}")


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten; over less than two decades 2 and 5 times them too; plain ticks where there is no such value."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = list(range(first, last + 1))
    decades = math.log10(high) - math.log10(low)
    if len(powers) >= 2 and decades >= 2 and len(powers) - 1 >= COVERED * decades:
        found = [float(f"1e{power}") for power in powers[:: math.ceil(len(powers) / most)]]
        if len(powers) * 3 > most:
            return found
    finer = [float(f"{factor}e{power}") for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
    finer = [value for value in finer if low <= value <= high]
    if len(finer) < 2 or math.log(finer[-1] / finer[0]) < COVERED * math.log(high / low):
        return nice_ticks(low, high, most)
    return finer if len(finer) <= most else some_of(finer, most)


def some_of(values: Sequence[float], most: int) -> list[float]:
    """So many of the values, the first and the last among them."""
    places = [round(at * (len(values) - 1) / (max(2, most) - 1)) for at in range(max(2, most))]
    return [values[place] for place in dict.fromkeys(places)]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The values of ticks with as many digits as tell them apart; large and tiny ones by powers of ten."""
    largest = max(map(abs, ticks), default=0.0)
    known = [abs(tick) for tick in ticks if tick]
    if largest >= 1e7 or (known and min(known) < 1e-4 and largest < 1e-2) or (known and min(known) * 1e7 < largest):
        return [scientific(tick) for tick in ticks]
    for digits in range(12):
        texts = [f"{tick:,.{digits}f}" for tick in ticks]
        if all(abs(float(text.replace(",", "")) - tick) <= 1e-9 * largest for text, tick in zip(texts, ticks)):
            break
        if digits > 4 and len(set(texts)) == len(texts):
            break
    is_spread = bool(known) and min(known) * 100 <= largest  # a log axis: 0.01, 1, 100
    if is_spread:
        return [f"{tick:,.10g}" if tick == 0 or abs(tick) >= 1e-4 else scientific(tick) for tick in ticks]
    return texts


def scientific(value: float) -> str:
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.5e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def ends_of(parts: Iterable[Floats], is_log: bool) -> tuple[float, float] | None:
    """The smallest and the largest of all finite values, on a log axis of the positive ones; None where is none."""
    found = [
        end
        for part in parts
        for end in (ends_of_array(part, is_log) if hasattr(part, "dtype") else ends_of_list(part, is_log))
    ]
    return (min(found), max(found)) if found else None


def ends_of_array(values: Any, is_log: bool) -> list[float]:
    import numpy as np

    known = values[np.isfinite(values) & (values > 0)] if is_log else values[np.isfinite(values)]
    return [float(known.min()), float(known.max())] if len(known) else []


def ends_of_list(values: Floats, is_log: bool) -> list[float]:
    known = [float(value) for value in values if math.isfinite(value) and (value > 0 or not is_log)]
    return [min(known), max(known)] if known else []
